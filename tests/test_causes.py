"""Causes: whatever idle bytes hold, the game goes on as it did, and what a byte comes of tells it."""

import numpy as np
import pytest
import torch

from atari_dream.console import causes
from atari_dream.console.branches import Branches, Play
from atari_dream.console.causes import Causes, find_causes
from atari_dream.emulator import Emulator
from atari_dream.episodes import EpisodeStore

GAME = "pacman"
PLAYER_X, PLAYER_Y, LIVES, SCORE = 10, 16, 123, 120
STEPS = 12


@pytest.fixture(scope="module")
def plays(store: EpisodeStore) -> list[Play]:
    branches = Branches(store, "train", 8, 24, 4)
    return [branches[k] for k in range(3)]


@pytest.fixture(scope="module")
def known(plays: list[Play]) -> Causes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causes, "_STATES", 150)
        return find_causes(GAME, plays)


@pytest.fixture(scope="module")
def found(known: Causes) -> list[int]:
    return known.idle


def test_they_change_and_are_not_what_is_seen(found: list[int], plays: list[Play]) -> None:
    memory = torch.cat([play.memory[play.valid] for play in plays])
    changing = (memory != memory[0]).any(0).nonzero()[:, 0].tolist()
    assert len(found) >= 10 and set(found) <= set(changing)
    assert not set(found) & {PLAYER_X, PLAYER_Y, LIVES, SCORE}


def test_they_are_the_same_every_time(
    known: Causes, plays: list[Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "_STATES", 150)
    again = find_causes(GAME, plays)
    assert again.lively == known.lively and np.array_equal(again.share, known.share)


def frames_from(memory: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """What the game shows after each action, uint8 (T, 210, 160), from memory on."""
    emulator = Emulator(GAME)
    emulator.set_ram(memory)
    shown = []
    for action in actions:
        emulator.step(action)
        shown.append(emulator.frame)
    return np.stack(shown)


def test_with_all_of_them_from_elsewhere_the_game_goes_on_as_it_did(
    found: list[int], plays: list[Play]
) -> None:
    play, same, stirred = plays[0], 0, 0
    for branch in range(8):
        memory, actions = play.memory[branch, 4].numpy(), play.actions[branch, 5 : 5 + STEPS].numpy()
        other = play.memory[(branch + 1) % 8, 9].numpy()
        scrambled, moved = memory.copy(), memory.copy()
        scrambled[found] = other[found]
        moved[[PLAYER_X, PLAYER_Y]] = other[[PLAYER_X, PLAYER_Y]]
        real = frames_from(memory, actions)
        same += np.array_equal(frames_from(scrambled, actions), real)
        stirred += not np.array_equal(frames_from(moved, actions), real)
    assert same >= 7 and stirred >= 7


def test_whether_ghosts_come_again_comes_of_the_lives_left(known: Causes) -> None:
    assert (known.share[LIVES, [1, 2, 3, PLAYER_X]] > 0).all()


def test_a_ghost_comes_of_itself_and_a_dot_of_where_the_player_is(known: Causes) -> None:
    """Where ghosts head and are, bytes 1 to 4, 6 to 9 and 12 to 15; bit by bit, byte 87 holds dots."""
    circuits = known.circuits([1, 2, 6, 7, 12, 13, 87])
    ghosts = [circuit for circuit in circuits if circuit[0] in ([1, 6, 12], [2, 7, 13])]
    assert len(ghosts) == 2 and all(set(tells) <= set(causes) for tells, causes in ghosts)
    (dots,) = (causes for tells, causes in circuits if 87 in tells)
    assert {PLAYER_X, PLAYER_Y, 87} <= set(dots) and len(dots) < 8


def test_each_byte_is_in_one_circuit_and_none_looks_at_idle_ones(known: Causes) -> None:
    circuits = known.circuits(known.lively)
    assert sorted(byte for tells, _ in circuits for byte in tells) == known.lively
    assert all(causes and not {cause % 128 for cause in causes} & set(known.idle) for _, causes in circuits)
    assert all(len(tells) <= 4 and len(causes) <= 48 for tells, causes in circuits)


def test_idle_bytes_and_no_others_come_of_what_memory_becomes(known: Causes) -> None:
    late = [tells for tells, causes in known.circuits(known.lively) if any(cause >= 128 for cause in causes)]
    assert sorted(byte for tells in late for byte in tells) == known.idle


def test_a_byte_of_which_nothing_comes_is_told_by_others() -> None:
    """Byte 5 shows, and 3 is made of it; nothing comes of 3 and 4, and 4 comes of nothing."""
    share = np.zeros((128, 129))
    share[5, [3, 5, 128]] = 1
    told = Causes([3, 4, 5], share).circuits([3, 4, 5])
    assert told == [([5], [5]), ([3], [5, 128 + 5]), ([4], [0, 128])]


def test_what_a_speed_moves_that_turns_comes_of_what_the_speed_becomes() -> None:
    """Byte 5, a speed, moves byte 3; both show, and come of the same bytes."""
    share = np.zeros((128, 129))
    share[5, [3, 5, 128]] = share[3, [3, 128]] = 1
    assert Causes([3, 5], share).circuits([3, 5], {3: [5]}) == [([5], [5]), ([3], [3, 5, 128 + 5])]
