"""How much of each colour a cell shows, wherever in the cell: what a sprite keeps as it moves."""

import torch
from torch import Tensor, nn

from atari_dream.layers import look_up

NUMBERS = 8
"""Numbers that tell a cell's colours."""
_NOTHING = 1  # palette codes are even
_SCALE = 4.0


class ColourCounts(nn.Module):
    """Adds up a few fixed random numbers for the colour of each pixel."""

    code: Tensor

    def __init__(self) -> None:
        super().__init__()
        code = torch.randn(256, NUMBERS, generator=torch.Generator().manual_seed(1)) / _SCALE
        code[_NOTHING] = 0.0
        self.register_buffer("code", code)

    def forward(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Of the pixels in a mask, bool (B, 600, 56), of cells, uint8 (B, 600, 56): (B, 600, NUMBERS)."""
        return look_up(self.code, torch.where(mask, cells, _NOTHING)).sum(2)
