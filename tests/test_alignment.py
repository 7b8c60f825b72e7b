"""The lag between actions and their effects is found in made-up and in real play, and never guessed."""

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from atari_dream import alignment
from atari_dream.alignment import LAGS, WINDOW, colour_motion, dream_lag, find_lag, store_lag
from atari_dream.bundled import bundled_pool
from atari_dream.episode import Episode
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.models.copy_last import CopyLast
from atari_dream.models.emulator import EmulatorControl
from atari_dream.players import RandomPlayer
from atari_dream.predictor import Domain, Outcome, Start, State
from atari_dream.recorder import Recording

WINDOWS = 30
RIGHT, LEFT = 3, 4


def held(rng: np.random.Generator, steps: int, longest: int) -> np.ndarray:
    """Actions 0, 3 and 4, each held for 1 to `longest` steps, uint8 (steps,)."""
    lengths = rng.integers(1, longest + 1, steps)
    return np.repeat(rng.choice([0, RIGHT, LEFT], steps), lengths)[:steps].astype(np.uint8)


def play(lag: int, longest: int = 1, noise: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Motion (N, 50, 2) of something that obeys, a lag later, and of something that does not; actions (N, 50)."""
    rng = np.random.default_rng(seed)
    motion = rng.normal(0, noise, (WINDOWS * WINDOW, 2))
    actions = held(rng, len(motion), longest)
    pushed = np.roll((actions == RIGHT) * 1.0 - (actions == LEFT), lag)
    motion[:, 0] += pushed
    return motion.reshape(WINDOWS, WINDOW, 2), actions.reshape(WINDOWS, WINDOW)


@pytest.mark.parametrize("longest", [1, 8])
@pytest.mark.parametrize("lag", LAGS)
def test_a_known_lag_is_found_with_confidence(lag: int, longest: int) -> None:
    found = find_lag(*play(lag, longest))
    assert found.steps == lag and found.confidence > 0.95
    assert found.gains[LAGS.index(lag)] == max(found.gains) == 1.0
    assert all(gain < 0.1 for other, gain in zip(LAGS, found.gains, strict=True) if other != lag)


@pytest.mark.parametrize("lag", [-1, 0, 1])
def test_an_effect_that_lasts_counts_from_its_onset(lag: int) -> None:
    motion, actions = play(lag)
    motion[:, 1:, 0] += motion[:, :-1, 0]
    found = find_lag(motion, actions)
    assert found.steps == lag and found.confidence > 0.95
    assert found.gains[LAGS.index(lag) + 1] > 0.5


@pytest.mark.parametrize("lag", [0, 1])
def test_a_policy_that_reacts_to_what_moves_does_not_mislead(lag: int) -> None:
    rng = np.random.default_rng(1)
    prey = np.repeat(rng.choice([-1.0, 1.0], WINDOWS * WINDOW // 5), 5)
    chase = np.where(rng.random(len(prey)) < 0.7, np.roll(prey, 1), rng.choice([-1.0, 0.0, 1.0], len(prey)))
    actions = np.where(chase > 0, RIGHT, np.where(chase < 0, LEFT, 0)).astype(np.uint8)
    obeyed = np.roll(chase, lag) + rng.normal(0, 0.3, len(prey))
    motion = np.stack([obeyed, 0.3 * prey + rng.normal(0, 0.3, len(prey))], axis=1)
    found = find_lag(motion.reshape(WINDOWS, WINDOW, 2), actions.reshape(WINDOWS, WINDOW))
    assert found.steps == lag and found.confidence > 0.9


def test_an_onset_that_is_hardly_there_is_found_with_less_confidence() -> None:
    (motion, actions), (before, _) = play(1), play(0, noise=0.0)
    sure, unsure = find_lag(motion, actions), find_lag(motion + np.sqrt(0.2) * before, actions)
    assert sure.confidence == 1.0 and 0.1 < unsure.confidence < 0.95
    assert unsure.gains[LAGS.index(0)] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("few", "4 windows of 50 steps with 3 different actions"),
        ("idle", "30 windows of 50 steps with 1 different actions"),
        ("still", "30 windows of 50 steps with 3 different actions"),
        ("deaf", "30 windows of 50 steps with 3 different actions"),
    ],
)
def test_too_little_is_one_clear_line(case: str, told: str) -> None:
    motion, actions = play(0)
    if case == "few":
        motion, actions = motion[:4], actions[:4]
    elif case == "idle":
        actions = np.zeros_like(actions)
    elif case == "still":
        motion = np.zeros_like(motion)
    else:
        motion = motion[..., 1:]
    with pytest.raises(UsageError, match=f"^{told} do not tell a lag: record more$"):
        find_lag(motion, actions)


def test_motion_is_how_far_the_pixels_of_a_colour_move_on_average() -> None:
    frames = np.zeros((4, 210, 160), np.uint8)
    frames[0, 100:104, 50:60] = 26
    frames[1, 100:104, 50:61] = 26
    frames[2, 98:102, 20:31] = 26
    moved = colour_motion(frames)
    assert moved.shape == (3, 2, 128) and moved.dtype == np.float32
    assert moved[:, :, 13].tolist() == [[0.5, 0.0], [-1.0, -1.0], [0.0, 0.0]]
    assert not moved[:, :, 14].any()


def episode(frames: np.ndarray, actions: np.ndarray, identity: str) -> Episode:
    meta = {"id": identity, "split": "train"}
    return Episode(frames, actions, np.zeros(len(actions), np.float32), None, "cut", meta)


@pytest.fixture(scope="module")
def walk() -> Episode:
    """A box that actions move by a pixel, for 300 steps."""
    actions = held(np.random.default_rng(2), 300, 4)
    places = 80 + np.cumsum((actions == RIGHT) * 1 - (actions == LEFT) * 1, dtype=int)
    frames = np.zeros((301, 210, 160), np.uint8)
    for frame, place in zip(frames, [80, *places.tolist()], strict=True):
        frame[100:110, place : place + 4] = 26
    return episode(frames, actions, "walk")


@pytest.mark.parametrize("lag", [-1, 0, 1])
def test_a_store_is_read_as_it_is_in_step_or_not(tmp_path: Path, walk: Episode, lag: int) -> None:
    made = EpisodeStore.create(tmp_path / "made", "pacman", 4, "agc")
    frames, actions = walk.frames, walk.actions
    if lag:
        frames, actions = (frames[1:], actions[:-1]) if lag < 0 else (frames[:-1], actions[1:])
    made.add(episode(frames, actions, "short"))
    made.add(episode(frames[:40], actions[:39], "shorter"))
    made.add(episode(frames, actions, "again"))
    found = store_lag(made)
    assert found.steps == lag and found.confidence > 0.95


def test_no_more_of_a_store_is_read_than_was_asked_for(
    store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    monkeypatch.setattr(alignment, "find_lag", lambda motion, actions: taken.append((motion, actions)))
    store_lag(store, steps=250)
    ((motion, actions),) = taken
    assert motion.shape == (5, WINDOW, 2, 128) and actions.shape == (5, WINDOW)
    assert [len(episode) for episode in store[:2]] == [150, 150]
    np.testing.assert_array_equal(actions[:3].ravel(), store[0].actions)
    np.testing.assert_array_equal(actions[3:].ravel(), store[1].actions[:100])
    np.testing.assert_array_equal(motion[4], colour_motion(store[1].frames[50:101]))


def test_a_store_without_a_whole_window_does_not_tell(tmp_path: Path, walk: Episode) -> None:
    made = EpisodeStore.create(tmp_path / "made", "pacman", 4, "agc")
    made.add(episode(walk.frames[:50], walk.actions[:49], "short"))
    with pytest.raises(UsageError, match=r"^0 windows of 50 steps .* record more$"):
        store_lag(made)


def windows_of(game: str, steps: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Motion in windows of random play, (N, 50, 2, 128), and its actions, (N, 50), by how much too late they are."""
    motion: list[np.ndarray] = []
    actions: dict[int, list[np.ndarray]] = {shift: [] for shift in (-1, 0, 1)}
    seed = 0
    while len(motion) * WINDOW < steps:
        played = Recording(game, RandomPlayer(), state_every=10**6).play(seed)
        moved = colour_motion(played.frames)
        for begin in range(1, len(played) - WINDOW, WINDOW):
            motion.append(moved[begin : begin + WINDOW])
            for shift, rows in actions.items():
                rows.append(played.actions[begin - shift : begin - shift + WINDOW])
        seed += 1
    return np.stack(motion), {shift: np.stack(rows) for shift, rows in actions.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "steps"),
    [("pacman", 2500), ("pinball", 2500), ("qbert", 20_000), ("revenge", 5000), ("space_invaders", 4000)],
)
def test_in_every_game_the_lag_is_0_and_shifted_actions_shift_it(game: str, steps: int) -> None:
    motion, actions = windows_of(game, steps)
    found = {shift: find_lag(motion, rows) for shift, rows in actions.items()}
    assert {shift: lag.steps for shift, lag in found.items()} == {-1: 1, 0: 0, 1: -1}
    assert min(lag.confidence for lag in found.values()) > 0.5


class ActsLate(EmulatorControl):
    """Plays the action before."""

    def init(self, start: Start) -> State:
        return *super().init(start), start.actions[:, -1].clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        *real, before = state
        after, outcome = super().step(tuple(real), before, noise)
        return (*after, action.clone()), outcome


@pytest.mark.slow
@pytest.mark.parametrize("game", ["pinball", "space_invaders"])
def test_a_dream_that_acts_late_is_found_out(game: str) -> None:
    pool = bundled_pool(game)
    exact, late = (dream_lag(dream(Domain(game)), pool, 4000) for dream in (EmulatorControl, ActsLate))
    assert (exact.steps, late.steps) == (0, 1)
    assert min(exact.confidence, late.confidence) > 0.8


def test_a_dream_without_a_whole_window_does_not_tell() -> None:
    with pytest.raises(UsageError, match="0 windows of 50 steps"):
        dream_lag(CopyLast(Domain()), bundled_pool("pacman"), 49)
