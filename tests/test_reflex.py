"""The reflex: what moved goes on, an action changes what it says of what moves, and it reads a cell's neighbourhood."""

import pytest
import torch

from atari_dream.canvas.counts import NUMBERS
from atari_dream.canvas.examples import neighbours
from atari_dream.canvas.moves import LAGS
from atari_dream.canvas.reflex import Reflex

WAYS = 3
NOTHING, RIGHT = (torch.full((2, 4), code, dtype=torch.uint8) for code in (0, 3))


@pytest.fixture
def reflex() -> Reflex:
    torch.manual_seed(0)
    return Reflex(4, WAYS, 8).requires_grad_(False)


@pytest.fixture
def trained(reflex: Reflex) -> Reflex:
    for parameter in reflex.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    return reflex


@pytest.fixture
def seen() -> torch.Tensor:
    return torch.randn(2, 600, 2 * NUMBERS + LAGS * WAYS, generator=torch.Generator().manual_seed(1))


def test_untrained_it_lets_rest_what_rests(reflex: Reflex, seen: torch.Tensor) -> None:
    seen[..., 2 * NUMBERS :] = 0.0
    told = reflex(seen, RIGHT)
    assert told.shape == (2, 600, 1 + WAYS)
    assert (told == told[0, 0]).all() and told[0, 0, 0] < -2 and told[0, 0, 1] > told[0, 0, 2:].amax()


def test_untrained_it_lets_go_on_what_moved(reflex: Reflex, seen: torch.Tensor) -> None:
    seen[..., 2 * NUMBERS :] = 0.0
    seen[:, 44:47, 2 * NUMBERS + 2 :: WAYS] = 1.0  # the third way, at every lag
    told = reflex(seen, RIGHT)
    assert told[0, 45, 1:].argmax() == 2 and told[0, 300, 1:].argmax() == 0


def test_what_moves_obeys(trained: Reflex, seen: torch.Tensor) -> None:
    assert not torch.allclose(trained(seen, RIGHT), trained(seen, NOTHING))
    one = torch.cat([RIGHT[:1], NOTHING[1:]])
    torch.testing.assert_close(trained(seen, one)[0], trained(seen, RIGHT)[0])
    torch.testing.assert_close(trained(seen, one)[1], trained(seen, NOTHING)[1])


def test_it_sees_a_cell_and_its_neighbours(trained: Reflex, seen: torch.Tensor) -> None:
    moved = seen.clone()
    moved[0, 205] += 1.0  # row 10, column 5
    changed = (trained(moved, RIGHT) - trained(seen, RIGHT)).abs().amax(-1)[0] > 1e-4
    rows, columns = changed.view(30, 20).nonzero().T
    assert set(rows.tolist()) == {9, 10, 11} and set(columns.tolist()) == {4, 5, 6}


def test_single_cells_are_told_the_same(trained: Reflex, seen: torch.Tensor) -> None:
    lane, cell = torch.tensor([[0, 1, 0, 1, 1], [0, 19, 205, 580, 599]])
    seen = seen.half().float()  # as it is kept
    told = trained.at(neighbours(seen, lane, cell), cell, RIGHT[lane])
    torch.testing.assert_close(told, trained(seen, RIGHT)[lane, cell], rtol=1e-4, atol=1e-4)
