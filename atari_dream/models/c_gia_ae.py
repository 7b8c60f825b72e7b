"""C-GIA-AE: C-AE and both adversaries, in image space and in latent space.

Source: C-GIA-AE of *Generative Models for Video Prediction* (azeghost, 2020), its best by its own word.
Changed as C-GA-AE and C-IA-AE; each adversary is held at a share of the gradient of its own. What all of them
change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.convolutional import Convolutional
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_gia_ae")
class CGIAAE(Convolutional):
    """C-AE against discriminators of images and codes."""

    design = Design("convolutional", adversaries=("image", "latent"))
