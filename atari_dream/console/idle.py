"""Bytes of memory that nothing comes of: scratch that is written anew before it is read.

Which those are shows when they are changed: played from the same memory, but for one byte that is of another moment,
the game goes on as it did. What they hold is not worth knowing, and a good part of memory is such scratch.
"""

from collections.abc import Iterable

import numpy as np

from atari_dream.console.branches import Play
from atari_dream.emulator import RAM_SIZE, Emulator

_STATES = 3000
"""States from which play goes on."""
_NEAR, _BY = 0.6, 8
"""Share of the changes that are to what a byte held up to so many steps sooner or later; the others are of anywhere."""
_SELDOM = 0.001
"""Share of changes that may tell for all that: what never was so can go wrong in any way."""
_SHOWN = RAM_SIZE


def find_idle(game: str, clips: Iterable[Play]) -> list[int]:
    """The bytes that change, and of which neither what a step brings comes nor any byte of which it does.

    What a step brings is its picture, points, lives and end.

    Args:
        game: Name of the game.
        clips: Play of it, whose memory is taken up and changed.
    """
    columns = zip(*((clip.memory, clip.actions, clip.valid) for clip in clips), strict=True)
    memory, actions, valid = (np.concatenate(parts) for parts in columns)
    held, known = memory.reshape(-1, RAM_SIZE), np.flatnonzero(valid)
    lively = np.flatnonzero((held[known] != held[known[0]]).any(0))
    rng = np.random.default_rng(0)
    trials = _Trials(game)
    places = np.argwhere(valid[:, 1:])
    for branch, step in places[rng.permutation(len(places))[:_STATES]]:
        near = (step + rng.integers(-_BY, _BY + 1, RAM_SIZE)).clip(0, valid[branch].sum() - 1)
        far = rng.choice(known, RAM_SIZE)
        moment = np.where(rng.random(RAM_SIZE) < _NEAR, branch * valid.shape[1] + near, far)
        other = held[moment, np.arange(RAM_SIZE)]
        trials.add(memory[branch, step], actions[branch, step + 1], other, lively)
    return _idle(lively, trials.share())


class _Trials:
    """What comes of bytes that are changed: in how many steps, and of which other bytes."""

    def __init__(self, game: str) -> None:
        self._emulator = Emulator(game)
        self._home = self._emulator.save()
        self._tried = np.zeros(RAM_SIZE)
        self._told = np.zeros((RAM_SIZE, RAM_SIZE + 1))

    def add(self, memory: np.ndarray, action: np.ndarray, other: np.ndarray, lively: np.ndarray) -> None:
        """Plays an action, uint8 (frame_skip,), from memory, uint8 (128,), and with single bytes as others are."""
        after, brought = self._played(memory, action)
        for byte in lively[memory[lively] != other[lively]]:
            changed = memory.copy()
            changed[byte] = other[byte]
            held, now = self._played(changed, action)
            self._tried[byte] += 1
            self._told[byte, :RAM_SIZE] += held != after
            self._told[byte, _SHOWN] += now != brought

    def share(self) -> np.ndarray:
        """The share of the changes of each byte that told in each byte and, last, in what came: (128, 129)."""
        return self._told / self._tried.clip(1)[:, None]

    def _played(
        self, memory: np.ndarray, action: np.ndarray
    ) -> tuple[np.ndarray, tuple[bytes, float, int, bool]]:
        """What memory becomes, and what the step brings."""
        emulator = self._emulator
        emulator.restore(self._home)
        emulator.set_ram(memory)
        earned = emulator.step(action)
        return emulator.ram, (emulator.frame.tobytes(), earned, emulator.lives, emulator.over)


def _idle(lively: np.ndarray, share: np.ndarray) -> list[int]:
    """The bytes of which, by whatever others, nothing comes that is seen."""
    tells = share > _SELDOM
    telling = tells[:, _SHOWN]
    for _ in range(RAM_SIZE):
        telling = telling | tells[:, :RAM_SIZE][:, telling].any(1)
    return [byte for byte in lively.tolist() if not telling[byte]]
