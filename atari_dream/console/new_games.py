"""New games, with the console's memory: what is met but once is not learnt by heart.

Branches leave the games that were recorded, but what a game has come to, its hidden bytes included, they share. So
some of what is learnt from is of games that nobody has seen before.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from atari_dream.console.branches import Columns, Play, Plays, played, side_by_side
from atari_dream.emulator import NOOP_MAX, Emulator
from atari_dream.players import Player

_APART = 80
"""Up to so many steps less one lie between what is told."""
_NEW = 1


class NewGames(Plays):
    """Pieces of new games; item k depends on (seed, k) alone.

    Args:
        game: Name of the game.
        player: Who plays.
        size: Pieces of an item, B: of one game after the other, in their order.
        length: Steps of a piece, L.
        frame_skip: Emulator frames per step.
        seed: Of the draw.
    """

    def __init__(
        self, game: str, player: Player, size: int, length: int, frame_skip: int, seed: int = 0
    ) -> None:
        super().__init__(game)
        self._player, self._size, self._length = player, size, length
        self._frame_skip, self._seed = frame_skip, seed

    def __getitem__(self, k: int) -> Play:
        """Item k."""
        rng = np.random.default_rng([self._seed, k, _NEW])
        return side_by_side(islice(self._pieces(rng), self._size))

    def _pieces(self, rng: np.random.Generator) -> Iterator[Columns]:
        """Pieces of one game after the other, none of which begins after its end."""
        emulator = self._emulator
        while True:
            emulator.reset(int(rng.integers(NOOP_MAX + 1)))
            self._player.begin(self._game, self._frame_skip, rng)
            while not emulator.over:
                for _ in range(int(rng.integers(_APART))):
                    emulator.step(self._act(emulator))
                if not emulator.over:
                    yield played(emulator, self._length, self._frame_skip, lambda _: self._act(emulator))

    def _act(self, emulator: Emulator) -> list[int]:
        return [self._player.act(emulator.frame)] * self._frame_skip
