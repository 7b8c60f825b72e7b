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
    rgb_of,
    sigmoid,
    silu,
    snap,
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


def head_and_frames(
    frames: Tensor, patch: tuple[int, int] = PATCH
) -> tuple[PaletteHead, Tensor, Tensor, Tensor]:
    """A head with weights of its own, features, and two frames in a row."""
    head = PaletteHead(tuple(frames.unique().tolist()), 4, patch)
    nn.init.normal_(head.pixels.weight)
    features = torch.randn(2, 4, 210 // patch[0], 160 // patch[1], requires_grad=True)
    return head, features, frames[:2], frames[2:4]


@pytest.mark.parametrize("patch", [PATCH, (2, 2)])
def test_all_cells_sampled_are_the_whole_frame(
    patch: tuple[int, int], frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for budget in ("_BUSY_PIXELS", "_CALM_PIXELS"):
        monkeypatch.setattr(f"atari_dream.layers.{budget}", 210 * 160)
    head, features, present, target = head_and_frames(frames, patch)
    logits = head(features)
    chosen = head.choose(logits, present)
    sampled = head.sampled_nll(features, present, target, chosen, torch.rand(2, head.cells))
    torch.testing.assert_close(sampled, head.nll(logits, present, target), rtol=1e-4, atol=1e-2)


def test_a_sample_of_cells_is_right_on_average(frames: Tensor) -> None:
    head, features, present, target = head_and_frames(frames)
    logits = head(features).detach()
    chosen = head.choose(logits, present)
    with torch.no_grad():
        draws = [
            head.sampled_nll(features, present, target, chosen, torch.rand(2, head.cells)) for _ in range(40)
        ]
    mean, error = torch.stack(draws).mean(0), torch.stack(draws).std(0) / 40**0.5
    assert ((mean - head.nll(logits, present, target)).abs() < 4 * error).all() and (error > 0).all()


def test_what_changes_is_always_sampled(frames: Tensor) -> None:
    head, features, present, _ = head_and_frames(frames)
    target = present.clone()
    target[:, 7:14, 8:16] = head.colours[2]
    for _ in range(3):
        nll = head.sampled_nll(features, present, target, target, torch.rand(2, head.cells))
        (gradient,) = torch.autograd.grad(nll.sum(), features)
        assert gradient[:, :, 1, 1].abs().sum() > 0


def test_a_painted_frame_is_the_chosen_one_with_the_gradient_of_the_expected(frames: Tensor) -> None:
    head, features, present, _ = head_and_frames(frames)
    logits = head(features)
    image = head.paint(logits, present)
    assert torch.allclose(image, rgb_of(head.choose(logits, present)), atol=1e-6)
    share = logits.softmax(-1)
    colours = rgb_of(head.colours[1:, None, None])[:, :, 0, 0]
    expected = share[..., 1:] @ colours + share[..., :1] * rgb_of(present).permute(0, 2, 3, 1)
    one, other = (
        torch.autograd.grad(part.square().sum(), features, retain_graph=True)[0]
        for part in (
            image - image.detach() + 1,
            expected.permute(0, 3, 1, 2) - expected.permute(0, 3, 1, 2).detach() + 1,
        )
    )
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_nearest_colour(frames: Tensor) -> None:
    colours = frames.unique()
    assert torch.equal(snap(rgb_of(frames), colours), frames)
    near = (rgb_of(frames) + 0.01 * torch.randn(len(frames), 3, 210, 160)).clamp(0, 1)
    assert torch.equal(snap(near, colours), frames)
    assert (snap(rgb_of(frames), colours[:1]) == colours[0]).all()


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
