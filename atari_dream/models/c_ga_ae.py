"""C-GA-AE: C-AE and a generative adversary, a discriminator in image space.

Source: C-GA-AE of *Generative Models for Video Prediction* (azeghost, 2020), whose discriminators never see a
decoded frame and are minimised jointly at a millionth of the loss. Changed as C-AE; and one discriminator
(`ImageCritic`) judges real and predicted next frames beside the present one, in turns with the autoencoder.
What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.convolutional import Convolutional
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_ga_ae")
class CGAAE(Convolutional):
    """C-AE against a discriminator of images."""

    design = Design("convolutional", adversaries=("image",))
