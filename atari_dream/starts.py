"""Start pools: real emulator states from which dreams begin, each with its context, recipe and continuation."""

import hashlib
import json
import os
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
import zarr
from zarr.core.buffer import Buffer, cpu
from zarr.storage import MemoryStore

from atari_dream.emulator import ALE_VERSION, BOOT_FRAMES, NOOP_MAX, Emulator, rom_hash
from atari_dream.errors import UsageError, unknown
from atari_dream.files import read_json, sha256
from atari_dream.games import FRAME_SKIP, get_game
from atari_dream.predictor import Start

CONTEXT = 16
"""Agent steps of context that a start holds."""
CONTINUATION = 1000
"""Longest continuation, in agent steps."""


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
        parts = (torch.from_numpy(part) for part in (ale, self.ram[indices]))
        return Start(torch.from_numpy(frames), torch.from_numpy(actions), lives, *parts)

    def recipe(self, index: int) -> np.ndarray:
        """Every raw action from power-on to a start, uint8 (R,), for `Emulator.follow`.

        The recipe of a start lifted from a human's replay has injections of memory among them.
        """
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
    def ram(self) -> np.ndarray:
        """The console's memory at each start, uint8 (N, 128)."""
        return self._arrays["ram"][:]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of which starts these are."""
        told = [[entry["id"], entry["frame"]] for entry in self.entries]
        return hashlib.sha256(json.dumps([self.game, self.frame_skip, told]).encode()).hexdigest()

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
        """Positions of `count` starts without replacement, equally many of each stratum, int64 (count,).

        A stratum that is used up leaves its places to the others.

        Raises:
            UsageError: If the pool is smaller than that.
        """
        if not 1 <= count <= len(self):
            raise UsageError(f"{count} starts asked of pool {self.name}, allowed are 1 to {len(self)}")
        rng = np.random.default_rng(seed)
        place = np.empty(len(self))
        for stratum in sorted({entry["stratum"] for entry in self.entries}):
            members = np.flatnonzero([entry["stratum"] == stratum for entry in self.entries])
            place[rng.permutation(members)] = np.arange(len(members)) + rng.random()
        return np.argsort(place, kind="stable")[:count]

    def replay(self, index: int, emulator: Emulator) -> None:
        """Plays a start's recipe from power-on.

        Raises:
            UsageError: If the emulator no longer gets to the start's frame.
        """
        emulator.reset()
        emulator.follow(self.recipe(index)[BOOT_FRAMES:])
        if frame_digest(emulator.frame) != self.entries[index]["frame"]:
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
    arrays: dict[str, list[np.ndarray]] = {"frames": [], "ale": [], "ram": []}
    for noops in range(NOOP_MAX + 1):
        begin = sum(map(len, tapes))
        tapes.append(emulator.reset(noops))
        identity = {
            "id": f"power-on+{noops}",
            "episode": f"power-on+{noops}",
            "step": 0,
            "stratum": "power-on",
        }
        entries.append(identity | state_entry(emulator, begin, len(tapes[-1]), begin + len(tapes[-1])))
        arrays["frames"].append(np.repeat(emulator.frame[None], CONTEXT, axis=0))
        arrays["ale"].append(emulator.save())
        arrays["ram"].append(emulator.ram)
    stacked = {name: np.stack(parts) for name, parts in arrays.items()}
    stacked["actions"] = np.zeros((len(entries), CONTEXT, frame_skip), np.uint8)
    stacked["tapes"] = np.concatenate(tapes)
    stacked["usual"] = stacked["frames"][0, 0]
    header = {"game": game, "frame_skip": frame_skip, "ale_py": ALE_VERSION, "starts": entries}
    return StartPool(header, stacked, "power-on")


def state_entry(emulator: Emulator, begin: int, played: int, end: int) -> dict[str, Any]:
    """What a pool's index says of the state an emulator is in, and of the stretch of tape that led there and on."""
    state = {"lives": emulator.lives, "score": emulator.score, "frame": frame_digest(emulator.frame)}
    return state | {"tape": [begin, end], "played": played}


def frame_digest(frame: np.ndarray) -> str:
    """SHA-256 of a frame, uint8 (210, 160), in hex: the recipe of a start must lead to it."""
    return hashlib.sha256(frame.tobytes()).hexdigest()


def _in_memory(path: Path) -> zarr.Group:
    """Reads a Zarr zip whole, still compressed: no open file is left for a forked process to share."""
    with ZipFile(path) as zipped:
        members: dict[str, Buffer] = {
            name: cpu.Buffer.from_bytes(zipped.read(name)) for name in zipped.namelist()
        }
    return zarr.open_group(MemoryStore(members), mode="r")
