"""Who plays while the emulator is recorded."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from atari_dream.games import FRAME_SKIP, Game


class Player(Protocol):
    """Chooses actions from frames. A player is plain data, so that worker processes can be handed one."""

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        """Gets ready for a new game, played at a frame skip, with a random generator of its own."""

    def act(self, frame: np.ndarray) -> int:
        """Chooses an ALE action code for a frame of palette codes, uint8 (210, 160)."""


@dataclass
class RandomPlayer:
    """Holds random actions for random lengths, as a key is held: memoryless play rarely gets anywhere.

    Attributes:
        longest: Longest hold, in emulator frames.
    """

    longest: int = 64
    _left: int = field(default=0, init=False, repr=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        """Gets ready for a new game."""
        self._actions, self._frame_skip, self._rng, self._left = game.actions, frame_skip, rng, 0

    def act(self, frame: np.ndarray) -> int:
        """The held action, or a new one when its time is up."""
        if self._left <= 0:
            self._action = int(self._rng.choice(self._actions))
            self._left = int(self._rng.integers(1, self.longest + 1))
        self._left -= self._frame_skip
        return self._action


@dataclass
class TurnsPlayer:
    """Several players who take turns, so that the good ones lead to places where the bad ones then play.

    Attributes:
        players: Who plays.
        weights: Their shares of the turns.
        longest: Longest turn, in emulator frames.
    """

    players: list[Player]
    weights: list[float]
    longest: int = 600
    _left: int = field(default=0, init=False, repr=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        """Gets every player ready for a new game."""
        self._frame_skip, self._rng, self._left = frame_skip, rng, 0
        for player in self.players:
            player.begin(game, frame_skip, rng)

    def act(self, frame: np.ndarray) -> int:
        """The action of whose turn it is; the others watch."""
        if self._left <= 0:
            shares = np.asarray(self.weights) / sum(self.weights)
            self._turn = int(self._rng.choice(len(self.players), p=shares))
            self._left = int(self._rng.integers(self.longest // 10, self.longest + 1))
        self._left -= self._frame_skip
        return [player.act(frame) for player in self.players][self._turn]


def decision_steps(frame_skip: int) -> int:
    """Steps between two decisions of a player who decides every fourth emulator frame."""
    return max(1, FRAME_SKIP // frame_skip)
