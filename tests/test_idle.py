"""Idle bytes: whatever they hold, the game goes on as it did; what is seen is not among them."""

import numpy as np
import pytest
import torch

from atari_dream.console import idle
from atari_dream.console.branches import Branches, Play
from atari_dream.console.idle import find_idle
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
def found(plays: list[Play]) -> list[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idle, "_STATES", 150)
        return find_idle(GAME, plays)


def test_they_change_and_are_not_what_is_seen(found: list[int], plays: list[Play]) -> None:
    memory = torch.cat([play.memory[play.valid] for play in plays])
    changing = (memory != memory[0]).any(0).nonzero()[:, 0].tolist()
    assert len(found) >= 10 and set(found) <= set(changing)
    assert not set(found) & {PLAYER_X, PLAYER_Y, LIVES, SCORE}


def test_they_are_the_same_every_time(
    found: list[int], plays: list[Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_STATES", 150)
    assert find_idle(GAME, plays) == found


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
