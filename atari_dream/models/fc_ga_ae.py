"""FC-GA-AE: FC-AE and a generative adversary, a discriminator in image space.

Source: FC-GA-AE of *Generative Models for Video Prediction* (azeghost, 2020), 63.6 million parameters with
adversaries that never see a decoded frame. Changed as FC-AE; and one discriminator (`ImageCritic`),
convolutional, judges real and predicted next frames, in turns with the autoencoder. What all of them change,
`atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.dense import Dense
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("fc_ga_ae")
class FCGAAE(Dense):
    """FC-AE against a discriminator of images."""

    design = Design("dense", adversaries=("image",), middle=30)
