"""Circuits: each sees what its bytes come of and nothing else, in whatever order and size they stand side by side."""

import pytest
import torch

from atari_dream import noise
from atari_dream.console.around import Course, Thing
from atari_dream.console.changes import ADD, HIGH, LOW, SET, TIMES, Change
from atari_dream.console.circuits import Circuits
from atari_dream.console.multiples import Multiple
from atari_dream.errors import UsageError

CHANGES = {3: 2, 5: 4, 9: 3, 40: 2, 41: 5, 50: 3, 60: 2}
"""Bytes that may change, and their changes."""
SEEN = {
    (9, 3): list(range(14)),
    (50,): [5, 41, 128 + 5, 128 + 41],
    (5,): list(range(5, 36)),
    (40,): [60, 128 + 3, 128 + 9],
    (41,): [41, 60],
    (60,): [128 + 50],
}
"""What they come of; past 127, of what memory becomes."""


@pytest.fixture
def circuits() -> Circuits:
    torch.manual_seed(0)
    told: list[list[Change]] = [
        [(ADD, amount) for amount in range(CHANGES.get(byte, 1))] for byte in range(128)
    ]
    made = Circuits(
        told, 4, [(list(tells), causes) for tells, causes in SEEN.items()], widths=(8, 32, 32, 32)
    )
    for part in made.parameters():
        torch.nn.init.normal_(part, std=0.2)
    return made.requires_grad_(False)


def drawn(lanes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    memory = torch.randint(256, (lanes, 128), generator=generator, dtype=torch.uint8)
    return memory, torch.randint(18, (lanes, 4), generator=generator, dtype=torch.uint8)


def told_apart(
    circuits: Circuits, one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]
) -> set[int]:
    """The bytes that are told otherwise by one memory, action and memory after it than by another."""
    spread = circuits.changes.spread
    moved = (spread(circuits(*one)) != spread(circuits(*other))).any(2).any(0)
    return set(circuits.changes.bytes[moved].tolist())


def tell_by(cause: int) -> set[int]:
    return {byte for tells, causes in SEEN.items() if cause in causes for byte in tells}


@pytest.mark.parametrize("cause", [0, 3, 5, 9, 35, 41, 60, 100])
def test_each_byte_is_told_by_its_causes_alone(circuits: Circuits, cause: int) -> None:
    memory, action = drawn(6)
    after = memory + 1
    other, later = memory.clone(), after.clone()
    other[:, cause] += 1
    later[:, cause] += 1
    assert told_apart(circuits, (memory, action, after), (other, action, after)) == tell_by(cause)
    assert told_apart(circuits, (memory, action, after), (memory, action, later)) == tell_by(128 + cause)


def test_actions_tell_in_all_of_them(circuits: Circuits) -> None:
    memory, action = drawn(6)
    assert told_apart(circuits, (memory, action, memory), (memory, (action + 1) % 18, memory)) == set(CHANGES)


def test_what_is_learnt_from_is_what_is_dreamt_with(circuits: Circuits) -> None:
    memory, action = drawn(70)
    with torch.no_grad():
        dreamt = circuits(memory, action, memory + 1)
    torch.testing.assert_close(circuits(memory, action, memory + 1), dreamt)


def test_what_is_told_later_agrees_with_what_was_drawn() -> None:
    """Byte 5 counts on or does not, whichever is drawn; 50 is to become 1 where it does, and 60 where 50 does."""
    told: list[list[Change]] = [[(ADD, 0)] for _ in range(128)]
    told[5], told[50], told[60] = [(ADD, 0), (ADD, 1)], [(SET, 0), (SET, 1)], [(SET, 0), (SET, 1)]
    seen = [([60], [128 + 50]), ([50], [5, 128 + 5]), ([5], [5])]
    circuits = Circuits(told, 4, seen, widths=(32, 128, 128, 128))
    circuits.held.fill_(True)
    memory, action = drawn(256)
    learner = torch.optim.Adam(circuits.parameters(), lr=0.01)
    for _ in range(300):
        after = memory.clone()
        after[:, 5] += torch.randint(2, (256,), dtype=torch.uint8)
        after[:, 50] = after[:, 60] = after[:, 5] != memory[:, 5]
        loss = circuits.nll(memory, action, after).mean()
        learner.zero_grad()
        loss.backward()
        learner.step()
    with torch.no_grad():
        after = circuits.step(memory, action, noise.gumbel(torch.arange(256), (2,)))
    counted = after[:, 5] != memory[:, 5]
    assert 60 < counted.sum() < 196
    assert (after[:, 50] == counted).float().mean() > 0.9
    assert torch.equal(after[:, 50], after[:, 60])


def test_circuits_in_a_ring_are_refused() -> None:
    told: list[list[Change]] = [
        [(ADD, 0), (ADD, 1)] if byte in (3, 5, 9) else [(ADD, 0)] for byte in range(128)
    ]
    ring = [([3], [5, 128 + 5]), ([5], [128 + 9]), ([9], [9, 128 + 3])]
    with pytest.raises(UsageError, match=r"bytes \[3, 5, 9\] come of what each other become"):
        Circuits(told, 4, ring)
    Circuits(told, 4, [*ring[:2], ([9], [9, 3])])
    Circuits(told, 4, [([3], [5, 128 + 5])])


def test_what_a_speed_moves_that_turns_is_told_after_it() -> None:
    """Byte 3 moves by what the speed, byte 5, becomes, twice a step, whatever stands first."""
    told: list[list[Change]] = [[(ADD, 0)] for _ in range(128)]
    told[5] = [(ADD, 0), (ADD, 77)]
    told[3] = [(ADD, 0), (TIMES, Multiple(5, 0, 1, turned=5, later=2).amount)]
    circuits = Circuits(told, 4, [([3], [3, 5]), ([5], [5])]).requires_grad_(False)
    for bank in (bank for banks in circuits.stages for bank in banks):
        bank.leave.bias[:, :, 1] = 9
    circuits.held.fill_(True)
    memory, action = drawn(9)
    after = circuits.step(memory, action, torch.zeros(9, circuits.changes.most))
    assert torch.equal(after[:, 5], memory[:, 5] + 77)
    assert torch.equal(after[:, 3], memory[:, 3] + 2 * after[:, 5] + 1)
    with pytest.raises(UsageError, match=r"bytes \[3, 5\] come of what each other become"):
        Circuits(told, 4, [([3, 5], [3, 5])])


def test_halves_of_a_byte_do_not_shift_what_is_told_beside_it() -> None:
    told: list[list[Change]] = [[(ADD, 0)] for _ in range(128)]
    told[3] = [(ADD, 0), (LOW, 1), (LOW, 2), (HIGH, 16)]
    told[5] = [(ADD, 0), (ADD, 7)]
    circuits = Circuits(told, 4, [([3, 5], [3, 5])]).requires_grad_(False)
    (bank,) = (bank for banks in circuits.stages for bank in banks)
    bank.leave.bias[0, 0] = torch.arange(7.0)
    assert circuits(*drawn(1)).tolist() == [list(range(7))]
    circuits.held.fill_(True)
    memory, action = drawn(9)
    after = circuits.step(memory, action, torch.zeros(9, circuits.changes.most))
    assert torch.equal(after[:, 5], memory[:, 5] + 7) and (after[:, 3] == 18).all()


def test_circuits_that_come_of_where_a_thing_is_and_heads_see_what_is_around_it() -> None:
    told: list[list[Change]] = [
        [(ADD, 0), (ADD, 1)] if byte in (3, 5, 9) else [(ADD, 0)] for byte in range(128)
    ]
    thing = Thing(Course(20, 21, 22, 3, 23, 7), Course(24, 25, 26, 3, 23, 6))
    heads = [20, 21, 22, 23, 24, 25, 26]
    seen = [([3], [3, *heads]), ([5], [5, *heads[:-1]]), ([9], [9, *heads])]
    torch.manual_seed(0)
    circuits = Circuits(told, 4, seen, idle=[9], things=[thing])
    for part in circuits.parameters():
        torch.nn.init.normal_(part, std=0.2)
    memory, action = drawn(70)
    with torch.no_grad():
        first, lanes = circuits(memory, action), circuits(memory[:3], action[:3])
        for table in circuits.around.tables:
            table += 1.0
        other = circuits(memory, action)
    assert torch.equal(first[:3], lanes)
    moved = (circuits.changes.spread(first) != circuits.changes.spread(other)).any(2).any(0)
    assert set(circuits.changes.bytes[moved].tolist()) == {3}
