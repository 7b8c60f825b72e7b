"""What a reference model declares of itself; its published stack and its world model are both built from it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Design:
    """The architecture of a reference model.

    Attributes:
        encoder: What looks at the frames: strided convolutions, dense layers on each pixel's colours, convolutions
            of each of ten frames, or convolutional LSTMs over ten frames.
        variational: Whether the code is drawn from a Gaussian, whose log-variance has an encoder of its own.
        adversaries: The spaces that a discriminator judges.
        per_pixel: Per-pixel dense layers of a dense encoder.
        middle: Width of the dense decoder's middle layer.
    """

    encoder: Literal["convolutional", "dense", "distributed", "recurrent"]
    variational: bool = False
    adversaries: tuple[Literal["image", "latent"], ...] = ()
    per_pixel: int = 2
    middle: int = 45
