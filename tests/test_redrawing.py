"""Redrawing: only the likeliest cells, in known colours; its estimate is the whole frame's likelihood on average."""

import pytest
import torch
import torch.nn.functional as F

from atari_dream import noise
from atari_dream.canvas.moves import LAGS
from atari_dream.canvas.redrawing import REGIONS, Redrawing, Ways
from atari_dream.losses import mixture_nll

COLOURS = (14, 42, 100)


@pytest.fixture
def layer() -> Redrawing:
    torch.manual_seed(0)
    return Redrawing(COLOURS, ((0, 0, 8), (2, -7, 0)), channels=4, hidden=6, drawn=16, futures=2)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 4, 30, 20, generator=torch.Generator().manual_seed(1))


def plain(colour: int) -> torch.Tensor:
    return torch.full((2, 600, 56), colour, dtype=torch.uint8)


def ways(present: int, ground: int = 14, before: int = 100) -> Ways:
    return Ways(torch.stack([plain(present), *[plain(before)] * (LAGS - 1)], dim=1), plain(ground))


def stirred() -> torch.Tensor:
    """The first cells likeliest."""
    return torch.arange(600.0).flip(0).expand(2, -1)


CALM = torch.zeros(2, REGIONS, 2)


def test_untrained_it_keeps_every_pixel(layer: Redrawing, features: torch.Tensor) -> None:
    assert torch.equal(layer.draw(features, stirred(), ways(42), CALM), plain(42))


@pytest.mark.parametrize(("way", "shows"), [(0, 77), (1, 42), (3, 100), (4, 14), (5, 42), (6, 100)])
def test_it_draws_as_many_cells_as_it_may(
    layer: Redrawing, features: torch.Tensor, way: int, shows: int
) -> None:
    with torch.no_grad():
        layer.pixels.bias.view(56, -1)[:, way] = 99.0  # type: ignore[union-attr]
    drawn = layer.draw(features, stirred(), ways(77, ground=42), CALM)
    assert (drawn[:, :16] == shows).all() and (drawn[:, 16:] == 77).all()


def test_what_moves_is_drawn_where_it_goes(layer: Redrawing, features: torch.Tensor) -> None:
    with torch.no_grad():
        layer.pixels.bias.view(56, -1)[:, 2] = 99.0  # type: ignore[union-attr]
    scene = ways(14)
    scene.frames[:, 0, 4, ::2] = 42
    drawn = layer.draw(features, stirred(), scene, CALM)
    assert torch.equal(drawn[:, 5], scene.frames[:, 0, 4])
    assert (drawn[:, 4] == 14).all()


def test_ways_to_the_same_colour_add_up(layer: Redrawing, features: torch.Tensor) -> None:
    with torch.no_grad():
        bias = layer.pixels.bias.view(56, -1)  # type: ignore[union-attr]
        bias[:], bias[:, 6] = 0.0, 1.5  # 100 alone: 4.5 of 10.5; 42 in five ways: 5
        layer.pixels.weight.zero_()
    assert (layer.draw(features, stirred(), ways(42, ground=42, before=42), CALM) == 42).all()


def test_chance_decides_between_futures(layer: Redrawing, features: torch.Tensor) -> None:
    torch.nn.init.normal_(layer.pixels.weight, std=3.0)
    chance = torch.zeros(3, REGIONS, 2)
    chance[0, :, 0] = chance[1, :, 1] = chance[2, ::2, 1] = chance[2, 1::2, 0] = 99.0
    first, second, mixed = (
        layer.draw(features, stirred(), ways(42), row.expand(2, -1, -1)) for row in chance
    )
    assert not torch.equal(first, second)
    even = (layer.region % 2 == 0)[None, :, None]
    assert torch.equal(mixed, torch.where(even, second, first))


@pytest.fixture
def single() -> Redrawing:
    """One future, and pixels that are hard to foretell."""
    torch.manual_seed(0)
    layer = Redrawing(COLOURS, ((0, 0, 8),), channels=4, hidden=6, drawn=16, futures=1)
    torch.nn.init.normal_(layer.pixels.weight, std=0.5)
    return layer.requires_grad_(False)


def painted(every: int) -> torch.Tensor:
    """42, but for random colours in some cells."""
    target = plain(42)
    drawn = torch.randint(0, 3, (2, 600, 56), generator=torch.Generator().manual_seed(2))
    target[:, ::every] = torch.tensor(COLOURS, dtype=torch.uint8)[drawn[:, ::every]]
    return target


def by_cell(layer: Redrawing, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Nats of each cell, (2, 600)."""
    every = torch.arange(600).expand(2, -1)
    led = layer._shown(ways(42), every) == target[..., None]
    logits = layer._logits(layer._hidden(features, every)[0])
    return mixture_nll(logits, layer.slot[target.int()] + layer.ways, led).sum(2)


def moves(target: torch.Tensor, guess: torch.Tensor) -> torch.Tensor:
    changes = (target != 42).any(-1).float()
    return F.binary_cross_entropy_with_logits(guess, changes, reduction="none").sum(1)


def test_scored_are_cells_that_change_and_the_likeliest_others(
    single: Redrawing, features: torch.Tensor
) -> None:
    target, guess = painted(every=30), stirred() / 100
    cells = by_cell(single, features, target)
    scored = torch.zeros(600, dtype=torch.bool)
    scored[::30] = True
    scored[(~scored).nonzero()[:36, 0]] = True  # 20 change, 56 are scored
    nll = single.nll(features, guess, ways(42), target, torch.zeros(2, 600))
    torch.testing.assert_close(nll, cells[:, scored].sum(1) + moves(target, guess))


def test_a_frame_that_changes_all_over_is_scored_without_bias(
    single: Redrawing, features: torch.Tensor
) -> None:
    target, guess = painted(every=1), single.stirred(features)
    orders = noise.gumbel(noise.key_of(torch.arange(400)), (600,))
    found = torch.stack(
        [single.nll(features, guess, ways(42), target, order.expand(2, -1)) for order in orders]
    )
    spread = found.std(0) / len(orders) ** 0.5
    wanted = by_cell(single, features, target).sum(1) + moves(target, guess)
    assert ((found.mean(0) - wanted).abs() < 4 * spread).all()
    assert (spread > 0).all()


def test_a_colour_never_seen_in_training_is_kept(layer: Redrawing, features: torch.Tensor) -> None:
    assert torch.equal(layer.draw(features, stirred(), ways(77), CALM), plain(77))


def test_futures_part_where_what_follows_cannot_be_known() -> None:
    torch.manual_seed(0)
    layer = Redrawing(COLOURS, (), channels=4, hidden=6, drawn=600, futures=2)
    here, there = slice(40, 42), slice(42, 44)
    features = torch.zeros(1, 600, 4)
    features[:, here, 0] = features[:, there, 1] = 2.0
    image = features.view(1, 30, 20, 4).permute(0, 3, 1, 2)
    left, right = plain(14), plain(14)
    left[:, here] = right[:, there] = 42
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    follows, both = torch.stack([left[0], right[0]]), image.expand(2, -1, -1, -1)
    for step in range(200):
        order = noise.gumbel(noise.key_of(torch.arange(2) + 2 * step), (600,))
        optimizer.zero_grad()
        layer.nll(both, layer.stirred(both), ways(14), follows, order).sum().backward()
        optimizer.step()
    chance = 99.0 * torch.eye(2)[:, None].expand(-1, REGIONS, -1)
    with torch.no_grad():
        first, second = layer.draw(both, layer.stirred(both), ways(14), chance)
    assert any(torch.equal(torch.stack(pair), follows) for pair in ((first, second), (second, first)))
