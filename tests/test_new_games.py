"""New games: played from power-on, the same every time, and none like another."""

import pickle

import numpy as np
import pytest
import torch

from atari_dream.console import new_games
from atari_dream.console.branches import Play
from atari_dream.console.new_games import NewGames
from atari_dream.emulator import Emulator
from atari_dream.games import Game
from atari_dream.players import RandomPlayer

SIZE, LENGTH = 3, 10


def games(seed: int = 0) -> NewGames:
    return NewGames("pacman", RandomPlayer(), SIZE, LENGTH, 4, seed)


@pytest.fixture(scope="module")
def play() -> Play:
    return games()[0]


def test_it_has_a_place_for_each_step(play: Play) -> None:
    assert play.frames.shape == (SIZE, LENGTH, 210, 160) and play.memory.shape == (SIZE, LENGTH, 128)
    assert play.actions.shape == (SIZE, LENGTH, 4) and play.valid.all()
    assert (play.actions == play.actions[..., :1]).all()


def test_items_are_the_same_every_time_whatever_was_asked_before(play: Play) -> None:
    again = games()
    other = again[1]
    assert all(torch.equal(*pair) for pair in zip(play, again[0], strict=True))
    assert not torch.equal(other.memory, play.memory)
    assert not torch.equal(games(seed=1)[0].memory, play.memory)
    assert all(torch.equal(*pair) for pair in zip(other, pickle.loads(pickle.dumps(again))[1], strict=True))


def test_a_game_is_told_from_power_on_and_goes_on_between_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without steps that are not told, the pieces of an item are one game."""
    monkeypatch.setattr(new_games, "_APART", 1)
    play = games()[2]
    emulator = Emulator("pacman")
    for noops in range(31):
        emulator.reset(noops)
        seen = []
        for action in play.actions.flatten(0, 1).numpy():
            emulator.step(action)
            seen.append(emulator.ram.copy())
        if np.array_equal(np.stack(seen), play.memory.flatten(0, 1).numpy()):
            assert np.array_equal(emulator.frame, play.frames[-1, -1].numpy())
            return
    pytest.fail("no game of up to 30 no-ops goes so")


class Careless(RandomPlayer):
    """Counts its games; each is over soon, as the player does nothing."""

    games = 0

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        Careless.games += 1
        super().begin(game, frame_skip, rng)

    def act(self, frame: np.ndarray) -> int:
        return 0


def test_after_the_end_a_new_game_begins() -> None:
    play = NewGames("pacman", Careless(), 24, 40, 4)[0]
    assert Careless.games > 1
    assert play.valid[:, 0].all()
    assert play.ended.any() and not play.valid[:, 1:][play.ended[:, :-1]].any()
