"""Drift: how far a dream gets from the real game, from the same states under the same actions.

Run: `atari-dream drift --game pacman --out out/drift`. The file formats are the README's.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from atari_dream.control import measure_control
from atari_dream.job import Job
from atari_dream.longrun import measure_long
from atari_dream.metrics import Sums, stack
from atari_dream.objects.error import Tally
from atari_dream.processes import processes
from atari_dream.protocol import Entry, Protocol
from atari_dream.rollout import Rollout, one_thread, planned, roll_lanes
from atari_dream.scoring import MOVING_STEPS, Scored, score_start
from atari_dream.starts import StartPool
from atari_dream.truth import Kept, Script, colours_of, default_cache

_LANES, _MEMORY = 25, 2**28
"""Starts that are dreamt at once, and the bytes that their frames may take."""


@dataclass
class Measured:
    """What a measurement has brought, before it is pooled.

    Attributes:
        starts: Sums by entry and name, per start and step, (N, H), or per start, (N,).
        control: Sums by entry and name, per start and step that an action is held, (N, K).
        long: Sums by entry and name, per run and stretch, (N, W), or (N, W, 128).
        reading: The error with which objects are read from real frames, by start.
    """

    starts: dict[str, Sums]
    control: dict[str, Sums] = field(default_factory=dict)
    long: dict[str, Sums] = field(default_factory=dict)
    reading: list[Tally] = field(default_factory=list)

    def join(self, other: "Measured") -> None:
        """Takes in the entries of another measurement under the same protocol."""
        self.starts |= other.starts
        self.control |= other.control
        self.long |= other.long


def measure(
    protocol: Protocol,
    pool: StartPool,
    entries: list[Entry],
    workers: int = 2,
    progress: Callable[[int], object] = lambda starts: None,
    cache: Path | None = None,
    watch: Callable[[dict[str, list[Rollout]]], object] = lambda dreams: None,
) -> Measured:
    """Measures entries beside the truth; memory does not grow with the number of starts.

    Args:
        protocol: What is played.
        pool: The starts it was made for.
        entries: Who dreams.
        workers: Processes that replay the truth and score; 0 does both in this process.
        progress: Called with the number of starts done, `work(protocol)` in all.
        cache: Folder of the truth; the user's if not given.
        watch: Called with the dreams of some starts after the other, by entry, but for those of several samples.
    """
    starts = pool.sample(protocol.starts, protocol.seed)
    with processes(workers, pool.game) as executor, one_thread():
        job = Job(protocol, pool, starts, executor, cache or default_cache(), progress)
        measured = _follow(job, entries, watch)
        measured.control = measure_control(job, entries)
        measured.long = measure_long(job, entries)
    return measured


def work(protocol: Protocol) -> int:
    """How many starts `measure` reports as done in all: each once for its truth and once for its dreams."""
    return 2 * (protocol.starts + protocol.control_starts + protocol.long_starts)


def _follow(job: Job, entries: list[Entry], watch: Callable[[dict[str, list[Rollout]]], object]) -> Measured:
    """Dreams from every start under the protocol's actions; the chunk before is scored meanwhile."""
    plans = [_plan(job, start) for start in job.starts.tolist()]
    kept = job.truths(
        Script.of(job.pool, start, plan[None]) for start, plan in zip(job.starts.tolist(), plans, strict=True)
    )
    shown = _shown(job, kept)
    scored: list[Scored] = []
    waiting: list[Future[Scored]] = []
    size = _chunk(job.protocol, entries)
    for first in range(0, len(job.starts), size):
        places = range(len(job.starts))[first : first + size]
        codes = np.stack([plans[place][: job.protocol.horizon] for place in places], axis=1)
        dreams = {entry.name: _samples(job, entry, job.starts[list(places)], codes) for entry in entries}
        watch({name: samples[0] for name, samples in dreams.items() if len(samples) == 1})
        scored += _collect(job, waiting)
        waiting = [
            job.executor.submit(
                score_start,
                job.pool.game,
                kept[place].path,
                job.pool.entries[job.starts[place]]["lives"],
                {name: [sample[lane] for sample in samples] for name, samples in dreams.items()},
                shown,
            )
            for lane, place in enumerate(places)
        ]
    scored += _collect(job, waiting)
    names = [entry.name for entry in entries]
    return Measured(
        {name: stack([one.sums[name] for one in scored]) for name in names},
        reading=[one.reading for one in scored],
    )


def _plan(job: Job, start: int) -> np.ndarray:
    steps = max(job.protocol.horizon, MOVING_STEPS)
    return planned(job.pool, start, steps, job.protocol.seed, job.protocol.actions)


def _shown(job: Job, kept: list[Kept]) -> np.ndarray:
    """Palette codes that occur in the truth, in the starts' contexts or in the pool's usual frame, bool (256,)."""
    contexts = (job.pool.batch(job.starts[place : place + 1]).frames.numpy() for place in range(len(kept)))
    known = [colours_of(job.pool.usual), *map(colours_of, contexts), *(truth.colours for truth in kept)]
    return np.logical_or.reduce(known)


def _chunk(protocol: Protocol, entries: list[Entry]) -> int:
    frames = (protocol.horizon + 1) * sum(entry.samples for entry in entries)
    return max(1, min(_LANES, _MEMORY // (frames * 210 * 160)))


def _samples(job: Job, entry: Entry, starts: np.ndarray, codes: np.ndarray) -> list[list[Rollout]]:
    return [
        roll_lanes(entry.predictor, job.pool, starts, codes, job.keys(starts, sample), entry.temperature)
        for sample in range(entry.samples)
    ]


def _collect(job: Job, waiting: list[Future[Scored]]) -> list[Scored]:
    found = []
    for future in waiting:
        found.append(future.result())
        job.progress(1)
    return found
