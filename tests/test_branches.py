"""Branches: real play goes on from recorded states, the same every time, with the memory that belongs to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atari_dream.console.branches import Branches, Play
from atari_dream.emulator import Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError

LENGTH = 12


@pytest.fixture(scope="module")
def play(store: EpisodeStore) -> Play:
    return Branches(store, "train", 6, LENGTH, 4)[0]


def test_it_has_a_place_for_each_step(play: Play) -> None:
    assert play.frames.shape == (6, LENGTH, 210, 160) and play.memory.shape == (6, LENGTH, 128)
    assert play.actions.shape == (6, LENGTH, 4) and play.valid.shape == play.ended.shape == (6, LENGTH)
    assert {part.dtype for part in (play.frames, play.memory, play.actions)} == {torch.uint8}


def test_items_are_the_same_every_time_and_differ(store: EpisodeStore, play: Play) -> None:
    again = Branches(store, "train", 6, LENGTH, 4)
    assert all(torch.equal(one, other) for one, other in zip(play, again[0], strict=True))
    assert not torch.equal(again[1].actions, play.actions)
    assert not torch.equal(Branches(store, "train", 6, LENGTH, 4, seed=1)[0].actions, play.actions)


def test_it_is_what_the_emulator_plays(store: EpisodeStore, play: Play) -> None:
    """Each branch begins at a recorded state; from there its actions lead to its frames and memory."""
    emulator = Emulator("pacman")
    found = 0
    for index in store.of_split("train"):
        for state in store.read(index, "states"):
            for lane in range(6):
                emulator.restore(state)
                emulator.step(play.actions[lane, 0].numpy())
                if np.array_equal(emulator.ram, play.memory[lane, 0].numpy()):
                    rewards = [emulator.step(action) for action in play.actions[lane, 1:].numpy()]
                    assert np.array_equal(emulator.frame, play.frames[lane, -1].numpy())
                    assert np.array_equal(emulator.ram, play.memory[lane, -1].numpy())
                    assert rewards == play.rewards[lane, 1:].tolist()
                    found += 1
    assert found >= 6


def test_after_the_end_nothing_is_valid(store: EpisodeStore) -> None:
    branches = Branches(store, "test", 8, 60, 4)
    plays = [branches[k] for k in range(3)]
    ended, valid = (torch.cat([getattr(part, name) for part in plays]) for name in ("ended", "valid"))
    assert ended.any() and torch.equal(valid[:, 1:], ~ended[:, :-1])


def test_a_store_without_states_is_refused(store: EpisodeStore, tmp_path: Path) -> None:
    bare = EpisodeStore.create(tmp_path / "bare", "pacman", 4, "agc")
    bare.add(replace(store[0], state_steps=None, states=None))
    bare.close()
    with pytest.raises(
        UsageError, match="holds no emulator states in split 'train', from which play could go on"
    ):
        Branches(bare, "train", 1, 4, 4)
