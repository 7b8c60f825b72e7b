"""Mechanics: a made-up program is learnt, actions matter, and a lane's bits are its own."""

import copy
from collections.abc import Sequence

import pytest
import torch

from atari_dream import noise
from atari_dream.console.changes import Change, find_changes
from atari_dream.console.circuits import Circuits
from atari_dream.console.mechanics import Dense, Mechanics, Trunk, bits_of, jumbled

LEFT, RIGHT = 4, 3


def program(memory: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Byte 10 goes by 3 with the action up to a wall, where byte 11 counts; a bit of byte 12 flips."""
    after = memory.clone()
    step = torch.where(action[:, 0] == RIGHT, 3, -3)
    place = memory[:, 10].long() + step
    wall = (place < 30) | (place > 120)
    after[:, 10] = torch.where(wall, memory[:, 10].long(), place).to(torch.uint8)
    after[:, 11] = torch.where(wall, memory[:, 11].long() + 1, memory[:, 11].long()).to(torch.uint8)
    after[:, 12] = memory[:, 12] ^ 32
    return after


def played(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    memory = torch.zeros(count, 128, dtype=torch.uint8)
    memory[:, 10] = 30 + 3 * torch.randint(31, (count,), generator=generator)
    memory[:, 11:13] = torch.randint(256, (count, 2), generator=generator).to(torch.uint8)
    right = torch.rand(count, 1, generator=generator) < 0.5
    action = torch.where(right, RIGHT, LEFT).to(torch.uint8).repeat(1, 4)
    return memory, action, program(memory, action)


def told() -> list[list[Change]]:
    memory, _, after = played(2000)
    return find_changes(memory.numpy(), after.numpy())


def made(kind: str, idle: Sequence[int] = ()) -> Mechanics:
    """One network, or circuits that see what the program looks at."""
    torch.manual_seed(0)
    if kind == "trunk":
        return Trunk(told(), 4, width=32, blocks=2, idle=idle)
    seen = [([10, 11], [10] if 11 in idle else [10, 11]), ([12], [12])]
    return Circuits(told(), 4, seen, widths=(32, 128, 128, 128), blocks=1, idle=idle)


@pytest.fixture(scope="module", params=["trunk", "circuits"])
def learnt(request: pytest.FixtureRequest) -> Mechanics:
    mechanics = made(request.param)
    optimizer = torch.optim.AdamW(mechanics.parameters(), 5e-3)
    memory, action, after = played(4000, seed=1)
    for part in (torch.randperm(4000).split(200) for _ in range(12)):
        for chosen in part:
            optimizer.zero_grad()
            mechanics.nll(memory[chosen], action[chosen], after[chosen]).mean().backward()
            optimizer.step()
    return mechanics.requires_grad_(False)


def likeliest(mechanics: Mechanics, memory: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    return mechanics.step(memory, action, torch.zeros(len(memory), mechanics.changes.most))


@pytest.mark.parametrize("kind", ["trunk", "circuits"])
def test_an_untrained_one_knows_how_many_changes_there_are(kind: str) -> None:
    mechanics = made(kind)
    memory, action, _ = played(5)
    logits = mechanics.changes.spread(mechanics(memory, action))
    assert logits.shape == (5, 3, mechanics.changes.most)
    assert (logits.isfinite().sum(-1) == mechanics.changes.there.sum(1)).all()


@pytest.mark.parametrize("kind", ["trunk", "circuits"])
def test_what_nothing_comes_of_is_not_looked_at_and_counts_little(kind: str) -> None:
    mechanics = made(kind, idle=[11])
    for part in mechanics.parameters():
        torch.nn.init.normal_(part)
    memory, action, after = played(20)
    other = memory.clone()
    other[:, 11] += 9
    logits = mechanics(memory, action)
    assert torch.equal(mechanics(other, action), logits)
    idle = mechanics.changes.bytes == 11
    nats = mechanics.changes.nll(logits, memory, after)
    wanted = nats[:, ~idle].sum(1) + 0.1 * nats[:, idle].sum(1)
    assert nats[:, idle].any()
    torch.testing.assert_close(mechanics.nll(memory, action, after), wanted)


def test_a_program_is_learnt(learnt: Mechanics) -> None:
    memory, action, after = played(500, seed=2)
    assert (likeliest(learnt, memory, action) == after).all(1).float().mean() > 0.97
    assert learnt.nll(memory, action, after).mean() < 0.2


def test_it_obeys(learnt: Mechanics) -> None:
    memory, action, after = played(100, seed=3)
    other = torch.where(action == RIGHT, LEFT, RIGHT).to(torch.uint8)
    inside = (memory[:, 10] > 33) & (memory[:, 10] < 117)
    gone = (
        likeliest(learnt, memory, other)[inside, 10].int()
        - likeliest(learnt, memory, action)[inside, 10].int()
    )
    assert (gone.abs() == 6).float().mean() > 0.97
    assert (after[inside, 10] != program(memory, other)[inside, 10]).all()


@torch.no_grad()
@pytest.mark.parametrize("lanes", [1, 3, 8, 64, 200])
def test_a_lanes_bits_are_its_own(learnt: Mechanics, lanes: int) -> None:
    memory, action, _ = played(200, seed=4)
    whole = learnt(memory, action)
    assert torch.equal(learnt(memory[:lanes], action[:lanes]), whole[:lanes])
    assert torch.equal(learnt(memory[-lanes:], action[-lanes:]), whole[-lanes:])


def test_a_layer_is_linear() -> None:
    layer = Dense(6, 3)
    x = torch.randn(11, 6)
    weight, bias = layer.weight[:, :, 0, 0], layer.bias
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, weight, bias))


def test_bits_are_told_highest_first() -> None:
    assert bits_of(torch.tensor([[129, 2]], dtype=torch.uint8)).tolist() == [
        [1, -1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1]
    ]


def test_of_likely_changes_one_is_drawn_and_never_an_unlikely_one(learnt: Mechanics) -> None:
    memory, action, _ = played(200, seed=5)
    sure = learnt.changes.spread(learnt(memory, action)).softmax(-1).amax(-1).amin(-1) > 0.9
    noise = 3 * torch.randn(200, learnt.changes.most, generator=torch.Generator().manual_seed(0))
    drawn = learnt.step(memory, action, noise)
    assert sure.float().mean() > 0.8 and torch.equal(drawn[sure], likeliest(learnt, memory, action)[sure])
    unsure = made("trunk")
    assert not torch.equal(unsure.step(memory, action, noise), likeliest(unsure, memory, action))


def test_no_byte_comes_to_hold_what_it_was_never_seen_to_hold(learnt: Mechanics) -> None:
    """Byte 10 never held more than 90: it stays there, though the network would let it go on."""
    memory, action, _ = played(400, seed=2)
    memory[:, 10], action[:] = 90, RIGHT
    assert (likeliest(learnt, memory, action)[:, 10] == 93).all()
    wary = copy.deepcopy(learnt)
    seen = torch.arange(256, dtype=torch.uint8)[:, None].repeat(1, 128)
    seen[:, 10].clamp_(max=90)
    wary.witness(seen)
    after = likeliest(wary, memory, action)
    assert (after[:, 10] == 90).all()
    assert torch.equal(after[:, 11:], likeliest(learnt, memory, action)[:, 11:])


def test_it_remembers_all_that_was_held(learnt: Mechanics) -> None:
    made, parts = copy.deepcopy(learnt), [played(50, seed)[0] for seed in (3, 4)]
    for part in parts:
        made.witness(part)
    for byte in (0, 10, 11):
        assert made.held[byte].nonzero()[:, 0].tolist() == sorted(set(torch.cat(parts)[:, byte].tolist()))


def test_where_every_change_leads_astray_the_likeliest_is_taken(learnt: Mechanics) -> None:
    memory, action, _ = played(50, seed=3)
    lost = copy.deepcopy(learnt)
    lost.witness(torch.full((1, 128), 255, dtype=torch.uint8))
    memory[:, 10], action[:] = 60, RIGHT
    assert torch.equal(likeliest(lost, memory, action)[:, 10], likeliest(learnt, memory, action)[:, 10])


def test_jumbled_memory_is_of_near_steps_or_of_anywhere() -> None:
    """All bytes tell their place, in eight branches of 20 steps."""
    branches, length = 8, 20
    memory = torch.arange(branches * length, dtype=torch.uint8)[:, None].repeat(1, 128)
    place = torch.arange(branches * length).repeat(20)
    keys = noise.key_of(torch.arange(len(place)))
    other = jumbled(memory, place, length, keys)
    assert torch.equal(other[:7], jumbled(memory, place[:7], length, keys[:7]))
    changed = other != memory[place]
    lanes = changed.any(1)
    assert 0.4 < lanes.float().mean() < 0.6
    assert 0.02 < changed[lanes].float().mean() < 0.06
    source = torch.where(changed, other, 0).amax(1)[lanes].long()
    assert torch.equal(torch.where(changed[lanes], source[:, None], place[lanes, None]), other[lanes].long())
    near = (source // length == place[lanes] // length) & ((source - place[lanes]).abs() <= 3)
    assert 0.6 < near.float().mean() < 0.85
    assert len(source[~near].unique()) > branches * length / 2
