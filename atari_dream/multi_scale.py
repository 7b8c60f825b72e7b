"""The networks of the Multi-Scale GAN (Mathieu, Couprie and LeCun 2016), published widths or narrower ones.

A generator and a discriminator at each of four scales, 1/8 to 1. A finer generator sees the frames and what the
coarser one predicted. RGB in [-1, 1].
"""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from atari_dream.layers import Conv2d

FRAMES = 4
SCALES = 4
MAPS = ((128, 256, 128, 3), (128, 256, 128, 3), (128, 256, 512, 256, 128, 3), (128, 256, 512, 256, 128, 3))
KERNELS = ((3, 3, 3, 3), (5, 3, 3, 5), (5, 3, 3, 3, 3, 5), (7, 5, 5, 5, 5, 7))
CRITIC_MAPS = ((64,), (64, 128, 128), (128, 256, 256), (128, 256, 512, 128))
CRITIC_KERNELS = ((3,), (3, 3, 3), (5, 5, 5), (7, 7, 5, 5))
CRITIC_DENSE = ((512, 256), (1024, 512), (1024, 512), (1024, 512))
CROP = 32

_GAIN = 2.0


def pyramid(images: Tensor) -> list[Tensor]:
    """Images (B, C, H, W) at every scale, the coarsest first, by area."""
    height, width = images.shape[2:]
    sizes = [(height >> level, width >> level) for level in reversed(range(SCALES))]
    return [F.adaptive_avg_pool2d(images, size) for size in sizes]


class Generators(nn.ModuleList):
    """A stack of convolutions for each scale.

    Args:
        extra: Channels beside four RGB frames.
        divide: What the published widths are divided by.
        convolution: Makes a layer of (inputs, outputs, kernel, padding=...).
    """

    def __init__(
        self, extra: int = 0, divide: int = 1, convolution: Callable[..., nn.Module] = Conv2d
    ) -> None:
        super().__init__()
        for level, (maps, kernels) in enumerate(zip(MAPS, KERNELS, strict=True)):
            inputs = 3 * FRAMES + extra + 3 * (level > 0)
            sizes = [inputs, *(size // divide for size in maps[:-1]), 3]
            layers: list[nn.Module] = []
            for before, after, kernel in zip(sizes, sizes[1:], kernels, strict=False):
                layers += [convolution(before, after, kernel, padding=kernel // 2), nn.ReLU()]
            self.append(nn.Sequential(*layers[:-1]).apply(_start))

    def last(self, level: int) -> nn.Conv2d:
        """The last layer of a scale."""
        layer = list(self[level].children())[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer


class ScaleCritic(nn.Module):
    """The discriminator of one scale: is this what follows? Convolutions without padding, then dense layers.

    It sees the next frame and what changes in it. Spectral norm bounds each layer; a gain after each keeps the signal
    from fading on the way through.
    """

    def __init__(self, level: int, divide: int = 1) -> None:
        super().__init__()
        side, channels = CROP >> (SCALES - 1 - level), 6
        layers: list[nn.Module] = []
        for maps, kernel in zip(CRITIC_MAPS[level], CRITIC_KERNELS[level], strict=True):
            layers += [spectral_norm(nn.Conv2d(channels, maps // divide, kernel)), _Leak()]
            channels, side = maps // divide, side - kernel + 1
        if level:
            layers.append(nn.MaxPool2d(2))
            side //= 2
        sizes = [channels * side * side, *(size // divide for size in CRITIC_DENSE[level])]
        layers.append(nn.Flatten())
        for before, after in itertools.pairwise(sizes):
            layers += [spectral_norm(nn.Linear(before, after)), _Leak()]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Linear(sizes[-1], 1)))

    def forward(self, present: Tensor, patch: Tensor) -> Tensor:
        """Scores (B, 1) of patches that follow present ones, RGB in [-1, 1], (B, 3, side, side)."""
        scores: Tensor = self.layers(torch.cat([patch - present, patch], dim=1))
        return scores


class MultiScaleCritic(nn.ModuleList):
    """The discriminators of all scales."""

    def __init__(self, divide: int = 1) -> None:
        super().__init__(ScaleCritic(level, divide) for level in range(SCALES))

    def forward(self, *patches: Tensor) -> Tensor:
        """Scores (B, 4) of patches (B, 3, side, side), the coarsest first: the four present ones, then the next."""
        pairs = zip(self, patches[:SCALES], patches[SCALES:], strict=True)
        return torch.cat([critic(present, patch) for critic, present, patch in pairs], dim=1)


class ReferenceGenerator(nn.Module):
    """The published generator: four frames to the next, each scale told the coarser one's, through tanh."""

    window, ahead = FRAMES, 1

    def __init__(self) -> None:
        super().__init__()
        self.scales = Generators(convolution=nn.Conv2d)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """The next frame at every scale, the coarsest first, RGB in [-1, 1].

        Args:
            frames: RGB in [-1, 1], oldest first, (B, 4, 3, H, W).
        """
        made: list[Tensor] = []
        for network, seen in zip(self.scales, pyramid(frames.flatten(1, 2)), strict=True):
            told = [seen, F.interpolate(made[-1], seen.shape[2:])] if made else [seen]
            made.append(network(torch.cat(told, dim=1)).tanh())
        return made


class _Leak(nn.Module):
    """Leaky ReLU with a gain."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies it."""
        return F.leaky_relu(x, 0.2) * _GAIN


def _start(module: nn.Module) -> None:
    """Weights after He et al. (2015): smaller ones fade in five layers of ReLU."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
