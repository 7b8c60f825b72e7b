"""Players choose allowed actions, hold them, take turns, and repeat themselves for the same seed."""

import copy
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest

from atari_dream.games import GAMES, Game
from atari_dream.players import Player, RandomPlayer, TurnsPlayer, decision_steps

FRAME = np.zeros((210, 160), np.uint8)


@dataclass
class Constant:
    """Plays one action, and counts the frames it saw."""

    action: int
    seen: int = field(default=0, init=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        self.seen = 0

    def act(self, frame: np.ndarray) -> int:
        self.seen += 1
        return self.action


def play(player: Player, game: str, steps: int, frame_skip: int = 4, seed: int = 0) -> np.ndarray:
    player.begin(GAMES[game], frame_skip, np.random.default_rng(seed))
    return np.array([player.act(FRAME) for _ in range(steps)])


def runs(actions: np.ndarray) -> np.ndarray:
    """Lengths of the stretches of equal actions."""
    edges = np.flatnonzero(np.diff(actions)) + 1
    return np.diff([0, *edges, len(actions)])


@pytest.mark.parametrize("game", GAMES)
def test_random_play_uses_every_allowed_action_and_no_other(game: str) -> None:
    assert set(play(RandomPlayer(), game, 4000)) == set(GAMES[game].actions)


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_random_play_holds_for_random_times_in_emulator_frames(frame_skip: int) -> None:
    held = runs(play(RandomPlayer(), "revenge", 40_000 // frame_skip, frame_skip)) * frame_skip
    assert 32 < held.mean() < 40
    assert len(np.unique(held)) >= 16


def test_a_shorter_hold_changes_more_often() -> None:
    assert runs(play(RandomPlayer(4), "revenge", 2000)).max() <= 5
    assert runs(play(RandomPlayer(64), "revenge", 2000)).max() >= 15


def test_play_depends_on_the_seed_alone() -> None:
    player = RandomPlayer()
    first = play(player, "pacman", 500, seed=3)
    np.testing.assert_array_equal(play(player, "pacman", 500, seed=3), first)
    assert (play(player, "pacman", 500, seed=4) != first).any()


def test_turns_go_by_weight_and_last() -> None:
    turns = TurnsPlayer([Constant(1), Constant(2)], [1.0, 3.0], longest=80)
    actions = play(turns, "pacman", 40_000)
    assert abs((actions == 2).mean() - 0.75) < 0.05
    assert runs(actions).min() * 4 >= 8
    assert runs(actions).max() > 20


def test_who_waits_for_a_turn_watches() -> None:
    watchers = [Constant(1), Constant(2)]
    play(TurnsPlayer(list(watchers), [1.0, 1.0]), "pacman", 700)
    assert [watcher.seen for watcher in watchers] == [700, 700]


def test_turns_with_one_player_are_that_player() -> None:
    assert set(play(TurnsPlayer([Constant(3)], [2.0]), "pacman", 300)) == {3}


@pytest.mark.parametrize("player", [RandomPlayer(), TurnsPlayer([RandomPlayer(8)], [1.0])])
def test_a_player_can_be_handed_to_a_process(player: Player) -> None:
    for clone in (copy.deepcopy(player), pickle.loads(pickle.dumps(player))):
        np.testing.assert_array_equal(play(clone, "qbert", 300), play(player, "qbert", 300))


@pytest.mark.parametrize(("frame_skip", "steps"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_decisions_come_every_fourth_frame(frame_skip: int, steps: int) -> None:
    assert decision_steps(frame_skip) == steps
