"""Places that others leave out: where a thing is while another byte tells it, and what it shows apart from itself.

A program may keep where something falls in another byte than where it walks. And what a thing shows beside itself at
times, as a word balloon, is too far away to be of one shape with it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from atari_dream.console.places import (
    FEWEST,
    SIDE,
    Place,
    around,
    piece,
    standing_out,
    sure_axes,
)

_PIXELS = 8
"""Pixels of a colour in a frame that are more than a speck."""


def with_strays(
    frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray, places: Sequence[Place]
) -> list[Place]:
    """Places without what they show apart, and after them those that they leave out.

    What those show is all `besides`: it is seen by the places that have its colours.

    Args:
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
        places: Those that are known.
    """
    loose = standing_out(frames, backdrop)
    known = {_told(place, code) for place in places for code in place.colours}
    kept, strays = [], []
    for place in places:
        own, *apart = _parted(place, loose, memory)
        kept.append(own)
        strays += apart
        for stray in _elsewhere(place, loose, memory):
            if _told(stray, *stray.besides) not in known:
                known.add(_told(stray, *stray.besides))
                strays.append(stray)
    return kept + strays


def _told(place: Place, code: int) -> tuple[int, int, int]:
    return place.across.byte, place.down.byte, code


def _parted(place: Place, loose: np.ndarray, memory: np.ndarray) -> Iterator[Place]:
    """A place, in the box of the colour that it shows most often if others are too far from that, and those."""
    row, column, some = place.at(memory)
    near = around(loose[some], row[some], column[some])
    windows = {code: near[(near == code).any((1, 2))] == code for code in place.colours}
    often = sorted((code for code in windows if len(windows[code])), key=lambda code: -len(windows[code]))
    boxes = {code: piece(windows[code]) for code in often}
    apart = [code for code in often[1:] if _is_apart(boxes[often[0]], boxes[code])]
    yield place._replace(box=boxes[often[0]]) if apart else place
    for code in apart:
        yield Place(place.across, place.down, (), boxes[code], (code,))


def _is_apart(*boxes: tuple[int, int, int, int]) -> bool:
    """Whether two boxes together are larger than a shape."""
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return max(max(bottoms) - min(tops), max(rights) - min(lefts)) > SIDE


def _elsewhere(place: Place, loose: np.ndarray, memory: np.ndarray) -> Iterator[Place]:
    """Where a place's colours are in frames in which nothing of them is near it, if bytes tell that."""
    row, column, some = place.at(memory)
    for code in place.colours:
        shown = loose == code
        away = shown.sum((1, 2)) >= _PIXELS
        away[some] &= ~around(shown[some], row[some], column[some], False).any((1, 2))
        found = sure_axes(shown[away], memory[away]) if away.sum() >= FEWEST else None
        if found is not None:
            yield Place(*found, (), besides=(code,))
