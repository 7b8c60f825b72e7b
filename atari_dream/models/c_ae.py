"""C-AE: two strided convolutions, a code, two transposed ones.

Source: C-AE of *Generative Models for Video Prediction* (azeghost, 2020), one frame in, the fifth after it
out, through 30 numbers. Changed: a stack of four frames, since one shows no motion; a code of 15x10 cells,
since 30 numbers cannot hold where everything is. What all of them change, `atari_dream.autoencoders.base`
says.
"""

from atari_dream.autoencoders.convolutional import Convolutional
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_ae")
class CAE(Convolutional):
    """Convolutional autoencoder."""

    design = Design("convolutional")
