"""Noise is a hash of keys and counters: the same for the same key, whoever stands beside it."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from atari_dream import noise

KEYS = noise.key_of(torch.arange(64))
DRAWS = {"uniform": noise.uniform, "normal": noise.normal, "gumbel": noise.gumbel}
Draw = Callable[[Tensor, tuple[int, ...]], Tensor]

draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@draws
def test_equal_keys_give_equal_numbers(draw: Draw) -> None:
    drawn = draw(KEYS, (3, 5))
    assert drawn.shape == (64, 3, 5) and drawn.dtype == torch.float32
    assert torch.equal(drawn, draw(KEYS.clone(), (3, 5)))
    assert len(drawn.unique()) == drawn.numel()


@draws
def test_a_lane_does_not_depend_on_its_neighbours(draw: Draw) -> None:
    drawn = draw(KEYS, (7,))
    assert torch.equal(draw(KEYS[9:10], (7,))[0], drawn[9])
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(KEYS[order], (7,)), drawn[order])


@draws
def test_a_longer_draw_begins_with_the_shorter(draw: Draw) -> None:
    assert torch.equal(draw(KEYS, (100,))[:, :10], draw(KEYS, (10,)))


def test_without_a_shape_there_is_one_number_a_lane() -> None:
    assert noise.uniform(KEYS).shape == (64,)


@pytest.mark.parametrize(
    ("draw", "mean", "variance"),
    [
        (noise.uniform, 0.5, 1 / 12),
        (noise.normal, 0.0, 1.0),
        (noise.gumbel, 0.5772156649, math.pi**2 / 6),
    ],
    ids=DRAWS.keys(),
)
def test_moments(draw: Draw, mean: float, variance: float) -> None:
    for drawn in (draw(KEYS, (10_000,)), draw(noise.fold(KEYS[0], torch.arange(640_000)), ())):
        flat = drawn.double().flatten()
        error = math.sqrt(variance / len(flat))
        assert abs(flat.mean().item() - mean) < 5 * error
        assert abs(flat.var().item() - variance) < 0.02 * variance


def test_neighbouring_keys_steps_and_places_are_uncorrelated() -> None:
    by_key = noise.normal(noise.key_of(torch.arange(1000)), (100,))
    by_step = noise.normal(noise.fold(KEYS[0], torch.arange(1000)), (100,))
    for drawn in (by_key, by_step):
        for one, other in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
            assert abs((one * other).mean().item()) < 5 / math.sqrt(one.numel())


def test_uniform_numbers_are_inside_the_interval() -> None:
    drawn = noise.uniform(KEYS, (20_000,))
    assert 0 < drawn.min() < 1e-5 and 1 - 1e-5 < drawn.max() < 1
    assert noise.normal(KEYS, (20_000,)).isfinite().all()
    assert noise.gumbel(KEYS, (20_000,)).isfinite().all()


def test_gumbel_argmax_samples_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0])
    chosen = (logits + noise.gumbel(noise.fold(KEYS[0], torch.arange(100_000)), (3,))).argmax(-1)
    shares = torch.bincount(chosen, minlength=3) / len(chosen)
    assert torch.allclose(shares, logits.softmax(0), atol=0.01)


def test_folds_do_not_collide() -> None:
    count = 100_000
    steps, parent = torch.arange(count), noise.key_of(0)
    families = [
        noise.key_of(steps),
        noise.fold(parent, steps),
        noise.fold(noise.fold(parent, 1), steps),
        noise.fold(noise.key_of(1 + steps), 0),
        noise.fold(parent, -1 - steps),
        noise.fold(parent, 1 + steps << 32),
    ]
    keys = torch.cat(families)
    assert len(keys.unique()) == len(families) * count
    assert keys.min() >= 0 and keys.max() < 2**62


def test_keys_can_be_made_of_one_seed_or_many() -> None:
    assert noise.key_of(7).shape == ()
    assert noise.key_of(torch.tensor([6, 7]))[1] == noise.key_of(7)


def test_integers_are_even_over_their_range() -> None:
    drawn = noise.integers(noise.key_of(torch.arange(70_000)), 7)
    counts = torch.bincount(drawn)
    assert len(counts) == 7
    assert (counts - 10_000).abs().max() < 500


@pytest.mark.parametrize("data", [0, 1, -1, -5, 0x5EED, 2**40 + 3, -(2**33)])
def test_one_integer_is_as_many_equal_ones(data: int) -> None:
    assert torch.equal(noise.fold(KEYS, data), noise.fold(KEYS, torch.full((64,), data)))
