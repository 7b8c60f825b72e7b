"""Moves: where the colour of a pixel came from, if something moved or flickers.

Few displacements explain most of what moves in a game: its sprites have few speeds, what is drawn in one frame in
three was there three frames ago, and what has two shapes in turn takes on the one before. They are found in the data,
so that a model has to learn who moves where, not how each sprite is painted at each place. Source: Finn, Goodfellow and
Levine (2016), "Unsupervised learning for physical interaction through video prediction", whose pixels move by learnt
kernels; here by whole pixels, which cannot blur.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import PIXELS, pick, to_cells
from atari_dream.games import HEIGHT, WIDTH

LAGS = 4
"""Frames that are remembered: the present and those before."""
SOURCES = LAGS + 1
"""Where a pixel may come from: those frames, and what its cell showed before it last changed."""
_REACH = 12
_SIDE = 2 * _REACH + 1
_MARGIN = 2
_FIT = 0.5

Shift = tuple[int, int, int]
"""Which of the sources, and pixels down and to the right."""
Move = tuple[int, int, int, int]
"""A shift, and 1 if only what is not ground there moves, over the ground here; 0 if all of it does."""


class Moves(nn.Module):
    """Looks up what pixels would show if something had moved.

    Args:
        moves: N of them; without any, the only one is to stay.
    """

    source: Tensor
    lifts: Tensor

    def __init__(self, moves: tuple[Move, ...]) -> None:
        super().__init__()
        pixels = torch.arange(HEIGHT * WIDTH)
        place = to_cells(pixels.view(1, HEIGHT, WIDTH))[0]  # in the frame, of a cell's pixel
        where = torch.empty_like(pixels)
        where[place.flatten()] = pixels  # among the cells', of a frame's pixel
        row, column = place // WIDTH, place % WIDTH
        told = moves or ((0, 0, 0, 0),)
        source = [
            kind * HEIGHT * WIDTH
            + where[(row - down).clamp(0, HEIGHT - 1) * WIDTH + (column - right).clamp(0, WIDTH - 1)]
            for kind, down, right, _ in told
        ]
        self.register_buffer("source", torch.stack(source, dim=1).int(), persistent=False)  # (600, N, 56)
        self.register_buffer(
            "lifts", torch.tensor([lifts for *_, lifts in told], dtype=torch.bool), persistent=False
        )

    def forward(self, frames: Tensor, ground: Tensor, cell: Tensor, move: Tensor) -> Tensor:
        """What the pixels of cells show after moves, uint8 (B, n, W, 56).

        Args:
            frames: The sources, uint8 (B, SOURCES, 600, 56).
            ground: What pixels show at rest, uint8 (B, 600, 56).
            cell: Which cells, int64 (B, n).
            move: Which of the moves, for each cell, int64 (B, n, W).
        """
        row = cell[..., None] * self.source.shape[1] + move
        index = self.source.flatten(0, 1).index_select(0, row.flatten()).view(*row.shape, PIXELS)
        lane = torch.arange(len(frames), device=cell.device, dtype=torch.int32) * frames[0].numel()
        index = (index + lane[:, None, None, None]).flatten()
        shown, loose = (
            part.flatten().index_select(0, index).view(*row.shape, PIXELS)
            for part in (frames, frames != ground[:, None])
        )
        bare = self.lifts.index_select(0, move.flatten()).view(*move.shape, 1) & ~loose
        return torch.where(bare, pick(ground, cell)[:, :, None], shown)


def best_moves(
    shifts: Iterable[Shift], scenes: Iterable[tuple[Tensor, Tensor, Tensor]], count: int
) -> tuple[Move, ...]:
    """Of shifts, whole and lifted, those that leave the fewest wrong pixels, one after the other.

    Args:
        shifts: Candidates.
        scenes: The sources, uint8 (1, SOURCES, 600, 56); the ground, uint8 (1, 600, 56); and the frame that followed,
            uint8 (1, 600, 56).
        count: How many at most.
    """
    candidates = tuple((*shift, lifts) for shift in shifts for lifts in (0, 1))
    moves = Moves(candidates)
    still, moved = (
        torch.cat(misses) for misses in zip(*(_misses(moves, *one) for one in scenes), strict=True)
    )
    kept: list[Move] = []
    while candidates and len(kept) < count:
        left = torch.minimum(still[:, None], moved)
        one = int(left.sum(0).argmin())
        if left[:, one].sum() == still.sum():
            break
        still = left[:, one]
        kept.append(candidates[one])
    return tuple(kept)


def _misses(moves: Moves, frames: Tensor, ground: Tensor, follows: Tensor) -> tuple[Tensor, Tensor]:
    """Wrong pixels of the n cells that change: (n,) without a move, kept or as their ground; (n, N) with each."""
    cell = (follows != frames[:, 0]).any(-1)[0].nonzero().T
    every = torch.arange(len(moves.lifts)).expand(*cell.shape, -1)
    wanted = pick(follows, cell)[0]
    kept, bare = ((pick(part, cell)[0] != wanted).sum(-1) for part in (frames[:, 0], ground))
    moved = (moves(frames, ground, cell, every)[0] != wanted[:, None]).sum(-1)
    return torch.minimum(kept, bare), moved


def find_shifts(changes: Iterable[tuple[Tensor, Tensor, Tensor]], count: int) -> tuple[Shift, ...]:
    """The most frequent shifts of a game's sprites.

    Connected pixels of one colour vote for the shift under which what had that colour before covers them best,
    by intersection over union; each with as many votes as it has pixels to be explained.

    Args:
        changes: The sources, uint8 (SOURCES, 210, 160); the frame that followed, uint8 (210, 160); and a mask of the
            pixels to be explained, bool (210, 160).
        count: How many at most.
    """
    votes = torch.zeros(SOURCES * _SIDE * _SIDE)
    for before, after, mask in changes:
        for colour in after[mask].unique():
            unexplained = mask & (after == colour)
            for rows, columns in _blobs(unexplained):
                fit = _fit(before == colour, after[rows, columns] == colour, rows.start, columns.start)
                if fit.max() >= _FIT:
                    votes[fit.argmax()] += unexplained[rows, columns].sum()
    votes[_index((0, 0, 0))] = 0  # to keep a colour is no shift
    best = votes.sort(descending=True, stable=True).indices[:count]
    return tuple(_shift(int(index)) for index in best if votes[index])


def _blobs(mask: Tensor) -> Iterator[tuple[slice, slice]]:
    """Bounding boxes, a little wider, of groups of near pixels of a mask (210, 160)."""
    near = cv2.dilate(mask.numpy().astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    for left, top, width, height, _ in cv2.connectedComponentsWithStats(near)[2][1:]:
        yield slice(int(top), int(top + height)), slice(int(left), int(left + width))


def _fit(before: Tensor, after: Tensor, top: int, left: int) -> Tensor:
    """Intersection over union of a blob (H, W) at a place, and of the sources (SOURCES, 210, 160) under each shift."""
    height, width = after.shape
    padded = F.pad(before.float(), (_REACH,) * 4)
    around = padded[:, None, top : top + height + 2 * _REACH, left : left + width + 2 * _REACH]
    both = F.conv2d(around, after.float()[None, None])
    either = F.conv2d(around, torch.ones(1, 1, height, width)) + after.sum() - both
    return (both / either).flatten()


def _shift(index: int) -> Shift:
    kind, place = divmod(index, _SIDE * _SIDE)
    return kind, _REACH - place // _SIDE, _REACH - place % _SIDE


def _index(shift: Shift) -> int:
    kind, down, right = shift
    return (kind * _SIDE + _REACH - down) * _SIDE + _REACH - right
