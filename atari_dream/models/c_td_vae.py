"""C-TD-VAE: C-TD-AE with a Gaussian latent.

Source: C-TD-VAE of *Generative Models for Video Prediction* (azeghost, 2020), two encoders and a standard
normal prior. Changed as C-TD-AE; and the latent, 8 numbers a cell, has a prior learnt from the code and a
divergence that counts. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.distributed import Distributed
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_td_vae")
class CTDVAE(Distributed):
    """Variational autoencoder over single frames in time."""

    design = Design("distributed", variational=True)
