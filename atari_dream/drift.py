"""Drift: how far a dream gets from the real game, from the same states under the same actions.

Run: `atari-dream drift --game pacman --out out/drift`. The file formats are the README's.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from atari_dream import dream
from atari_dream.bootstrap import interval, resample
from atari_dream.checkpoint import CONTROLS, commit, open_predictor, versions
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, whole, write_json
from atari_dream.metrics import FRAME_SUMS, MEASURES, compare_frames
from atari_dream.metrics import pool as pool_sums
from atari_dream.predictor import Predictor
from atari_dream.rollout import continued, noise_keys
from atari_dream.starts import CONTINUATION, StartPool
from atari_dream.truth import Truth, truths

MOVING_STEPS = 50
"""Real steps over which a pixel that differs from the start frame counts as moving, whatever the horizon."""

_LANES = 25

Sums = dict[str, np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """What makes two measurements comparable.

    Attributes:
        game: The game.
        starts: Number of starts, drawn by stratum without replacement.
        horizon: Agent steps.
        context: Agent steps of context in a start.
        frame_skip: Emulator frames per agent step.
        pool: Hash of the starts' ids and frames.
        seed: Seed of the draw, of the noise, and of the actions past a recording's end.
        actions: What is played: each start's continuation, then held random actions.
        sampling: How often each start is dreamt.
        name: The protocol's version.
    """

    game: str
    starts: int
    horizon: int
    context: int
    frame_skip: int
    pool: str
    seed: int = 0
    actions: str = "continuation"
    sampling: str = "one sample per start"
    name: str = "drift-v1"

    @classmethod
    def of(cls, pool: StartPool, starts: int, horizon: int, seed: int = 0) -> "Protocol":
        """The protocol for a pool.

        Raises:
            UsageError: If the horizon or the number of starts is out of range.
        """
        if not 1 <= horizon <= CONTINUATION:
            raise UsageError(f"horizon {horizon} asked, allowed are 1 to {CONTINUATION} steps")
        pool.sample(starts, seed)
        identity = "\n".join(f"{entry['id']} {entry['frame']}" for entry in pool.entries)
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return cls(pool.game, starts, horizon, pool.context, pool.frame_skip, digest, seed)

    def digest(self) -> str:
        """Hash of everything above, in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One that is measured.

    Attributes:
        name: Its name in the results.
        kind: A checkpoint or a control.
        predictor: What dreams.
        temperature: Scale of its noise.
    """

    name: str
    kind: Literal["checkpoint", "control"]
    predictor: Predictor
    temperature: float = 1.0


def open_entries(checkpoints: list[str], pool: StartPool, device: str | torch.device = "cpu") -> list[Entry]:
    """The three controls and each checkpoint, as sampled and as its mode.

    Raises:
        UsageError: If a checkpoint cannot be opened or two have one name.
    """
    entries = [Entry(name, "control", open_predictor(name, pool).predictor) for name in CONTROLS]
    for checkpoint in checkpoints:
        if checkpoint in CONTROLS:
            continue
        opened = open_predictor(checkpoint, pool, device)
        if opened.name in [entry.name for entry in entries]:
            raise UsageError(f"two checkpoints are named {opened.name!r}: rename a folder")
        entries.append(Entry(opened.name, "checkpoint", opened.predictor))
        entries.append(Entry(f"{opened.name}:mode", "checkpoint", opened.predictor, 0.0))
    return entries


def measure(
    protocol: Protocol,
    pool: StartPool,
    entries: list[Entry],
    workers: int = 2,
    progress: Callable[[int], object] = lambda starts: None,
) -> dict[str, Sums]:
    """Measures entries beside the truth; memory does not grow with the number of starts.

    Args:
        protocol: What is played.
        pool: The starts it was made for.
        entries: Who dreams.
        workers: Processes that replay the truth.
        progress: Called with the number of starts done.

    Returns:
        For each entry the sums per start and step, float64 (N, H) each.
    """
    starts = pool.sample(protocol.starts, protocol.seed)
    steps = max(protocol.horizon, MOVING_STEPS)
    actions = [continued(pool, start, steps, protocol.seed) for start in starts.tolist()]
    parts: dict[str, list[Sums]] = {entry.name: [] for entry in entries}
    real = truths(pool, starts, actions, workers)
    for first in range(0, len(starts), _LANES):
        places = range(len(starts))[first : first + _LANES]
        chunk = [next(real) for _ in places]
        codes = np.stack([actions[place] for place in places])[:, : protocol.horizon]
        for entry in entries:
            parts[entry.name].append(
                _measure_chunk(entry, pool, starts[list(places)], codes, chunk, protocol.seed)
            )
        progress(len(places))
    next(real, None)
    return {name: _stack(chunks) for name, chunks in parts.items()}


def _stack(chunks: list[Sums]) -> Sums:
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _measure_chunk(
    entry: Entry, pool: StartPool, starts: np.ndarray, actions: np.ndarray, real: list[Truth], seed: int
) -> Sums:
    lanes, horizon = actions.shape[:2]
    names = (*FRAME_SUMS, "reward_right", "end_right", "starts")
    sums = {name: np.zeros((lanes, horizon)) for name in names}
    moving = [(truth.frames[:MOVING_STEPS] != truth.first).any(0) for truth in real]
    earned = np.stack([truth.rewards.cumsum() for truth in real])
    ended = np.stack([truth.ended for truth in real])
    for step, (frames, gained, over) in enumerate(_dream(entry, pool, starts, actions, seed)):
        for lane, truth in enumerate(real):
            if step == 0 or not truth.ended[step - 1]:
                row = compare_frames(truth.frames[step], frames[lane], moving[lane])
                for name, value in row.items():
                    sums[name][lane, step] = value
        sums["reward_right"][:, step] = gained == earned[:, step]
        sums["end_right"][:, step] = over == ended[:, step]
        sums["starts"][:, step] = 1
    return sums


@torch.no_grad()
def _dream(
    entry: Entry, pool: StartPool, starts: np.ndarray, actions: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Frames (B, 210, 160), returns and ended flags (B,) so far, step by step; what ended stays as it was."""
    predictor = entry.predictor
    device = next((tensor.device for tensor in predictor.state_dict().values()), torch.device("cpu"))
    begin = dream.tree_map(lambda part: part.to(device), pool.batch(starts))
    state = dream.init(predictor, begin, noise_keys(starts, seed).to(device))
    frames = begin.frames[:, -1].cpu().numpy()
    gained, over = np.zeros(len(starts)), np.zeros(len(starts), bool)
    for step in range(actions.shape[1]):
        codes = torch.from_numpy(actions[:, step]).to(device)
        state, outcome = dream.step(predictor, state, codes, entry.temperature)
        shown = dream.decode(predictor, state).indices().cpu().numpy()
        frames = np.where(over[:, None, None], frames, shown)
        gained = gained + np.where(over, 0, outcome.reward.cpu().numpy())
        over = over | outcome.terminated.cpu().numpy()
        yield frames, gained, over


def summarise(
    protocol: Protocol, entries: list[tuple[str, str]], sums: dict[str, Sums], command: str
) -> dict[str, Any]:
    """The content of `drift.json`.

    Args:
        protocol: What was played.
        entries: Name and kind of each entry.
        sums: The sums of each entry.
        command: The command that measured.
    """
    weights = resample(protocol.starts)
    once = np.ones((1, protocol.starts))
    drawn = {name: pool_sums(sums[name], weights) for name, _ in entries}
    return {
        "format": FORMAT,
        "game": protocol.game,
        "protocol": asdict(protocol) | {"sha256": protocol.digest()},
        "entries": [
            {
                "name": name,
                "kind": kind,
                "per_step": _per_step(sums[name], once),
                "ci95": {key: interval(values) for key, values in drawn[name].items()}
                | {"n": interval(weights @ sums[name]["frames"])},
                "better_than": {
                    other: _better(drawn[name], drawn[other]) for other, _ in entries if other != name
                },
            }
            for name, kind in entries
        ],
        "command": command,
        "commit": commit(),
        "versions": versions(),
    }


def _per_step(sums: Sums, once: np.ndarray) -> dict[str, list[float | None]]:
    values = {
        name: [None if np.isnan(value) else float(value) for value in row[0]]
        for name, row in pool_sums(sums, once).items()
    }
    return values | {"n": sums["frames"].sum(0).astype(int).tolist()}


def _better(
    drawn: dict[str, np.ndarray], other: dict[str, np.ndarray]
) -> dict[str, list[list[float] | None]]:
    """Paired intervals of the difference over the same resamples, oriented so that positive is better."""
    return {key: interval(MEASURES[key].sign * (drawn[key] - other[key])) for key in drawn}


def save_drift(folder: Path, summary: dict[str, Any], sums: dict[str, Sums], starts: list[str]) -> None:
    """Writes `drift.json` and `per_start.npz`, each whole or not at all."""
    arrays = {f"{entry}/{name}": values for entry, parts in sums.items() for name, values in parts.items()}
    with whole(folder / "per_start.npz") as fresh:
        np.savez_compressed(fresh, allow_pickle=False, starts=np.array(starts), **arrays)
    write_json(folder / "drift.json", summary)


def load_drift(folder: Path, protocol: Protocol) -> tuple[list[tuple[str, str]], dict[str, Sums]]:
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
    with np.load(folder / "per_start.npz", allow_pickle=False) as arrays:
        sums = {
            name: {
                key.partition("/")[2]: arrays[key] for key in arrays.files if key.partition("/")[0] == name
            }
            for name, _ in entries
        }
    return entries, sums
