"""What each byte of memory comes of, and which bytes nothing comes of.

It shows when bytes are changed: played from the same memory, but for one byte that is of another moment, a step brings
what it brought, or something else. Most bytes come of a handful of others. And a good part of memory is scratch, which
is written anew before it is read: what it holds is not worth knowing.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from atari_dream.console.branches import Play
from atari_dream.emulator import RAM_SIZE, Emulator

Circuit = tuple[list[int], list[int]]
"""Bytes that are told together, and those that they come of."""
_STATES = 3000
"""States from which play goes on."""
_COSTLY = 0.1
"""Share of them, at most, whose next step costs a life or the game: what comes of lives is seldom seen elsewhere."""
_NEAR, _BY = 0.6, 8
"""Share of the changes that are to what a byte held up to so many steps sooner or later; the others are of anywhere."""
_SELDOM = 0.001
"""Share of changes that may tell for all that: what never was so can go wrong in any way."""
_SHOWN = RAM_SIZE
_MOST_CAUSES, _MOST_OF_IDLE, _MOST_OF_ALL = 48, 20, 28
"""Causes of a byte that are kept, the strongest, and of an idle one; those of bytes together, if neither has more."""
_TOGETHER, _ALIKE, _STRONG = 4, 0.22, 0.5
"""Bytes of a circuit, at most; how much their causes have in common, at least; the share that is as strong as any."""


class Causes(NamedTuple):
    """What comes of bytes.

    Attributes:
        lively: The bytes that change.
        share: The share of the changes of each byte that told in each byte and, last, in what a step brings: its
            picture, points, lives and end; float64 (128, 129).
    """

    lively: list[int]
    share: np.ndarray

    @property
    def idle(self) -> list[int]:
        """The bytes that change, and of which nothing comes that is seen, by whatever others."""
        tells = self.share > _SELDOM
        telling = tells[:, _SHOWN]
        for _ in range(RAM_SIZE):
            telling = telling | tells[:, :RAM_SIZE][:, telling].any(1)
        return [byte for byte in self.lively if not telling[byte]]

    def circuits(
        self, told: Sequence[int], turned: Mapping[int, Sequence[int]] = MappingProxyType({})
    ) -> list[Circuit]:
        """Which bytes are told together, as they come of about the same bytes, and what they come of: no idle ones.

        Idle bytes come of what others are, and of what they become: that of byte 3 is cause 128 + 3. So do bytes that
        speeds move which turn.

        Args:
            told: The bytes that are to be told, each of which is in one circuit.
            turned: The speeds that turn, by what they move, as `changes.turned_by` has them.
        """
        known = sorted(set(range(RAM_SIZE)) - set(self.idle))
        idle = [byte for byte in told if byte not in known]
        moved = [byte for byte in told if byte in known and byte in turned]
        others = [byte for byte in told if byte in known and byte not in turned]
        return [
            *self._merged(others, known),
            *(
                (tells, [*causes, *sorted({RAM_SIZE + speed for byte in tells for speed in turned[byte]})])
                for tells, causes in self._merged(moved, known)
            ),
            *(
                (tells, [*causes, *(RAM_SIZE + cause for cause in causes)])
                for tells, causes in self._merged(idle, known)
            ),
        ]

    def _merged(self, told: list[int], known: list[int]) -> list[Circuit]:
        found: list[Circuit] = [([byte], self._causes(byte, known)) for byte in told]
        while (pair := self._closest(found)) is not None:
            (tells, causes), (others, theirs) = found[pair[0]], found.pop(pair[1])
            found[pair[0]] = sorted(tells + others), sorted({*causes, *theirs})
        return found

    def _causes(self, byte: int, known: list[int]) -> list[int]:
        """What a byte comes of, the strongest, itself always, unless it is idle."""
        strength = np.where(np.arange(RAM_SIZE) == byte, 1, self.share[:, byte])
        strongest = [cause for cause in np.argsort(-strength, kind="stable").tolist() if cause in known]
        most = _MOST_CAUSES if byte in known else _MOST_OF_IDLE
        return sorted(cause for cause in strongest[:most] if strength[cause] > _SELDOM) or known[:1]

    def _closest(self, found: list[Circuit]) -> tuple[int, int] | None:
        """The two circuits whose causes are most alike, weighed by how strong they are, the first of them first."""
        strength = [self.share[:RAM_SIZE, tells].max(1).clip(max=_STRONG) for tells, _ in found]
        likest, pair = _ALIKE, None
        for one in range(len(found)):
            for other in range(one):
                many = len(found[one][0]) + len(found[other][0]) > _TOGETHER
                most = max(_MOST_OF_ALL, len(found[one][1]), len(found[other][1]))
                if many or len({*found[one][1], *found[other][1]}) > most:
                    continue
                both = np.maximum(strength[one], strength[other]).sum()
                alike = np.minimum(strength[one], strength[other]).sum() / both if both else 0.0
                if alike > likest:
                    likest, pair = alike, (other, one)
        return pair


def find_causes(game: str, clips: Iterable[Play]) -> Causes:
    """Finds what comes of bytes.

    Args:
        game: Name of the game.
        clips: Play of it, whose memory is taken up and changed.
    """
    columns = zip(*((clip.memory, clip.actions, clip.valid, clip.lives) for clip in clips), strict=True)
    memory, actions, valid, lives = (np.concatenate(parts) for parts in columns)
    held, known = memory.reshape(-1, RAM_SIZE), np.flatnonzero(valid)
    lively = np.flatnonzero((held[known] != held[known[0]]).any(0))
    rng = np.random.default_rng(0)
    trials = _Trials(game)
    for branch, step in _places(valid, lives, rng):
        near = (step + rng.integers(-_BY, _BY + 1, RAM_SIZE)).clip(0, valid[branch].sum() - 1)
        far = rng.choice(known, RAM_SIZE)
        moment = np.where(rng.random(RAM_SIZE) < _NEAR, branch * valid.shape[1] + near, far)
        other = held[moment, np.arange(RAM_SIZE)]
        trials.add(memory[branch, step], actions[branch, step + 1], other, lively)
    return Causes(lively.tolist(), trials.share())


def _places(valid: np.ndarray, lives: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Branches and the steps before those that are tried, int64 (N, 2), first some that cost a life.

    Args:
        valid: Whether a step was played, bool (B, L).
        lives: After it, int64 (B, L).
        rng: Draws them.
    """
    every = rng.permutation(np.argwhere(valid[:, 1:]))
    costly = every[np.diff(lives)[tuple(every.T)] < 0][: int(_COSTLY * _STATES)]
    return np.concatenate([costly, every[: _STATES - len(costly)]])


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
