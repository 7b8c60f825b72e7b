"""Intervals by the bootstrap over starts: every measure is a ratio of sums, so a resample is a matrix product."""

import numpy as np

RESAMPLES = 2000


def resample(count: int, seed: int = 0) -> np.ndarray:
    """How often each of `count` starts is drawn in each resample, float64 (RESAMPLES, count)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)


def interval(values: np.ndarray) -> list[list[float] | None]:
    """The 95 % interval of resampled values (RESAMPLES, H): [lo, hi] a step, None where a value has no data."""
    bounds = np.full((2, values.shape[1]), np.nan)
    whole = ~np.isnan(values).any(0)
    bounds[:, whole] = np.percentile(values[:, whole], [2.5, 97.5], axis=0)
    return [None if np.isnan(low) else [float(low), float(high)] for low, high in bounds.T]
