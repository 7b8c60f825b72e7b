"""Does the dream obey? From one state every action is held for some steps, in both worlds.

The effect of an action is what its frames show otherwise than those of doing nothing. States are those in which some
action has one in the real game.

- `effect_agreement`: share of the pixels that an action changes, in either world, which both worlds show in the same
  colour, pooled over actions.
- `inverse_accuracy`: inverse dynamics without a trained network: of the real outcomes of all actions from that state,
  the one nearest to the dreamt frame tells which action it shows; how often that is the one that was played. Real
  outcomes that do not differ are one answer. Only pixels in which real outcomes differ are compared.
- The lag: by how many steps the dream's effects are later than the real ones, where they agree best.
"""

from pathlib import Path

import numpy as np

from atari_dream.alignment import LAGS
from atari_dream.bootstrap import resample
from atari_dream.checkpoint import open_predictor
from atari_dream.games import get_game
from atari_dream.job import Job
from atari_dream.metrics import Measure, Measures, Sums, plain, stack
from atari_dream.protocol import Entry
from atari_dream.rollout import Rollout, roll_lanes
from atari_dream.starts import StartPool
from atari_dream.truth import Script, load_truth

STEPS = 8
"""Steps that an action is held."""

CONTROL_MEASURES: Measures = {
    "effect_agreement": Measure("effect_both", "effect_any", plain),
    "inverse_accuracy": Measure("inverse_right", "inverse_asked", plain),
}


def measure_control(job: Job, entries: list[Entry]) -> dict[str, Sums]:
    """Holds every action from some starts of the pool; sums by entry, (N, K) each."""
    plans = _plans(job.pool)
    starts = _decisive(job, plans)
    kept = job.truths(Script.of(job.pool, start, plans) for start in starts)
    waiting = [
        job.executor.submit(
            _score, truth.path, {entry.name: _outcomes(job, entry, start, plans) for entry in entries}
        )
        for start, truth in zip(starts, kept, strict=True)
    ]
    rows = []
    for future in waiting:
        rows.append(future.result())
        job.progress(1)
    return {entry.name: stack([row[entry.name] for row in rows]) for entry in entries} if rows else {}


def _plans(pool: StartPool) -> np.ndarray:
    """Every action held, doing nothing first, uint8 (A, K, frame_skip)."""
    codes = np.array([0, *(code for code in get_game(pool.game).actions if code)], np.uint8)
    return np.broadcast_to(codes[:, None, None], (len(codes), STEPS, pool.frame_skip)).copy()


def _decisive(job: Job, plans: np.ndarray) -> list[int]:
    """The first starts, in the order of the draw, from which actions make a difference in the real game."""
    real = Entry("emulator", "control", open_predictor("emulator", job.pool).predictor)
    found: list[int] = []
    for start in job.pool.sample(len(job.pool), job.protocol.seed).tolist():
        if len(found) == job.protocol.control_starts:
            break
        frames = [outcome.frames for outcome in _outcomes(job, real, start, plans)]
        if any(not np.array_equal(other, frames[0]) for other in frames[1:]):
            found.append(start)
    return found


def _outcomes(job: Job, entry: Entry, start: int, plans: np.ndarray) -> list[Rollout]:
    lanes = np.full(len(plans), start)
    codes = plans.swapaxes(0, 1)
    return roll_lanes(entry.predictor, job.pool, lanes, codes, job.keys(lanes), entry.temperature)


def _score(truth: Path, dreams: dict[str, list[Rollout]]) -> dict[str, Sums]:
    real = load_truth(truth).frames
    return {
        name: obedience(real, np.stack([rollout.frames[1:] for rollout in rollouts]))
        for name, rollouts in dreams.items()
    }


def obedience(real: np.ndarray, dreamt: np.ndarray) -> Sums:
    """Compares the outcomes of actions from one state.

    Args:
        real: Frames after each action was held for 1, 2, ... steps, the first action doing nothing, uint8
            (A, K, 210, 160).
        dreamt: The same of the dream.

    Returns:
        The sums of `CONTROL_MEASURES` by steps, (K,), and `lag_both`, `lag_any` by lag, (5,).
    """
    sums = {name: np.zeros(real.shape[1]) for measure in CONTROL_MEASURES.values() for name in measure[:2]}
    for step in range(real.shape[1]):
        now = real[:, step], dreamt[:, step]
        sums["effect_both"][step], sums["effect_any"][step] = _agreement(*now)
        sums["inverse_right"][step], sums["inverse_asked"][step] = _inverse(*now)
    reach = max(LAGS)
    pairs = [
        [_agreement(real[:, step - lag], dreamt[:, step]) for step in range(reach, real.shape[1] - reach)]
        for lag in LAGS
    ]
    both, either = np.array(pairs, float).sum(1).T
    return sums | {"lag_both": both, "lag_any": either}


def _agreement(real: np.ndarray, dreamt: np.ndarray) -> tuple[int, int]:
    """Pixels that an action changes alike in both worlds, and in either, of frames (A, 210, 160)."""
    changed = [frames[1:] != frames[0] for frames in (real, dreamt)]
    alike = changed[0] & changed[1] & (real[1:] == dreamt[1:])
    return int(alike.sum()), int((changed[0] | changed[1]).sum())


def _inverse(real: np.ndarray, dreamt: np.ndarray) -> tuple[float, int]:
    """How many of the actions are recognised, and how many are asked for: none where all end alike."""
    decided = (real != real[0]).any(0)
    if not decided.any():
        return 0.0, 0
    outcomes, shown = real[:, decided], dreamt[:, decided]
    right = 0.0
    for action, frame in enumerate(shown):
        distance = (outcomes != frame).sum(1)
        nearest = outcomes[distance == distance.min()]
        right += float((nearest == outcomes[action]).all(1).mean())
    return right, len(real)


def effect_lag(sums: Sums) -> dict[str, object]:
    """The lag of a dream's effects behind the real ones.

    Returns:
        `steps`, None if there are no effects that agree; `confidence`, the share of resamples that find the same; and
        the `agreement` at each of `LAGS`.
    """
    both, either = sums["lag_both"], sums["lag_any"]
    total = both.sum(0) / np.maximum(either.sum(0), 1)
    if not total.any():
        return {"steps": None, "confidence": None, "agreement": total.tolist()}
    weights = resample(len(both))
    drawn = (weights @ both) / np.maximum(weights @ either, 1)
    found = int(total.argmax())
    agreed = float((drawn.argmax(1) == found).mean())
    return {"steps": LAGS[found], "confidence": agreed, "agreement": total.tolist()}
