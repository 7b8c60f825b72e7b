"""Which bytes of the console's memory tell where something stands on the screen, found by counting.

A sprite is drawn at a place that the program keeps in two bytes, as they are or doubled, from one edge or the other. So
where a colour is, less the value of the right byte, is the same in all frames that show it. What keeps to a row, as a
ship does, needs one byte alone.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from torch import Tensor

from atari_dream.games import HEIGHT, WIDTH

SLOPES = (1, -1, 2, -2)
NO_FINE = -1
_Whole = TypeVar("_Whole", np.ndarray, Tensor)
FAR = 1024
"""More pixels than a coordinate may be from a multiple of a byte."""
_SURE, _LIKELY, _ABOVE_CHANCE, _CONSTANT = 0.8, 0.6, 0.15, 0.9
_PART, _SELDOM = 0.4, 0.05
"""Share of the positions at which a pixel of a thing shows a colour of its own, and of those that do not count."""
NOTHING = 1
"""What no pixel shows: palette codes are even."""
FEWEST, LIVELY = 100, 4
"""Frames that must show a colour, and values that a byte must have, to be looked at."""
SIDE = 24
"""Rows and columns of the largest shape."""
REACH = 24
"""Rows and columns around a place, either way, in which what stands there is looked for."""


class Axis(NamedTuple):
    """A coordinate on the screen: `offset + slope * memory[byte]`; with slope 0 it is the same in all frames.

    A program adds up bytes, so where the slope is 1 or -1 it goes round: what is past the right or the lower edge by
    more than a window is as far past the left or the upper one.
    A program that waits in turns of 15 pixels before it draws keeps the turns in one byte, and how many pixels to the
    left of there it draws in the higher half of another: from -8 to 7, as the console's motion registers take it.

    Attributes:
        byte: Which tells it.
        slope: Pixels for each of the byte's.
        offset: Pixels when the byte is 0.
        fine: Byte whose higher half is taken from it, or `NO_FINE`.
    """

    byte: int
    slope: int
    offset: int
    fine: int = NO_FINE

    def at(self, memory: np.ndarray) -> np.ndarray:
        """The coordinate, int64 (N,), by memory, uint8 (N, 128); it may be off the screen."""
        coarse = _as_bytes(self.offset + self.slope * memory[:, self.byte].astype(int), self.slope)
        return coarse if self.fine == NO_FINE else coarse - finely(memory[:, self.fine].astype(int))


class Place(NamedTuple):
    """Where something stands, and the palette codes that it shows.

    Attributes:
        across: Its column.
        down: Its row.
        colours: Palette codes.
        box: First row and the one after the last, and columns, around it in which it shows them.
        besides: Colours that it shows as well, but which things elsewhere have, too.
    """

    across: Axis
    down: Axis
    colours: tuple[int, ...]
    box: tuple[int, int, int, int] = (-REACH, REACH, -REACH, REACH)
    besides: tuple[int, ...] = ()

    def at(self, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row and column, int64 (N,), and whether that is on the screen, bool (N,), by memory, uint8 (N, 128)."""
        row, column = self.down.at(memory), self.across.at(memory)
        return row, column, on_screen(row, column)


def find_backdrop(frames: np.ndarray) -> np.ndarray:
    """The most frequent palette code of each pixel, uint8 (210, 160), of frames, uint8 (N, 210, 160)."""
    codes = np.unique(frames)
    counts = np.stack([(frames == code).sum(0) for code in codes])
    return np.asarray(codes[counts.argmax(0)])


def find_places(frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray) -> list[Place]:
    """The places that bytes tell; colours that go with the same bytes are of one place.

    Args:
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
    """
    fits: dict[int, tuple[_Fits, _Fits]] = {}
    loose = standing_out(frames, backdrop)
    for code in untaken(loose, []):
        shown = loose == code
        visible = shown.any((1, 2))
        if visible.sum() >= FEWEST:
            fits[code] = _both_ways(shown[visible], memory[visible])
    best: dict[tuple[Axis, Axis], float] = {}
    for columns, rows in fits.values():
        for axes, share in _surest(columns, rows).items():
            best[axes] = max(share, best.get(axes, 0.0))
    places: dict[tuple[int, int], Place] = {}
    for across, down in sorted(best, key=lambda pair: -best[pair]):
        colours = tuple(code for code, both in fits.items() if _goes_with(across, down, *both))
        places.setdefault((across.byte, down.byte), Place(across, down, colours))
    return [_with_besides(place, frames, memory, backdrop) for place in places.values()]


def sure_axes(shown: np.ndarray, memory: np.ndarray) -> tuple[Axis, Axis] | None:
    """Column and row that tell where a colour is, if any are sure to.

    Args:
        shown: In which pixels it is, bool (n, 210, 160).
        memory: uint8 (n, 128).
    """
    return next(iter(_surest(*_both_ways(shown, memory))), None)


def standing_out(frames: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """What frames, uint8 (n, 210, 160), show that is not the backdrop, elsewhere `NOTHING`."""
    return np.where(frames != backdrop, frames, NOTHING)


def untaken(loose: np.ndarray, places: Sequence[Place]) -> list[int]:
    """Palette codes of what stands out, uint8 (n, 210, 160), that no place has."""
    taken = {NOTHING, *(code for place in places for code in place.colours)}
    return [code for code in np.unique(loose).tolist() if code not in taken]


def ends(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last place, int64 (n,), of those that are true, bool (n, W); 0 and W - 1 of none."""
    return shown.argmax(1), shown.shape[1] - 1 - shown[:, ::-1].argmax(1)


def finely(value: _Whole) -> _Whole:
    """Pixels to the left that the higher half of bytes asks for, -8 to 7; whole numbers that can be negative."""
    return (value // 16 + 8) % 16 - 8


def round_the_edge(coordinate: _Whole) -> _Whole:
    """Coordinates of single pixels as a byte has them, whole numbers from -24 to 231."""
    return (coordinate + REACH) % 256 - REACH


def on_screen(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Which rows and columns, int64 (n,), are of pixels of the screen, bool (n,)."""
    return (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)


def around(frames: np.ndarray, row: np.ndarray, column: np.ndarray, beyond: int = NOTHING) -> np.ndarray:
    """What is around a pixel of each frame, (n, 48, 48) of (n, 210, 160); `beyond` where that is off the screen."""
    padded = np.pad(frames, ((0, 0), (REACH, REACH), (REACH, REACH)), constant_values=beyond)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH, 2 * REACH), axis=(1, 2))
    return np.asarray(windows[np.arange(len(frames)), row, column])


def piece(shown: np.ndarray) -> tuple[int, int, int, int]:
    """The box of what is in one piece with the likeliest pixel of windows, bool (n, 48, 48)."""
    often = shown.mean(0) > _SELDOM
    _, pieces = cv2.connectedComponents(cv2.dilate(often.astype(np.uint8), np.ones((5, 3), np.uint8)))
    likeliest = pieces[np.unravel_index(shown.mean(0).argmax(), often.shape)]
    rows, columns = ((often & (pieces == likeliest)).any(axis).nonzero()[0] - REACH for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _with_besides(place: Place, frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray) -> Place:
    """A place with the colours that things elsewhere have, too, if it shows any; then within a box.

    They are at the same pixel of it wherever it stands. So each position counts once.
    """
    row, column, some = place.at(memory)
    _, first = np.unique(row * FAR + column, return_index=True)
    first = first[some[first]]
    row, column = row[first], column[first]
    near = around(standing_out(frames[first], backdrop), row, column)
    near = near[np.isin(near, place.colours).any((1, 2))]
    codes = [code for code in np.unique(near).tolist() if code not in (*place.colours, NOTHING)]
    besides = tuple(code for code in codes if (near == code).mean(0).max() >= _PART)
    if not besides:
        return place
    return place._replace(besides=besides, box=piece(np.isin(near, place.colours + besides)))


_Fits = dict[Axis, float]
"""Coordinates that go with where a colour is, and the shares of frames in which they do."""


def _as_bytes(coordinate: np.ndarray, slope: int) -> np.ndarray:
    """Coordinates, or their offsets, int64 (n,), which go round the edge where a byte's every value is a pixel."""
    return round_the_edge(coordinate) if abs(slope) == 1 else coordinate


def _share(fit: tuple[Axis, float]) -> float:
    return fit[1]


def _both_ways(shown: np.ndarray, memory: np.ndarray) -> tuple[_Fits, _Fits]:
    """Columns and rows that go with where a colour is, bool (n, 210, 160)."""
    lively = [byte for byte in range(memory.shape[1]) if len(np.unique(memory[:, byte])) >= LIVELY]
    columns, rows = (_fits(np.asarray(shown.any(axis)), memory, lively) for axis in (1, 2))
    return columns, rows


def _surest(columns: _Fits, rows: _Fits) -> dict[tuple[Axis, Axis], float]:
    """The best column and row together, and the shares of both, if they are sure; else nothing."""
    if columns and rows:
        (across, one), (down, other) = (max(axes.items(), key=_share) for axes in (columns, rows))
        if min(one, other) >= _SURE and across[:2] != down[:2]:
            return {(across, down): one + other}
    return {}


def _goes_with(across: Axis, down: Axis, columns: _Fits, rows: _Fits) -> bool:
    """Whether a colour goes with the bytes of a place, at whatever offset."""
    return all(any(axis[:2] == fit[:2] for fit in fits) for axis, fits in ((across, columns), (down, rows)))


def _fits(shown: np.ndarray, memory: np.ndarray, lively: list[int]) -> _Fits:
    """The best coordinate by each byte that goes with where a colour is; one alone if it is always at one place.

    What is large always covers some places, but not with its edges.

    Args:
        shown: In which columns or rows the colour is, bool (n, 160) or (n, 210).
        memory: uint8 (n, 128).
        lively: Bytes to be tried.
    """
    fits: _Fits = {}
    edges = (np.eye(shown.shape[1], dtype=bool)[end] for end in ends(shown))
    for part in (shown, *edges):
        often = part.mean(0)
        moving = part & (often < _CONSTANT)
        if moving.any(1).mean() < _SURE:
            continue
        often, (frame, place) = moving.mean(0), moving.nonzero()
        for byte in lively:
            value = memory[frame, byte].astype(int)
            tried: _Fits = {}
            for slope in SLOPES:
                counts = np.bincount(_as_bytes(place - slope * value, slope) + FAR, minlength=2 * FAR)
                tried[Axis(byte, slope, int(counts.argmax()) - FAR)] = counts.max() / len(shown)
            axis, share = max(tried.items(), key=_share)
            if share >= max(_LIKELY, often.max() + _ABOVE_CHANCE):
                fits[axis] = max(float(share), fits.get(axis, 0.0))
        if fits:
            return fits
    often = shown.mean(0)
    return {Axis(0, 0, int(often.argmax())): float(often.max())} if often.max() >= _CONSTANT else {}
