"""What a drift measurement says, the content of `drift.json`: values, intervals, and differences from all others."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from atari_dream.bootstrap import interval, resample
from atari_dream.checkpoint import commit, versions
from atari_dream.control import CONTROL_MEASURES, effect_lag
from atari_dream.drift import Measured
from atari_dream.events import COUNTED, EVENT_MEASURES
from atari_dream.files import FORMAT
from atari_dream.longrun import EXACT, REAL, STRETCH, compare_looks, verdict
from atari_dream.metrics import FRAME_MEASURES, OUTCOME_MEASURES, Measures, Sums, pool
from atari_dream.objects.error import summarise_errors
from atari_dream.objects.scene import scene_reader
from atari_dream.objects.survival import CAUSES, REACH, WINDOW
from atari_dream.protocol import Protocol
from atari_dream.scoring import first_failure, median_steps, survival_measures

_DIGITS = 7
"""Digits that are kept, so that machines whose sums differ in the last bits write equal files."""


def summarise(
    protocol: Protocol, entries: list[tuple[str, str]], measured: Measured, command: str
) -> dict[str, Any]:
    """The content of `drift.json`.

    Args:
        protocol: What was played.
        entries: Name and kind of each entry.
        measured: What came out for them; the emulator is among them.
        command: The command that measured.
    """
    names = [name for name, _ in entries]
    kept, left_out = trusted(protocol.game, measured)
    sums = {name: measured.starts[name] | first_failure(measured.starts[name], kept) for name in names}
    measures = FRAME_MEASURES | OUTCOME_MEASURES | EVENT_MEASURES | survival_measures(kept)
    starts = _section(sums, names, measures)
    control = _section(measured.control, names, CONTROL_MEASURES) if measured.control else None
    found = []
    for name, kind in entries:
        entry = {"name": name, "kind": kind, **starts[name]}
        entry["per_step"]["n"] = sums[name]["frames"].sum(0).astype(int).tolist()
        entry["ci95"]["n"] = _bands(interval(resample(protocol.starts) @ sums[name]["frames"]))
        entry["objects"] = {one: _object(sums[name], one, entry["per_step"]) for one in kept}
        entry["median_survival"] = median_steps(entry["per_step"]["object_survival"])
        if control is not None:
            entry["control"] = control[name] | {"lag": effect_lag(measured.control[name])}
        if measured.long:
            entry["long"] = _long(measured.long, name, names)
        found.append(entry)
    real = sums["emulator"]
    return {
        "format": FORMAT,
        "game": protocol.game,
        "protocol": asdict(protocol) | {"sha256": protocol.digest()},
        "objects": {
            "kept": kept,
            "left_out": left_out,
            "window": WINDOW,
            "reach": REACH,
            "reading": summarise_errors(measured.reading),
        },
        "events": {kind: real[f"{kind}_real"].sum(0).astype(int).tolist() for kind in COUNTED},
        "entries": found,
        "command": command,
        "commit": commit(),
        "versions": versions(),
    }


def trusted(game: str, measured: Measured) -> tuple[list[str], dict[str, str]]:
    """Objects in which the emulator never fails, and why the others are left out."""
    reader, emulator = scene_reader(game), measured.starts["emulator"]
    kept, left_out = [], {}
    for name in reader.objects if reader else ():
        judged, failed = emulator[f"risk_{name}"].any(1).sum(), emulator[f"failed_{name}"].any(1).sum()
        if failed:
            left_out[name] = f"the emulator itself fails in {failed} of {judged} starts"
        elif not judged:
            left_out[name] = "it is there in none of the starts"
        else:
            kept.append(name)
    return kept, left_out


def _section(sums: dict[str, Sums], names: list[str], measures: Measures) -> dict[str, dict[str, Any]]:
    """Values, intervals and paired differences of measures, by entry."""
    count = len(next(iter(sums[names[0]].values())))
    weights, once = resample(count), np.ones((1, count))
    drawn = {name: pool(sums[name], weights, measures) for name in names}
    signs = {key: measure.sign for key, measure in measures.items()}
    return {
        name: {
            "per_step": {key: _numbers(row[0]) for key, row in pool(sums[name], once, measures).items()},
            "ci95": {key: _bands(interval(values)) for key, values in drawn[name].items()},
            "better_than": {
                other: _better(drawn[name], drawn[other], signs) for other in names if other != name
            },
        }
        for name in names
    }


def _better(
    drawn: dict[str, np.ndarray], other: dict[str, np.ndarray], signs: dict[str, int]
) -> dict[str, list[list[float] | None]]:
    """Paired intervals of the difference over the same resamples, oriented so that positive is better."""
    return {key: _bands(interval(signs[key] * (drawn[key] - other[key]))) for key in drawn}


def _object(sums: Sums, name: str, per_step: dict[str, list[float | None]]) -> dict[str, Any]:
    """Steps after which half of the starts have lost an object, None if they have not, and what became of it."""
    causes = Counter(CAUSES[cause - 1] for cause in sums[f"cause_{name}"].tolist() if cause)
    return {
        "judged": int(sums[f"risk_{name}"].any(1).sum()),
        "median": median_steps(per_step[f"survival_{name}"]),
        "causes": dict(causes.most_common()),
    }


def _long(looks: dict[str, Sums], name: str, names: list[str]) -> dict[str, Any]:
    count = len(looks[REAL]["looked"])
    weights, once = resample(count), np.ones((1, count))
    values = {key: _numbers(row[0]) for key, row in compare_looks(looks[REAL], looks[name], once).items()}
    drawn = {other: compare_looks(looks[REAL], looks[other], weights) for other in names}
    off = {other: {key: np.abs(rows - EXACT[key]) for key, rows in drawn[other].items()} for other in names}
    signs = dict.fromkeys(EXACT, -1)
    return {
        "steps": [STRETCH * (place + 1) for place in range(looks[REAL]["looked"].shape[1])],
        "per_stretch": values,
        "ci95": {key: _bands(interval(rows)) for key, rows in drawn[name].items()},
        "better_than": {other: _better(off[name], off[other], signs) for other in names if other != name},
        "n": (looks[REAL]["looked"] > 0).sum(0).tolist(),
        "verdict": verdict(values),
    }


def _numbers(row: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else _short(value) for value in row]


def _bands(bands: list[list[float] | None]) -> list[list[float] | None]:
    return [None if band is None else [_short(bound) for bound in band] for band in bands]


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
