"""C-TD-AE: the same convolutions over each frame ("time-distributed"), joined over time.

Source: C-TD-AE of *Generative Models for Video Prediction* (azeghost, 2020), ten frames through one code of
30 numbers, and ten out, five places ahead. Changed: the last four frames, each encoded when it comes and kept
as a code of 15x10 cells; one frame out. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.distributed import Distributed
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_td_ae")
class CTDAE(Distributed):
    """Convolutional autoencoder over single frames in time."""

    design = Design("distributed")
