"""C-LSTM-VAE: C-LSTM-AE with a Gaussian latent.

Source: C-LSTM-VAE of *Generative Models for Video Prediction* (azeghost, 2020), two encoders and a standard
normal prior. Changed as C-LSTM-AE; and the latent, 8 numbers a cell of 15x10, has a prior learnt from the
LSTM's state and a divergence that counts. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.recurrent import Recurrent
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_lstm_vae")
class CLSTMVAE(Recurrent):
    """Convolutional LSTM with a Gaussian latent grid, 210x160 palette colours."""

    design = Design("recurrent", variational=True)
