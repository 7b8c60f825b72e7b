"""Redrawing: only the likeliest cells, in known colours; its estimate is the whole frame's likelihood on average."""

import pytest
import torch
import torch.nn.functional as F

from atari_dream import noise
from atari_dream.canvas.redrawing import Redrawing, Ways
from atari_dream.losses import mixture_nll

COLOURS = (14, 42, 100)


@pytest.fixture
def layer() -> Redrawing:
    torch.manual_seed(0)
    return Redrawing(COLOURS, channels=4, hidden=6, drawn=16)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 4, 30, 20, generator=torch.Generator().manual_seed(1))


def plain(colour: int) -> torch.Tensor:
    return torch.full((2, 600, 56), colour, dtype=torch.uint8)


def test_untrained_it_keeps_every_pixel(layer: Redrawing, features: torch.Tensor) -> None:
    assert torch.equal(layer.draw(features, layer.stirred(features), Ways(plain(42), plain(14))), plain(42))


@pytest.mark.parametrize(("way", "shows"), [(1, 14), (2, 14), (3, 42), (4, 100)])
def test_it_draws_as_many_cells_as_it_may(
    layer: Redrawing, features: torch.Tensor, way: int, shows: int
) -> None:
    with torch.no_grad():
        layer.pixels.bias.view(56, -1)[:, way] = 99.0  # type: ignore[union-attr]
    stirred = torch.arange(600.0).flip(0).expand(2, -1)
    drawn = layer.draw(features, stirred, Ways(plain(77), plain(14)))
    assert (drawn[:, :16] == shows).all() and (drawn[:, 16:] == 77).all()


def test_its_likelihood_is_unbiased(layer: Redrawing, features: torch.Tensor) -> None:
    torch.nn.init.normal_(layer.pixels.weight, std=0.5)
    generator = torch.Generator().manual_seed(2)
    ways = Ways(plain(42), plain(14))
    target = plain(42)
    target[:, ::3] = torch.tensor(COLOURS, dtype=torch.uint8)[
        torch.randint(0, 3, (2, 200, 56), generator=generator)
    ]
    stirred = layer.stirred(features)
    orders = noise.gumbel(noise.key_of(torch.arange(400)), (600,))
    with torch.no_grad():
        chosen = layer.draw(features, stirred, ways)
        guesses = torch.stack(
            [layer.nll(features, stirred, ways, target, chosen, order.expand(2, -1)) for order in orders]
        )
        every = torch.arange(600).expand(2, -1)
        led = torch.stack([target == 42, target == 14], dim=-1)
        pixels = mixture_nll(layer._logits(features, every), layer.slot[target.int()], led).sum((1, 2))
        changes = (target != 42).any(-1).float()
        moves = F.binary_cross_entropy_with_logits(stirred, changes, reduction="none").sum(1)
    spread = guesses.std(0) / len(orders) ** 0.5
    assert ((guesses.mean(0) - pixels - moves).abs() < 4 * spread).all()
    assert (spread > 0).all()
