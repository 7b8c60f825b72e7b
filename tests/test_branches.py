"""Branches: real play goes on from recorded states, the same every time, with the memory that belongs to it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atari_dream.console import branches
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


def begun_as_recorded(store: EpisodeStore, play: Play) -> list[int]:
    """Lanes that begin at a recorded state; that their actions lead to their frames and memory is checked."""
    emulator = Emulator("pacman")
    found = []
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
                    found.append(lane)
    return found


def test_it_is_what_the_emulator_plays(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a detour, each branch begins at a recorded state; its actions lead to its frames and memory."""
    monkeypatch.setattr(branches, "_DETOUR", 0)
    assert set(begun_as_recorded(store, Branches(store, "train", 6, LENGTH, 4)[0])) == set(range(6))


def test_after_a_detour_it_is_play_that_was_not_recorded(store: EpisodeStore, play: Play) -> None:
    assert len(begun_as_recorded(store, play)) < 3


def test_recorded_actions_are_played_in_their_order_some_of_them_twice(
    store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "_DETOUR", 0)
    monkeypatch.setattr(branches, "_FAITHFUL", 1.0)
    play = Branches(store, "train", 32, LENGTH, 4)[0]
    recorded = ["".join(map(chr, store.read(index, "actions") + 65)) for index in store.of_split("train")]
    exact, told = 0, ["".join(map(chr, lane[:, 0] + 65)) for lane in play.actions.numpy()]
    for script in told:
        exact += any(script in every for every in recorded)
        assert any(
            re.search("".join(f"{code}{{1,2}}" for code in every[at : at + 9]), script)
            for every in recorded
            for at in range(len(every))
        )
    assert 0 < exact < len(told)


def test_after_the_end_nothing_is_valid(store: EpisodeStore) -> None:
    ends = Branches(store, "test", 8, 60, 4)
    plays = [ends[k] for k in range(3)]
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
