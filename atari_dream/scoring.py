"""Scores dreams of one start beside the truth: frames, outcomes, events and objects, as sums to be pooled.

Plain functions of arrays and of the truth's file, for worker processes.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from atari_dream.events import drops, match
from atari_dream.metrics import FRAME_SUMS, Measure, Measures, Picture, Sums, compare_frames
from atari_dream.objects.error import Tally, reading_errors
from atari_dream.objects.scene import Scene, SceneReader, scene_reader
from atari_dream.objects.survival import CAUSES, Fate, fates
from atari_dream.rollout import Rollout
from atari_dream.truth import Truth, load_truth

MOVING_STEPS = 50
"""Real steps over which a pixel that differs from the start frame counts as moving, whatever the horizon."""


class Scored(NamedTuple):
    """What came out for one start.

    Attributes:
        sums: Sums by entry and name, each (H,), and the cause of each object's failure, a number.
        reading: The error with which objects are read from the real frames.
    """

    sums: dict[str, Sums]
    reading: Tally


def score_start(
    game: str, truth: Path, lives: int, dreams: dict[str, list[Rollout]], shown: np.ndarray
) -> Scored:
    """Scores the dreams of one start; of several samples the one with the fewest wrong moving pixels counts.

    Args:
        game: Name of the game.
        truth: File of what really happened.
        lives: Lives at the start.
        dreams: Rollouts of H steps by entry.
        shown: Palette codes that the game shows, bool (256,).
    """
    real = load_truth(truth)
    moving = (real.frames[0, :MOVING_STEPS] != real.first).any(0)
    chosen = {name: _best(real, samples, moving) for name, samples in dreams.items()}
    sums = frame_sums(real, chosen, moving, shown)
    for name, rollout in chosen.items():
        sums[name] |= outcome_sums(real, rollout) | _event_sums(real, rollout, lives)
    reader = scene_reader(game)
    if reader is None:
        return Scored(sums, {})
    horizon = next(iter(chosen.values())).steps
    steps = real.steps(horizon)
    truths = [reader.of_ram(ram) for ram in real.ram[0, :steps]]
    seen = [reader.of_frame(frame) for frame in real.frames[0, :steps]]
    for name, rollout in chosen.items():
        found = fates(truths, seen, _scenes(reader, rollout, real, seen))
        sums[name] |= _object_sums(found, steps, horizon)
    return Scored(sums, reading_errors(truths, seen))


def _best(real: Truth, samples: list[Rollout], moving: np.ndarray) -> Rollout:
    steps = real.steps(samples[0].steps)

    def wrong(rollout: Rollout) -> int:
        return int((real.frames[0, :steps] != rollout.frames[1 : steps + 1])[:, moving].sum())

    return samples[0] if len(samples) == 1 else min(samples, key=wrong)


def frame_sums(
    real: Truth, rollouts: dict[str, Rollout], moving: np.ndarray, shown: np.ndarray
) -> dict[str, Sums]:
    """The sums of frames, each (H,), by entry; a picture that does not change is prepared once.

    Args:
        real: What really happened.
        rollouts: Dreams of H steps by entry.
        moving: Which pixels count as moving, bool (210, 160).
        shown: Palette codes that the game shows, bool (256,).
    """
    horizon = next(iter(rollouts.values())).steps
    sums = {name: {key: np.zeros(horizon) for key in FRAME_SUMS} for name in rollouts}
    last = {name: Picture(rollout.frames[0]) for name, rollout in rollouts.items()}
    for step in range(real.steps(horizon)):
        picture = Picture(real.frames[0, step])
        for name, rollout in rollouts.items():
            codes, raw = rollout.frames[step + 1], None if rollout.raw is None else rollout.raw[step + 1]
            if raw is not None or not np.array_equal(codes, last[name].codes):
                last[name] = Picture(codes, raw)
            for key, value in compare_frames(picture, last[name], moving, shown).items():
                sums[name][key][step] = value
    return sums


def outcome_sums(real: Truth, rollout: Rollout) -> Sums:
    """The sums of rewards and ends of a dream of H steps, each (H,)."""
    horizon = rollout.steps
    off = rollout.scores[1:] - real.rewards[0].cumsum()[:horizon]
    return {
        "reward_right": (off == 0).astype(float),
        "score_off": np.abs(off),
        "end_right": (rollout.ended[1:] == real.ended[0, :horizon]).astype(float),
        "starts": np.ones(horizon),
    }


def _event_sums(real: Truth, rollout: Rollout, lives: int) -> Sums:
    """Life events count while the real game goes on, ends always."""
    horizon = rollout.steps
    going = np.arange(horizon) < real.steps(horizon)
    lost, told_lost = (drops(lives, side) & going for side in (real.lives[0, :horizon], rollout.lives[1:]))
    ends, told_ends = (np.diff(side, prepend=False) for side in (real.ended[0, :horizon], rollout.ended[1:]))
    scored = np.cumsum(real.rewards[0, :horizon] != 0, dtype=np.float64)
    return match(lost, told_lost, "life") | match(ends, told_ends, "end") | {"score_real": scored}


def _scenes(reader: SceneReader, rollout: Rollout, real: Truth, seen: list[Scene]) -> list[Scene]:
    """What each frame of a dream shows; one that is the real frame, or the frame before, is not read again."""
    scenes: list[Scene] = []
    for step, scene in enumerate(seen):
        codes = rollout.frames[step + 1]
        if np.array_equal(codes, real.frames[0, step]):
            scenes.append(scene)
        elif scenes and np.array_equal(codes, rollout.frames[step]):
            scenes.append(scenes[-1])
        else:
            scenes.append(reader.of_frame(codes))
    return scenes


def _object_sums(found: dict[str, Fate], steps: int, horizon: int) -> Sums:
    """Whether each object fails at a step, whether it could (judged, not failed, the game on), and why."""
    sums: Sums = {}
    for name, fate in found.items():
        failed, risk = np.zeros(horizon), np.zeros(horizon)
        risk[: steps if fate.step is None else fate.step + 1] = fate.judged
        if fate.step is not None and fate.judged:
            failed[fate.step] = 1
        cause = CAUSES.index(fate.cause) + 1 if failed.any() else 0
        sums |= {f"failed_{name}": failed, f"risk_{name}": risk, f"cause_{name}": np.array(cause)}
    return sums


def first_failure(sums: Sums, names: list[str]) -> Sums:
    """When the first of several objects fails, from the sums (N, H) of each."""
    shape = sums["frames"].shape
    failed = np.zeros(shape, bool)
    judged = np.zeros((shape[0], 1), bool)
    for name in names:
        failed |= sums[f"failed_{name}"] > 0
        judged |= sums[f"risk_{name}"].any(1, keepdims=True)
    before = np.cumsum(failed, axis=1) - failed
    first = failed & (before == 0)
    return {
        "failed": first.astype(float),
        "risk": ((before == 0) & judged & (sums["frames"] > 0)).astype(float),
    }


def survival_measures(names: list[str]) -> Measures:
    """Object survival: the share of starts in which no object has failed yet, by Kaplan and Meier (1958)."""
    every = {"object_survival": Measure("failed", "risk", _survive)}
    return every | {f"survival_{name}": Measure(f"failed_{name}", f"risk_{name}", _survive) for name in names}


def _survive(hazard: np.ndarray) -> np.ndarray:
    """What is left after hazards (R, H); nan where nobody was left to fail, unless all had failed."""
    left = np.cumprod(1 - np.nan_to_num(hazard), axis=1)
    return np.where(np.isnan(hazard) & (left > 0), np.nan, left)


def median_steps(survival: list[float | None]) -> int | None:
    """Steps after which a survival curve is at a half or below, None if it never is."""
    return next((step for step, left in enumerate(survival, 1) if left is not None and left <= 0.5), None)
