"""Reference models: the published parameter totals, shapes and bounds; they learn from real frames."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.design import Design
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.palette import to_rgb
from atari_dream.reference import ConvLSTM2d, ConvTransposeSame2d, Reference, parameter_total

DESIGNS = {
    "C-AE": Design("convolutional"),
    "C-VAE": Design("convolutional", variational=True),
    "FC-AE": Design("dense"),
    "FC-VAE": Design("dense", variational=True, middle=30),
    "C-TD-AE": Design("distributed"),
    "C-TD-VAE": Design("distributed", variational=True),
    "C-LSTM-AE": Design("recurrent"),
    "C-LSTM-VAE": Design("recurrent", variational=True),
}
TOTALS = {
    "C-AE": 895_587,
    "C-VAE": 1_136_883,
    "FC-AE": 19_759_587,
    "FC-VAE": 33_367_572,
    "C-TD-AE": 8_902_707,
    "C-TD-VAE": 11_292_123,
    "C-LSTM-AE": 8_946_393,
    "C-LSTM-VAE": 11_376_903,
}
CLIPS = ("C-TD-AE", "C-TD-VAE", "C-LSTM-AE", "C-LSTM-VAE")
VARIATIONAL = ("C-VAE", "FC-VAE", "C-TD-VAE", "C-LSTM-VAE")

learning = [pytest.param(name, marks=[] if name == "C-AE" else [pytest.mark.slow]) for name in DESIGNS]
"""All designs, of which one learns in a moment."""


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def game(store: EpisodeStore) -> Tensor:
    """The frames of real play, each a step after the other, float32 (40, 3, 160, 210) in [0, 1]."""
    rgb = torch.from_numpy(to_rgb(store[0].frames[60:100])).permute(0, 3, 1, 2) / 255
    return F.interpolate(rgb, (160, 210), mode="area")


def clips(game: Tensor, model: Reference, lanes: int) -> tuple[Tensor, Tensor]:
    """Real frames and those that lie `ahead` of them, (lanes, T, 3, 160, 210) each."""
    starts = torch.linspace(0, len(game) - model.window - model.ahead, lanes).int()
    return tuple(  # type: ignore[return-value]
        torch.stack([game[at + shift :][: model.window] for at in starts]) for shift in (0, model.ahead)
    )


@pytest.mark.parametrize("name", DESIGNS)
def test_parameter_totals_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        assert parameter_total(Reference(DESIGNS[name])) == TOTALS[name]


def test_the_total_counts_statistics_but_not_batches() -> None:
    assert parameter_total(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))) == 9 + 12


@pytest.mark.parametrize("name", DESIGNS)
def test_every_design_makes_what_it_sees(name: str) -> None:
    with torch.device("meta"):
        model = Reference(DESIGNS[name])
        frames = torch.zeros(2, model.window, 3, 160, 210)
        made = model(frames, torch.zeros(2, 30))
    assert model.window == (10 if name in CLIPS else 1)
    assert made.logits.shape == frames.shape
    assert made.code.shape == made.mean.shape == (2, 30)
    assert (made.log_variance is not None) == (name in VARIATIONAL)


def test_one_per_pixel_layer_less_is_a_smaller_encoder() -> None:
    with torch.device("meta"):
        totals = [parameter_total(Reference(Design("dense", per_pixel=layers))) for layers in (1, 2)]
    assert totals[1] - totals[0] == 15 * 15 + 15


@pytest.mark.parametrize("name", learning)
def test_gradients_reach_every_parameter(name: str, game: Tensor) -> None:
    model = Reference(DESIGNS[name]).eval()  # in training a bias before the normalisation has none
    sum(model.losses(*clips(game, model, 1), torch.randn(1, 30)).values(), torch.zeros(1)).sum().backward()
    for place, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, place


@pytest.mark.parametrize("name", learning)
def test_the_loss_falls_on_real_frames(name: str, game: Tensor) -> None:
    model = Reference(DESIGNS[name])
    frames, target = clips(game, model, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-2)
    course = []
    for _ in range(6):
        optimiser.zero_grad()
        terms = model.losses(frames, target, torch.randn(2, 30))
        assert {"pixels", "activity"} | ({"kl"} if name in VARIATIONAL else set()) == terms.keys()
        assert all(term.shape == (2,) and (term >= 0).all() for term in terms.values())
        loss = sum(terms.values(), torch.zeros(2)).mean()
        loss.backward()
        optimiser.step()
        course.append(loss.item())
    assert course[-1] < 0.95 * course[0]


def test_the_bound_is_never_negative_even_of_a_perfect_picture(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"]).eval()
    frames = clips(game, model, 2)[0]
    perfect = model(frames).logits.detach().sigmoid()
    terms = model.losses(frames, perfect, None)
    assert (terms["pixels"] >= 0).all() and terms["pixels"].max() < 0.05
    assert (terms["pixels"] + terms["kl"] >= 0).all()


def test_only_dropout_draws(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"])
    frames, noise = clips(game, model, 2)[0], torch.randn(2, 30)
    assert not model(frames, noise).logits.equal(model(frames, noise).logits)
    model.eval()
    before = torch.get_rng_state()
    assert model(frames, noise).logits.equal(model(frames, noise).logits)
    assert torch.get_rng_state().equal(before)


def test_noise_moves_the_code_by_its_spread(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"]).eval()
    frames, noise = clips(game, model, 2)[0], torch.randn(2, 30)
    plain, drawn = model(frames), model(frames, noise)
    assert plain.code.equal(plain.mean) and drawn.mean.equal(plain.mean)
    torch.testing.assert_close(drawn.code - drawn.mean, (plain.log_variance / 2).exp() * noise)
    assert not drawn.logits.equal(plain.logits)


def test_code_and_logits_are_normalised_and_dropped(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"])
    with torch.no_grad():
        model.decoder[-1][4].weight *= 1e4  # type: ignore[index]
        made = model(clips(game, model, 4)[0])
    for end in (made.mean, made.log_variance, made.logits):
        assert 0.1 < (end == 0).float().mean() < 0.4
    logits = 0.75 * made.logits
    assert logits.mean().abs() < 0.01 and 0.7 < logits.square().mean() < 0.76


def test_beta_and_free_nats_act_on_the_divergence_alone(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"]).eval()
    frames, target = clips(game, model, 2)
    plain, scaled, floored = (
        model.losses(frames, target, None, beta, free) for beta, free in ((1, 0), (2, 0), (2, 1e4))
    )
    torch.testing.assert_close(scaled["kl"], 2 * plain["kl"])
    assert floored["kl"].tolist() == [2e4, 2e4] and plain["kl"].max() < 1e4
    for terms in (scaled, floored):
        assert terms["pixels"].equal(plain["pixels"]) and terms["activity"].equal(plain["activity"])


def test_the_divergence_is_that_of_the_code_from_a_standard_normal(game: Tensor) -> None:
    model = Reference(DESIGNS["C-VAE"]).eval()
    frames, target = clips(game, model, 2)
    made = model(frames)
    drawn = torch.distributions.Normal(made.mean, (made.log_variance / 2).exp())
    wanted = torch.distributions.kl_divergence(drawn, torch.distributions.Normal(0, 1)).sum(1)
    torch.testing.assert_close(model.losses(frames, target, None)["kl"], wanted)


@pytest.mark.parametrize("name", ["C-AE", "C-VAE"])
def test_the_activity_of_every_end_is_penalised(name: str, game: Tensor) -> None:
    model = Reference(DESIGNS[name]).eval()
    frames, target = clips(game, model, 2)
    made = model(frames)
    ends = [end for end in (made.logits, made.mean, made.log_variance) if end is not None]
    wanted = torch.cat([end.flatten(1) for end in ends], dim=1).square().sum(1)
    torch.testing.assert_close(1e6 * model.losses(frames, target, None)["activity"], wanted)
    assert len(ends) == (3 if name in VARIATIONAL else 2)


@pytest.mark.parametrize("shape", [(2, 1, 3, 210, 160), (2, 10, 3, 160, 210), (2, 3, 160, 210)])
def test_frames_of_another_shape_are_told(shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        model, frames = Reference(DESIGNS["C-AE"]), torch.zeros(shape)
        with pytest.raises(UsageError, match=r"allowed are \(B, 1, 3, 160, 210\)"):
            model(frames)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 3)])
def test_transposed_convolutions_are_the_gradient_of_padded_ones(stride: tuple[int, int]) -> None:
    layer = ConvTransposeSame2d(4, 2, stride)
    assert layer.bias is not None
    size = [5 * stride[0], 6 * stride[1]]
    pad = []
    for step in reversed(stride):
        total = max(3 - step, 0)
        pad += [total // 2, total - total // 2]
    image, outward = torch.randn(1, 2, *size, requires_grad=True), torch.randn(1, 4, 5, 6)
    F.conv2d(F.pad(image, pad), layer.weight, stride=stride).backward(outward)
    assert image.grad is not None
    torch.testing.assert_close(layer(outward), image.grad + layer.bias[:, None, None])


def test_a_convolutional_lstm_over_one_place_is_torchs_lstm() -> None:
    ours, theirs = ConvLSTM2d(2, 3, (1, 1)), nn.LSTM(2 * 9, 3, batch_first=True)
    assert ours.enter.bias is not None
    order = torch.tensor([0, 1, 3, 2])  # torch keeps the new cell before the output gate

    entering, recurring, bias = (
        weights.flatten(1).unflatten(0, (4, 3))[order].flatten(0, 1)
        for weights in (ours.enter.weight, ours.recur.weight[:, :, 1:2, 1:2], ours.enter.bias[:, None])
    )
    with torch.no_grad():
        for place, weights in zip(
            theirs.parameters(), (entering, recurring, bias[:, 0], 0 * bias[:, 0]), strict=True
        ):
            place.copy_(weights)
    clip = torch.randn(5, 7, 2, 3, 3)
    torch.testing.assert_close(ours(clip)[..., 0, 0], theirs(clip.flatten(2))[0])


def test_lstms_start_out_remembering() -> None:
    layer = Reference(DESIGNS["C-LSTM-AE"]).mean[0][1]  # type: ignore[index]
    assert isinstance(layer, ConvLSTM2d) and layer.enter.bias is not None
    assert layer.enter.bias.unflatten(0, (4, 6)).tolist() == [[0] * 6, [1] * 6, [0] * 6, [0] * 6]


def test_a_clip_is_seen_in_its_order_by_lstms_and_frame_by_frame_without() -> None:
    clip = torch.rand(1, 10, 3, 160, 210)
    looks = [Reference(DESIGNS[name]).eval().mean[0] for name in ("C-LSTM-AE", "C-TD-AE")]
    with torch.no_grad():
        for look, alike in zip(looks, (False, True), strict=True):
            turned = look(clip.flip(1)).flip(1)
            assert torch.allclose(look(clip), turned, atol=1e-5) == alike
