"""The tally: learns within seconds what a colour that goes is worth, and says the same wherever it goes."""

import pytest
import torch
import torch.nn.functional as F

from atari_dream.canvas.counts import NUMBERS, ColourCounts
from atari_dream.canvas.tally import Tally

DOT, CHERRY = 42, 66
LIVES = torch.full((32,), 3)


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Taught that a dot that goes pays a little and a cherry much."""
    torch.manual_seed(0)
    tally = Tally(3, 16)
    optimizer = torch.optim.AdamW(tally.parameters(), lr=0.01)
    for _ in range(60):
        prize = torch.randint(0, 3, (32,))
        loss = F.cross_entropy(told(tally, prize, torch.randint(0, 600, (32,))), prize)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return tally.requires_grad_(False)


def told(tally: Tally, prize: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
    """What it makes of nothing (0), a dot (1) or a cherry (2) that went from a cell each, (32, 3)."""
    cells = torch.zeros(32, 600, 56, dtype=torch.uint8)
    went = torch.zeros(32, 600, 56, dtype=torch.bool)
    lane = torch.arange(32)
    colour = torch.tensor([0, DOT, CHERRY], dtype=torch.uint8)[prize]
    cells[lane, cell, :8] = colour[:, None]
    went[lane, cell, :8] = (prize > 0)[:, None]
    nothing = torch.zeros(32, 600, NUMBERS)
    logits: torch.Tensor = tally(torch.cat([nothing, ColourCounts()(cells, went), nothing], dim=-1), LIVES)
    return logits


def test_it_learns_what_goes_is_worth(tally: Tally) -> None:
    generator = torch.Generator().manual_seed(5)
    prize = torch.randint(0, 3, (32,), generator=generator)
    cell = torch.randint(0, 600, (32,), generator=generator)
    assert (told(tally, prize, cell).argmax(-1) == prize).float().mean() > 0.9


def test_it_says_the_same_wherever_it_goes(tally: Tally) -> None:
    ones = torch.ones(32, dtype=torch.int64)
    here, there = (told(tally, ones, torch.full((32,), cell)) for cell in (210, 334))  # even rows and columns
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)
