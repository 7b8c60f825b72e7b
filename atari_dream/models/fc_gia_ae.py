"""FC-GIA-AE: FC-AE, one dense layer a pixel, and both adversaries.

Source: FC-GIA-AE of *Generative Models for Video Prediction* (azeghost, 2020). Changed as FC-GA-AE and
FC-IA-AE. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.dense import Dense
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("fc_gia_ae")
class FCGIAAE(Dense):
    """FC-AE against discriminators of images and codes."""

    design = Design("dense", adversaries=("image", "latent"), per_pixel=1, middle=30)
