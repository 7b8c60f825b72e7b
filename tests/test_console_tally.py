"""Tally: digits of the score, lives and ends are found in a made-up memory, and told of other play."""

import numpy as np
import pytest
import torch

from atari_dream.console.tally import Tally, halves

Scenes = tuple[torch.Tensor, ...]


def scenes(seed: int = 0, branches: int = 60, steps: int = 40) -> Scenes:
    """The score is in bytes 50 and 51, lives in byte 7; with none left, and byte 9 at 3, the game is over."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (branches, steps, 128)).astype(np.uint8)
    rewards = rng.choice([0, 0, 0, 10, 50, 100], (branches, steps)).astype(np.float32)
    score = rewards.cumsum(1).astype(int) + rng.integers(0, 90, (branches, 1)) * 10
    digits = [score // 10**place % 10 for place in range(4)]
    memory[:, :, 50], memory[:, :, 51] = digits[3] << 4 | digits[2], digits[1] << 4 | digits[0]
    lives = rng.integers(0, 4, (branches, 1)).repeat(steps, 1)
    memory[:, :, 7], memory[:, :, 9] = lives, rng.integers(0, 5, (branches, steps))
    ended = (lives == 0) & (memory[:, :, 9] == 3)
    played = memory, rewards, lives, ended, np.ones_like(ended)
    return tuple(torch.from_numpy(part) for part in played)


@pytest.fixture(scope="module")
def tally() -> Tally:
    made = Tally()
    made.learn(*scenes())
    return made


def test_digits_are_worth_powers_of_ten(tally: Tally) -> None:
    told = {place: float(tally.worth[place]) for place in tally.worth.nonzero()[:, 0].tolist()}
    assert told == {2 * 50: 1000.0, 2 * 50 + 1: 100.0, 2 * 51: 10.0}


def test_other_play_is_told(tally: Tally) -> None:
    memory, rewards, lives, ended, _ = scenes(seed=1)
    before, after = memory[:, :-1].flatten(0, 1), memory[:, 1:].flatten(0, 1)
    earned, over, left = tally.told(before, after, lives[:, :-1].flatten())
    assert torch.equal(earned, rewards[:, 1:].flatten())
    assert torch.equal(left, lives[:, 1:].flatten()) and torch.equal(over, ended[:, 1:].flatten())


def test_a_game_that_is_over_has_no_lives_left_though_memory_still_tells_of_one() -> None:
    memory, rewards, lives, ended, valid = scenes()
    memory[:, :, 7] += 1
    made = Tally()
    made.learn(memory, rewards, torch.where(ended, 0, lives + 1), ended, valid)
    _, over, left = made.told(memory[:, 0], memory[:, 1], lives[:, 0] + 1)
    assert torch.equal(over, ended[:, 1]) and over.any()
    assert torch.equal(left, torch.where(over, 0, lives[:, 1] + 1))


def test_an_untaught_one_tells_of_nothing() -> None:
    memory, _, lives, *_ = scenes()
    earned, over, left = Tally().told(memory[:, 0], memory[:, 1], lives[:, 0])
    assert not earned.any() and not over.any() and torch.equal(left, lives[:, 0])


def test_play_without_an_end_teaches_none() -> None:
    memory, rewards, lives, ended, valid = scenes()
    made = Tally()
    made.learn(memory, rewards, lives, torch.zeros_like(ended), valid)
    assert not made.told(memory[:, 0], memory[:, 1], lives[:, 0])[1].any()


def test_halves_of_bytes_the_higher_first() -> None:
    assert halves(torch.tensor([0x12, 0xF0], dtype=torch.uint8)).tolist() == [1, 2, 15, 0]


def test_lives_that_are_given_speak_against_values_that_tell_others(tally: Tally) -> None:
    against = tally.against(torch.tensor([0, 3, 9]))
    assert against[0, 7, :5].tolist() == [0, 1, 1, 1, 0] and against[1, 7, :5].tolist() == [1, 1, 1, 0, 0]
    assert against.sum(-1).sum(0).nonzero()[:, 0].tolist() == [7] and not against[2].any()
    assert not Tally().against(torch.tensor([2])).any()
