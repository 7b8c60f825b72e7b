"""Redrawing: only the likeliest cells, whole; its likelihood is that of the mixture, and one way is taken by chance."""

import pytest
import torch
import torch.nn.functional as F

from atari_dream import noise
from atari_dream.canvas.moves import SOURCES
from atari_dream.canvas.redrawing import Plan, Redrawing, Scene

COLOURS = (14, 42, 100)
MOVES = ((0, 0, 8, 0), (0, 0, 8, 1), (2, -7, 0, 0), (2, -7, 0, 1))
CALM = torch.zeros(2, 6)


@pytest.fixture
def layer() -> Redrawing:
    torch.manual_seed(0)
    return Redrawing(COLOURS, MOVES, channels=4, hidden=6, drawn=16).requires_grad_(False)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 4, 30, 20, generator=torch.Generator().manual_seed(1))


def plain(colour: int) -> torch.Tensor:
    return torch.full((2, 600, 56), colour, dtype=torch.uint8)


def scene(present: int, ground: int = 14, before: int = 100) -> Scene:
    return Scene(torch.stack([plain(present), *[plain(before)] * (SOURCES - 1)], dim=1), plain(ground))


def stirred() -> torch.Tensor:
    """The first cells likeliest."""
    return torch.arange(600.0).flip(0).expand(2, -1)


def plan(features: torch.Tensor, guess: torch.Tensor | None = None) -> Plan:
    """Nothing moves; the first cells are likeliest to change, if nothing is said."""
    return Plan(features, stirred() if guess is None else guess, torch.zeros(2, 600, len(CALM[0])))


def resting(layer: Redrawing) -> torch.Tensor:
    """A reflex that says little."""
    return torch.tensor([-3.0, 2.0] + [0.0] * (layer.ways - 1)).expand(2, 600, -1)


def towards(way: int) -> torch.Tensor:
    """A chance that leaves no choice, (2, ways)."""
    return 99.0 * F.one_hot(torch.tensor([way, way]), len(CALM[0])).float()


def test_untrained_it_keeps_every_pixel(layer: Redrawing, features: torch.Tensor) -> None:
    assert torch.equal(layer.draw(plan(features), scene(42), CALM), plain(42))


@pytest.mark.parametrize(("way", "shows"), [(0, 77), (1, 42), (2, 77), (3, 77), (4, 100), (5, 100)])
def test_it_draws_as_many_cells_as_it_may(
    layer: Redrawing, features: torch.Tensor, way: int, shows: int
) -> None:
    drawn = layer.draw(plan(features), scene(77, ground=42), towards(way))
    assert (drawn[:, :16] == shows).all() and (drawn[:, 16:] == 77).all()


def test_pixels_are_touched_up_in_the_games_colours(layer: Redrawing, features: torch.Tensor) -> None:
    assert layer.touch.bias is not None and layer.paint.bias is not None
    layer.touch.bias[7] = 99.0
    layer.paint.bias.view(56, 3)[7, 2] = 99.0
    drawn = layer.draw(plan(features), scene(77), towards(0))
    assert (drawn[:, :16, 7] == 100).all() and (drawn[:, :16, 8] == 77).all()


def test_what_moves_takes_along_what_is_under_it_or_not(layer: Redrawing, features: torch.Tensor) -> None:
    floor = scene(14)
    floor.ground[:, 4] = floor.frames[:, 0, 4] = 68  # a wall in cell 4, and a sprite on it
    floor.frames[:, 0, 4, :20] = 42
    taken, lifted = (layer.draw(plan(features), floor, towards(way)) for way in (2, 3))
    assert torch.equal(taken[:, 5], floor.frames[:, 0, 4])
    assert (lifted[:, 5, :20] == 42).all() and (lifted[:, 5, 20:] == 14).all()
    assert (lifted[:, 4] == 68).all() and (taken[:, 4] == 14).all()


def test_a_colour_never_seen_in_training_is_kept(layer: Redrawing, features: torch.Tensor) -> None:
    assert torch.equal(layer.draw(plan(features), scene(77), towards(0)), plain(77))


def painted(every: int) -> torch.Tensor:
    """42, but for random colours in some cells."""
    target = plain(42)
    drawn = torch.randint(0, 3, (2, 600, 56), generator=torch.Generator().manual_seed(2))
    target[:, ::every] = torch.tensor(COLOURS, dtype=torch.uint8)[drawn[:, ::every]]
    return target


def by_cell(layer: Redrawing, known: Plan, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Nats of each cell, (2, 600), each way on its own."""
    every = torch.arange(600).expand(2, -1)
    odds, touched, paint = layer._tell(known, every)
    brush = touched.sigmoid()
    colour = brush * paint.softmax(-1).gather(-1, layer._slot(target)[..., None])[..., 0]
    rights = torch.stack(
        [
            layer._shown(scene(42), every, torch.full((2, 600, 1), way))[:, :, 0] == target
            for way in range(layer.ways)
        ]
    )
    chance = odds.double().softmax(-1).permute(2, 0, 1) * torch.exp(-2.0 * (~rights).sum(-1).double())
    least = (~rights).sum(-1).amin(0)
    pixels = torch.stack([((1 - brush) * right + colour).log().sum(-1) for right in rights])
    touches = -(chance / chance.sum(0) * pixels).sum(0)
    return {"ways": (-chance.sum(0).log() - 2.0 * least).float(), "touches": touches.float()}


def moves(target: torch.Tensor, guess: torch.Tensor) -> torch.Tensor:
    changes = (target != 42).any(-1).float()
    return F.binary_cross_entropy_with_logits(guess, changes, reduction="none").sum(1)


def test_cells_that_hardly_ever_change_are_not_drawn(layer: Redrawing, features: torch.Tensor) -> None:
    guess = torch.full((2, 600), -5.0)
    guess[0, :8] = -1.0
    after = layer.draw(plan(features, guess), scene(77, ground=42), towards(1))
    assert (after == 42).all(-1).sum(1).tolist() == [8, 0]


def test_scored_are_cells_that_change_and_those_that_might_have(
    layer: Redrawing, features: torch.Tensor
) -> None:
    target, guess = painted(every=30), torch.full((2, 600), -5.0)
    guess[:, 1:14] = -1.0
    wanted = {
        name: nats[:, ::30].sum(1) + nats[:, 1:14].sum(1)
        for name, nats in by_cell(layer, plan(features), target).items()
    }
    order = torch.rand(2, 600, generator=torch.Generator().manual_seed(3))
    nll = layer.nll(plan(features, guess), scene(42), target, order)
    torch.testing.assert_close(nll, wanted | {"cells": moves(target, guess)}, rtol=1e-4, atol=1e-2)


def test_a_frame_that_changes_all_over_is_scored_without_bias(
    layer: Redrawing, features: torch.Tensor
) -> None:
    target, known = painted(every=1), layer.plan(features, resting(layer))
    orders = noise.gumbel(noise.key_of(torch.arange(300)), (600,))
    found = [layer.nll(known, scene(42), target, order.expand(2, -1)) for order in orders]
    for name, nats in by_cell(layer, known, target).items():
        told = torch.stack([one[name] for one in found])
        spread = told.std(0) / len(orders) ** 0.5
        assert ((told.mean(0) - nats.sum(1)).abs() < 4 * spread).all()
        assert (spread > 0).all()


def test_touches_leave_the_ways_to_learn(layer: Redrawing, features: torch.Tensor) -> None:
    layer.requires_grad_(True)
    order = torch.rand(2, 600, generator=torch.Generator().manual_seed(3))
    nll = layer.nll(layer.plan(features, resting(layer)), scene(42), painted(every=30), order)
    nll["ways"].sum().backward(retain_graph=True)
    assert layer.choose.weight.grad is not None and layer.touch.weight.grad is None
    layer.zero_grad()
    nll["touches"].sum().backward()
    assert layer.touch.weight.grad is not None and layer.choose.weight.grad is None


def sprite(cell: int) -> torch.Tensor:
    frame = plain(14)
    frame[:, cell, :20] = 42
    return frame


def test_it_is_traced_how_cells_came_about(layer: Redrawing) -> None:
    before = scene(14)
    before.frames[:, 0] = sprite(44)
    trace = layer.traced(before, sprite(45))
    assert trace.any(-1).nonzero()[:, 1].tolist() == [44, 45] * 2
    assert (trace[:, 45].argmax(-1) >= 2).all() and (trace[:, 45, 2:4].sum(-1) > 0.99).all()
    assert trace[:, 44, 0].max() < 0.01
    torch.testing.assert_close(trace[:, 44:46].sum(-1), torch.ones(2, 2))


def test_neighbours_agree(layer: Redrawing, features: torch.Tensor) -> None:
    odds = torch.zeros(2, 600, layer.ways)
    odds[:, 100:160, 1] = 2.0
    odds[:, 129, 0] = 3.0  # on its own it would stay
    odds[:, 300, 0] = 3.0
    guess = torch.full((2, 600), 3.0)
    layer.drawn = 600
    drawn = layer.draw(Plan(features, guess, odds), scene(77, ground=42), CALM)
    assert (drawn[:, 100:160] == 42).all() and (drawn[:, 300] == 77).all()
    guess[:, 100:129] = guess[:, 130:160] = -3.9  # they hardly count
    assert (layer.draw(Plan(features, guess, odds), scene(77, ground=42), CALM)[:, 129] == 77).all()


def test_chance_can_be_read_off_what_came(layer: Redrawing, features: torch.Tensor) -> None:
    layer.drawn = 600
    now = scene(14)
    now.frames[:, 0] = sprite(45)
    known = layer.plan(features, resting(layer))
    assert not torch.equal(layer.draw(known, now, CALM), sprite(46))
    assert torch.equal(layer.retrace(known, now, sprite(46)), sprite(46))
    appeared = layer.retrace(known, now, sprite(300))
    assert (appeared[:, 300] == 14).all()  # no way leads there


def test_a_sprite_that_goes_one_way_or_another_goes_whole() -> None:
    torch.manual_seed(0)
    layer = Redrawing(COLOURS, ((0, 0, 8, 0), (0, 0, -8, 0)), channels=4, hidden=6, drawn=600)
    start = scene(14)
    start.frames[:, 0, 44:46] = 42
    image = torch.zeros(2, 4, 30, 20)
    image[:, 0, 2, 3:7] = 2.0
    follows = plain(14)
    follows[0, 45:47] = follows[1, 43:45] = 42  # right in one lane, left in the other, and nothing tells
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    for step in range(120):
        order = noise.gumbel(noise.key_of(torch.arange(2) + 2 * step), (600,))
        optimizer.zero_grad()
        nll = layer.nll(layer.plan(image, resting(layer)), start, follows, order)
        torch.stack(list(nll.values())).sum().backward()
        optimizer.step()
    chances = noise.gumbel(noise.key_of(torch.arange(60)), (layer.ways,))
    with torch.no_grad():
        known = layer.plan(image, resting(layer))
        drawn = [layer.draw(known, start, chance.expand(2, -1))[0] for chance in chances]
    went = [[torch.equal(one, way) for way in follows] for one in drawn]
    assert all(any(row) for row in went)
    assert all(10 < sum(row[way] for row in went) < 50 for way in range(2))
