"""What really happens after a start: its recipe replayed from power-on in another process, then the actions.

The `emulator` control restores the stored state instead, so the ruler and what it measures share no path. What was
played once is kept in a folder by a hash of everything that it depends on.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs

from atari_dream.emulator import ALE_VERSION, BOOT_FRAMES, Emulator, rom_hash
from atari_dream.errors import UsageError
from atari_dream.files import whole
from atari_dream.games import get_game
from atari_dream.starts import StartPool, frame_digest

_LAYOUT = "truth-1"


class Truth(NamedTuple):
    """Real play from a start, or several ways of going on from it; after the end everything stays as it was.

    Attributes:
        first: Frame of the start, uint8 (210, 160).
        frames: uint8 (A, T, 210, 160).
        ram: The console's memory, uint8 (A, T, 128).
        rewards: Game points, float64 (A, T).
        lives: int64 (A, T).
        ended: Whether the game was over, bool (A, T).
    """

    first: np.ndarray
    frames: np.ndarray
    ram: np.ndarray
    rewards: np.ndarray
    lives: np.ndarray
    ended: np.ndarray

    def steps(self, horizon: int) -> int:
        """How many frames of a horizon are play, up to and including the last, on the first way."""
        ended = self.ended[0, :horizon]
        return int(ended.argmax()) + 1 if ended.any() else horizon


@dataclass(frozen=True)
class Script:
    """What is to be played.

    Attributes:
        game: Name of the game.
        identity: Id of the start.
        recipe: Every raw action from power-on to the start, uint8 (R,).
        frame: SHA-256 of the start's frame, which the recipe must lead to.
        actions: ALE codes after the start, uint8 (A, T, frame_skip): A ways of going on.
    """

    game: str
    identity: str
    recipe: np.ndarray
    frame: str
    actions: np.ndarray

    @classmethod
    def of(cls, pool: StartPool, start: int, actions: np.ndarray) -> "Script":
        """The script for a start of a pool."""
        entry = pool.entries[start]
        return cls(pool.game, entry["id"], pool.recipe(start), entry["frame"], actions)

    def digest(self) -> str:
        """Hash of everything that the truth depends on, in hex."""
        facts = (_LAYOUT, rom_hash(get_game(self.game).rom), ALE_VERSION, self.frame, str(self.actions.shape))
        total = hashlib.sha256("\n".join(facts).encode())
        total.update(self.recipe.tobytes())
        total.update(self.actions.tobytes())
        return total.hexdigest()

    def play(self) -> Truth:
        """Plays the recipe on a fresh console and then the actions.

        Raises:
            UsageError: If the recipe no longer leads to the start's frame.
        """
        emulator = Emulator(self.game)
        emulator.reset()
        emulator.follow(self.recipe[BOOT_FRAMES:])
        first = emulator.frame
        if frame_digest(first) != self.frame:
            raise UsageError(
                f"start {self.identity!r} does not replay from power-on: its pool fits another ale-py"
            )
        begun = emulator.save()
        ways = []
        for number, way in enumerate(self.actions):
            if number:
                emulator.restore(begun)
            ways.append(_play(emulator, way))
        return Truth(first, *(np.stack(parts) for parts in zip(*ways, strict=True)))


def _play(emulator: Emulator, actions: np.ndarray) -> tuple[np.ndarray, ...]:
    rows = [
        (emulator.frame, emulator.ram, reward, emulator.lives, emulator.over)
        for reward in map(emulator.step, actions)
    ]
    return tuple(map(np.array, zip(*rows, strict=True)))


class Kept(NamedTuple):
    """A truth in the cache: its file, to be read by `load_truth`, and which palette codes it shows, bool (256,)."""

    path: Path
    colours: np.ndarray


def truths(
    scripts: Iterable[Script],
    cache: Path,
    executor: Executor,
    progress: Callable[[int], object] = lambda scripts: None,
) -> list[Kept]:
    """Plays what is not in the cache yet.

    Args:
        scripts: What is to be played.
        cache: Folder of what has been.
        executor: Who plays.
        progress: Called with the number of scripts done.
    """
    waiting = []
    for script in scripts:
        digest = script.digest()
        waiting.append(executor.submit(_keep, script, cache / digest[:2] / f"{digest}.npz"))
    kept = []
    for future in waiting:
        kept.append(future.result())
        progress(1)
    return kept


def _keep(script: Script, path: Path) -> Kept:
    truth = _read(path)
    if truth is None:
        truth = script.play()
        with whole(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **truth._asdict())
    return Kept(path, colours_of(truth.frames))


def colours_of(frames: np.ndarray) -> np.ndarray:
    """Which palette codes occur in frames, uint8 (...), bool (256,)."""
    return np.bincount(frames.ravel(), minlength=256) > 0


def default_cache() -> Path:
    """The user's folder of truths: `ATARI_DREAM_CACHE`, or the platform's place for caches."""
    given = os.environ.get("ATARI_DREAM_CACHE")
    return (Path(given) if given else platformdirs.user_cache_path("atari-dream")) / "truth"


def load_truth(path: Path) -> Truth:
    """Reads a truth."""
    truth = _read(path)
    if truth is None:
        raise UsageError(f"{path} is damaged: delete it, it is made again")
    return truth


def _read(path: Path) -> Truth | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Truth(**{name: arrays[name] for name in Truth._fields})
    except Exception:  # whatever NumPy, zip or zlib make of a damaged file
        return None
