"""The reflex: adds nothing at first, and an action changes what it says of what moves."""

import pytest
import torch

from atari_dream.canvas.counts import NUMBERS
from atari_dream.canvas.moves import LAGS
from atari_dream.canvas.reflex import Reflex

WAYS = 3
Seen = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
NOTHING, RIGHT = (torch.full((2, 4), code, dtype=torch.uint8) for code in (0, 3))


@pytest.fixture
def reflex() -> Reflex:
    torch.manual_seed(0)
    return Reflex(4, WAYS, 8).requires_grad_(False)


@pytest.fixture
def seen() -> Seen:
    generator = torch.Generator().manual_seed(1)
    every, loose = torch.randn(2, 2, 600, NUMBERS, generator=generator)
    return every, loose, torch.rand(2, 600, LAGS * WAYS, generator=generator)


def test_untrained_it_adds_nothing(reflex: Reflex, seen: Seen) -> None:
    told = reflex(*seen, RIGHT)
    assert told.shape == (2, 600, 1 + WAYS) and not told.any()


def test_what_moves_obeys(reflex: Reflex, seen: Seen) -> None:
    torch.nn.init.normal_(reflex.tell.weight, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(reflex(*seen, RIGHT), reflex(*seen, NOTHING))
    one = torch.cat([RIGHT[:1], NOTHING[1:]])
    torch.testing.assert_close(reflex(*seen, one)[0], reflex(*seen, RIGHT)[0])
    torch.testing.assert_close(reflex(*seen, one)[1], reflex(*seen, NOTHING)[1])


def test_it_sees_a_cell_and_its_neighbours(reflex: Reflex, seen: Seen) -> None:
    torch.nn.init.normal_(reflex.tell.weight, generator=torch.Generator().manual_seed(2))
    every, loose, traces = seen
    moved = loose.clone()
    moved[0, 205] += 1.0  # row 10, column 5
    changed = (reflex(every, moved, traces, RIGHT) - reflex(*seen, RIGHT)).abs().amax(-1)[0] > 1e-4
    rows, columns = changed.view(30, 20).nonzero().T
    assert set(rows.tolist()) == {9, 10, 11} and set(columns.tolist()) == {4, 5, 6}
