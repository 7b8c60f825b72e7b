"""Multiples and copies: speed moves what it does, with a carry, a ball turns within a step, a shot begins at the gun.

What is random does not.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from atari_dream import onnx_export
from atari_dream.console.changes import CARRY, COPY, TIMES, Change, Changes, find_changes, turned_by
from atari_dream.console.multiples import Multiple
from atari_dream.emulator import Emulator

SPEED, FINE, PLACE, DIE, GUN, SHOT, NOISE = range(20, 27)
STEPS = 4000


def played() -> tuple[np.ndarray, np.ndarray]:
    """A made-up program: a speed moves a place, of 256 parts, to and fro, 30 parts at least; a die goes by itself.

    A shot flies on by four, or begins where the gun is, or five beside it.
    """
    rng = np.random.default_rng(0)
    before = np.zeros((STEPS, 128), np.uint8)
    before[:, SPEED : NOISE + 1] = rng.integers(256, size=(STEPS, NOISE + 1 - SPEED))
    after = before.copy()
    fine = before[:, FINE] + rng.choice([-12, 12], STEPS) * before[:, SPEED].astype(int) + 30
    after[:, FINE] = fine % 256
    after[:, PLACE] = (before[:, PLACE] + fine // 256 + 2 * (rng.random(STEPS) < 0.1)) % 256
    after[:, DIE] = before[:, DIE].astype(int) * 25 + 22 & 255
    begun = before[:, GUN] + rng.choice([0, 5], STEPS)
    after[:, SHOT] = np.where(rng.random(STEPS) < 0.1, begun, before[:, SHOT] + 4)
    after[:, NOISE] = rng.integers(256, size=STEPS)
    return before, after


@pytest.fixture(scope="module")
def told() -> list[list[Change]]:
    return find_changes(*played())


@pytest.fixture(scope="module")
def changes(told: list[list[Change]]) -> Changes:
    return Changes(told)


def multiples_in(told: list[Change]) -> set[tuple[int, Multiple]]:
    return {(kind, Multiple.of(amount)) for kind, amount in told if kind in (TIMES, CARRY, COPY)}


def test_it_is_found_what_the_program_does(told: list[list[Change]]) -> None:
    assert multiples_in(told[FINE]) == {(TIMES, Multiple(SPEED, factor, 30)) for factor in (12, -12)}
    assert multiples_in(told[PLACE]) == {
        (CARRY, Multiple(SPEED, factor, 30, FINE, nudge)) for factor in (12, -12) for nudge in (0, 2)
    }
    assert multiples_in(told[DIE]) == {(TIMES, Multiple(DIE, 24, 22))}
    assert multiples_in(told[SHOT]) == {(COPY, Multiple(GUN, 1, offset)) for offset in (0, 5)}


def test_what_is_drawn_at_random_is_no_multiple_of_anything(told: list[list[Change]]) -> None:
    assert not multiples_in(told[NOISE]) and not any(map(multiples_in, told[:SPEED]))


def test_what_always_goes_by_the_same_is_no_multiple_of_what_rests() -> None:
    before, after = played()
    before[:, SPEED] = after[:, SPEED] = 7
    after[:, NOISE] = before[:, NOISE] + 84
    told = find_changes(before, after)
    assert not multiples_in(told[NOISE]) and len(told[NOISE]) == 2


def test_nearly_every_step_has_a_change_that_explains_it(changes: Changes) -> None:
    before, after = (torch.from_numpy(memory) for memory in played())
    right = changes.right(before, after)
    explained = dict(zip(changes.bytes.tolist(), right.any(-1).float().mean(0).tolist(), strict=True))
    assert explained[FINE] == explained[DIE] == explained[PLACE] == explained[SHOT] == 1
    chosen = changes.change(before, changes.options(before, before), right.int().argmax(-1))
    assert torch.equal(chosen[:, :NOISE], after[:, :NOISE])


def test_one_lane_becomes_what_it_does_among_others(changes: Changes) -> None:
    before = torch.from_numpy(played()[0])[:50]
    alone = torch.cat([changes.options(lane, lane) for lane in before.split(1)])
    assert torch.equal(changes.options(before, before), alone)


def test_a_config_holds_them(told: list[list[Change]], changes: Changes) -> None:
    held = [[(kind, amount) for kind, amount in each] for each in json.loads(json.dumps(told))]
    before = torch.from_numpy(played()[0])[:50]
    assert torch.equal(Changes(held).options(before, before), changes.options(before, before))
    assert not changes.state_dict()


def test_onnxruntime_has_the_same(changes: Changes, tmp_path: Path) -> None:
    class Options(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.changes = changes

        def forward(self, memory: Tensor) -> Tensor:
            return self.changes.options(memory, memory)

    memory = torch.from_numpy(played()[0])[:64]
    onnx_export._write(Options(), (memory,), ["memory"], ["options"], tmp_path / "options.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "options.onnx")
    (options,) = session.run(None, {"memory": memory.numpy()})
    assert np.array_equal(options, changes.options(memory, memory).numpy())


@pytest.mark.parametrize(
    "multiple",
    [
        Multiple(127, -128, 127, 127, -128, 127, -128),
        Multiple(0, 1, -1),
        Multiple(5, -12, 54, 3, 2),
        Multiple(5, -9, 9, 3, turned=120, later=3),
    ],
)
def test_a_multiple_is_one_number(multiple: Multiple) -> None:
    assert Multiple.of(json.loads(json.dumps(multiple.amount))) == multiple


def test_sums_are_those_of_the_console() -> None:
    """All that two bytes may hold, with carries either way."""
    told: list[list[Change]] = [[(0, 0)]] * 128
    multiples = [
        Multiple(SPEED, -128, -128),
        Multiple(SPEED, 127, 127, FINE, -3),
        Multiple(SPEED, -128, 5, FINE, 127),
    ]
    told[FINE] = [(0, 0), (TIMES, multiples[0].amount)]
    told[PLACE] = [(0, 0), *((CARRY, multiple.amount) for multiple in multiples[1:])]
    told[SHOT] = [(0, 0), (COPY, Multiple(SPEED, 1, -128).amount)]
    held = np.zeros((256**2, 128), np.uint8)
    held[:, SPEED], held[:, FINE] = np.divmod(np.arange(256**2), 256)
    held[:, PLACE] = 200
    options = Changes(told).options(*[torch.from_numpy(held)] * 2).numpy()
    speed, fine = held[:, SPEED].astype(int), held[:, FINE].astype(int)
    assert (options[:, 0, 1] == fine - 128 * speed - 128 & 255).all()
    assert (options[:, 1, 1] == 200 + (fine + 127 * speed + 127 >> 8) - 3 & 255).all()
    assert (options[:, 1, 2] == 200 + (fine - 128 * speed + 5 >> 8) + 127 & 255).all()
    assert (options[:, 2, 1] == speed - 128 & 255).all()


def bounced() -> tuple[np.ndarray, np.ndarray]:
    """A made-up program of four frames a step: a speed moves a place; now and then it turns after some of them."""
    rng = np.random.default_rng(1)
    before = np.zeros((STEPS, 128), np.uint8)
    before[:, [SPEED, FINE, PLACE]] = rng.integers(256, size=(STEPS, 3))
    after = before.copy()
    turns = rng.random(STEPS) < 0.2
    after[turns, SPEED] = rng.integers(256, size=turns.sum())
    frames = np.where(turns, rng.integers(1, 4, STEPS), 4)
    fine = before[:, FINE] + 3 * (frames * before[:, SPEED].astype(int) + (4 - frames) * after[:, SPEED])
    after[:, FINE], after[:, PLACE] = fine % 256, before[:, PLACE] + fine // 256
    return before, after


def test_what_turns_within_a_step_moves_by_both_its_speeds() -> None:
    before, after = bounced()
    told = find_changes(before, after)
    frames = {Multiple(SPEED, 3 * count, 0, turned=SPEED, later=12 - 3 * count) for count in range(1, 4)} | {
        Multiple(SPEED, 12, 0)
    }
    assert multiples_in(told[FINE]) == {(TIMES, multiple) for multiple in frames}
    assert {(CARRY, multiple._replace(finer=FINE)) for multiple in frames} <= multiples_in(told[PLACE])
    assert turned_by(told) == {FINE: [SPEED], PLACE: [SPEED]}
    memory, became = torch.from_numpy(before), torch.from_numpy(after)
    changes = Changes(told)
    right = changes.right(memory, became)
    moved = changes.bytes != SPEED
    assert changes.multiples is not None and changes.multiples.turns and right.any(-1)[:, moved].all()
    chosen = changes.change(memory, changes.options(memory, became), right.int().argmax(-1))
    assert torch.equal(chosen[:, FINE:], became[:, FINE:])


def test_in_space_invaders_shots_begin_at_the_cannon() -> None:
    """Byte 28 tells where the cannon is across, 87 where its shot is."""
    emulator, rng, seen = Emulator("space_invaders"), np.random.default_rng(0), []
    while len(seen) < 3000:
        for action in rng.choice([1, 11, 12], 40).repeat(rng.integers(1, 9, 40)):
            emulator.step([action] * 4)
            seen.append(emulator.ram)
        if emulator.over:
            emulator.reset()
    memory = np.stack(seen)
    copies = {
        (kind, multiple.source) for kind, multiple in multiples_in(find_changes(memory[:-1], memory[1:])[87])
    }
    assert (COPY, 28) in copies
