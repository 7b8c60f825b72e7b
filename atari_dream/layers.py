"""Layers that the predictors share. All are convolutions or work pixel by pixel: a lane's bits depend on it alone."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.games import HEIGHT, WIDTH
from atari_dream.predictor import Frames

PATCH = (7, 8)
"""Pixels, rows by columns, that a grid cell covers: 210x160 is exactly 30x20 cells."""
GRID = (30, 20)

_COLOUR_CODE = 4
_SMALL_IMAGE = 20_480
_BUSY_PIXELS, _CALM_PIXELS = 2_688, 1_344


class Conv2d(nn.Conv2d):
    """Convolution whose bits do not depend on how many lanes there are.

    On the CPU torch takes another kernel for one small image, and for 1x1 in small batches unless dilated; on a GPU
    dilation is slow.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, dilation=2 if kernel == 1 else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (B, inputs, H, W)."""
        if x.is_cuda and self.kernel_size == (1, 1):
            return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return _in_company(super().forward, x)


class ConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution whose bits do not depend on how many lanes there are."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Convolves (B, inputs, H, W)."""
        return _in_company(super().forward, x)


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution of (B, inputs, H, W) as `Conv2d` does it."""
    return F.conv2d(x, weight, bias, dilation=1 if x.is_cuda else 2)


def _in_company(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return function(x.repeat(2, 1, 1, 1))[:1] if len(x) == 1 and x.numel() <= _SMALL_IMAGE else function(x)


def sigmoid(x: Tensor) -> Tensor:
    """Logistic function; torch's own gives the last elements of a thread's share other bits."""
    return x.sigmoid() if x.requires_grad else torch.exp(-x).add_(1).reciprocal_()


def silu(x: Tensor) -> Tensor:
    """`x * sigmoid(x)`; torch's own gives the last elements of a thread's share other bits."""
    return F.silu(x) if x.requires_grad else x / torch.exp(-x).add_(1)


class SiLU(nn.Module):
    """`silu` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies it."""
        return silu(x)


def colour_code() -> Tensor:
    """Four fixed random numbers for each palette code, (256, 4)."""
    return torch.randn(256, _COLOUR_CODE, generator=torch.Generator().manual_seed(0))


def look_up(table: Tensor, codes: Tensor) -> Tensor:
    """Rows of a table, (256, F), for palette codes, uint8 (...): (..., F)."""
    if codes.is_cuda:  # where F.embedding starts a block for each of them
        return table[codes.long()]
    return F.embedding(codes.int(), table)


def rgb_of(codes: Tensor) -> Tensor:
    """Palette codes, uint8 (B, H, W), as RGB in [0, 1], float32 (B, 3, H, W)."""
    return Frames(codes).rgb().permute(0, 3, 1, 2) / 255.0


def snap(rgb: Tensor, colours: Tensor) -> Tensor:
    """The nearest colour of each pixel, by squared distance, as palette codes.

    Args:
        rgb: In [0, 1], (B, 3, H, W).
        colours: Palette codes to choose from, uint8 (K,).

    Returns:
        uint8 (B, H, W).
    """
    table = rgb_of(colours[:, None, None])[:, :, 0, 0]  # (K, 3)
    distance = table.square().sum(1) - 2 * rgb.float().permute(0, 2, 3, 1) @ table.T
    return colours[distance.argmin(-1)]


class FrameEmbedding(nn.Module):
    """Frames of palette codes, uint8 (B, 210, 160), several in a row, as features (B, channels, 30, 20).

    A colour enters as a fixed random code: a gradient into a table of colours costs more than all the rest.
    """

    code: Tensor

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("code", colour_code())
        self.patches = nn.ModuleList(nn.Conv2d(_COLOUR_CODE, channels, PATCH, PATCH) for _ in range(frames))

    def forward(self, *frames: Tensor) -> Tensor:
        """Embeds the frames, each by its own convolution, and adds them up."""
        parts = [
            patches(look_up(self.code, frame).permute(0, 3, 1, 2))  # (B, 4, 210, 160), channels last
            for patches, frame in zip(self.patches, frames, strict=True)
        ]
        return sum(parts[1:], parts[0])


class ActionEmbedding(nn.Module):
    """Raw actions of one agent step, uint8 (B, frame_skip), as a bias (B, channels, 1, 1) for each channel."""

    def __init__(self, frame_skip: int, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(frame_skip, 18, channels) * 0.5)

    def forward(self, action: Tensor) -> Tensor:
        """Sums what each emulator frame's action contributes."""
        parts = [self.table[frame][action[:, frame].long()] for frame in range(self.table.shape[0])]
        return sum(parts[1:], parts[0])[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added; the second starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv2d(channels, channels, 3, padding=1)
        self.second = Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the block's change, (B, channels, H, W)."""
        return x + self.second(silu(self.first(silu(x))))


class ConvLSTM(nn.Module):
    """Convolutional LSTM (Shi et al. 2015): gates by a 3x3 convolution of input and hidden state."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.gates = Conv2d(inputs + channels, 4 * channels, 3, padding=1)
        nn.init.constant_(self.gates.bias[channels : 2 * channels], 1.0)  # type: ignore[index]

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """One step: input (B, inputs, H, W), hidden and cell (B, channels, H, W)."""
        enter, keep, leave, new = self.gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
        cell = sigmoid(keep) * cell + sigmoid(enter) * new.tanh()
        return sigmoid(leave) * cell.tanh(), cell


class PaletteHead(nn.Module):
    """Features of a grid, (B, channels, 30, 20), to a colour for each pixel: one of the game's, or the one it has now.

    The choice to keep the present colour starts out likely, so an untrained model is copy-last. A pixel's
    likelihood is that of the mixture, so the two ways to the same colour add up.

    Args:
        colours: Palette codes of the game.
        channels: Channels of the features.
        patch: Pixels, rows by columns, that a cell of the grid covers.
    """

    KEEP = 6.0

    colours: Tensor
    slot: Tensor

    def __init__(self, colours: tuple[int, ...], channels: int, patch: tuple[int, int] = PATCH) -> None:
        super().__init__()
        slot = torch.zeros(256, dtype=torch.int64)
        slot[torch.tensor(colours)] = torch.arange(len(colours)) + 1
        self.register_buffer("colours", torch.tensor((0, *colours), dtype=torch.uint8))
        self.register_buffer("slot", slot)
        self.pixels = nn.ConvTranspose2d(channels, len(colours) + 1, patch, patch)
        with torch.no_grad():
            self.pixels.bias.zero_()  # type: ignore[union-attr]
            self.pixels.bias[0] = self.KEEP  # type: ignore[index]
        self._patch = patch

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return HEIGHT * WIDTH // (self._patch[0] * self._patch[1])

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 210, 160, 1 + colours); the first is for keeping the present colour."""
        return self.pixels(silu(features)).permute(0, 2, 3, 1)

    def choose(self, logits: Tensor, present: Tensor) -> Tensor:
        """The likeliest choice of each pixel as a palette code, uint8 (B, 210, 160)."""
        best = logits.argmax(-1)
        return torch.where(best == 0, present, self.colours[best])

    def nll(self, logits: Tensor, present: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood of a frame of colours seen in training, in nats summed over its pixels, (B,)."""
        nll: Tensor = _MixtureNLL.apply(logits, self.slot[target.int()], target == present)
        return nll.sum((1, 2))

    def sampled_nll(
        self, features: Tensor, present: Tensor, target: Tensor, chosen: Tensor, order: Tensor
    ) -> Tensor:
        """An estimate of `nll`, unbiased over `order`, from a fixed number of cells: most frames hardly change.

        Args:
            features: Of the grid, (B, channels, rows, columns).
            present: Palette codes now, uint8 (B, 210, 160).
            target: Palette codes that follow.
            chosen: Palette codes that the head would choose.
            order: A random number for each cell, (B, cells); cells are drawn in descending order, most from those
                that change or are wrong.
        """
        busy = self._by_cell((target != present) | (chosen != target)).any(-1)
        pixels = self._patch[0] * self._patch[1]
        cells, weights = zip(
            *(
                strata(order, mask, min(self.cells, budget // pixels))
                for mask, budget in ((busy, _BUSY_PIXELS), (~busy, _CALM_PIXELS))
            ),
            strict=True,
        )
        cell, weight = torch.cat(cells, dim=1), torch.cat(weights, dim=1)
        slot, kept = (
            self._by_cell(part).gather(1, cell[..., None].expand(-1, -1, pixels))
            for part in (self.slot[target.int()], target == present)
        )
        nll: Tensor = _MixtureNLL.apply(self._logits_at(features, cell), slot, kept)
        return (nll.sum(-1) * weight).sum(1)

    def paint(self, logits: Tensor, present: Tensor) -> Tensor:
        """The chosen frame as RGB in [0, 1], (B, 3, 210, 160); gradients flow as if it were the expected one."""
        share = logits.float().softmax(-1).permute(0, 3, 1, 2)
        colours = rgb_of(self.colours[1:, None, None])[:, :, 0, 0]
        expected = torch.einsum("bkhw,kc->bchw", share[:, 1:], colours) + share[:, :1] * rgb_of(present)
        return rgb_of(self.choose(logits, present)) + expected - expected.detach()

    def _logits_at(self, features: Tensor, cell: Tensor) -> Tensor:
        """Logits (B, n, pixels, 1 + colours) of cells, int64 (B, n)."""
        seen = silu(features).flatten(2).transpose(1, 2)  # (B, cells, channels)
        seen = seen.gather(1, cell[..., None].expand(-1, -1, seen.shape[-1]))
        weight = self.pixels.weight.permute(0, 2, 3, 1).flatten(1)
        bias = self.pixels.bias
        assert bias is not None
        return (seen @ weight).unflatten(-1, (-1, len(bias))) + bias

    def _by_cell(self, picture: Tensor) -> Tensor:
        """A picture (B, 210, 160) as (B, cells, pixels of a cell)."""
        height, width = self._patch
        split = picture.view(len(picture), HEIGHT // height, height, WIDTH // width, width)
        return split.transpose(2, 3).flatten(3).flatten(1, 2)


def strata(order: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` cells of a mask (B, cells) in random order, and how many each stands for, (B, count)."""
    drawn = torch.where(mask, order, -torch.inf).topk(count, dim=1).indices
    members = mask.sum(1, keepdim=True)
    return drawn, mask.gather(1, drawn) * members / members.clamp(1, count)


class _MixtureNLL(torch.autograd.Function):
    """`-log(p[slot] + kept * p[0])` of softmax p, with its gradient made on the way forward: half of the passes."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, slot: Tensor, kept: Tensor) -> Tensor:
        share = (
            logits.float() - logits.amax(-1, keepdim=True)
        ).exp_()  # softmax itself is slow over few classes
        share /= share.sum(-1, keepdim=True)
        colour = share.gather(-1, slot[..., None])
        keep = share[..., :1] * kept[..., None]
        likely = (colour + keep).clamp(min=1e-12)
        gradient = share.scatter_add(-1, slot[..., None], -colour / likely)
        gradient[..., :1] -= keep / likely
        ctx.save_for_backward(gradient.to(logits.dtype))
        return -likely[..., 0].log()

    @staticmethod
    def backward(ctx: Any, *outward: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outward[0][..., None].to(gradient.dtype), None, None


class OutcomeHead(nn.Module):
    """Features (B, channels, 30, 20) to logits (B, classes): evidence of every place, summed over the grid."""

    def __init__(self, channels: int, classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.look = Conv2d(channels, hidden, 3, stride=2, padding=1)
        self.judge = Conv2d(hidden, hidden, 3, padding=1)
        self.vote = Conv2d(hidden, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, classes)."""
        seen = silu(self.judge(silu(self.look(silu(features)))))
        votes = self.vote(seen).float()
        height, width = votes.shape[2:]
        return F.avg_pool2d(votes, (height, width))[:, :, 0, 0] * (height * width) ** 0.5
