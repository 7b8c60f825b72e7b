"""The cells that show the score: they change when something is earned and hardly ever otherwise.

What a step earns is not read off them, or a dream would earn whatever it happens to draw there. They are drawn last,
knowing what was earned.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, ROW

_SURE, _OFTEN, _WHOLE = 0.85, 0.04, 0.8
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


def find_display(steps: Iterable[tuple[Tensor, bool]]) -> list[int]:
    """The cells that change when something is earned and hardly ever otherwise; none if they miss much.

    Args:
        steps: Which cells changed, bool (600,), and whether something was earned.
    """
    paid, free = torch.zeros(2, CELLS, dtype=torch.int64)
    earning = []
    for changed, earned in steps:
        (paid if earned else free).add_(changed)
        if earned:
            earning.append(changed)
    often = max(_LEAST, _OFTEN * len(earning))
    sure = (paid >= _SURE * (paid + free)) & (paid >= often)
    if not sure.any() or sure.sum() > _MOST:
        return []
    seen = torch.stack(earning)[:, sure].any(1).float().mean()
    return sure.nonzero()[:, 0].tolist() if seen >= _WHOLE else []
