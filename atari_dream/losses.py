"""Losses of reconstructions, latents and discriminators: plain functions of tensors, one number for each lane."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


class AdversarialLoss(NamedTuple):
    """What a discriminator and what deceives it minimise, each (B,), of scores (B, ...).

    Attributes:
        judge: Of the scores of real and of fake samples: what the discriminator minimises.
        fool: Of the scores of fake samples: what their maker minimises.
    """

    judge: Callable[[Tensor, Tensor], Tensor]
    fool: Callable[[Tensor], Tensor]


def bernoulli_nll(logits: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of Bernoulli pixels less the target's entropy, in nats summed over pixels, (B,).

    That is the divergence of the predicted from the target's Bernoulli distributions: an exact prediction has 0.
    Each pixel's share is cut off at 0, below which rounding alone would bring it.

    Source: the loss of azeghost's *Generative Models for Video Prediction* (2020).

    Args:
        logits: Of any shape (B, ...).
        target: Of the same shape, in [0, 1].
    """
    target = target.float()
    entropy = torch.special.entr(target) + torch.special.entr(1 - target)
    cross = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return (cross - entropy).clamp(min=0).flatten(1).sum(1)


def gaussian_divergence(mean: Tensor, spread: Tensor, prior_mean: Tensor, prior_spread: Tensor) -> Tensor:
    """Kullback-Leibler divergence of one diagonal Gaussian from another, in nats summed over the latent, (B,).

    Source: Kingma and Welling 2014, "Auto-Encoding Variational Bayes", appendix B, for any prior.

    Args:
        mean: Of any shape (B, ...).
        spread: Standard deviations, of the same shape.
        prior_mean: Mean of the prior, broadcast to that shape.
        prior_spread: Standard deviations of the prior, broadcast to that shape.
    """
    ratio = (spread / prior_spread).square()
    distance = ((mean - prior_mean) / prior_spread).square()
    return 0.5 * (ratio + distance - 1 - ratio.log()).flatten(1).sum(1)


def free_bits(kl: Tensor, nats: float) -> Tensor:
    """Divergences of which each is at least `nats`, so that smaller ones are not pressed further.

    Source: Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow", section C.8; there
    the mean over a batch is cut off, here each lane's own.
    """
    return kl.clamp(min=nats)


def gradient_difference(predicted: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    """Gradient difference loss of images (B, C, H, W) in any scale, mean over places and channels, (B,).

    Source: Mathieu, Couprie and LeCun 2016, "Deep multi-scale video prediction beyond mean square error", eq. 6;
    the mean instead of the sum, so that sizes compare.

    Args:
        predicted: Images.
        target: Images of the same shape.
        alpha: Power of the differences, 1 or more.
    """
    pairs = zip(_edges(predicted), _edges(target), strict=True)
    return _total([(ours - theirs).abs().pow(alpha) for ours, theirs in pairs])


def total_variation(predicted: Tensor) -> Tensor:
    """Anisotropic total variation, mean |dx| + mean |dy|, of images (B, C, H, W), (B,).

    Source: Rudin, Osher and Fatemi 1992, "Nonlinear total variation based noise removal algorithms".
    """
    return _total(_edges(predicted))


def ssim_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity of images (B, C, H, W) in [0, 1], at least 6x6, (B,).

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity": Gaussian
    window of 11x11, sigma 1.5, mirrored at the border, as in `atari_dream.metrics`.
    """
    means = [_blur(image) for image in (predicted, target)]
    squares = [_blur(image * image) for image in (predicted, target)]
    one, other = means
    var_one, var_other = (square - mean * mean for square, mean in zip(squares, means, strict=True))
    covariance = _blur(predicted * target) - one * other
    light = (2 * one * other + _C1) / (one * one + other * other + _C1)
    contrast = (2 * covariance + _C2) / (var_one + var_other + _C2)
    return 1 - _mean(light * contrast)


def cross_entropy(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """What a discriminator minimises of its logits (B, ...): cross-entropy, real against fake, (B,).

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets".
    """
    return _mean(F.softplus(-real_scores)) + _mean(F.softplus(fake_scores))


def cross_entropy_fool(fake_scores: Tensor) -> Tensor:
    """What a generator minimises of a discriminator's logits (B, ...), the non-saturating form, (B,).

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 3.
    """
    return _mean(F.softplus(-fake_scores))


def least_squares(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """What a discriminator minimises of its scores (B, ...): halved squared distances, real to 1, fake to 0, (B,).

    Source: Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 9.
    """
    return 0.5 * (_mean((real_scores - 1).square()) + _mean(fake_scores.square()))


def least_squares_fool(fake_scores: Tensor) -> Tensor:
    """What a generator minimises of a discriminator's scores (B, ...): halved squared distance to 1, (B,).

    Source: Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 9.
    """
    return 0.5 * _mean((fake_scores - 1).square())


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "bce": AdversarialLoss(cross_entropy, cross_entropy_fool),
    "lsq": AdversarialLoss(least_squares, least_squares_fool),
}
"""Adversarial losses by name."""


def _variation_of_first(predicted: Tensor, target: Tensor) -> Tensor:
    return total_variation(predicted)


IMAGE_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gdl": gradient_difference,
    "ssim": ssim_loss,
    "tv": _variation_of_first,
}
"""Losses (B,) of a predicted and a real image, (B, C, H, W) in [0, 1], by the name of their weight."""


def _mean(x: Tensor) -> Tensor:
    """Mean of each lane of (B, ...), (B,)."""
    return x.reshape(len(x), -1).mean(1)


def _total(parts: list[Tensor]) -> Tensor:
    return _mean(parts[0]) + _mean(parts[1])


def _edges(images: Tensor) -> list[Tensor]:
    """|dx| and |dy| of images (B, C, H, W)."""
    return [images.diff(dim=dim).abs() for dim in (3, 2)]


def _blur(images: Tensor) -> Tensor:
    """Gaussian means of the windows around each place of images, (B, C, H, W)."""
    places = torch.arange(_WINDOW, dtype=images.dtype, device=images.device) - _WINDOW // 2
    weights = (-(places / _SIGMA).square() / 2).exp()
    window = (weights / weights.sum())[None, None]
    planes = F.pad(images, (_WINDOW // 2,) * 4, mode="reflect").flatten(0, 1)[:, None]
    return F.conv2d(F.conv2d(planes, window[..., None]), window[..., None, :]).unflatten(0, images.shape[:2])
