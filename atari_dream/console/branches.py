"""Play that branches off recorded games, with the console's memory.

Recordings keep emulator states. From any of them the game goes on: as it was recorded, but for steps that are held for
another one, or after a while with random actions held, which change within a step in few branches only, as sticky
actions do. Branches are told after a detour, so that next to nothing is told twice: what is seen again and again is
known by heart, hidden bytes included. So memory, which no recording needs to hold, comes for free, and there is always
more to learn from.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from atari_dream.emulator import RAM_SIZE, Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import HEIGHT, WIDTH, get_game
from atari_dream.players import RandomPlayer

_FAITHFUL, _FICKLE, _SLIP = 0.5, 0.125, 0.05
_DETOUR = 9
"""Detours are of up to two to so many steps, short ones as often as long ones."""


Columns = tuple[np.ndarray, ...]
"""Of one branch, what `Play` holds of many."""


class Play(NamedTuple):
    """Branches side by side, told by arrival: `actions[:, i]` led to `frames[:, i]`.

    Attributes:
        frames: Palette codes, uint8 (B, L, 210, 160).
        memory: The console's, uint8 (B, L, 128).
        actions: ALE codes, uint8 (B, L, frame_skip).
        rewards: Game points, float32 (B, L).
        lives: int64 (B, L).
        ended: Whether the game was over on arrival or before, bool (B, L).
        valid: Whether the step was played: not after the end of a game, bool (B, L).
    """

    frames: Tensor
    memory: Tensor
    actions: Tensor
    rewards: Tensor
    lives: Tensor
    ended: Tensor
    valid: Tensor


class Plays(Dataset[Play]):
    """Items that are played when they are asked for, in an emulator of each process's own.

    Args:
        game: Name of the game.
    """

    def __init__(self, game: str) -> None:
        self._game = get_game(game)
        self._own: Emulator | None = None

    def __len__(self) -> int:
        """As many as are asked for."""
        return 2**31

    def __getstate__(self) -> dict[str, object]:
        """Leaves the emulator behind, so that worker processes start their own."""
        return {**self.__dict__, "_own": None}

    @property
    def _emulator(self) -> Emulator:
        self._own = self._own or Emulator(self._game)
        return self._own


class Branches(Plays):
    """Branches off the games of one split; item k depends on (seed, k) alone.

    Args:
        store: The recorded games.
        split: Split to branch off.
        size: Branches of an item, B.
        length: Steps of a branch, L.
        frame_skip: Emulator frames per step.
        seed: Of the draw.

    Raises:
        UsageError: If the games of the split were recorded without emulator states.
    """

    def __init__(
        self, store: EpisodeStore, split: str, size: int, length: int, frame_skip: int, seed: int = 0
    ) -> None:
        super().__init__(store.game)
        self._episodes = [index for index in store.of_split(split) if store.entries[index]["length"]]
        if not self._episodes or any(store.read(index, "state_steps") is None for index in self._episodes):
            raise UsageError(
                f"store {store.path} holds no emulator states in split {split!r}, from which play could go on: "
                f"atari-dream record --game {store.game} --steps 100000 --out STORE"
            )
        lengths = np.array([store.entries[index]["length"] for index in self._episodes])
        self._odds = lengths / lengths.sum()
        self._store, self._size, self._length, self._seed = store, size, length, seed
        self._frame_skip = frame_skip

    def __getitem__(self, k: int) -> Play:
        """Item k."""
        rng = np.random.default_rng([self._seed, k])
        return side_by_side(self._branch(rng) for _ in range(self._size))

    def _branch(self, rng: np.random.Generator) -> Columns:
        """One branch: of a game that is not over when its detour is."""
        emulator = self._emulator
        while True:
            detour = (int(2 ** (_DETOUR * rng.random())) - 1) * self._frame_skip
            index = int(rng.choice(self._episodes, p=self._odds))
            steps = self._store.read(index, "state_steps")
            place = int(rng.integers(len(steps)))
            emulator.restore(self._store.read(index, "states", place, place + 1)[0])
            script = self._script(index, int(steps[place]), detour + self._length * self._frame_skip, rng)
            emulator.step(script[:detour])
            if not emulator.over:
                told = script[detour:].reshape(self._length, self._frame_skip)
                return played(emulator, self._length, self._frame_skip, told.__getitem__)

    def _script(self, index: int, step: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """ALE codes of emulator frames from a recorded step on, uint8 (frames,)."""
        recorded = self._store.read(index, "actions")[step:].repeat(self._store.frame_skip)[:frames]
        whole = recorded[: len(recorded) // self._frame_skip * self._frame_skip].reshape(-1, self._frame_skip)
        slipped = whole.repeat(1 + (rng.random(len(whole)) < _SLIP), axis=0).ravel()
        faithful = frames if rng.random() < _FAITHFUL else int(rng.integers(frames))
        hold = 1 if rng.random() < _FICKLE else self._frame_skip
        player = RandomPlayer()
        player.begin(self._game, hold, rng)
        script = np.array([player.act(np.empty(0)) for _ in range(0, frames, hold)], np.uint8).repeat(hold)
        script[: min(faithful, len(slipped))] = slipped[:faithful]
        return script


def played(
    emulator: Emulator, length: int, frame_skip: int, act: Callable[[int], Sequence[int] | np.ndarray]
) -> Columns:
    """What comes of steps from where a game is.

    Args:
        emulator: The game.
        length: Steps, L.
        frame_skip: Emulator frames per step.
        act: Gives the ALE codes of a step, (frame_skip,), when it is due.
    """
    frames, memory = np.empty((length, HEIGHT, WIDTH), np.uint8), np.empty((length, RAM_SIZE), np.uint8)
    actions = np.empty((length, frame_skip), np.uint8)
    rewards, lives = np.zeros(length, np.float32), np.empty(length, np.int64)
    ended, valid = np.zeros(length, bool), np.zeros(length, bool)
    for step in range(length):
        valid[step] = not emulator.over
        actions[step] = act(step)
        rewards[step] = emulator.step(actions[step])
        frames[step], memory[step] = emulator.frame, emulator.ram
        lives[step], ended[step] = emulator.lives, emulator.over
    return frames, memory, actions, rewards, lives, ended, valid


def side_by_side(pieces: Iterable[Columns]) -> Play:
    """Pieces of play as one."""
    columns = zip(*pieces, strict=True)
    return Play(*(torch.from_numpy(np.stack(column)) for column in columns))
