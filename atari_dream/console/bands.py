"""Places of things that keep to bands of rows, as of a program that draws one after another down the screen.

Each band has one thing, at a column that two bytes tell: turns of 15 pixels, and up to eight pixels beside them. Of
things in other bands it may have the colour. So each band is looked at alone, and both bytes are looked for at once.
Bytes of the same kind stand side by side in memory: where several pairs tell as well, that is taken which is as far
apart as those of other bands.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from atari_dream.console.places import (
    FEWEST,
    NO_FINE,
    REACH,
    Axis,
    Place,
    around,
    ends,
    finely,
    piece,
    standing_out,
    untaken,
)

_TURN = 15
_WIDE, _BETTER, _FEW = 10, 4, 0.02
"""The most columns in which all is that a place shows, by how many fewer they are than without the byte, and the share
of the frames, at either end, that may have something else there."""
_TRIED = 600
"""Frames of a band that are looked at."""
_SHOWN = 0.001
"""Share of the frames that show a colour in a row of a band."""
_WIDEST, _MOSTLY, _FEWEST = 24, 0.5, 20
"""Columns of what is small, the share of the frames in which it must be, and how many they must be."""


class _Band(NamedTuple):
    """Where a colour is: rows `top` to `bottom`, and which of the columns of each frame, bool (N, 160)."""

    code: int
    top: int
    bottom: int
    columns: np.ndarray


def find_bands(
    frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray, places: Sequence[Place]
) -> list[Place]:
    """Places in bands of rows, of colours that no place has so far.

    Args:
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
        places: Those that are known.
    """
    loose = standing_out(frames, backdrop)
    bands = [band for code in untaken(loose, places) for band in _bands(loose, code)]
    told = [_across(band, memory) for band in bands]
    votes = Counter(axis.fine - axis.byte for axes in told for axis in axes)
    found: dict[int, Place] = {}
    for band, axes in zip(bands, told, strict=True):
        if axes:
            across = max(axes, key=lambda axis: votes[axis.fine - axis.byte])
            found[across.byte] = _joined(found.get(across.byte), across, band)
    for band, axes in zip(bands, told, strict=True):
        for byte, place in found.items() if not axes else ():
            if _is_of(band, place, memory):
                found[byte] = _joined(place, place.across, band)
    return [_boxed(place, loose, memory) for place in found.values()]


def _bands(loose: np.ndarray, code: int) -> Iterator[_Band]:
    """Bands of rows in which a colour shows in some frames, and small."""
    shown = loose == code
    often = np.concatenate([[False], shown.any(2).mean(0) > _SHOWN, [False]])
    for top, bottom in np.flatnonzero(often[1:] != often[:-1]).reshape(-1, 2).tolist():
        columns = shown[:, top:bottom].any(1)
        first, last = ends(columns)
        small = columns.any(1) & (last - first < _WIDEST)
        if bottom - top <= REACH and small.sum() >= max(_FEWEST, _MOSTLY * columns.any(1).sum()):
            yield _Band(code, top, bottom, columns & small[:, None])


def _across(band: _Band, memory: np.ndarray) -> list[Axis]:
    """Bytes, with others beside them, that tell best in which few columns all is that a band shows, if any do."""
    frame = np.flatnonzero(band.columns.any(1))
    if len(frame) < FEWEST:
        return []
    frame = np.random.default_rng(0).permutation(frame)[:_TRIED]
    edges, held = ends(band.columns[frame]), memory[frame]
    lively = np.flatnonzero((held != held[0]).any(0)).tolist()
    fine = np.concatenate([np.zeros((len(held), 1), int), finely(held[:, lively].astype(int))], axis=1)
    least = min(_WIDE, *(_span(edges, fine)[1] - _BETTER))
    best: list[Axis] = []
    for byte in lively:
        low, span = _span(edges, fine - _TURN * held[:, byte, None].astype(int))
        if span.min() < least:
            least, best = span.min(), []
        told = np.flatnonzero(span == least) if span[0] > least else [0]
        best += [Axis(byte, _TURN, int(low[k]), [NO_FINE, *lively][k]) for k in told if span[k] == least]
    return best


def _is_of(band: _Band, place: Place, memory: np.ndarray) -> bool:
    """Whether what a band shows is in rows of a place, and where it stands."""
    frame = np.flatnonzero(band.columns.any(1))
    left = place.across._replace(offset=0).at(memory[frame])
    low, span = _span(ends(band.columns[frame]), -left[:, None])
    near = abs(int(low[0]) - place.across.offset) <= _BETTER
    return near and span[0] <= _WIDE and band.top < place.box[1] and band.bottom > place.box[0]


def _span(edges: tuple[np.ndarray, np.ndarray], right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first column, and how many there are, in which all is in most frames, moved right by int64 (n, k): (k,)."""
    few = int(_FEW * len(right))
    first, last = (np.sort(end[:, None] + right, axis=0) for end in edges)
    return first[few], last[-1 - few] - first[few] + 1


def _joined(place: Place | None, across: Axis, band: _Band) -> Place:
    """A place with what is shown in one more band; its row is the last of them all, its box tells its rows alone."""
    old = place or Place(across, Axis(0, 0, 0), (), (band.top, band.bottom, 0, 0))
    top, bottom = min(old.box[0], band.top), max(old.box[1], band.bottom)
    best = across if old.across.fine == NO_FINE else old.across
    return Place(best, Axis(0, 0, bottom - 1), tuple(sorted({*old.colours, band.code})), (top, bottom, 0, 0))


def _boxed(place: Place, loose: np.ndarray, memory: np.ndarray) -> Place:
    """A place with the box in which it shows its colours, of one whose box tells its rows alone."""
    row, column, some = place.at(memory)
    near = np.isin(around(loose[some], row[some], column[some]), place.colours)
    *_, left, right = piece(near[near.any((1, 2))])
    return place._replace(box=(place.box[0] - place.down.offset, 1, left, right))
