"""How long the objects of a dream stay true: steps to the first one lost, doubled, teleported, or off.

The real game's objects come from its memory, the dream's from its pixels. Sprites flicker, so presence is judged over
a window of steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from atari_dream.objects.scene import UNKNOWN, Scene

WINDOW = 8
"""Steps over which presence is judged."""
REACH = 8.0
"""Pixels that an object may be off."""
CAUSES = ("lost", "extra", "doubled", "teleported", "off", "wrong")
"""What can become of an object. Lost: shown nowhere for a window in which the real one was there and to be seen.
Extra: shown though the real one was away for a window. Doubled: shown more often at once than in any real frame of the
window. Teleported: its error changed by more than `REACH` while it moved by more. Off: farther than `REACH` from the
real one. Wrong: a value of a reading that was not right, or not to be read, throughout a window."""


class Fate(NamedTuple):
    """What became of an object.

    Attributes:
        judged: Whether the real one was there at any step, so that it could be judged.
        step: The first step at which it failed, counted from 0; None if it never did.
        cause: One of `CAUSES`; empty if it never did.
    """

    judged: bool
    step: int | None = None
    cause: str = ""


def fates(real: Sequence[Scene], seen: Sequence[Scene], dreamt: Sequence[Scene]) -> dict[str, Fate]:
    """Judges every object of a dream.

    Args:
        real: The real game's scenes by memory, one a step.
        seen: Its scenes by pixels.
        dreamt: The dream's scenes by pixels.

    Returns:
        The fate of each object by name.
    """
    found = {}
    for name in real[0].points:
        rows = [[scene.points[name] for scene in scenes] for scenes in (real, seen, dreamt)]
        found[name] = _track(*rows)
    for name in real[0].readings:
        values = [np.stack([scene.readings[name] for scene in scenes]) for scenes in (real, seen, dreamt)]
        found[name] = _reading(*values)
    return found


Points = list[np.ndarray | None]


def _track(real: Points, seen: Points, dreamt: Points) -> Fate:
    if not any(points is not None and len(points) for points in real):
        return Fate(False)
    last: tuple[int, np.ndarray, np.ndarray] | None = None
    for step, (truth, shown) in enumerate(zip(real, dreamt, strict=True)):
        window = slice(max(0, step - WINDOW + 1), step + 1)
        cause = _presence(real[window], seen[window], dreamt[window])
        if not cause and truth is not None and len(truth) and shown is not None and len(shown):
            place = shown[np.hypot(*(shown - truth[0]).T).argmin()]
            error = place - truth[0]
            recent = last is not None and step - last[0] < WINDOW
            if last is not None and recent and _far(error - last[2]) and _far(place - last[1]):
                cause = "teleported"
            elif _far(error):
                cause = "off"
            last = (step, place, error)
        if cause:
            return Fate(True, step, cause)
    return Fate(True)


def _presence(real: Points, seen: Points, dreamt: Points) -> str:
    """What is wrong at the end of a window with how often an object is shown."""
    shown = [0 if points is None else len(points) for points in dreamt]
    usual = [0 if points is None else len(points) for points in seen]
    if shown[-1] > max(1, *usual):
        return "doubled"
    if len(real) < WINDOW:
        return ""
    there = [points is not None and len(points) > 0 for points in real]
    away = [points is not None and len(points) == 0 for points in real]
    if all(there) and any(usual) and not any(shown):
        return "lost"
    return "extra" if all(away) and not any(usual) and shown[-1] else ""


def _far(offset: np.ndarray) -> bool:
    return bool(np.hypot(*offset) > REACH)


def _reading(real: np.ndarray, seen: np.ndarray, dreamt: np.ndarray) -> Fate:
    """Judges values, int64 (T, L) each: each has to be right once in every window in which it was to be read."""
    known = real != UNKNOWN
    wrong = known & (dreamt != real)
    legible = seen != UNKNOWN
    for step in range(WINDOW - 1, len(real)):
        window = slice(step - WINDOW + 1, step + 1)
        if (wrong[window].all(0) & legible[window].any(0)).any():
            return Fate(bool(known.any()), step, "wrong")
    return Fate(bool(known.any()))
