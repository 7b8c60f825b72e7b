"""Does the dream still look like the game after a thousand steps? Or does it freeze, or fall apart?

Both worlds play on from the same starts. In each stretch of steps, and while the real game goes on, the dream is
compared with real play by what holds of any play, wherever it has got to:

- `palette_distance`: total variation distance of the histograms of colours; 0 is alike, 1 has nothing in common.
- `motion_ratio`: share of pixels that change from step to step, as a multiple of the real share.
- `sharpness_ratio`: total variation of a frame, as a multiple of the real one.
- `objects_ratio`: share of the game's objects that a frame shows, as a multiple of the real share.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from atari_dream.job import Job
from atari_dream.metrics import Picture, Sums
from atari_dream.objects.scene import SceneReader, scene_reader
from atari_dream.protocol import Entry
from atari_dream.rollout import dream_steps, planned
from atari_dream.starts import StartPool
from atari_dream.truth import Script, load_truth

REAL = "real"
"""Key of real play among the sums."""

STEPS, STRETCH, EVERY = 1000, 100, 10
"""Agent steps of a run, of a stretch, and between two frames that are looked at closely."""
EXACT = {"palette_distance": 0.0, "motion_ratio": 1.0, "sharpness_ratio": 1.0, "objects_ratio": 1.0}
"""The measures, and their values for a dream that is the real game."""
_FROZEN = 0.1
_BOUNDS = {
    "palette_distance": (0.0, 0.15),
    "motion_ratio": (0.0, 2.0),
    "sharpness_ratio": (0.7, 1.4),
    "objects_ratio": (0.5, 2.0),
}
"""Below this share of the real motion a dream has frozen; outside these bounds it has fallen apart."""


def measure_long(job: Job, entries: list[Entry]) -> dict[str, Sums]:
    """Lets dreams run on from the starts whose games go on longest; sums by entry, and `real` ones, (N, W) each."""
    starts = _longest(job.pool)[: job.protocol.long_starts]
    if not len(starts):
        return {}
    plans = np.stack([planned(job.pool, start, STEPS, job.protocol.seed) for start in starts.tolist()])
    scripts = (
        Script.of(job.pool, start, plan[None]) for start, plan in zip(starts.tolist(), plans, strict=True)
    )
    real = [load_truth(kept.path) for kept in job.truths(scripts)]
    lasts = [truth.steps(STEPS) for truth in real]
    first, reader = np.stack([truth.first for truth in real]), scene_reader(job.pool.game)
    truth = (np.stack([one.frames[0, step] for one in real]) for step in range(STEPS))
    found = {REAL: looks(first, truth, lasts, reader)}
    for entry in entries:
        steps = dream_steps(
            entry.predictor, job.pool, starts, plans.swapaxes(0, 1), job.keys(starts), entry.temperature
        )
        next(steps)
        found[entry.name] = looks(first, (step.frames for step in steps), lasts, reader)
    job.progress(len(starts))
    return found


def _longest(pool: StartPool) -> np.ndarray:
    """Positions in a pool, those with the longest continuations first, int64 (N,)."""
    return np.argsort([-len(pool.continuation(start)) for start in range(len(pool))], kind="stable")


def looks(
    first: np.ndarray, frames: Iterable[np.ndarray], lasts: Sequence[int], reader: SceneReader | None
) -> Sums:
    """What each stretch of several runs looks like.

    Args:
        first: Frames of the starts, palette codes, uint8 (N, 210, 160).
        frames: Frames after each step, (N, 210, 160).
        lasts: How many steps of each run count: those of the real game.
        reader: Finds the game's objects; None for a game whose objects nobody knows.

    Returns:
        Sums per run and stretch: `colours` (N, W, 128), and `changed`, `pixels`, `variation`, `shown` and `looked`,
        (N, W).
    """
    stretches = STEPS // STRETCH
    sums = {
        name: np.zeros((len(first), stretches))
        for name in ("changed", "pixels", "variation", "shown", "looked")
    }
    sums["colours"] = np.zeros((len(first), stretches, 128))
    before = first
    for step, now in enumerate(frames):
        for run in np.flatnonzero(np.array(lasts) > step):
            place = (int(run), step // STRETCH)
            sums["changed"][place] += np.count_nonzero(now[run] != before[run])
            sums["pixels"][place] += now[run].size
            if step % EVERY == 0:
                _look(now[run], reader, sums, place)
        before = now
    return sums


def _look(frame: np.ndarray, reader: SceneReader | None, sums: Sums, place: tuple[int, int]) -> None:
    sums["colours"][place] += np.bincount(frame.ravel() // 2, minlength=128)
    sums["variation"][place] += Picture(frame).variation
    sums["looked"][place] += 1
    if reader is not None:
        points = [found for found in reader.of_frame(frame).points.values() if found is not None]
        sums["shown"][place] += sum(len(found) > 0 for found in points)


def compare_looks(real: Sums, dreamt: Sums, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The values of `EXACT`, (R, W), nan where there is no data, for weights (R, N) of the runs."""
    colours = [np.einsum("rn,nwc->rwc", weights, side["colours"]) for side in (real, dreamt)]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [total / total.sum(-1, keepdims=True) for total in colours]
        values = {"palette_distance": np.abs(shares[0] - shares[1]).sum(-1) / 2}
        for name, sum_name in (("motion", "changed"), ("sharpness", "variation"), ("objects", "shown")):
            ours, theirs = weights @ dreamt[sum_name], weights @ real[sum_name]
            values[f"{name}_ratio"] = np.where(theirs > 0, ours / theirs, np.nan)
    return values


def verdict(values: dict[str, list[float | None]]) -> str:
    """What became of a dream, from the values of the measures by stretch, as far as there is real play."""
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    known = [row for row in rows if row["motion_ratio"] is not None]
    frozen = _since([row["motion_ratio"] < _FROZEN for row in known])
    broken = _since([any(map(_outside, row.items())) for row in known])
    told = [
        f"{what} from step {place * STRETCH + 1} on"
        for what, place in (("frozen", frozen), ("fallen apart", broken))
        if place is not None
    ]
    return ", ".join(told) or "still like the game"


def _outside(pair: tuple[str, float | None]) -> bool:
    name, value = pair
    low, high = _BOUNDS[name]
    return value is not None and not low <= value <= high


def _since(wrong: list[bool]) -> int | None:
    """The first stretch from which on everything is wrong."""
    right = [place for place, bad in enumerate(wrong) if not bad]
    first = right[-1] + 1 if right else 0
    return first if first < len(wrong) else None
