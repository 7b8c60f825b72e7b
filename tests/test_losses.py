"""Losses: bounds hold, closed forms agree with sampling and with others' code, gradients lead downhill."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torchmetrics.functional.image import structural_similarity_index_measure

from atari_dream.losses import (
    ADVERSARIAL,
    bernoulli_nll,
    free_bits,
    gaussian_divergence,
    gradient_difference,
    ssim_loss,
    total_variation,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def images(channels: int = 3) -> Tensor:
    """Smooth noise, (4, channels, 32, 40) in [0, 1]."""
    small = torch.rand(4, channels, 8, 10)
    return torch.nn.functional.interpolate(small, scale_factor=4, mode="bilinear")


def test_bernoulli_loss_is_never_below_zero() -> None:
    target = torch.rand(50_000, 1).round(decimals=2)
    nearest = target.logit(1e-6)
    for logits in (nearest, nearest + 1e-3 * torch.randn_like(target), 40 * torch.randn_like(target)):
        assert (bernoulli_nll(logits, target) >= 0).all()


def test_bernoulli_loss_of_an_exact_prediction_is_zero() -> None:
    target = 0.01 + 0.98 * torch.rand(4, 3, 160, 210)
    exact, near = (bernoulli_nll(target.logit() + off, target) for off in (0, 0.1))
    assert exact.shape == (4,) and exact.max() < 0.01 and near.min() > 50


def test_bernoulli_loss_of_a_black_or_white_target_is_the_log_likelihood() -> None:
    logits, target = torch.randn(2, 3, 5), torch.randint(2, (2, 3, 5))
    wanted = torch.distributions.Bernoulli(logits=logits).log_prob(target.float())
    torch.testing.assert_close(bernoulli_nll(logits, target), -wanted.sum((1, 2)))


def test_bernoulli_loss_pulls_pixels_to_the_target() -> None:
    target, logits = torch.rand(2, 50), torch.randn(2, 50, requires_grad=True)
    bernoulli_nll(logits, target).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, logits.detach().sigmoid() - target, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 30), (3, 8, 15, 10)])
def test_divergence_is_that_of_torch(shape: tuple[int, ...]) -> None:
    mean, prior_mean = torch.randn(2, *shape)
    spread, prior_spread = torch.rand(2, *shape) + 0.2
    wanted = kl_divergence(Normal(mean, spread), Normal(prior_mean, prior_spread)).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_divergence(mean, spread, prior_mean, prior_spread), wanted)


def test_divergence_takes_the_standard_prior_as_numbers() -> None:
    mean, spread = torch.randn(3, 30), torch.rand(3, 30) + 0.2
    zero, one = torch.tensor(0.0), torch.tensor(1.0)
    wanted = gaussian_divergence(mean, spread, torch.zeros(3, 30), torch.ones(3, 30))
    assert gaussian_divergence(mean, spread, zero, one).equal(wanted)


def test_free_bits_press_only_what_is_above_them() -> None:
    kl = torch.tensor([0.5, 2.0, 3.0], requires_grad=True)
    floored = free_bits(kl, 2.5)
    floored.sum().backward()
    assert floored.tolist() == [2.5, 2.5, 3.0]
    assert kl.grad is not None and kl.grad.tolist() == [0, 0, 1]


def test_gradient_difference_is_the_papers_sum_over_pixels() -> None:
    predicted, target = 255 * torch.rand(2, 2, 3, 4, 5)
    wanted = torch.zeros(2)
    for y in range(4):
        for x in range(5):
            for dy, dx, places in ((1, 0, 3 * 3 * 5), (0, 1, 3 * 4 * 4)):
                if y >= dy and x >= dx:
                    ours, theirs = (
                        (image[:, :, y, x] - image[:, :, y - dy, x - dx]).abs()
                        for image in (predicted, target)
                    )
                    wanted += (ours - theirs).abs().square().sum(1) / places
    torch.testing.assert_close(gradient_difference(predicted, target, alpha=2), wanted)


def test_gradient_difference_sees_blur_but_neither_brightness_nor_mirrored_edges() -> None:
    target = images()
    blurred = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    for same in (target + 0.3, -target):
        assert gradient_difference(same, target).max() < 1e-6
    assert gradient_difference(blurred, target).min() > 0.01


def test_gradient_difference_grows_with_the_scale() -> None:
    predicted, target = images(), images()
    ratio = gradient_difference(255 * predicted, 255 * target) / gradient_difference(predicted, target)
    torch.testing.assert_close(ratio, torch.full((4,), 255.0))


def test_total_variation_counts_both_directions() -> None:
    across = torch.tensor([0.0, 1.0]).repeat(1, 1, 6, 3)
    down = across.transpose(2, 3)
    both = torch.cat([across, torch.zeros(1, 1, 6, 6), (across - down).abs()])
    assert total_variation(both).tolist() == [1, 0, 2]
    assert total_variation(down).tolist() == [1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_is_that_of_torchmetrics(channels: int, noise: float) -> None:
    target = images(channels)
    predicted = (target + noise * torch.randn_like(target)).clamp(0, 1)
    wanted = structural_similarity_index_measure(predicted, target, data_range=1.0, reduction="none")
    assert isinstance(wanted, Tensor)
    torch.testing.assert_close(ssim_loss(predicted, target), 1 - wanted, rtol=1e-4, atol=1e-5)


def test_ssim_loss_of_the_same_image_is_zero() -> None:
    target = images()
    torch.testing.assert_close(ssim_loss(target, target), torch.zeros(4), rtol=0, atol=1e-5)


def reached(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Losses before and after forty steps downhill, (2,)."""
    guess = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([guess], lr=0.02)
    before = loss(guess).mean().detach()
    for _ in range(40):
        optimiser.zero_grad()
        loss(guess).mean().backward()
        optimiser.step()
    return torch.stack([before, loss(guess).mean().detach()])


@pytest.mark.parametrize("loss", [ssim_loss, gradient_difference])
def test_image_losses_lead_to_the_target(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    target = images()
    before, after = reached(lambda guess: loss(guess, target), torch.rand_like(target))
    assert after < before / 2


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4, 5, 5)])
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_losses_keep_the_lanes_apart(name: str, shape: tuple[int, ...]) -> None:
    loss = ADVERSARIAL[name]
    real, fake = torch.randn(2, *shape)
    judged, fooled = loss.judge(real, fake), loss.fool(fake)
    torch.testing.assert_close(judged[1:2], loss.judge(real[1:2], fake[1:2]))
    torch.testing.assert_close(fooled[1:2], loss.fool(fake[1:2]))
    assert judged.shape == fooled.shape == (3,)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_judge_and_fool_pull_fake_scores_apart(name: str) -> None:
    loss = ADVERSARIAL[name]
    real, fake = (torch.full((2,), 0.3, requires_grad=True) for _ in range(2))
    pulls = torch.autograd.grad(loss.judge(real, fake).sum(), (real, fake))
    (up,) = torch.autograd.grad(loss.fool(fake).sum(), fake)
    assert (pulls[0] < 0).all() and (pulls[1] > 0).all() and (up < 0).all()


def test_an_undecided_discriminator_has_the_known_losses() -> None:
    half = torch.full((1, 4), 0.5)
    entropy, squares = ADVERSARIAL["bce"], ADVERSARIAL["lsq"]
    torch.testing.assert_close(entropy.judge(half - half, half - half), torch.tensor([4.0]).log())
    torch.testing.assert_close(entropy.fool(half - half), torch.tensor([2.0]).log())
    assert squares.judge(half, half).tolist() == [0.25] and squares.fool(half).tolist() == [0.125]


def test_fooling_by_cross_entropy_does_not_saturate() -> None:
    score = torch.tensor([-100.0], requires_grad=True)
    ADVERSARIAL["bce"].fool(score).backward()
    assert score.grad is not None and score.grad.item() == pytest.approx(-1)
