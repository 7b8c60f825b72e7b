"""The reference models as published: their stacks of layers on their own tensor, 160 high and 210 wide.

Source: azeghost, *Generative Models for Video Prediction* (2020); the tests hold its parameter totals. There is no
action and no reward; a flat model makes a frame of a frame, the others make a clip of a clip, through one code of 30
numbers. What is not told there is chosen here:

- LSTMs have logistic gates and tanh, as in Shi et al. 2015, and no ReLU; Keras' gates of 2020 were piecewise linear.
  They have no peepholes (the parameter totals leave no room), and the forget gate's bias starts at 1.
- The activity penalty is on the sum of squares, of what dropout has left.
- Weights start as Keras' do and normalisation has Keras' constants. An untrained decoder's outputs vary less than
  those allow for, so its logits are near 0.

Left as they are: code, log-variance and output logits are normalised and dropped, so a dropped pixel is grey.
Changed: the divergence from the prior is exact and summed, not one sample's, averaged over 30 dimensions.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from atari_dream.design import Design
from atari_dream.errors import UsageError
from atari_dream.losses import bernoulli_nll, free_bits, gaussian_divergence

CODE = 30
"""Numbers that a frame or a clip is brought down to."""
SIZE = (160, 210)
"""Rows and columns of a frame."""
CLIP = 10
"""Frames of a clip."""

_DROPOUT, _PENALTY = 0.25, 1e-6
_NORMALISED: dict[str, Any] = {"eps": 1e-3, "momentum": 0.01}
"""Keras' defaults, the momentum as PyTorch writes it."""


class Reconstruction(NamedTuple):
    """What a reference model makes of frames.

    Attributes:
        logits: Of each colour's brightness, (B, T, 3, 160, 210).
        code: What the frames were decoded from, (B, 30).
        mean: Mean of the code; the code itself unless it was drawn.
        log_variance: Of the code, (B, 30); None without a distribution.
    """

    logits: Tensor
    code: Tensor
    mean: Tensor
    log_variance: Tensor | None


class Reference(nn.Module):
    """A published autoencoder, which a discriminator may judge but is no part of.

    In training mode it needs two lanes or more, over which the code is normalised, and dropout draws at random;
    nothing else does.

    Args:
        design: The architecture.

    Attributes:
        window: Frames T that it sees and makes: 1, or a clip's 10.
        ahead: Frames by which what it makes lies ahead of what it sees.
    """

    ahead = 5

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.window = CLIP if design.encoder in ("distributed", "recurrent") else 1
        self.mean = _encoder(design, self.window)
        self.log_variance = _encoder(design, self.window) if design.variational else None
        self.decoder = _decoder(design, self.window)
        self.apply(_start)

    def forward(self, frames: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Encodes and decodes frames.

        Args:
            frames: Red, green and blue in [0, 1], float32 (B, T, 3, 160, 210).
            noise: Standard normal numbers, (B, 30), that a variational model's code is drawn with; None for its mean.

        Raises:
            UsageError: If the frames have another shape.
        """
        if frames.shape[1:] != (self.window, 3, *SIZE):
            raise UsageError(
                f"frames {tuple(frames.shape)}: allowed are (B, {self.window}, 3, {SIZE[0]}, {SIZE[1]})"
            )
        code = mean = self.mean(frames)
        log_variance = None if self.log_variance is None else self.log_variance(frames)
        if log_variance is not None and noise is not None:
            code = mean + (0.5 * log_variance).exp() * noise
        return Reconstruction(self.decoder(code), code, mean, log_variance)

    def losses(
        self, frames: Tensor, target: Tensor, noise: Tensor | None, beta: float = 1.0, free: float = 0.0
    ) -> dict[str, Tensor]:
        """Terms of the loss by name, each (B,).

        Args:
            frames: As `forward` takes them.
            target: The frames that lie `ahead` of them, of the same shape.
            noise: As `forward` takes it.
            beta: Factor of the divergence.
            free: Nats of divergence that cost nothing less.

        Returns:
            `pixels`, the Bernoulli bound in nats; `activity`, the penalty; `kl`, of a variational model, the
            divergence from a standard normal prior in nats.
        """
        made = self(frames, noise)
        ends = (made.logits, made.mean, *(() if made.log_variance is None else (made.log_variance,)))
        squares = torch.stack([end.square().flatten(1).sum(1) for end in ends])
        terms = {"pixels": bernoulli_nll(made.logits, target), "activity": _PENALTY * squares.sum(0)}
        if made.log_variance is not None:
            spread = (0.5 * made.log_variance).exp()
            prior = (made.mean.new_zeros(()), made.mean.new_ones(()))
            terms["kl"] = beta * free_bits(gaussian_divergence(made.mean, spread, *prior), free)
        return terms


def parameter_total(module: nn.Module) -> int:
    """Trained parameters and running means and variances, as the reference counts them."""
    statistics = ("running_mean", "running_var")
    buffers = (buffer for name, buffer in module.named_buffers() if name.endswith(statistics))
    return sum(tensor.numel() for tensor in (*module.parameters(), *buffers))


class ConvLSTM2d(nn.Module):
    """Convolutional LSTM that a clip runs through: 3x3, strided and without padding on the input."""

    def __init__(self, inputs: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, 4 * channels, 3, stride)
        self.recur = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=False)

    def forward(self, clip: Tensor) -> Tensor:
        """Hidden states (B, T, channels, H', W') of a clip (B, T, inputs, H, W)."""
        entering = self.enter(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        hidden = cell = torch.zeros_like(entering[:, 0].chunk(4, dim=1)[0])
        shown = []
        for entered in entering.unbind(1):
            enter, keep, leave, new = (entered + self.recur(hidden)).chunk(4, dim=1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            shown.append(hidden)
        return torch.stack(shown, dim=1)


class ConvTransposeSame2d(nn.ConvTranspose2d):
    """3x3 transposed convolution whose output is the input times the stride, cut off at the ends as Keras does."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, 3, stride)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Convolves (B, inputs, H, W)."""
        top, left = ((3 - step) // 2 for step in self.stride)
        rows, columns = (step * size for step, size in zip(self.stride, x.shape[2:], strict=True))
        return super().forward(x)[:, :, top : top + rows, left : left + columns]


class PerFrame(nn.Sequential):
    """Layers that see each frame of a clip (B, T, C, H, W) for itself."""

    def forward(self, clip: Tensor) -> Tensor:
        """Applies them."""
        made: Tensor = super().forward(clip.flatten(0, 1))
        return made.unflatten(0, clip.shape[:2])


def _encoder(design: Design, window: int) -> nn.Sequential:
    look, features = _look(design)
    return nn.Sequential(
        look,
        nn.Flatten(),
        nn.Linear(window * features, CODE),
        nn.BatchNorm1d(CODE, **_NORMALISED),
        nn.Dropout(_DROPOUT),
    )


def _look(design: Design) -> tuple[nn.Module, int]:
    """Layers before the code, and how many features of a frame they give."""
    if design.encoder == "dense":
        widths = (3, *[15] * design.per_pixel)
        layers = [layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 1), nn.ReLU())]
        return PerFrame(*layers), widths[-1] * SIZE[0] * SIZE[1]
    if design.encoder == "recurrent":
        return nn.Sequential(ConvLSTM2d(3, 30, (2, 2)), ConvLSTM2d(30, 6, (2, 3))), 6 * 39 * 34
    fine, coarse = nn.Conv2d(3, 30, 3, (2, 2)), nn.Conv2d(30, 6, 3, (2, 3))
    return PerFrame(fine, nn.ReLU(), coarse, nn.ReLU()), 6 * 39 * 34


def _decoder(design: Design, window: int) -> nn.Sequential:
    end = (nn.BatchNorm2d(3, **_NORMALISED), nn.Dropout(_DROPOUT))
    if design.encoder == "dense":
        return nn.Sequential(
            nn.Linear(CODE, 30),
            nn.ReLU(),
            nn.Linear(30, design.middle),
            nn.ReLU(),
            nn.Linear(design.middle, window * 3 * SIZE[0] * SIZE[1]),
            nn.Unflatten(1, (window, 3, *SIZE)),
            PerFrame(*end),
        )
    first, second = (30, 6) if design.encoder == "recurrent" else (6, 30)
    return nn.Sequential(
        nn.Linear(CODE, window * 15 * 40 * 35),
        nn.ReLU(),
        nn.Unflatten(1, (window, 15, 40, 35)),
        PerFrame(
            ConvTransposeSame2d(15, first, (2, 3)),
            nn.ReLU(),
            ConvTransposeSame2d(first, second, (2, 2)),
            nn.ReLU(),
            ConvTransposeSame2d(second, 3, (1, 1)),
            *end,
        ),
    )


def _start(module: nn.Module) -> None:
    """Sets the weights of a module whose children are set."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, ConvLSTM2d):
        nn.init.orthogonal_(module.recur.weight)
        channels = module.recur.in_channels
        nn.init.ones_(module.enter.bias[channels : 2 * channels])  # type: ignore[index]
