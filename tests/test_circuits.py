"""Circuits: each sees what its bytes come of and nothing else, in whatever order and size they stand side by side."""

import pytest
import torch

from atari_dream.console.changes import ADD, Change
from atari_dream.console.circuits import Circuits

CHANGES = {3: 2, 5: 4, 9: 3, 40: 2, 41: 5}
"""Bytes that may change, and their changes."""
SEEN = {(9, 3): list(range(14)), (41,): [41, 60], (5,): [5], (40,): list(range(30, 60))}


@pytest.fixture
def circuits() -> Circuits:
    torch.manual_seed(0)
    told: list[list[Change]] = [
        [(ADD, amount) for amount in range(CHANGES.get(byte, 1))] for byte in range(128)
    ]
    made = Circuits(told, 4, [(list(tells), causes) for tells, causes in SEEN.items()], width=32)
    for part in made.parameters():
        torch.nn.init.normal_(part, std=0.2)
    return made.requires_grad_(False)


def drawn(lanes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    memory = torch.randint(256, (lanes, 128), generator=generator, dtype=torch.uint8)
    return memory, torch.randint(18, (lanes, 4), generator=generator, dtype=torch.uint8)


def test_each_byte_is_told_by_its_causes_alone(circuits: Circuits) -> None:
    memory, action = drawn(6)
    before = circuits.changes.spread(circuits(memory, action))
    for cause in (0, 3, 5, 9, 35, 41, 60, 100):
        other = memory.clone()
        other[:, cause] += 1
        moved = (circuits.changes.spread(circuits(other, action)) != before).any(2).any(0)
        told = set(circuits.changes.bytes[moved].tolist())
        assert told == {byte for tells, causes in SEEN.items() if cause in causes for byte in tells}


def test_actions_tell_in_all_of_them(circuits: Circuits) -> None:
    memory, action = drawn(6)
    other = (action + 1) % 18
    moved = circuits.changes.spread(circuits(memory, other)) != circuits.changes.spread(
        circuits(memory, action)
    )
    assert moved.any(2).all()


def test_what_is_learnt_from_is_what_is_dreamt_with(circuits: Circuits) -> None:
    memory, action = drawn(70)
    with torch.no_grad():
        dreamt = circuits(memory, action)
    torch.testing.assert_close(circuits(memory, action), dreamt)
