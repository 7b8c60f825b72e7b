"""The console: it is ALE's, and a saved state goes on exactly, in any console."""

from typing import NamedTuple

import ale_py
import numpy as np
import pytest

from atari_dream.emulator import BOOT_FRAMES, Emulator, rom_hash, rom_path
from atari_dream.errors import UsageError
from atari_dream.games import GAMES, get_game


class Played(NamedTuple):
    frames: np.ndarray
    rewards: list[float]
    lives: list[int]
    over: list[bool]


def random_actions(game: str, frames: int, seed: int = 0) -> np.ndarray:
    """Actions of the game, each held for eight frames."""
    held = np.random.default_rng(seed).choice(get_game(game).actions, -(-frames // 8))
    return held.repeat(8)[:frames].astype(np.uint8)


def play(emulator: Emulator, actions: np.ndarray) -> Played:
    frames, rewards, lives, over = [], [], [], []
    for action in actions:
        rewards.append(emulator.step([int(action)]))
        frames.append(emulator.frame)
        lives.append(emulator.lives)
        over.append(emulator.over)
    return Played(np.stack(frames), rewards, lives, over)


def check_equal(one: Played, other: Played) -> None:
    np.testing.assert_array_equal(one.frames, other.frames)
    assert one[1:] == other[1:]


def end_game(emulator: Emulator) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        emulator.step(rng.choice(emulator.game.actions, 1).repeat(16))
        if emulator.over:
            return
    raise AssertionError("the game does not end")


@pytest.mark.parametrize("game", GAMES)
def test_a_state_goes_on_exactly_in_a_console_with_another_history(game: str) -> None:
    first, second = Emulator(game), Emulator(game)
    first.step(random_actions(game, 700, seed=1))
    second.step(random_actions(game, 333, seed=2))
    state = first.save()
    actions = random_actions(game, 200, seed=3)
    expected = play(first, actions)
    assert (expected.frames[1:] != expected.frames[:-1]).any((1, 2)).sum() > 20
    second.restore(np.frombuffer(state.tobytes(), np.uint8))
    check_equal(play(second, actions), expected)
    first.restore(state)
    check_equal(play(first, actions), expected)


@pytest.mark.parametrize("game", GAMES)
def test_the_first_state_that_may_be_saved_goes_on_exactly(game: str) -> None:
    emulator = Emulator(game)
    state, actions = emulator.save(), random_actions(game, 200)
    expected = play(emulator, actions)
    emulator.restore(state)
    check_equal(play(emulator, actions), expected)


@pytest.mark.parametrize("game", GAMES)
def test_a_state_goes_on_exactly_beside_plain_ale(game: str) -> None:
    emulator = Emulator(game)
    plain = ale_py.ALEInterface()
    plain.setFloat("repeat_action_probability", 0.0)
    plain.loadROM(rom_path(get_game(game).rom))
    plain.reset_game()
    actions = random_actions(game, 300)
    for action in [0] * BOOT_FRAMES:
        plain.act(action)
    for action in actions:
        assert emulator.step([int(action)]) == plain.act(int(action))
    np.testing.assert_array_equal(emulator.frame, plain.getScreen())
    np.testing.assert_array_equal(emulator.ram, plain.getRAM())
    assert emulator.lives == plain.lives()


@pytest.mark.parametrize("game", ["pacman", "space_invaders"])
def test_a_finished_game_is_over_right_after_it_is_restored(game: str) -> None:
    first, second = Emulator(game), Emulator(game)
    end_game(first)
    second.restore(first.save())
    assert second.over
    assert second.step([1, 1, 1, 1]) == 0.0 and second.over
    first.reset()
    assert not first.over and first.score == 0.0


def test_states_of_a_game_have_one_size() -> None:
    emulator, sizes = Emulator("qbert"), set()
    for _ in range(20):
        emulator.step(random_actions("qbert", 50))
        sizes.add(emulator.save().shape)
    assert len(sizes) == 1


def test_reset_tells_what_it_played_and_no_ops_make_a_difference() -> None:
    emulator = Emulator("space_invaders")
    np.testing.assert_array_equal(emulator.reset(5), np.zeros(BOOT_FRAMES + 5, np.uint8))
    later = emulator.ram
    emulator.reset()
    assert (emulator.ram != later).any()
    emulator.step([0] * 5)
    np.testing.assert_array_equal(emulator.ram, later)


def test_the_score_adds_up() -> None:
    emulator, gained = Emulator("space_invaders"), 0.0
    for action in random_actions("space_invaders", 1500):
        gained += emulator.step([int(action)])
    assert emulator.score == gained > 0


def test_frame_and_ram_are_copies() -> None:
    emulator = Emulator("pacman")
    frame, ram = emulator.frame, emulator.ram
    before = frame.copy(), ram.copy()
    emulator.step(random_actions("pacman", 400))
    np.testing.assert_array_equal(frame, before[0])
    np.testing.assert_array_equal(ram, before[1])
    assert (emulator.frame != frame).any() and (emulator.ram != ram).any()


@pytest.mark.parametrize("code", [-1, 18, 40])
def test_a_code_that_would_end_the_process_is_refused(code: int) -> None:
    with pytest.raises(UsageError, match=f"action code {code} given, allowed are 0-17"):
        Emulator("pacman").step([0, code])


def test_a_rom_that_ale_lacks_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="ale-py has no ROM 'no_such_game'"):
        rom_path("no_such_game")


def test_rom_hashes_differ() -> None:
    hashes = {rom_hash(game.rom) for game in GAMES.values()}
    assert len(hashes) == 5 and all(len(value) == 64 for value in hashes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pacman", "pinball", "qbert", "space_invaders"])
def test_an_action_and_the_minimal_one_look_the_same(name: str) -> None:
    game, emulator = get_game(name), Emulator(name)
    down_fire = 13
    rng = np.random.default_rng(0)
    for _ in range(25):
        for action in rng.choice(game.actions, 12):
            emulator.step([int(action)] * 4)
        if emulator.over:
            emulator.reset(int(rng.integers(31)))
        begin = emulator.save()

        def shown(code: int, begin: np.ndarray = begin) -> np.ndarray:
            emulator.restore(begin)
            emulator.step([code] * 8)
            return emulator.frame

        for code in set(range(18)) - set(game.actions):
            if (name, code) != ("pinball", down_fire):
                np.testing.assert_array_equal(shown(code), shown(game.minimal(code)))
        emulator.restore(begin)
        emulator.step([0])
