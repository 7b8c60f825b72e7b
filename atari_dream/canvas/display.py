"""The cells that show the score: they change when something is earned and seldom otherwise.

What a step earns is not read off them, or a dream would earn whatever it happens to draw there. They are drawn last,
knowing what was earned.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, ROW

_SURE, _OFTEN, _WHOLE = 0.45, 0.04, 0.8
_LEAST, _MOST = 8, 24


class Display(nn.Module):
    """Where the score is shown, and what each reward means for what is drawn there.

    Args:
        cells: Which of the 600.
        rewards: How many rewards there are.
        channels: Channels of the features of a cell.

    Attributes:
        count: How many cells.
    """

    cells: Tensor
    mask: Tensor

    def __init__(self, cells: list[int], rewards: int, channels: int) -> None:
        super().__init__()
        self.count = len(cells)
        told = [*cells, *cells[-1:] * (-len(cells) % ROW)]  # the last one again: cells are drawn in rows
        self.register_buffer("cells", torch.tensor(told, dtype=torch.int64), persistent=False)
        mask = torch.zeros(CELLS, dtype=torch.bool)
        mask[self.cells] = True
        self.register_buffer("mask", mask, persistent=False)
        self.earned = nn.Parameter(torch.randn(rewards, channels))

    def without(self, frame: Tensor, instead: Tensor) -> Tensor:
        """A frame, uint8 (B, 600, 56), with what another shows in these cells."""
        return torch.where(self.mask[:, None], instead, frame)

    def index(self, batch: int) -> Tensor:
        """The cells for each lane, the last one repeated to full rows, int64 (B, n)."""
        return self.cells.expand(batch, -1)

    def informed(self, features: Tensor, reward: Tensor) -> Tensor:
        """Features (B, channels, 30, 20) that know the reward, by its place among the rewards, int64 (B,)."""
        return features + self.earned.index_select(0, reward)[:, :, None, None]


def find_display(clips: Iterable[tuple[Tensor, Tensor]]) -> list[int]:
    """The cells that change when something is earned, or a step later, and seldom otherwise; none if they miss much.

    Args:
        clips: Steps in a row: which cells changed, bool (L, 600), and whether something was earned, bool (L,).
    """
    changes, earnings = zip(*clips, strict=True)
    changed = torch.stack(changes)  # (N, L, 600)
    earned = torch.stack(earnings)
    lately = earned | F.pad(earned[:, :-1], (1, 0))
    soon = changed | F.pad(changed[:, 1:], (0, 0, 0, 1))
    paid = (changed & lately[..., None]).sum((0, 1))
    often = max(_LEAST, _OFTEN * int(earned.sum()))
    sure = (paid >= _SURE * changed.sum((0, 1))) & (paid >= often)
    if not sure.any() or sure.sum() > _MOST:
        return []
    told = soon[earned][:, sure].any(1).float().mean()
    return sure.nonzero()[:, 0].tolist() if told >= _WHOLE else []
