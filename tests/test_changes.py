"""Changes of bytes: what a program does is found, and done again."""

import numpy as np
import pytest
import torch

from atari_dream.console.changes import ADD, FLIP, HIGH, LOW, SET, TIMES, Changes, find_changes
from atari_dream.console.multiples import Multiple
from atari_dream.emulator import Emulator

STEPS = 400


def played() -> np.ndarray:
    """Memory of a made-up program: byte 3 goes to and fro, 5 toggles a bit, 7 is set to 9 or 200; 2 rests."""
    rng = np.random.default_rng(0)
    memory = np.zeros((STEPS, 128), np.uint8)
    memory[0, :8] = (1, 2, 3, 250, 5, 6, 7, 8)
    for step in range(1, STEPS):
        memory[step] = memory[step - 1]
        memory[step, 3] = (int(memory[step, 3]) + rng.choice([0, 3, 253])) % 256
        memory[step, 5] ^= 64 * (step % 2)
        memory[step, 7] = rng.choice([memory[step, 7], 9, 200])
    return memory


@pytest.fixture
def memory() -> np.ndarray:
    return played()


@pytest.fixture
def changes(memory: np.ndarray) -> Changes:
    return Changes(find_changes(memory[:-1], memory[1:]))


def test_it_is_found_what_the_program_does(memory: np.ndarray) -> None:
    told = find_changes(memory[:-1], memory[1:])
    assert [len(one) for one in told[:3]] == [1, 1, 1] and told[0] == [(ADD, 0)]
    assert set(told[3]) == {(ADD, 0), (ADD, 3), (ADD, 253)}
    assert told[5][1] in {(FLIP, 64), (ADD, 64)}
    assert len(told[7]) <= 4 and len(told[5]) <= 3


def test_every_step_has_a_change_that_explains_it(changes: Changes, memory: np.ndarray) -> None:
    before, after = torch.from_numpy(memory[:-1]), torch.from_numpy(memory[1:])
    right = changes.right(before, after)
    assert right.any(-1).all()
    assert torch.equal(changes.change(before, changes.options(before, before), right.int().argmax(-1)), after)


def test_sure_logits_cost_nothing_and_even_ones_the_entropy(changes: Changes, memory: np.ndarray) -> None:
    before, after = torch.from_numpy(memory[:-1]), torch.from_numpy(memory[1:])
    even = torch.zeros(len(before), changes.total)
    right = changes.right(before, after)
    nats = changes.there.sum(1).log() - right.sum(-1).log()
    torch.testing.assert_close(changes.nll(even, before, after), nats)
    place = changes.slot[torch.arange(len(changes.slot)), right.int().argmax(-1)]
    sure = even.scatter(1, place, 50.0)
    assert changes.nll(sure, before, after).max() < 1e-4


def test_what_nothing_explains_costs_nothing(changes: Changes, memory: np.ndarray) -> None:
    before = torch.from_numpy(memory[:1])
    after = before.clone()
    after[0, 3] += 77
    logits = torch.zeros(1, changes.total, requires_grad=True)
    nll = changes.nll(logits, before, after).sum()
    assert nll < changes.nll(logits, before, before).sum()
    nll.backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.any()


def test_of_a_number_what_comes_nearest_is_right_where_nothing_explains_it() -> None:
    told = [[(ADD, 0)] for _ in range(128)]
    told[5] = [(ADD, 0), (SET, 250), (TIMES, Multiple(6, 2, 0).amount)]
    changes = Changes(told)
    memory = torch.zeros(2, 128, dtype=torch.uint8)
    memory[:, 5], memory[:, 6] = 100, 20
    after = memory.clone()
    # 140 is next to the first; 250 is 9 from the other, the other way round
    after[:, 5] = torch.tensor([143, 3])
    logits = torch.zeros(2, changes.total, requires_grad=True)
    changes.nll(logits, memory, after).sum().backward()
    assert logits.grad is not None
    assert changes.spread(-logits.grad)[:, 0].argmax(1).tolist() == [2, 1]


@pytest.mark.parametrize("game", ["pacman", "pinball", "qbert", "revenge", "space_invaders"])
def test_a_few_changes_explain_a_real_game(game: str) -> None:
    emulator, seen = Emulator(game), []
    for step in range(300):
        emulator.step([step // 20 % 6] * 4)
        seen.append(emulator.ram)
    memory = np.stack(seen)
    changes = Changes(find_changes(memory[:-1], memory[1:]))
    right = changes.right(torch.from_numpy(memory[:-1]), torch.from_numpy(memory[1:]))
    assert right.any(-1).float().mean() > 0.95
    assert changes.most <= 24


def test_a_byte_that_is_two_is_told_by_halves() -> None:
    """Byte 9 is two things, each of which may be anything next; byte 4 counts."""
    rng = np.random.default_rng(1)
    memory = np.zeros((20_000, 128), np.uint8)
    memory[:, 9] = rng.integers(12, size=20_000) * 16 + rng.integers(16, size=20_000)
    memory[:, 4] = np.arange(20_000)
    told = find_changes(memory[:-1], memory[1:])
    assert {kind for kind, _ in told[9]} == {ADD, LOW, HIGH} and len(told[9]) == 1 + 16 + 12
    assert set(told[4]) == {(ADD, 0), (ADD, 1)}
    changes = Changes(told)
    assert changes.bytes.tolist() == [4, 9, 9] and changes.counts == {4: 2, 9: 30} and changes.total == 32
    assert changes.whole.tolist() == [True, False, False]
    before, after = torch.from_numpy(memory[:-1]), torch.from_numpy(memory[1:])
    right = changes.right(before, after)
    assert right.any(-1).all()
    assert torch.equal(changes.change(before, changes.options(before, before), right.int().argmax(-1)), after)
