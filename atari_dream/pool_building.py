"""Making a start pool from the emulator states of a store.

Run: `atari-dream starts --store stores/pacman-test --out pools/pacman`
"""

import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import ZipStore

from atari_dream.emulator import ALE_VERSION, Emulator, rom_hash
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, sha256, whole, write_json
from atari_dream.games import get_game
from atari_dream.starts import CONTEXT, CONTINUATION, StartPool, state_entry

STRATUM_STEPS = 50
STRATA = {"end": 0.1, "life": 0.25, "score": 0.25, "quiet": 0.4}
"""What happens within `STRATUM_STEPS` steps of a continuation, rarest first, and the share aimed at."""


def build_pool(
    store: EpisodeStore, path: str | os.PathLike[str], count: int = 256, split: str = "test", seed: int = 0
) -> StartPool:
    """Makes a pool from the recorded states of a store.

    Starts are drawn by stratum, each time from the episode that has given fewest; each recipe is replayed.

    Args:
        store: Recordings with emulator states.
        path: Folder of the pool; it appears whole or not at all.
        count: Starts to draw.
        split: Split of the episodes they come from.
        seed: Seed of the draw.

    Raises:
        UsageError: If the split has too few states, or the store has none.
    """
    candidates = _candidates(store, split)
    if len(candidates) < count:
        raise UsageError(
            f"{count} starts asked, but the {split} split of {store.path} has {len(candidates)} "
            f"emulator states at step {CONTEXT} or later: record more, or ask for fewer with --starts"
        )
    chosen = choose_starts(candidates, count, seed)
    return write_pool(path, store.game, store.frame_skip, *_collect(store, chosen))


def _candidates(store: EpisodeStore, split: str) -> list[tuple[str, int, int]]:
    """Every recorded state with a whole context, as (stratum, episode, step)."""
    found = []
    for index in store.of_split(split):
        steps = store.read(index, "state_steps")
        if steps is None:
            raise UsageError(
                f"store {store.path} has no emulator states: record it with `atari-dream record`, "
                "or give a store of replays to `atari-dream lift`"
            )
        rewards, lives = store.read(index, "rewards"), store.read(index, "lives")
        terminated = store.entries[index]["ending"] == "terminated"
        for step in steps[(steps >= CONTEXT) & (steps < len(rewards))]:
            found.append((stratum_of(rewards, lives, terminated, int(step)), index, int(step)))
    return found


def stratum_of(rewards: np.ndarray, lives: np.ndarray, terminated: bool, step: int) -> str:
    """What happens within `STRATUM_STEPS` steps of a step: one of `STRATA`."""
    if terminated and step + STRATUM_STEPS >= len(rewards):
        return "end"
    if (np.diff(lives[step : step + STRATUM_STEPS + 1]) < 0).any():
        return "life"
    return "score" if (rewards[step : step + STRATUM_STEPS] > 0).any() else "quiet"


def choose_starts(
    candidates: list[tuple[str, int, int]], count: int, seed: int
) -> list[tuple[str, int, int]]:
    """Fills every stratum's share as far as it goes, then the rest, spread over the episodes."""
    rng = np.random.default_rng(seed)
    shuffled = [candidates[place] for place in rng.permutation(len(candidates))]
    taken: list[tuple[str, int, int]] = []
    given: Counter[int] = Counter()
    for stratum, share in {**STRATA, "": 1.0}.items():
        pool = [item for item in shuffled if stratum in ("", item[0]) and item not in taken]
        want = min(len(pool), count - len(taken), round(count * share))
        for _ in range(want):
            best = min(pool, key=lambda item: given[item[1]])
            pool.remove(best)
            taken.append(best)
            given[best[1]] += 1
    return sorted(taken, key=lambda item: item[1:])


def _collect(
    store: EpisodeStore, chosen: list[tuple[str, int, int]]
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]]]:
    """Replays the chosen states' episodes and gathers what `write_pool` takes."""
    emulator, skip = Emulator(store.game), store.frame_skip
    entries: list[dict[str, Any]] = []
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("frames", "actions", "ale", "ram", "tapes")}
    begin = 0
    for episode, group in groupby(chosen, key=lambda item: item[1]):
        steps = [(stratum, step) for stratum, _, step in group]
        prelude, actions = store.read(episode, "prelude"), store.read(episode, "actions")
        tape = np.concatenate([prelude, np.repeat(actions, skip)])[
            : len(prelude) + (steps[-1][1] + CONTINUATION) * skip
        ]
        played = len(emulator.reset())
        for stratum, step in steps:
            target = len(prelude) + step * skip
            emulator.step(tape[played:target])
            played = target
            frames = store.read(episode, "frames", step - CONTEXT + 1, step + 1)
            if not np.array_equal(frames[-1], emulator.frame):
                raise UsageError(
                    f"episode {store.entries[episode]['id']!r} of {store.path} does not replay at step {step}"
                )
            identity = {"episode": store.entries[episode]["id"], "step": step, "stratum": stratum}
            entries.append({"id": f"{identity['episode']}@{step}", **identity})
            entries[-1] |= state_entry(emulator, begin, target, begin + len(tape))
            parts["frames"].append(frames)
            parts["actions"].append(np.repeat(actions[step - CONTEXT : step, None], skip, axis=1))
            parts["ale"].append(emulator.save())
            parts["ram"].append(emulator.ram)
        parts["tapes"].append(tape)
        begin += len(tape)
    return entries, parts


def write_pool(
    path: str | os.PathLike[str],
    game: str,
    frame_skip: int,
    entries: list[dict[str, Any]],
    parts: dict[str, list[np.ndarray]],
) -> StartPool:
    """Writes starts as a pool, and opens it.

    Args:
        path: Folder of the pool; it appears whole or not at all.
        game: Name of the game.
        frame_skip: Emulator frames per agent step.
        entries: What the index says of each start.
        parts: `frames`, `actions`, `ale` and `ram` of each start, uint8, and the `tapes`, which follow each other.
    """
    arrays = {name: np.stack(part) for name, part in parts.items() if name != "tapes"}
    arrays["tapes"] = np.concatenate(parts["tapes"])
    arrays["usual"] = most_frequent(arrays["frames"].reshape(-1, *arrays["frames"].shape[2:]))
    header = {"format": FORMAT, "game": game, "frame_skip": frame_skip, "rom": rom_hash(get_game(game).rom)}
    header |= {"ale_py": ALE_VERSION, "starts": entries}
    with whole(Path(path)) as fresh:
        fresh.mkdir()
        _write_arrays(fresh / "pool.zip", arrays)
        write_json(fresh / "pool.json", {**header, "sha256": sha256(fresh / "pool.zip")})
    return StartPool.load(path, game)


def most_frequent(frames: np.ndarray) -> np.ndarray:
    """Most frequent code of each pixel, uint8 (210, 160), of frames (N, 210, 160)."""
    best = np.zeros(frames.shape[1:], np.uint8)
    most = np.zeros(frames.shape[1:], np.int64)
    for code in np.unique(frames):
        count = (frames == code).sum(0)
        best[count > most] = code
        most = np.maximum(most, count)
    return best


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with ZipStore(path, mode="w") as zipped:
        group = zarr.create_group(zipped)
        for name, array in arrays.items():
            chunks = (1, *array.shape[1:]) if name == "frames" else array.shape
            group.create_array(
                name, data=array, chunks=chunks, compressors=ZstdCodec(level=19, checksum=True)
            )
