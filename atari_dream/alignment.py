"""The lag between actions and what they do on the screen, found from frames and actions alone, of a store or a dream.

The motion of each colour is explained by the actions some steps before to some steps after: ridge regression with a
tap a lag, judged on windows that it was not fitted to. A lag's gain is the error that comes back when its tap is left
out; the lag is the earliest whose gain is not small beside the largest. In a store that is in step it is 0 in all five
games. Held actions do not mislead it, since all taps are fitted together.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from atari_dream.bootstrap import resample
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.predictor import Predictor
from atari_dream.rollout import held, noise_keys, roll_lanes
from atari_dream.starts import StartPool

LAGS = (-2, -1, 0, 1, 2)
WINDOW = 50
"""Steps of a window."""
_TAPS = range(-4, 7)
"""Lags that are fitted: what an action does later must not be laid to the last of `LAGS`."""
_ONSET = 0.2
"""Share of the largest gain from which a lag's own counts."""
_TOLD = 0.02
"""Share of a motion's error that the actions must take away, or it is no effect of theirs."""
_FAST = 1.0
"""Pixels a step beyond which motion counts no more: what sets in slowly, as a jump in Q*bert, is not lost beside it."""
_FOLDS, _RIDGE = 5, 30.0
_LANES = 25
"""Windows that are dreamt at once."""


class Lag(NamedTuple):
    """What was found.

    Attributes:
        steps: By how many steps the effect of `actions[t]` is later than the change from `frames[t]` to
            `frames[t + 1]`.
        confidence: Share of the resamples of windows that find the same.
        gains: Gain of each of `LAGS`, as a share of the largest.
    """

    steps: int
    confidence: float
    gains: tuple[float, ...]


def store_lag(store: EpisodeStore, steps: int = 20_000) -> Lag:
    """The lag in a store, from its first windows of 50 steps.

    Raises:
        UsageError: If there is too little to tell.
    """
    found = list(islice(_windows(store), max(1, steps // WINDOW)))
    return _lag_of(found)


def dream_lag(predictor: Predictor, pool: StartPool, steps: int = 20_000, seed: int = 0) -> Lag:
    """The lag in a dream, from windows of 50 steps of held random actions; those in which its game ends are left out.

    Args:
        predictor: What dreams, one sample a window.
        pool: The starts, taken in turn.
        steps: Steps to dream.
        seed: Seed of the actions and of the noise.

    Raises:
        UsageError: If there is too little to tell.
    """
    found = []
    for first in range(0, steps // WINDOW, _LANES):
        places = np.arange(first, min(first + _LANES, steps // WINDOW))
        starts = places % len(pool)
        codes = np.stack([held(pool, int(place), WINDOW, seed) for place in places], axis=1)
        rollouts = roll_lanes(predictor, pool, starts, codes, noise_keys(places, seed))
        found += [
            (colour_motion(rollout.frames), codes[:, lane, 0])
            for lane, rollout in enumerate(rollouts)
            if not rollout.ended[-1]
        ]
    return _lag_of(found)


def _lag_of(windows: list[tuple[np.ndarray, np.ndarray]]) -> Lag:
    """The lag in windows of motion and actions."""
    if not windows:
        raise _too_little(np.empty((0, WINDOW)))
    motion, actions = map(np.stack, zip(*windows, strict=True))
    return find_lag(motion, actions)


def _windows(store: EpisodeStore) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index in range(len(store)):
        for begin in range(0, store.entries[index]["length"] - WINDOW + 1, WINDOW):
            frames = store.read(index, "frames", begin, begin + WINDOW + 1)
            yield colour_motion(frames), store.read(index, "actions", begin, begin + WINDOW)


def colour_motion(frames: np.ndarray) -> np.ndarray:
    """How far the pixels of each palette code move on average in each step.

    Args:
        frames: Palette codes, uint8 (T + 1, 210, 160).

    Returns:
        Pixels to the right and down, float32 (T, 2, 128), at most 1; 0 for what is not there before and after.
    """
    codes = (frames[:, ::2] >> 1).reshape(len(frames), -1)
    step, place = np.nonzero(codes[1:] != codes[:-1])
    down, right = np.divmod(np.arange(codes.shape[1]), 160)
    counts, *totals = (
        _running(codes, step, place, weights) for weights in (np.ones(len(right)), right, 2 * down)
    )
    centres = np.stack(totals, axis=1) / np.maximum(counts, 1)[:, None]
    there = (counts[1:] > 0) & (counts[:-1] > 0)
    return np.where(there[:, None], np.diff(centres, axis=0), 0).clip(-_FAST, _FAST).astype(np.float32)


def _running(codes: np.ndarray, step: np.ndarray, place: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of the weights of each code's pixels, (T + 1, 128): the first frame's, and what changes adds to them."""
    steps = len(codes) - 1
    first = np.bincount(codes[0], weights, minlength=128)
    come, gone = (
        np.bincount(step * 128 + after[step, place], weights[place], minlength=steps * 128)
        for after in (codes[1:], codes[:-1])
    )
    return first + np.pad(np.cumsum((come - gone).reshape(steps, 128), axis=0), ((1, 0), (0, 0)))


def find_lag(motion: np.ndarray, actions: np.ndarray) -> Lag:
    """The lag in windows of play.

    Args:
        motion: What moves in each step, float (N, T, ...).
        actions: The action of each step, int (N, T).

    Raises:
        UsageError: If there are too few windows, only one action, or no effect of theirs.
    """
    effects = motion.reshape(*motion.shape[:2], -1)[:, _TAPS[-1] : motion.shape[1] + _TAPS[0]]
    flat = effects.reshape(-1, effects.shape[-1])
    spread = flat.std(0)
    if len(motion) < _FOLDS or len(np.unique(actions)) < 2 or not (spread > 0).any():
        raise _too_little(actions)
    effects = ((effects - flat.mean(0)) / np.where(spread > 0, spread, np.inf)).astype(np.float32)
    taps = {lag: _tap(actions, lag) for lag in _TAPS}
    whole = _errors(effects, list(taps.values()))
    told = whole.sum(0) < (1 - _TOLD) * _errors(effects, []).sum(0)
    if not told.any():
        raise _too_little(actions)
    without = [[tap for other, tap in taps.items() if other != lag] for lag in LAGS]
    gains = np.stack(
        [(_errors(effects[..., told], rest) - whole[:, told]).sum(1) for rest in without], axis=1
    )  # (N, lags)
    drawn, total = resample(len(motion)) @ gains, gains.sum(0)
    found = _onset(total[None])[0]
    agreed = float((_onset(drawn) == found).mean())
    return Lag(int(found), agreed, tuple((total / total.max()).tolist()))


def _too_little(actions: np.ndarray) -> UsageError:
    return UsageError(
        f"{len(actions)} windows of {actions.shape[1]} steps with {len(np.unique(actions))} different actions "
        "do not tell a lag: record more"
    )


def _tap(actions: np.ndarray, lag: int) -> np.ndarray:
    """The actions a lag before the inner steps of each window, one of A, float32 (N, T - 10, A - 1)."""
    codes = np.unique(actions)[1:]
    inner = actions[:, _TAPS[-1] - lag : actions.shape[1] + _TAPS[0] - lag]
    return (inner[..., None] == codes).astype(np.float32)


def _errors(effects: np.ndarray, taps: list[np.ndarray]) -> np.ndarray:
    """Squared error of each window, by features, (N, F), of a regression fitted to the other windows."""
    ones = np.ones((*effects.shape[:2], 1), np.float32)
    inputs = np.concatenate([*taps, ones], axis=-1)
    errors = np.empty((len(effects), effects.shape[-1]))
    for fold in range(_FOLDS):
        out = np.arange(len(effects)) % _FOLDS == fold
        known = inputs[~out].reshape(-1, inputs.shape[-1])
        grid = known.T @ known + _RIDGE * np.eye(known.shape[1], dtype=np.float32)
        weights = np.linalg.solve(grid, known.T @ effects[~out].reshape(len(known), -1))
        errors[out] = np.square(effects[out] - inputs[out] @ weights).sum(1)
    return errors


def _onset(gains: np.ndarray) -> np.ndarray:
    """The earliest of `LAGS` whose gain is not small beside the largest, int (R,), of gains (R, lags)."""
    return np.array(LAGS)[(gains >= _ONSET * gains.max(1, keepdims=True)).argmax(1)]
