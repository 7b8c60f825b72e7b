"""FC-AE: dense layers on each pixel's colours, then on all pixels at once.

Source: FC-AE of *Generative Models for Video Prediction* (azeghost, 2020), 19.8 million parameters for one
frame of 160x210. Changed: a stack of four frames at 105x80, or the dense layers would have no end; 64 numbers
of code; a last layer that gives each pixel of a 2x2 cell its colour. What all of them change,
`atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.dense import Dense
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("fc_ae")
class FCAE(Dense):
    """Fully connected autoencoder."""

    design = Design("dense")
