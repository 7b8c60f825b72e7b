"""How well objects are read from real pixels: the reader's own error, against the console's memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from atari_dream.objects.scene import UNKNOWN, Scene
from atari_dream.objects.survival import WINDOW

_COUNTS = ("there", "found", "found_in_window", "away", "false")

Tally = dict[str, dict[str, Any]]
"""By track how often each of `_COUNTS` was so, and the `errors` in pixels; by reading how many values the memory told
(`known`), the picture told, too (`legible`), and told otherwise (`wrong`)."""


def reading_errors(real: Sequence[Scene], seen: Sequence[Scene]) -> Tally:
    """Compares what pixels tell of one stretch of real play with what the memory tells, a scene a step."""
    tally: Tally = {}
    for name in real[0].points:
        tally[name] = _track([scene.points[name] for scene in real], [scene.points[name] for scene in seen])
    for name in real[0].readings:
        truth, told = (np.stack([scene.readings[name] for scene in scenes]) for scenes in (real, seen))
        known = truth != UNKNOWN
        legible = known & (told != UNKNOWN)
        counts = {"known": known, "legible": legible, "wrong": legible & (truth != told)}
        tally[name] = {key: int(values.sum()) for key, values in counts.items()}
    return tally


def _track(real: list[np.ndarray | None], seen: list[np.ndarray | None]) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(_COUNTS, 0), "errors": []}
    sighted = [points is not None and len(points) > 0 for points in seen]
    for step, (truth, places) in enumerate(zip(real, seen, strict=True)):
        if truth is None:
            continue
        if not len(truth):
            row["away"] += 1
            row["false"] += sighted[step]
            continue
        row["there"] += 1
        row["found"] += sighted[step]
        row["found_in_window"] += any(sighted[max(0, step - WINDOW + 1) : step + 1])
        if places is not None and len(places):
            row["errors"].append(float(np.hypot(*(places - truth[0]).T).min()))
    return row


def summarise_errors(tallies: Sequence[Tally]) -> dict[str, dict[str, float | int | None]]:
    """The reader's error by object: shares of frames, and pixels (median, 95th percentile, most)."""
    found = {}
    for name in tallies[0]:
        rows = [tally[name] for tally in tallies]
        total = {key: sum(row[key] for row in rows) for key in rows[0] if key != "errors"}
        errors = [row["errors"] for row in rows if "errors" in row]
        found[name] = _place(total, np.concatenate(errors)) if errors else _reading(total)
    return found


def _reading(total: dict[str, int]) -> dict[str, float | int | None]:
    return {
        "known": total["known"],
        "legible": _share(total["legible"], total["known"]),
        "wrong": _share(total["wrong"], total["legible"]),
    }


def _place(total: dict[str, int], errors: np.ndarray) -> dict[str, float | int | None]:
    pixels = np.percentile(errors, [50, 95, 100]) if len(errors) else [None] * 3
    return {
        "there": total["there"],
        "found": _share(total["found"], total["there"]),
        "found_in_window": _share(total["found_in_window"], total["there"]),
        "false": _share(total["false"], total["away"]),
        **{
            name: None if value is None else round(float(value), 2)
            for name, value in zip(("median_px", "p95_px", "max_px"), pixels, strict=True)
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
