"""Start pools: real emulator states from which dreams begin, each with its context, recipe and continuation.

Run: `atari-dream starts --store stores/pacman-test --out pools/pacman`
"""

import hashlib
import os
from collections import Counter
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
import zarr
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer, cpu
from zarr.storage import MemoryStore, ZipStore

from atari_dream.emulator import ALE_VERSION, BOOT_FRAMES, NOOP_MAX, Emulator, rom_hash
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError, unknown
from atari_dream.files import FORMAT, read_json, sha256, whole, write_json
from atari_dream.games import FRAME_SKIP, get_game
from atari_dream.predictor import Start

CONTEXT = 16
"""Agent steps of context that a start holds."""
CONTINUATION = 1000
"""Longest continuation, in agent steps."""
STRATUM_STEPS = 50
STRATA = {"end": 0.1, "life": 0.25, "score": 0.25, "quiet": 0.4}
"""What happens within `STRATUM_STEPS` steps of a continuation, rarest first, and the share aimed at."""


class StartPool:
    """Starts of one game, in a folder or made by the emulator.

    Attributes:
        game: Name of the game.
        frame_skip: Emulator frames per agent step.
        entries: One dict a start: id, episode, step, stratum, lives, score, frame (its SHA-256).
    """

    def __init__(self, header: dict[str, Any], arrays: Any, name: str) -> None:
        self.name, self._arrays = name, arrays
        self.game: str = header["game"]
        self.frame_skip: int = header["frame_skip"]
        self.entries: list[dict[str, Any]] = header["starts"]
        self.context: int = CONTEXT
        self._header = header

    @classmethod
    def load(cls, path: str | os.PathLike[str], game: str | None = None) -> "StartPool":
        """Opens a pool.

        Args:
            path: Its folder.
            game: The game it must be for, if that matters.

        Raises:
            UsageError: If it is missing, damaged, of a later format, or for another game or ROM.
        """
        folder = Path(path)
        header = read_json(folder / "pool.json", "start pool")
        if game is not None and header["game"] != game:
            raise UsageError(f"start pool {folder} is of game {header['game']!r}, not {game!r}")
        if header["rom"] != rom_hash(get_game(header["game"]).rom):
            raise UsageError(f"start pool {folder} was made with another ROM of {header['game']!r}")
        file = folder / "pool.zip"
        if not file.is_file() or sha256(file) != header["sha256"]:
            raise UsageError(f"start pool {folder} is damaged: {file.name} is missing or has another hash")
        return cls(header, _in_memory(file), str(folder))

    @classmethod
    def power_on(cls, game: str, frame_skip: int = FRAME_SKIP) -> "StartPool":
        """The 31 starts at power-on after 0 to 30 no-ops; their context repeats the frame."""
        return _power_on(game, frame_skip)

    def __len__(self) -> int:
        """Number of starts."""
        return len(self.entries)

    def batch(self, indices: np.ndarray) -> Start:
        """The starts at these positions, int (B,), as tensors on the CPU."""
        ale = np.stack([self._ale(int(index)) for index in indices])
        frames = np.stack([self._arrays["frames"][int(index)] for index in indices])
        actions = np.stack([self._arrays["actions"][int(index)] for index in indices])
        lives = torch.tensor([self.entries[int(index)]["lives"] for index in indices], dtype=torch.int64)
        return Start(torch.from_numpy(frames), torch.from_numpy(actions), lives, torch.from_numpy(ale))

    def recipe(self, index: int) -> np.ndarray:
        """Every raw action from power-on to a start, uint8 (R,)."""
        return self._tape(index)[: self.entries[index]["played"]]

    def continuation(self, index: int) -> np.ndarray:
        """The recorded raw actions after a start, uint8 (T, frame_skip), to the end or for 1,000 steps."""
        after = self._tape(index)[self.entries[index]["played"] :][: CONTINUATION * self.frame_skip]
        return after[: len(after) // self.frame_skip * self.frame_skip].reshape(-1, self.frame_skip)

    @cached_property
    def usual(self) -> np.ndarray:
        """Most frequent palette code of each pixel in the contexts, uint8 (210, 160)."""
        return self._arrays["usual"][:]

    @cached_property
    def scores(self) -> np.ndarray:
        """Points since power-on at each start, float32 (N,)."""
        return np.array([entry["score"] for entry in self.entries], np.float32)

    def find(self, identity: str) -> int:
        """Position of the start with that id."""
        ids = [entry["id"] for entry in self.entries]
        if identity not in ids:
            raise unknown("start", identity, ids[:8])
        return ids.index(identity)

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """Positions of `count` starts without replacement, every stratum with its share, int64 (count,).

        Raises:
            UsageError: If the pool is smaller than that.
        """
        if not 1 <= count <= len(self):
            raise UsageError(f"{count} starts asked of pool {self.name}, allowed are 1 to {len(self)}")
        rng = np.random.default_rng(seed)
        place = np.empty(len(self))
        for stratum in sorted({entry["stratum"] for entry in self.entries}):
            members = np.flatnonzero([entry["stratum"] == stratum for entry in self.entries])
            place[rng.permutation(members)] = (np.arange(len(members)) + rng.random()) / len(members)
        return np.argsort(place, kind="stable")[:count]

    def replay(self, index: int, emulator: Emulator) -> None:
        """Plays a start's recipe from power-on.

        Raises:
            UsageError: If the emulator no longer gets to the start's frame.
        """
        emulator.reset()
        emulator.step(self.recipe(index)[BOOT_FRAMES:])
        if _digest(emulator.frame) != self.entries[index]["frame"]:
            raise UsageError(
                f"start {self.entries[index]['id']!r} of {self.name} does not replay "
                f"with ale-py {ALE_VERSION}: make a new pool with `atari-dream starts`"
            )

    def _ale(self, index: int) -> np.ndarray:
        if self._header["ale_py"] == ALE_VERSION:
            return self._arrays["ale"][index]
        emulator = Emulator(self.game)
        self.replay(index, emulator)
        return emulator.save()

    def _tape(self, index: int) -> np.ndarray:
        begin, end = self.entries[index]["tape"]
        return self._arrays["tapes"][begin:end]


@cache
def _power_on(game: str, frame_skip: int) -> StartPool:
    emulator = Emulator(game)
    tapes: list[np.ndarray] = []
    entries: list[dict[str, Any]] = []
    arrays: dict[str, list[np.ndarray]] = {"frames": [], "ale": []}
    for noops in range(NOOP_MAX + 1):
        begin = sum(map(len, tapes))
        tapes.append(emulator.reset(noops))
        identity = {
            "id": f"power-on+{noops}",
            "episode": f"power-on+{noops}",
            "step": 0,
            "stratum": "power-on",
        }
        entries.append(identity | _entry(emulator, begin, len(tapes[-1]), begin + len(tapes[-1])))
        arrays["frames"].append(np.repeat(emulator.frame[None], CONTEXT, axis=0))
        arrays["ale"].append(emulator.save())
    stacked = {name: np.stack(parts) for name, parts in arrays.items()}
    stacked["actions"] = np.zeros((len(entries), CONTEXT, frame_skip), np.uint8)
    stacked["tapes"] = np.concatenate(tapes)
    stacked["usual"] = stacked["frames"][0, 0]
    header = {"game": game, "frame_skip": frame_skip, "ale_py": ALE_VERSION, "starts": entries}
    return StartPool(header, stacked, "power-on")


def _entry(emulator: Emulator, begin: int, played: int, end: int) -> dict[str, Any]:
    state = {"lives": emulator.lives, "score": emulator.score, "frame": _digest(emulator.frame)}
    return state | {"tape": [begin, end], "played": played}


def _digest(frame: np.ndarray) -> str:
    return hashlib.sha256(frame.tobytes()).hexdigest()


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
    chosen = _choose(candidates, count, seed)
    header, arrays = _collect(store, chosen)
    folder = Path(path)
    with whole(folder) as fresh:
        fresh.mkdir()
        _write_arrays(fresh / "pool.zip", arrays)
        header["sha256"] = sha256(fresh / "pool.zip")
        write_json(fresh / "pool.json", header)
    return StartPool.load(folder, store.game)


def _candidates(store: EpisodeStore, split: str) -> list[tuple[str, int, int]]:
    """Every recorded state with a whole context, as (stratum, episode, step)."""
    found = []
    for index in store.of_split(split):
        steps = store.read(index, "state_steps")
        if steps is None:
            raise UsageError(
                f"store {store.path} has no emulator states: record it with `atari-dream record`"
            )
        rewards, lives = store.read(index, "rewards"), store.read(index, "lives")
        terminated = store.entries[index]["ending"] == "terminated"
        for step in steps[(steps >= CONTEXT) & (steps < len(rewards))]:
            found.append((_stratum(rewards, lives, terminated, int(step)), index, int(step)))
    return found


def _stratum(rewards: np.ndarray, lives: np.ndarray, terminated: bool, step: int) -> str:
    if terminated and step + STRATUM_STEPS >= len(rewards):
        return "end"
    if (np.diff(lives[step : step + STRATUM_STEPS + 1]) < 0).any():
        return "life"
    return "score" if (rewards[step : step + STRATUM_STEPS] > 0).any() else "quiet"


def _choose(candidates: list[tuple[str, int, int]], count: int, seed: int) -> list[tuple[str, int, int]]:
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
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Replays the chosen states' episodes and gathers what a pool holds."""
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
            entries[-1] |= _entry(emulator, begin, target, begin + len(tape))
            parts["frames"].append(frames)
            parts["actions"].append(np.repeat(actions[step - CONTEXT : step, None], skip, axis=1))
            parts["ale"].append(emulator.save())
            parts["ram"].append(emulator.ram)
        parts["tapes"].append(tape)
        begin += len(tape)
    arrays = {name: np.stack(part) for name, part in parts.items() if name != "tapes"}
    arrays["tapes"] = np.concatenate(parts["tapes"])
    arrays["usual"] = _most_frequent(arrays["frames"].reshape(-1, *arrays["frames"].shape[2:]))
    header = {
        "format": FORMAT,
        "game": store.game,
        "frame_skip": skip,
        "rom": rom_hash(get_game(store.game).rom),
    }
    return {**header, "ale_py": ALE_VERSION, "starts": entries}, arrays


def _most_frequent(frames: np.ndarray) -> np.ndarray:
    """Most frequent code of each pixel, uint8 (210, 160), of frames (N, 210, 160)."""
    best = np.zeros(frames.shape[1:], np.uint8)
    most = np.zeros(frames.shape[1:], np.int64)
    for code in np.unique(frames):
        count = (frames == code).sum(0)
        best[count > most] = code
        most = np.maximum(most, count)
    return best


def _in_memory(path: Path) -> zarr.Group:
    """Reads a Zarr zip whole, still compressed: no open file is left for a forked process to share."""
    with ZipFile(path) as zipped:
        members: dict[str, Buffer] = {
            name: cpu.Buffer.from_bytes(zipped.read(name)) for name in zipped.namelist()
        }
    return zarr.open_group(MemoryStore(members), mode="r")


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with ZipStore(path, mode="w") as zipped:
        group = zarr.create_group(zipped)
        for name, array in arrays.items():
            chunks = (1, *array.shape[1:]) if name == "frames" else array.shape
            group.create_array(
                name, data=array, chunks=chunks, compressors=ZstdCodec(level=19, checksum=True)
            )
