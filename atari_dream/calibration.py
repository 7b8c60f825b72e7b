"""Calibration of doubt: dreams beside the real game from starts of episodes in two halves, to set it and to judge it.

Run: `atari-dream doubt --game pacman --checkpoint runs/pacman --starts pools/pacman --out out/doubt`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr

from atari_dream.bootstrap import interval, resample
from atari_dream.doubt import PIXELS, Doubt, evidence
from atari_dream.errors import UsageError
from atari_dream.predictor import Predictor
from atari_dream.registry import create_model
from atari_dream.rollout import Rollout, noise_keys, one_thread, planned, roll_lanes
from atari_dream.starts import StartPool

LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Levels of doubt at which a calibration is judged."""
LEVEL = 0.05
"""The one that is told first."""

_LANES = 25


class Course(NamedTuple):
    """How dreams from N starts went in H steps, int64 (N, H) each, added up from the start.

    Attributes:
        wrong: Wrong pixels.
        evidence: As `doubt.evidence`.
        over: Whether the dream had ended before that step, bool.
    """

    wrong: np.ndarray
    evidence: np.ndarray
    over: np.ndarray


def halves(pool: StartPool, least: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the starts to calibrate with and of those to judge by, of equally many episodes, none in both.

    Raises:
        UsageError: If there are fewer than `least` of either.
    """
    episodes = episodes_of(pool)
    names = np.random.default_rng(seed).permutation(np.unique(episodes))
    mine = np.isin(episodes, names[: len(names) // 2])
    parts = np.flatnonzero(mine), np.flatnonzero(~mine)
    if min(map(len, parts)) < least:
        raise UsageError(
            f"the episodes of {pool.name}, parted in two, have {len(parts[0])} and {len(parts[1])} starts, "
            f"{least} each are needed: record more, and make a pool with `atari-dream starts --starts {3 * least}`"
        )
    return parts


def episodes_of(pool: StartPool) -> np.ndarray:
    """The episode that each start is of, (N,)."""
    return np.array([entry["episode"] for entry in pool.entries])


def follow(
    predictor: Predictor,
    pool: StartPool,
    starts: np.ndarray,
    horizon: int,
    progress: Callable[[int], object] = lambda starts: None,
) -> Course:
    """Dreams from starts, int (N,), under the recorded actions, beside the real game.

    Args:
        predictor: What dreams.
        pool: The starts.
        starts: Positions in it.
        horizon: Steps.
        progress: Called with the number of starts done.
    """
    emulator = create_model("emulator", predictor.domain)
    courses: list[Course] = []
    for first in range(0, len(starts), _LANES):
        some = starts[first : first + _LANES]
        codes = np.stack([planned(pool, start, horizon) for start in some.tolist()], axis=1)
        with one_thread():
            real, dreamt = (
                roll_lanes(each, pool, some, codes, noise_keys(some)) for each in (emulator, predictor)
            )
        courses += map(_compare, real, dreamt)
        progress(len(some))
    return Course(*map(np.stack, zip(*courses, strict=True)))


def calibrate(course: Course, bound: float) -> Doubt:
    """Doubt of passing a bound, from calibration starts."""
    step = passing(course, bound)
    there = step <= course.wrong.shape[1]
    passed = np.sort(course.evidence[there, step[there] - 1])
    return Doubt(bound, course.wrong.shape[1], len(step), torch.from_numpy(passed))


def passing(course: Course, bound: float) -> np.ndarray:
    """First step, from 1, at which each drift has passed a bound in frames, int64 (N,); H + 1 if it does not."""
    return _first((course.wrong > bound * PIXELS) & ~course.over)


def stopping(course: Course, doubt: Doubt, level: float) -> np.ndarray:
    """First step at which doubt is above a level, int64 (N,); H + 1 if none: a lower bound of `passing`."""
    return _first(doubt.of(torch.from_numpy(course.evidence)).numpy() > level)


def judge(doubt: Doubt, course: Course, episodes: np.ndarray) -> dict[str, Any]:
    """How well a calibration holds on other starts, with 95 % intervals by the bootstrap over their episodes.

    Args:
        doubt: The calibration.
        course: How dreams from N test starts went.
        episodes: Which episode each start is of, (N,).
    """
    step = passing(course, doubt.bound)
    stops = {level: stopping(course, doubt, level) for level in LEVELS}
    levels: list[dict[str, Any]] = [
        {
            "level": level,
            "coverage": float((stop <= step).mean()),
            "coverage_ci95": _by_episode(stop <= step, episodes),
            "median_bound": float(np.median(stop)),
        }
        for level, stop in stops.items()
    ]
    told = next(row for row in levels if row["level"] == LEVEL)
    return {
        "starts": len(step),
        "episodes": len(np.unique(episodes)),
        "passed": float((step <= course.wrong.shape[1]).mean()),
        "median_step": float(np.median(step)),
        "coverage": told["coverage"],
        "coverage_ci95": told["coverage_ci95"],
        "median_bound": told["median_bound"],
        "tightness": told["median_bound"] / float(np.median(step)),
        "rank_correlation": _rank_correlation(stops[LEVEL], step),
        "levels": levels,
    }


def _compare(real: Rollout, dreamt: Rollout) -> Course:
    """The course of one start, (H,) each."""
    wrong = (real.frames != dreamt.frames)[1:].sum((1, 2))
    shown = torch.from_numpy(dreamt.frames)
    found = evidence(shown[:-1], shown[1:]).numpy()
    return Course(wrong.cumsum(), found.cumsum(), dreamt.ended[:-1])


def _first(mask: np.ndarray) -> np.ndarray:
    return np.where(mask.any(1), mask.argmax(1), mask.shape[1]) + 1


def _by_episode(covered: np.ndarray, episodes: np.ndarray) -> list[float] | None:
    """Interval of a share, (N,) bool, whose starts hang together by episode."""
    _, group = np.unique(episodes, return_inverse=True)
    drawn = resample(int(group.max()) + 1)
    hits, all_of_them = (
        np.bincount(group, weights) for weights in (covered.astype(float), np.ones(len(covered)))
    )
    return interval((drawn @ hits / (drawn @ all_of_them))[:, None])[0]


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's; None where one side is all the same."""
    if (one == one[0]).all() or (other == other[0]).all():
        return None
    return float(spearmanr(one, other).statistic)
