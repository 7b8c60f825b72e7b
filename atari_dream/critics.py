"""Discriminators: what adversaries are trained with. Training needs them, a dream does not.

Spectral norm (Miyato et al. 2018) on every layer bounds how fast they can tell apart.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2


class ImageCritic(nn.Module):
    """Is this frame what follows the present one? Judged patch by patch.

    Args:
        width: Channels of the first layer.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = (6, width, 2 * width, 4 * width)
        strided = [_strided(before, after) for before, after in itertools.pairwise(sizes)]
        self.layers = nn.Sequential(*strided, _convolution(sizes[-1], 1, 3, 1))

    def forward(self, present: Tensor, frame: Tensor) -> Tensor:
        """Scores (B, 1, 26, 20) of frames that follow present ones, RGB in [0, 1], (B, 3, 210, 160)."""
        return self.layers(torch.cat([frame - present, frame], dim=1))


class GridCritic(nn.Module):
    """Is this grid a sample of the prior?"""

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(channels, width, 3, 1),
            nn.LeakyReLU(_SLOPE),
            _strided(width, width),
            _convolution(width, 1, 3, 1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Scores (B, 1, 7, 5) of codes (B, channels, 15, 10)."""
        return self.layers(code)


class CodeCritic(nn.Module):
    """Is this vector a sample of the prior?"""

    def __init__(self, size: int, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Linear(size, width)),
            nn.LeakyReLU(_SLOPE),
            spectral_norm(nn.Linear(width, width)),
            nn.LeakyReLU(_SLOPE),
            spectral_norm(nn.Linear(width, 1)),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Scores (B, 1) of codes (B, size)."""
        return self.layers(code)


def _strided(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, 4, 2), nn.LeakyReLU(_SLOPE))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding=1))
