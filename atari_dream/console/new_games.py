"""New games, with the console's memory: what is met but once is not learnt by heart.

Branches leave the games that were recorded, but what a game has come to, its hidden bytes included, they share. So
some of what is learnt from is of games that nobody has seen before.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import Dataset

from atari_dream.console.branches import Columns, Play, played, side_by_side
from atari_dream.emulator import NOOP_MAX, Emulator
from atari_dream.games import get_game
from atari_dream.players import Player

_APART = 80
"""Up to so many steps less one lie between what is told."""
_NEW = 1


class NewGames(Dataset[Play]):
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
        self._game, self._player = get_game(game), player
        self._size, self._length, self._frame_skip, self._seed = size, length, frame_skip, seed
        self._emulator: Emulator | None = None

    def __len__(self) -> int:
        """As many as are asked for."""
        return 2**31

    def __getstate__(self) -> dict[str, object]:
        """Leaves the emulator behind, so that worker processes start their own."""
        return {**self.__dict__, "_emulator": None}

    def __getitem__(self, k: int) -> Play:
        """Item k."""
        rng = np.random.default_rng([self._seed, k, _NEW])
        return side_by_side(islice(self._pieces(rng), self._size))

    def _pieces(self, rng: np.random.Generator) -> Iterator[Columns]:
        """Pieces of one game after the other, none of which begins after its end."""
        emulator = self._emulator = self._emulator or Emulator(self._game)
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
