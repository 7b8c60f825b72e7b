"""FC-IA-AE: FC-AE, one dense layer a pixel, and an inference adversary in latent space.

Source: FC-IA-AE of *Generative Models for Video Prediction* (azeghost, 2020). Changed as FC-AE; and one
discriminator (`CodeCritic`) tells codes from samples of a standard normal, in turns with the autoencoder.
What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.dense import Dense
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("fc_ia_ae")
class FCIAAE(Dense):
    """FC-AE against a discriminator of codes."""

    design = Design("dense", adversaries=("latent",), per_pixel=1, middle=30)
