"""The files of a drift measurement: `drift.json`, and `per_start.npz` by which later ones are paired with it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from atari_dream.drift import Measured
from atari_dream.errors import UsageError
from atari_dream.files import read_json, whole, write_json
from atari_dream.protocol import Protocol

_PARTS = ("starts", "control", "long")


def save_drift(folder: Path, summary: dict[str, Any], measured: Measured, starts: list[str]) -> None:
    """Writes `drift.json` and `per_start.npz`, each whole or not at all."""
    arrays = {
        f"{entry}/{part}/{name}": values
        for part in _PARTS
        for entry, sums in getattr(measured, part).items()
        for name, values in sums.items()
    }
    with whole(folder / "per_start.npz") as fresh:
        np.savez_compressed(fresh, allow_pickle=False, starts=np.array(starts), **arrays)
    write_json(folder / "drift.json", summary)


def load_drift(folder: Path, protocol: Protocol) -> tuple[list[tuple[str, str]], Measured]:
    """Checkpoint entries and sums of an earlier measurement, to be paired with this one.

    Raises:
        UsageError: If there is none, or it was measured under another protocol.
    """
    summary = read_json(folder / "drift.json", "drift measurement")
    theirs, ours = summary["protocol"], asdict(protocol)
    if theirs["sha256"] != protocol.digest():
        changed = [
            f"{name} {theirs.get(name)!r}, not {ours[name]!r}"
            for name in ours
            if theirs.get(name) != ours[name]
        ]
        raise UsageError(f"drift in {folder} was measured under another protocol: {'; '.join(changed)}")
    entries = [
        (entry["name"], entry["kind"]) for entry in summary["entries"] if entry["kind"] == "checkpoint"
    ]
    found = Measured({})
    with np.load(folder / "per_start.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            entry, _, rest = key.partition("/")
            part, _, name = rest.partition("/")
            if entry in dict(entries):
                getattr(found, part).setdefault(entry, {})[name] = arrays[key]
    return entries, found
