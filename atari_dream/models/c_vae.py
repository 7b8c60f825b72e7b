"""C-VAE: C-AE with a Gaussian latent.

Source: C-VAE of *Generative Models for Video Prediction* (azeghost, 2020): mean and log-variance from two
encoders that share nothing, a standard normal prior, a divergence that weighs 1e-4 of the loss. Changed as
C-AE; and the latent, 8 numbers a cell, has a prior learnt from the code and a divergence that counts, so that
the dream can draw it. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.convolutional import Convolutional
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_vae")
class CVAE(Convolutional):
    """Convolutional variational autoencoder."""

    design = Design("convolutional", variational=True)
