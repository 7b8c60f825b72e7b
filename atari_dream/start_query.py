"""Starts by what they are like: `{"lives": 2, "room": 1, "score": (0, 500)}`."""

from typing import Any

import numpy as np

from atari_dream.errors import UsageError, unknown
from atari_dream.objects.scene import ram_table, scene_reader
from atari_dream.starts import StartPool

FACTS = ("lives", "score", "step", "stratum", "episode")
"""What a pool's index tells of a start."""


def matching(pool: StartPool, query: dict[str, Any]) -> np.ndarray:
    """Positions of the starts that a query describes, int64 (N,).

    Args:
        pool: The starts.
        query: By field a value, a range `(low, high)` that holds both ends, or a list of values. Fields are `FACTS`,
            what the game's scenes read of the console's memory (such as `room`), and its named bytes (such as
            `player_x`).

    Raises:
        UsageError: If there is no such field, a value is of another type, or no start is like that.
    """
    if not query:
        raise UsageError('an empty query: give a field, such as start={"lives": 2}')
    found = np.ones(len(pool), bool)
    for field, wanted in query.items():
        values = _values(pool, field)
        found &= _holds(values, field, wanted)
        if not found.any():
            raise UsageError(
                f"no start of {pool.name} has {_told(query, field)}: {field} is {_range(values)}"
            )
    return np.flatnonzero(found)


def _values(pool: StartPool, field: str) -> np.ndarray:
    """A field of every start, (N,)."""
    if field in FACTS:
        return np.array([entry[field] for entry in pool.entries])
    reader = scene_reader(pool.game)
    table = ram_table(pool.game) if reader else {}
    readings = [name for name, size in (reader.readings if reader else {}).items() if size == 1]
    if reader is not None and field in readings:
        return np.array([int(reader.of_ram(ram).readings[field][0]) for ram in pool.ram])
    if field in table:
        return pool.ram[:, table[field]].astype(int)
    raise unknown("field", field, (*FACTS, *readings, *table), "start={{'{}': ...}}")


def _holds(values: np.ndarray, field: str, wanted: Any) -> np.ndarray:
    """Where values, (N,), are what is wanted."""
    numbers = values.dtype.kind != "U"
    if isinstance(wanted, tuple) and len(wanted) == 2 and numbers and all(map(_is_number, wanted)):
        return (values >= wanted[0]) & (values <= wanted[1])
    options = wanted if isinstance(wanted, list) else [wanted]
    if options and all(_is_number(one) if numbers else isinstance(one, str) for one in options):
        return np.isin(values, options)
    kind = "a number, a range (low, high) or a list of numbers" if numbers else "a name or a list of names"
    raise UsageError(f"field {field!r} of a query takes {kind}, got {wanted!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _told(query: dict[str, Any], last: str) -> str:
    """The part of a query up to a field, in words."""
    fields = list(query)
    return " and ".join(f"{name} {query[name]!r}" for name in fields[: fields.index(last) + 1])


def _range(values: np.ndarray) -> str:
    if values.dtype.kind == "U":
        return ", ".join(sorted(set(values.tolist()))[:8])
    return f"from {values.min():g} to {values.max():g}"
