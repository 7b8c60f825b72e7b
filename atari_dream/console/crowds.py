"""Places of things that share a colour, as the bombs of several invaders do: found one after the other.

A colour that several things show is in most frames elsewhere than one of them stands, so that where it is says little
of any byte. But wherever it shows near a place that two bytes tell, it shows at that place, to the pixel. What stands
there is taken away, and the next thing is looked for in what is left.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from atari_dream.console.places import (
    FAR,
    FEWEST,
    LIVELY,
    SLOPES,
    Axis,
    Place,
    around,
    on_screen,
    piece,
    standing_out,
    untaken,
)
from atari_dream.games import HEIGHT, WIDTH

_MOST_PIXELS = 250
"""Pixels of a frame, on average, of a colour that only small things show."""
_TRIED, _NEAR = 12, 8
"""Bytes that are tried for a coordinate, and pixels by which a colour is near a place."""
_SURE, _ABOVE_CHANCE, _PARTS = 0.8, 0.03, 5.0
_SLACK = tuple(product((-4, -2, -1, 0, 1, 2, 4), (-2, -1, 0, 1, 2)))
"""Rows and columns by which a place is tried beside what is likeliest of each alone."""


def find_crowds(
    frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray, places: Sequence[Place]
) -> list[Place]:
    """Places of things that share colours which no place has so far.

    Args:
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
        places: Those that are known.
    """
    loose = standing_out(frames, backdrop)
    return [
        place for code in untaken(loose, places) for place in _one_after_another(code, loose == code, memory)
    ]


class _Spot(NamedTuple):
    """Where something stands, and the row and column of that in each frame, int64 (n,), where it is seen, bool (n,)."""

    across: Axis
    down: Axis
    row: np.ndarray
    column: np.ndarray
    seen: np.ndarray


def _one_after_another(code: int, shown: np.ndarray, memory: np.ndarray) -> Iterator[Place]:
    """Places of a colour that shows in some pixels, bool (N, 210, 160); they are taken from it one by one."""
    used: set[int] = set()
    while FEWEST <= len(frame := np.flatnonzero(shown.any((1, 2)))) >= shown.sum() / _MOST_PIXELS:
        spot = _best(shown[frame], memory[frame], used)
        if spot is None:
            return
        seen = frame[spot.seen]
        near = around(shown[seen], spot.row[spot.seen], spot.column[spot.seen], False)
        top, bottom, left, right = box = piece(near)
        yield Place(spot.across, spot.down, (code,), box)
        used.add(spot.across.byte)
        for k in spot.seen.nonzero()[0]:
            row, column = spot.row[k], spot.column[k]
            rows = slice(max(0, row + top), max(0, row + bottom))
            shown[frame[k], rows, max(0, column + left) : max(0, column + right)] = False


def _best(shown: np.ndarray, memory: np.ndarray, used: set[int]) -> _Spot | None:
    """What tells of most frames where a colour is, bool (n, 210, 160), and is sure of it."""
    size = np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8)
    close = np.stack([cv2.dilate(frame.view(np.uint8), size) for frame in shown]).view(bool)
    other = np.random.default_rng(0).permutation(len(shown))
    best, most = None, _ABOVE_CHANCE
    columns, rows = np.asarray(shown.any(1)), np.asarray(shown.any(2))
    for across, down in product(_likely(columns, memory, used), _likely(rows, memory, set())):
        if across.byte == down.byte:
            continue
        for lower, further in _SLACK:
            tried = across._replace(offset=across.offset + further), down._replace(offset=down.offset + lower)
            column, row = (axis.at(memory) for axis in tried)
            seen = _at(shown, row, column)
            if seen.sum() <= most * len(shown):
                continue
            told = (int(seen.sum()) - int(_at(shown, row[other], column[other]).sum())) / len(shown)
            sure = told > most and seen.sum() >= _SURE * _at(close, row, column).sum()
            if sure and _various(row[seen], column[seen]):
                best, most = _Spot(*tried, row, column, seen), told
    return best


def _likely(shown: np.ndarray, memory: np.ndarray, used: set[int]) -> list[Axis]:
    """Coordinates that tell more than chance does of where a colour is, bool (n, W), the likeliest first.

    Chance is what the byte tells of another frame.
    """
    found: list[tuple[float, Axis]] = []
    frame, place = shown.nonzero()
    other = np.random.default_rng(1).permutation(len(shown))
    for byte in range(memory.shape[1]):
        value = memory[:, byte].astype(int)
        if byte in used or len(np.unique(value)) < LIVELY:
            continue
        for slope in SLOPES:
            counts, chance = (
                np.bincount(place - slope * held[frame] + FAR, minlength=2 * FAR)
                for held in (value, value[other])
            )
            more = counts - np.convolve(chance, np.full(5, 0.2), "same")
            found.append((float(more.max()), Axis(byte, slope, int(more.argmax()) - FAR)))
    best: dict[int, Axis] = {}
    for _, axis in sorted(found, reverse=True):
        best.setdefault(axis.byte, axis)
    return list(best.values())[:_TRIED]


def _at(shown: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """What frames show, bool (n, 210, 160), at a pixel each, bool (n,); nothing beside the screen."""
    every = np.arange(len(shown))
    return on_screen(row, column) & shown[every, row.clip(0, HEIGHT - 1), column.clip(0, WIDTH - 1)]


def _various(*coordinates: np.ndarray) -> bool:
    """Whether something was seen at enough rows and columns: what stands still goes with any byte that does."""
    return all(np.exp(_entropy(np.unique(values, return_counts=True)[1])) >= _PARTS for values in coordinates)


def _entropy(counts: np.ndarray) -> float:
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())
