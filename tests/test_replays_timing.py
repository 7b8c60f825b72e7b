"""Both shifts are found where pictures and rows tell them, and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from atari_dream.errors import UsageError
from atari_dream.games import Game
from atari_dream.recorder import Recording
from atari_dream.replays import timing
from atari_dream.replays.timing import (
    DIGITS,
    SHIFTS,
    SURE,
    Finding,
    action_shift,
    both_shifts,
    reward_shift,
)

GAMES = tuple(DIGITS)
Replay = tuple[np.ndarray, np.ndarray]
INK, GROUND = 12, 130


def late(values: np.ndarray, shift: int) -> np.ndarray:
    """Rows in which what belongs to step k, `values[k]`, is in row k + shift."""
    return np.concatenate([np.zeros(shift, values.dtype), values]) if shift >= 0 else values[-shift:]


def displayed(gains: np.ndarray, game: str, hidden: float = 0.0) -> np.ndarray:
    """Pictures whose digits, one bar a point, change a game's lag after each step that gains."""
    rows, columns, lag = DIGITS[game]
    points = np.concatenate([np.zeros(lag + 1, int), np.cumsum(gains)])[: len(gains) + 1]
    shown = np.random.default_rng(9).random(len(points)) >= hidden
    pictures = np.full((len(points), 210, 160), GROUND, np.uint8)
    for picture, point in zip(pictures, points, strict=True):
        if shown[point]:
            picture[rows[0] + 1 : rows[1], columns[0] + 1 : columns[0] + 2 + point % 40] = INK
    return pictures


def gaining(count: int, steps: int = 900) -> np.ndarray:
    """Steps of which some gain a point, none near an end."""
    gains = np.zeros(steps, int)
    gains[np.random.default_rng(count).choice(np.arange(20, steps - 20), count, replace=False)] = 1
    return gains


def scored(count: int, game: str, shift: int, hidden: float = 0.0) -> Replay:
    gains = gaining(count)
    return displayed(gains, game, hidden), np.cumsum(late(gains, shift))


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("shift", [SHIFTS[0], 0, 3, SHIFTS[-1]])
def test_scores_meet_the_digits_at_the_rewards_shift(game: str, shift: int) -> None:
    found = reward_shift([scored(30, game, shift)], game)
    assert found.shift == shift and SURE < found.confidence <= 30 / 31 and found.events == 30
    assert len(found.gains) == len(SHIFTS) and SHIFTS[int(np.argmax(found.gains))] == shift
    assert sorted(found.gains)[-2] < 0 < max(found.gains)


@pytest.mark.parametrize(("count", "most"), [(1, 1 / 2), (2, 2 / 3)])
def test_few_scores_are_never_sure(count: int, most: float) -> None:
    found = reward_shift([scored(count, "revenge", 3)], "revenge")
    assert found.shift == 3 and most - 0.1 < found.confidence <= most


def test_digits_that_hide_at_times_leave_the_shift_found() -> None:
    found = reward_shift([scored(60, "qbert", 3, hidden=0.4)], "qbert")
    assert found.shift == 3 and found.confidence > SURE


def test_a_flash_of_the_screen_is_no_change_of_digits() -> None:
    pictures, scores = scored(30, "pinball", 3)
    flashing = pictures.copy()
    flashing[::3] ^= 64
    assert reward_shift([(flashing, scores)], "pinball") == reward_shift([(pictures, scores)], "pinball")


def test_scores_of_another_replay_tell_nothing() -> None:
    pictures, _ = scored(30, "pacman", 3)
    _, scores = scored(31, "pacman", 3)
    assert reward_shift([(pictures, scores)], "pacman").confidence < 0.1


def test_blank_rows_and_a_new_game_are_no_gains() -> None:
    pictures, scores = scored(30, "pacman", 3)
    other = scores + 500
    other[:3] = 0
    other[600:] -= int(other[600]) - int(other[599]) + 400
    found = reward_shift([(pictures, other)], "pacman")
    assert found.shift == 3 and found.events == np.count_nonzero(np.diff(other) > 0) - 1


@pytest.mark.parametrize("find", [pytest.param(action_shift, marks=pytest.mark.slow), reward_shift])
def test_no_more_replays_are_read_than_asked_for(find: object, toy: str) -> None:
    def replays() -> Iterator[Replay]:
        yield played(0, 0)
        yield played(1, 0)
        raise AssertionError("one too many")

    assert callable(find)
    find(replays(), toy, frames=700)


def test_a_game_whose_score_is_unknown_is_told() -> None:
    for find in (reward_shift, both_shifts):
        with pytest.raises(UsageError, match=r"unknown score display of game 'qberd': .* nearest is 'qbert'"):
            find([], "qberd")


@dataclass
class Hands:
    """Holds keys about as long as people do, and none half of the time."""

    _left: int = field(default=0, init=False, repr=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        self._actions, self._rng, self._left = game.actions, rng, 0

    def act(self, frame: np.ndarray) -> int:
        if self._left <= 0:
            self._action = int(self._rng.choice(self._actions)) if self._rng.random() < 0.5 else 0
            self._left = int(np.clip(18 * np.exp(0.8 * self._rng.normal()), 3, 200))
        self._left -= 1
        return self._action


DELAY = 3
"""Steps after which the box of the toy game answers to a key."""
STEP = {2: (-1, 0), 3: (0, 1), 4: (0, -1), 5: (1, 0)}


def played(seed: int, shift: int, steps: int = 500) -> Replay:
    """A box that keys move by a pixel, and the keys by row."""
    hands = Hands()
    hands.begin(Game("toy", "Toy", "ALE/Toy-v5", "toy", (0, *STEP)), 1, np.random.default_rng(seed))
    blank = np.empty(0, np.uint8)
    actions = np.array([hands.act(blank) for _ in range(steps)], np.uint8)
    moves = [STEP.get(int(action), (0, 0)) for action in late(actions, DELAY)[:steps]]
    places = np.array([(100, 80), *((100, 80) + np.cumsum(moves, axis=0))])
    pictures = np.zeros((steps + 1, 210, 160), np.uint8)
    for picture, (y, x) in zip(pictures, places % (200, 150), strict=True):
        picture[y : y + 8, x : x + 6] = INK
    return pictures, late(actions, shift)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The toy game in place of Space Invaders, learnt from 4,000 steps."""

    def play(game: str) -> list[Replay]:
        games = [played(100 + seed, 0) for seed in range(8)]
        return [(timing._motion(pictures), actions) for pictures, actions in games]

    monkeypatch.setattr(timing, "_play", play)
    monkeypatch.setattr(timing, "_STEPS", 250)
    timing._answers.cache_clear()
    yield "space_invaders"
    timing._answers.cache_clear()


@pytest.mark.slow
def test_actions_are_told_by_what_answers_to_them(toy: str) -> None:
    for shift in (SHIFTS[0], 2, SHIFTS[-1]):
        found = action_shift([played(seed, shift) for seed in range(4)], toy)
        assert found.shift == shift and found.confidence > SURE
    (pictures, _), (_, actions) = played(0, 2), played(1, 2)
    assert action_shift([(pictures, actions)], toy).confidence < 0.1


@pytest.mark.slow
def test_what_does_not_tell_is_no_finding(toy: str) -> None:
    pictures, actions = played(0, 2)
    silent = Finding(None, 0.0, 0, (0.0,) * len(SHIFTS))
    for replays in ([], [(pictures[:20], actions[:20])], [(pictures[:1], actions[:0])]):
        assert action_shift(replays, toy) == silent == reward_shift(replays, toy)
    assert action_shift([(pictures, np.zeros_like(actions))], toy)[:3] == (None, 0.0, 0)
    assert reward_shift([(pictures, np.zeros(len(pictures)))], toy) == silent


@pytest.mark.slow
def test_both_shifts_are_found_in_one_reading(toy: str) -> None:
    replays = [(*played(seed, 2), scored(40, toy, 3)[1][:503]) for seed in range(3)]
    both = both_shifts(iter(replays), toy, frames=700)
    alone = [(pictures, actions) for pictures, actions, _ in replays[:2]]
    shown = [(pictures, scores) for pictures, _, scores in replays[:2]]
    assert both == (action_shift(alone, toy), reward_shift(shown, toy))
    assert both[0].shift == 2 and both[1].events > 0


@pytest.mark.slow
def test_a_second_call_learns_nothing_and_says_the_same(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = action_shift([played(0, 2)], toy)
    monkeypatch.setattr(timing, "_play", None)
    assert action_shift([played(0, 2)], toy) == first


def real(game: str, frames: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pictures, actions and rewards of games of ALE, played as people hold keys."""
    recording = Recording(game, Hands(), frame_skip=1, longest=3000, state_every=3000)
    games: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    while sum(len(pictures) for pictures, *_ in games) < frames:
        episode = recording.play(1000 + len(games))
        games.append((episode.frames, episode.actions, episode.rewards.astype(int)))
    return games


@pytest.mark.slow
@pytest.mark.parametrize("game", ["pinball", "revenge"])
def test_in_real_games_shifted_rows_are_found_and_foreign_ones_are_not(game: str) -> None:
    games = real(game, 4000)
    for shift in (-1, 2):
        found = action_shift([(pictures, late(actions, shift)) for pictures, actions, _ in games], game)
        assert found.shift == shift and found.confidence > SURE
    others = [*games[1:], games[0]]
    foreign = [(pictures, actions) for (pictures, *_), (_, actions, _) in zip(games, others, strict=True)]
    assert action_shift(foreign, game).confidence < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "frames"),
    [("pacman", 3000), ("pinball", 9000), ("space_invaders", 9000)],
)
def test_in_real_games_points_meet_the_digits(game: str, frames: int) -> None:
    found = reward_shift(
        [(pictures, np.cumsum(late(gains, 3))) for pictures, _, gains in real(game, frames)], game
    )
    assert found.shift == 3 and found.confidence > SURE
