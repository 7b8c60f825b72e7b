"""Frames cut into cells of 7x8 pixels, the pixels of a cell side by side: what a 1x1 convolution reads as it lies."""

from torch import Tensor

from atari_dream.layers import GRID, PATCH

CELLS = GRID[0] * GRID[1]
PIXELS = PATCH[0] * PATCH[1]
ROW = 8
"""Cells that are drawn side by side: how many are drawn is a multiple of it."""


def to_cells(frame: Tensor) -> Tensor:
    """A frame (B, 210, 160) as cells (B, 600, 56)."""
    (rows, columns), (height, width) = GRID, PATCH
    return frame.reshape(-1, rows, height, columns, width).transpose(2, 3).reshape(-1, CELLS, PIXELS)


def to_frame(cells: Tensor) -> Tensor:
    """Cells (B, 600, 56) as a frame (B, 210, 160)."""
    (rows, columns), (height, width) = GRID, PATCH
    split = cells.reshape(-1, rows, columns, height, width)
    return split.transpose(2, 3).reshape(-1, rows * height, columns * width)


def to_grid(cells: Tensor) -> Tensor:
    """Features of cells (B, 600, F) as an image (B, F, 30, 20) whose channels lie last: no copy."""
    return cells.view(-1, *GRID, cells.shape[-1]).permute(0, 3, 1, 2)


def from_grid(features: Tensor) -> Tensor:
    """An image (B, F, 30, 20) as features of cells (B, 600, F)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def pick(cells: Tensor, index: Tensor) -> Tensor:
    """The cells (B, n, F) at an index, int64 (B, n)."""
    return cells.gather(1, index[..., None].expand(-1, -1, cells.shape[-1]))


def put(cells: Tensor, index: Tensor, drawn: Tensor) -> Tensor:
    """Cells with some of them, (B, n, F), replaced."""
    return cells.scatter(1, index[..., None].expand(-1, -1, cells.shape[-1]), drawn)
