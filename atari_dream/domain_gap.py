"""The domain gap: how much worse a predictor is in ALE than on replays held out of its training.

What is wrong with it on replays is its own error; what is more in ALE comes from play, pictures or timing that differ.
Since one may be harder to predict than the other, the same is told of the floors, and the error is told as a share of
the better floor's, too.
"""

from typing import Any

import numpy as np

from atari_dream.bootstrap import interval, resample
from atari_dream.checkpoint import FLOORS, open_predictor
from atari_dream.episodes import EpisodeStore
from atari_dream.metrics import FRAME_MEASURES, OUTCOME_MEASURES, Measures, Sums, pool, stack
from atari_dream.protocol import Entry, Protocol
from atari_dream.replay_starts import replay_starts
from atari_dream.rollout import Rollout, noise_keys, one_thread, roll_lanes
from atari_dream.scoring import MOVING_STEPS, frame_sums, outcome_sums
from atari_dream.truth import Truth, colours_of

GAP_MEASURES: Measures = {
    "wrong_moving": FRAME_MEASURES["wrong_moving"],
    "dyn_psnr": FRAME_MEASURES["dyn_psnr"],
    "reward_accuracy": OUTCOME_MEASURES["reward_accuracy"],
}
_LANES = 25


def measure_replays(
    protocol: Protocol, store: EpisodeStore, entries: list[Entry], split: str = "test"
) -> tuple[dict[str, Sums], int]:
    """Measures checkpoints and floors on replays, as the drift from the emulator is measured.

    Args:
        protocol: Starts (as many at most), horizon and seed are taken from it.
        store: The replays, held out of the checkpoints' training.
        entries: Who dreams; of them the checkpoints as they ship. Floors are made anew for these starts.
        split: Split to draw from.

    Returns:
        Sums by entry and name, (N, H), and the number of episodes that the starts are from.

    Raises:
        UsageError: If no episode is long enough.
    """
    reach = max(protocol.horizon, MOVING_STEPS)
    starts, codes, truths = replay_starts(
        store, split, protocol.starts, reach, protocol.frame_skip, protocol.seed
    )
    seen = [starts.usual, *(part for truth in truths for part in (truth.first, truth.frames))]
    shown = np.logical_or.reduce([colours_of(frames) for frames in seen])
    floors = {name: open_predictor(name, starts).predictor for name in FLOORS}
    shipped = {
        entry.name: entry.predictor
        for entry in entries
        if entry.kind == "checkpoint" and ":" not in entry.name
    }
    found: dict[str, list[Sums]] = {}
    for first in range(0, len(truths), _LANES):
        places = np.arange(first, min(first + _LANES, len(truths)))
        plan = codes[places, : protocol.horizon].swapaxes(0, 1)
        keys = noise_keys(places, protocol.seed)
        with one_thread():
            lanes = {
                name: roll_lanes(predictor, starts, places, plan, keys)
                for name, predictor in (floors | shipped).items()
            }
        for lane, place in enumerate(places.tolist()):
            dreams = {name: rollouts[lane] for name, rollouts in lanes.items()}
            for name, sums in _score(truths[place], dreams, shown).items():
                found.setdefault(name, []).append(sums)
    episodes = {entry["episode"] for entry in starts.entries}
    return {name: stack(rows) for name, rows in found.items()}, len(episodes)


def _score(real: Truth, dreams: dict[str, Rollout], shown: np.ndarray) -> dict[str, Sums]:
    """The sums of each dream of one start."""
    moving = (real.frames[0, :MOVING_STEPS] != real.first).any(0)
    sums = frame_sums(real, dreams, moving, shown)
    return {name: sums[name] | outcome_sums(real, rollout) for name, rollout in dreams.items()}


def compare_domains(ale: dict[str, Sums], replays: dict[str, Sums], episodes: int) -> dict[str, Any]:
    """The gap of each entry: its value on replays, in ALE, and the difference, positive where ALE is worse.

    Args:
        ale: Sums by entry and name from starts in the game, (N, H).
        replays: The same on replays, (M, H).
        episodes: Number of episodes that the replays' starts are from.

    Returns:
        By entry and measure, lists over steps: `replays`, `ale`, `gap` and their intervals. `share_of_floor` is
        wrong_moving divided by the better floor's. Intervals resample the starts of each side on its own.
    """
    sides = {"replays": _pool(replays, 1), "ale": _pool({name: ale[name] for name in replays}, 2)}
    table: dict[str, Any] = {}
    for name in replays:
        table[name] = {
            key: _gap({side: values[name][key] for side, values in sides.items()}, measure.sign)
            for key, measure in GAP_MEASURES.items()
        }
        if name not in FLOORS:
            shares = {side: _share(values, name) for side, values in sides.items()}
            table[name]["share_of_floor"] = _gap(shares, -1)
    counts = {
        side: len(next(iter(next(iter(sums.values())).values())))
        for side, sums in (("ale", ale), ("replays", replays))
    }
    return {"starts": counts, "episodes": episodes, "entries": table}


def _pool(sums: dict[str, Sums], seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Measures by entry: all starts in the first row, resamples below, (1 + R, H)."""
    count = len(next(iter(next(iter(sums.values())).values())))
    weights = np.concatenate([np.ones((1, count)), resample(count, seed)])
    return {name: pool(rows, weights, GAP_MEASURES) for name, rows in sums.items()}


def _gap(sides: dict[str, np.ndarray], sign: int) -> dict[str, Any]:
    parts = {**sides, "gap": sign * (sides["replays"] - sides["ale"])}
    values = {
        name: [None if np.isnan(value) else float(value) for value in rows[0]] for name, rows in parts.items()
    }
    return values | {"ci95": {name: interval(rows[1:]) for name, rows in parts.items()}}


def _share(values: dict[str, dict[str, np.ndarray]], name: str) -> np.ndarray:
    floor = np.minimum.reduce([values[floor]["wrong_moving"] for floor in FLOORS])
    with np.errstate(divide="ignore", invalid="ignore"):
        return values[name]["wrong_moving"] / floor
