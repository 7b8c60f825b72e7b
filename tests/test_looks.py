"""Looks: which shape is shown is learnt off memory, and what is not known teaches nothing."""

import pytest
import torch

from atari_dream.console.looks import Looks
from atari_dream.console.sprites import JITTER, Shown

BYTES = [7, 9]


def steps(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, Shown]:
    """The first is shown in two steps of four by byte 7, in two shapes; the second always, behind what byte 9 moved."""
    generator = torch.Generator().manual_seed(seed)
    before = torch.zeros(count, 128, dtype=torch.uint8)
    before[:, 7] = torch.randint(255, (count,), generator=generator).to(torch.uint8)
    before[:, 9] = torch.randint(8, 240, (count,), generator=generator).to(torch.uint8)
    after = before.clone()
    after[:, 7] += 1
    forward = torch.rand(count, generator=generator) < 0.5
    after[:, 9] = torch.where(forward, before[:, 9] + 1, before[:, 9])
    look = torch.stack([(after[:, 7] % 4 - 1).int().clamp(0, 2), torch.ones(count)], 1).long()
    look[:, 0] = torch.where(after[:, 7] % 4 == 0, 0, look[:, 0])
    across = torch.full((count, 2), JITTER)
    across[:, 1] -= forward.long()
    return before, after, Shown(look, torch.full((count, 2), JITTER), across)


@pytest.fixture(scope="module")
def learnt() -> Looks:
    torch.manual_seed(0)
    looks = Looks(BYTES, places=2, looks=3, width=64, blocks=2)
    optimizer = torch.optim.AdamW(looks.parameters(), 5e-3)
    before, after, shown = steps(4000, seed=1)
    for part in (torch.randperm(4000).split(200) for _ in range(30)):
        for chosen in part:
            optimizer.zero_grad()
            told = Shown(*(one[chosen] for one in shown))
            looks.nll(before[chosen], after[chosen], told).mean().backward()
            optimizer.step()
    return looks.requires_grad_(False)


def test_untrained_it_shows_nothing() -> None:
    before, after, _ = steps(5)
    looks = Looks(BYTES, places=2, looks=3, width=8, blocks=1)
    assert (looks.shown(before, after).look == 0).all()


def test_what_is_shown_is_learnt(learnt: Looks) -> None:
    before, after, shown = steps(500, seed=2)
    told = learnt.shown(before, after)
    assert (told.look == shown.look).float().mean() > 0.97
    assert (told.across == shown.across)[shown.look > 0].float().mean() > 0.97
    assert learnt.nll(before, after, shown).mean() < 0.3


def test_what_is_not_known_costs_nothing(learnt: Looks) -> None:
    before, after, shown = steps(50, seed=3)
    unknown = shown._replace(look=torch.full_like(shown.look, -1))
    assert (learnt.nll(before, after, unknown) == 0).all()
    gone = shown._replace(look=torch.zeros_like(shown.look))
    elsewhere = gone._replace(across=torch.zeros_like(gone.across))
    assert torch.equal(learnt.nll(before, after, gone), learnt.nll(before, after, elsewhere))


@pytest.mark.parametrize("lanes", [1, 3, 8, 64])
def test_a_lanes_bits_are_its_own(learnt: Looks, lanes: int) -> None:
    before, after, _ = steps(100, seed=4)
    for part, whole in zip(learnt(before[:lanes], after[:lanes]), learnt(before, after), strict=True):
        assert torch.equal(part, whole[:lanes])
