"""Colours that change all over a frame at once: Q*bert's cycling score, Video Pinball's flashes.

Drawn pixel by pixel, a flash is a whole frame of changes. Told by colour, it is one row of a table.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.layers import Conv2d

_KEEP = 6.0
_SHARE = 0.8
_RANK = 8


class Recolouring(nn.Module):
    """For each colour of a game, the colour that its pixels take next; mostly the same.

    Args:
        colours: Palette codes of the game, K of them.
        channels: Channels of the features that tell.
    """

    colours: Tensor
    slot: Tensor

    def __init__(self, colours: tuple[int, ...], channels: int) -> None:
        super().__init__()
        count = len(colours)
        slot = torch.zeros(256, dtype=torch.int64)
        slot[torch.tensor(colours)] = torch.arange(count)
        self.register_buffer("colours", torch.tensor(colours, dtype=torch.uint8))
        self.register_buffer("slot", slot)
        self.habit = nn.Parameter(torch.eye(count) * _KEEP)
        self.look = Conv2d(channels, _RANK, 1)
        self.leave = nn.Parameter(torch.randn(count, _RANK) * 0.3)
        self.enter = nn.Parameter(torch.zeros(count, _RANK))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K, K), from the colour now to the next, from features (B, channels, H, W)."""
        seen = self.look(features).float()
        height, width = seen.shape[2:]
        seen = F.avg_pool2d(seen, (height, width))[:, :, 0, 0] * (height * width) ** 0.5
        logits = self.habit.expand(len(seen), -1, -1)
        for rank in range(_RANK):  # a sum over ranks one by one, so that a lane's bits are its own
            pair = self.leave[:, rank, None] * self.enter[None, :, rank]
            logits = logits + seen[:, rank, None, None] * pair
        return logits

    def table(self, following: Tensor) -> Tensor:
        """Palette codes by palette code, uint8 (B, 256), from places among the colours, int64 (B, K)."""
        same = torch.arange(256, dtype=torch.uint8, device=following.device)
        return same.expand(len(following), -1).index_copy(1, self.colours.long(), self.colours[following])

    def seen(self, present: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What really happened to each colour.

        A colour became another if at least four fifths of its pixels did, and those are as much of what has that
        colour now; a sprite that leaves one place for another has recoloured nothing.

        Args:
            present: Palette codes, uint8 (B, 600, 56).
            target: Palette codes that follow.

        Returns:
            The place of the next colour among the colours, int64 (B, K); whether a colour was there, bool (B, K).
        """
        batch, count = len(present), len(self.colours)
        lane = torch.arange(batch, device=present.device)[:, None, None]
        pair = (lane * count + self.slot[present.int()]) * count + self.slot[target.int()]
        pixels = pair.new_zeros(batch, count, count)  # bincount would wait for a GPU
        pixels.view(-1).scatter_add_(0, pair.flatten(), torch.ones_like(pair).flatten())
        before, after = pixels.sum(2), pixels.sum(1)
        most, place = pixels.max(2)
        whole = (most >= _SHARE * before) & (most >= _SHARE * after.gather(1, place)) & (before > 0)
        own = torch.arange(count, device=present.device).expand(batch, -1)
        return torch.where(whole, place, own), before > 0


def recolour(table: Tensor, cells: Tensor) -> Tensor:
    """Looks palette codes, uint8 (B, 600, 56), up in each lane's table, uint8 (B, 256)."""
    lane = torch.arange(len(cells), device=cells.device, dtype=torch.int32)[:, None, None]
    return table.flatten().index_select(0, (cells.int() + 256 * lane).flatten()).view(cells.shape)
