"""FC-VAE: FC-AE with a Gaussian latent.

Source: FC-VAE of *Generative Models for Video Prediction* (azeghost, 2020), two encoders and a standard
normal prior. Changed as FC-AE; and the latent, 16 numbers, has a prior learnt from the code and a divergence
that counts. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.dense import Dense
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("fc_vae")
class FCVAE(Dense):
    """Fully connected variational autoencoder."""

    design = Design("dense", variational=True, middle=30)
