"""Intervals by the bootstrap over starts: every measure is a ratio of sums, so a resample is a matrix product."""

import numpy as np

RESAMPLES = 2000


def resample(count: int, seed: int = 0) -> np.ndarray:
    """How often each of `count` starts is drawn in each resample, float64 (RESAMPLES, count)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)


def interval(values: np.ndarray) -> list[list[float] | None]:
    """The 95 % interval of resampled values (RESAMPLES, H): [lo, hi] a step.

    Resamples without data, nan, are left out; None where more than one in twenty has none.
    """
    known = np.isfinite(values)
    enough = known.mean(0) >= 0.95
    bounds = [
        np.percentile(row[there], [2.5, 97.5])
        for row, there in zip(values.T[enough], known.T[enough], strict=True)
    ]
    found = iter(bounds)
    return [[float(bound) for bound in next(found)] if there else None for there in enough]
