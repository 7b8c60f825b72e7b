"""Moves: where the colour of a pixel came from, if something moved or flickers.

Few displacements explain most of what moves in a game: its sprites have few speeds, and what is drawn in one frame in
three was there three frames ago. They are found in the data, so that a model has to learn who moves where, not how
each sprite is painted at each place. Source: Finn, Goodfellow and Levine (2016), "Unsupervised learning for physical
interaction through video prediction", whose pixels move by learnt kernels; here by whole pixels, which cannot blur.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import PIXELS, to_cells
from atari_dream.games import HEIGHT, WIDTH

LAGS = 4
"""Frames that a pixel may come from: the present and those before."""
_REACH = 12
_SIDE = 2 * _REACH + 1
_MARGIN = 2
_FIT = 0.5

Move = tuple[int, int, int]
"""Frames back, and pixels down and to the right."""


class Moves(nn.Module):
    """Looks up what pixels would show if something had moved.

    Args:
        moves: N of them; without any, the only one is to stay.
    """

    source: Tensor

    def __init__(self, moves: tuple[Move, ...]) -> None:
        super().__init__()
        pixels = torch.arange(HEIGHT * WIDTH)
        place = to_cells(pixels.view(1, HEIGHT, WIDTH))[0]  # in the frame, of a cell's pixel
        where = torch.empty_like(pixels)
        where[place.flatten()] = pixels  # among the cells', of a frame's pixel
        row, column = place // WIDTH, place % WIDTH
        source = [
            lag * HEIGHT * WIDTH
            + where[(row - down).clamp(0, HEIGHT - 1) * WIDTH + (column - right).clamp(0, WIDTH - 1)]
            for lag, down, right in moves or ((0, 0, 0),)
        ]
        self.register_buffer("source", torch.stack(source, dim=1).int(), persistent=False)  # (600, N, 56)

    def forward(self, frames: Tensor, cell: Tensor, move: Tensor) -> Tensor:
        """What the pixels of cells show after moves, (B, n, W, 56).

        Args:
            frames: The last `LAGS` frames, the newest first, (B, LAGS, 600, 56).
            cell: Which cells, int64 (B, n).
            move: Which of the moves, for each cell, int64 (B, n, W).
        """
        row = cell[..., None] * self.source.shape[1] + move
        index = self.source.flatten(0, 1).index_select(0, row.flatten()).view(*row.shape, PIXELS)
        lane = torch.arange(len(frames), device=cell.device, dtype=torch.int32) * frames[0].numel()
        index = index + lane[:, None, None, None]
        return frames.flatten().index_select(0, index.flatten()).view(index.shape)


def find_moves(changes: Iterable[tuple[Tensor, Tensor, Tensor]], count: int) -> tuple[Move, ...]:
    """The most frequent moves of a game's sprites.

    Connected pixels of one colour vote for the move under which what had that colour before covers them best,
    by intersection over union; each with as many votes as it has pixels to be explained.

    Args:
        changes: Frames before, uint8 (LAGS, 210, 160), the newest first; the frame that followed, uint8 (210, 160);
            and a mask of the pixels to be explained, bool (210, 160).
        count: How many at most.
    """
    votes = torch.zeros(LAGS * _SIDE * _SIDE)
    for before, after, mask in changes:
        for colour in after[mask].unique():
            unexplained = mask & (after == colour)
            for rows, columns in _blobs(unexplained):
                fit = _fit(before == colour, after[rows, columns] == colour, rows.start, columns.start)
                if fit.max() >= _FIT:
                    votes[fit.argmax()] += unexplained[rows, columns].sum()
    votes[_index((0, 0, 0))] = 0  # to keep a colour is no move
    best = votes.sort(descending=True, stable=True).indices[:count]
    return tuple(_move(int(index)) for index in best if votes[index])


def _blobs(mask: Tensor) -> Iterator[tuple[slice, slice]]:
    """Bounding boxes, a little wider, of groups of near pixels of a mask (210, 160)."""
    near = cv2.dilate(mask.numpy().astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    for left, top, width, height, _ in cv2.connectedComponentsWithStats(near)[2][1:]:
        yield slice(int(top), int(top + height)), slice(int(left), int(left + width))


def _fit(before: Tensor, after: Tensor, top: int, left: int) -> Tensor:
    """Intersection over union of a blob (H, W) at a place, and of what was before (LAGS, 210, 160) under each move."""
    height, width = after.shape
    padded = F.pad(before.float(), (_REACH,) * 4)
    around = padded[:, None, top : top + height + 2 * _REACH, left : left + width + 2 * _REACH]
    both = F.conv2d(around, after.float()[None, None])
    either = F.conv2d(around, torch.ones(1, 1, height, width)) + after.sum() - both
    return (both / either).flatten()


def _move(index: int) -> Move:
    lag, place = divmod(index, _SIDE * _SIDE)
    return lag, _REACH - place // _SIDE, _REACH - place % _SIDE


def _index(move: Move) -> int:
    lag, down, right = move
    return (lag * _SIDE + _REACH - down) * _SIDE + _REACH - right
