"""Layers: a gradient made by hand is the true one, an untrained head is copy-last, lanes keep to themselves."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.episodes import EpisodeStore
from atari_dream.layers import (
    GRID,
    PATCH,
    ActionEmbedding,
    Conv2d,
    ConvLSTM,
    ConvTranspose2d,
    FrameEmbedding,
    OutcomeHead,
    PaletteHead,
    ResidualBlock,
    _MixtureNLL,
    sigmoid,
    silu,
)
from atari_dream.windows import domain_of

COLOURS = (0, 14, 36, 68, 100)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def frames(store: EpisodeStore) -> Tensor:
    """Real frames, uint8 (5, 210, 160)."""
    return torch.from_numpy(store[0].frames[[10, 60, 64, 100, 140]])


def plain_nll(logits: Tensor, slot: Tensor, kept: Tensor) -> Tensor:
    share = logits.softmax(-1)
    colour = share.gather(-1, slot[..., None])[..., 0]
    return -(colour + kept * share[..., 0]).log()


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_gradient_made_by_hand_is_autograds(scale: float) -> None:
    logits = scale * torch.randn(2, 6, 7, 5)
    slot, kept = torch.randint(1, 5, (2, 6, 7)), torch.rand(2, 6, 7) < 0.5
    outward = torch.randn(2, 6, 7)
    ours, plain = (logits.clone().requires_grad_() for _ in range(2))
    value, wanted = _MixtureNLL.apply(ours, slot, kept), plain_nll(plain, slot, kept)
    torch.testing.assert_close(value, wanted)
    value.backward(outward)
    wanted.backward(outward)
    assert ours.grad is not None and plain.grad is not None
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-6)
    assert ours.grad.abs().max() > 0.1


def test_logits_far_apart_stay_finite() -> None:
    logits = torch.tensor([[[[300.0, -300.0, 0.0]]]], requires_grad=True)
    for kept in (True, False):
        nll = _MixtureNLL.apply(logits, torch.tensor([[[1]]]), torch.tensor([[[kept]]]))
        nll.sum().backward()
        assert nll.isfinite().all() and logits.grad is not None and logits.grad.isfinite().all()


def test_two_ways_to_the_same_colour_add_up() -> None:
    head = PaletteHead(COLOURS, 4)
    logits = torch.zeros(1, 210, 160, 6)
    present = torch.full((1, 210, 160), 36, dtype=torch.uint8)
    other = torch.full((1, 210, 160), 68, dtype=torch.uint8)
    pixels = torch.tensor(210.0 * 160)
    torch.testing.assert_close(head.nll(logits, present, present), pixels[None] * torch.tensor(3.0).log())
    torch.testing.assert_close(head.nll(logits, present, other), pixels[None] * torch.tensor(6.0).log())


def test_an_untrained_head_is_copy_last(frames: Tensor, store: EpisodeStore) -> None:
    head = PaletteHead(domain_of(store, 4).colours, 8)
    logits = head(torch.randn(len(frames), 8, *GRID))
    assert logits.shape == (5, 210, 160, len(head.colours))
    assert torch.equal(head.choose(logits, frames), frames)
    exact = head.nll(logits, frames, frames) / (210 * 160)
    assert exact.max() < 0.1 < (head.nll(logits, frames, frames.flip(0)) / (210 * 160))[[0, 1, 3, 4]].min()


def test_a_head_draws_any_of_its_colours(frames: Tensor) -> None:
    head = PaletteHead(COLOURS, 4)
    logits = F.one_hot(torch.arange(210 * 160).view(1, 210, 160) % 6, 6).float()
    drawn = head.choose(logits, frames[:1]).flatten()
    assert drawn[1:6].tolist() == list(COLOURS) and drawn[6] == frames[0].flatten()[6]


def test_a_head_learns_a_picture(frames: Tensor, store: EpisodeStore) -> None:
    head = PaletteHead(domain_of(store, 4).colours, 8)
    features = torch.randn(1, 8, *GRID).requires_grad_()
    optimizer = torch.optim.Adam([features, *head.parameters()], lr=0.1)
    losses = []
    for _ in range(12):
        loss = head.nll(head(features), frames[:1], frames[1:2]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def layers() -> list[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """Each layer with an input of five lanes."""
    grid = torch.randn(5, 8, *GRID).contiguous(memory_format=torch.channels_last)
    frame = torch.randint(0, 256, (5, 210, 160)).to(torch.uint8)
    return [
        ("frame", FrameEmbedding(2, 8), (frame, frame.flip(0))),
        ("action", ActionEmbedding(4, 8), (torch.randint(0, 18, (5, 4)).to(torch.uint8),)),
        ("outcome", OutcomeHead(8, 7), (grid,)),
        ("residual", ResidualBlock(8), (grid,)),
        ("lstm", ConvLSTM(8, 8), (grid, grid.flip(0), grid.flip(1))),
        ("pixel by pixel", Conv2d(8, 6, 1), (grid,)),
        ("up", ConvTranspose2d(8, 4, 2, stride=2), (grid,)),
        ("palette", PaletteHead(COLOURS, 8), (grid,)),
    ]


@pytest.mark.parametrize("place", range(8), ids=[name for name, _, _ in layers()])
@torch.no_grad()
def test_a_lanes_bits_are_its_own(place: int) -> None:
    _, layer, given = layers()[place]
    for parameter in layer.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def told(rows: list[int]) -> Tensor:
        result = layer(*(part[rows] for part in given))
        return result[0] if isinstance(result, tuple) else result

    everyone = told([0, 1, 2, 3, 4])
    assert not torch.equal(everyone[0], everyone[1])
    for rows in ([2], [4, 0, 2], [2, 2, 1, 1, 0, 3, 3, 2]):
        assert torch.equal(told(rows), everyone[rows])


def test_a_frame_embedding_covers_every_pixel_with_one_cell() -> None:
    embed = FrameEmbedding(1, 3)
    frame = torch.zeros(1, 210, 160, dtype=torch.uint8)
    before = embed(frame)
    assert before.shape == (1, 3, *GRID)
    for row, column in ((0, 0), (209, 159), (100, 37)):
        changed = frame.clone()
        changed[0, row, column] = 0x44
        cells = (embed(changed) != before).any(1)[0].nonzero().tolist()
        assert cells == [[row // PATCH[0], column // PATCH[1]]]


def test_each_emulator_frames_action_counts() -> None:
    act = ActionEmbedding(4, 8)
    codes = torch.tensor([[2, 3, 4, 5], [2, 3, 5, 4], [2, 3, 4, 5]], dtype=torch.uint8)
    told = act(codes)
    assert told.shape == (3, 8, 1, 1)
    assert torch.equal(told[0], told[2]) and not torch.equal(told[0], told[1])


def test_a_residual_block_begins_as_nothing_but_a_bias() -> None:
    block, x = ResidualBlock(4), torch.randn(2, 4, 6, 5)
    torch.testing.assert_close(block(x) - x, block.second.bias[:, None, None].expand(2, 4, 6, 5))  # type: ignore[index]


def test_an_outcome_needs_evidence_from_one_place_only() -> None:
    head = OutcomeHead(4, 3)
    features = torch.zeros(1, 4, *GRID)
    near = features.clone()
    near[0, :, 12, 7] = 5.0
    assert (head(near) - head(features)).abs().max() > 1e-4


def test_the_forget_gate_begins_open() -> None:
    lstm = ConvLSTM(2, 3)
    with torch.no_grad():
        lstm.gates.weight.zero_()
        hidden, cell = lstm(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))
    assert cell.min() > 0.5 and hidden.shape == cell.shape == (1, 3, 4, 4)


@pytest.mark.parametrize("function", [sigmoid, silu])
def test_an_element_does_not_depend_on_its_place(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-100, 100, 3001)
    together = function(x)
    alone = torch.cat([function(part) for part in x.split(1)])
    assert torch.equal(together, alone)
    expected = {sigmoid: torch.sigmoid, silu: F.silu}[function](x)
    torch.testing.assert_close(together, expected)
    assert torch.equal(function(x.requires_grad_()), expected)
