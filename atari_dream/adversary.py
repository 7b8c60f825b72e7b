"""Adversarial training: discriminators and a predictor in turns, each adversary held at a share of the gradient.

Goodfellow et al. (2014), with cross-entropy or least squares (Mao et al. 2017). The schedule is the reference's: the
predictor alone, then the discriminators alone, then both in turns. A discriminator's weight against the other terms
follows the norms of their gradients at one layer, as in Esser et al. (2021), so that none drowns the others. What a
discriminator judges is seen through noise (Soenderby et al. 2017, "instance noise"), which grows as long as it is too
sure and fades again (as the augmentation of Karras et al. 2020 does): else it would tell what is far from real without
effort, and teach nothing.
"""

import torch
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.losses import ADVERSARIAL
from atari_dream.objectives import Losses, Rollout
from atari_dream.predictor import Batch, Predictor, Rivals

ALONE, WARM = 0.4, 0.5
"""Share of the training after which the discriminators begin, and after which they and the predictor take turns."""

_KEEP = 0.9
_MEASURE, _FOLLOW = 8, 0.3
_SURE, _HAZE, _DENSEST = 0.9, 0.02, 2.0
_FOG = -6
_SIDES = ("real", "fake")


class Adversarial(Rollout):
    """`Rollout` with a discriminator for each of the predictor's adversaries.

    Optimisers: `"model"`, and one for each adversary, by its name. A discriminator that is right in more than 90 %
    waits, and sees more noise, until the predictor has caught up.

    Args:
        predictor: What learns; it declares its `adversaries` and makes their `critics`.
        context: As in `Rollout`.
        weights: As in `Rollout`.
        free: As in `Rollout`.
        loss: Name in `losses.ADVERSARIAL`.
        share: Share of the gradient that each adversary is given.
    """

    turn: Tensor

    def __init__(
        self,
        predictor: Predictor,
        context: int,
        weights: dict[str, float] | None = None,
        free: float = 0.0,
        loss: str = "bce",
        share: float = 0.2,
    ) -> None:
        super().__init__(predictor, context, weights, free)
        self.critics = predictor.critics()
        self.loss, self.share = ADVERSARIAL[loss], share
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        for name in self.critics:
            self.register_buffer(f"weight_{name}", torch.zeros(()))
            self.register_buffer(f"most_{name}", torch.zeros(()))
            self.register_buffer(f"share_{name}", torch.zeros(()))
            self.register_buffer(f"haze_{name}", torch.zeros(()))
            self.register_buffer(f"accuracy_{name}", torch.full((), 0.5))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each optimiser."""
        critics = {name: list(critic.parameters()) for name, critic in self.critics.items()}
        return super().groups() | critics

    def whole(self, progress: float) -> bool:
        """Whether the model is trained against its discriminators by now."""
        return progress >= WARM

    def forward(self, batch: Batch, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """One turn of the predictor or of the discriminators; see `Rollout.forward`.

        Returns:
            The losses of the optimisers whose turn it is, and the terms, detached, with each discriminator's accuracy,
            weight, share of the gradient and the noise it sees.
        """
        if progress < ALONE:
            losses, terms = super().forward(batch, key, progress)
            return losses, terms | self._standing()
        self.turn += 1
        if progress < WARM or self.turn % 2:
            losses, terms = self._judge(batch, key, progress)
        else:
            losses, terms = self._fool(batch, key, progress)
        return losses, {name: term.detach() for name, term in terms.items()} | self._standing()

    def _judge(self, batch: Batch, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """The discriminators' turn."""
        with torch.no_grad():
            _, lesson = self._roll(batch, key, progress, compete=True)
        losses = {}
        for name, critic in self.critics.items():
            rivals = self._hazy(name, lesson.rivals[name], key)
            real, fake = _scores(critic, rivals)
            right = ((_verdict(real) > 0).float() + (_verdict(fake) < 0).float()) / 2
            accuracy = self._buffer("accuracy", name)
            accuracy.lerp_(_everywhere(right.mean()), 1 - _KEEP)
            sure = accuracy >= _SURE
            haze = self._buffer("haze", name)
            haze.copy_((haze + (_HAZE if sure else -_HAZE)).clamp(0, _DENSEST))
            if not sure:
                losses[name] = self.loss.judge(real, fake).mean()
        return losses, {}

    def _fool(self, batch: Batch, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """The predictor's turn."""
        terms, lesson = self._roll(batch, key, progress, compete=True)
        plain = self._sum(terms)
        total, fooling = plain, {}
        for name, critic in self.critics.items():
            rivals = self._hazy(name, lesson.rivals[name], key, ("fake",))
            fool = self.loss.fool(critic(*rivals.given, *rivals.fake).float()).mean()
            if self.turn % _MEASURE < 2 or not self._buffer("weight", name):
                self._balance(name, plain, fool)
            total = total + self._buffer("weight", name) * fool
            fooling[f"fool_{name}"] = fool
        return {"model": total}, terms | fooling

    def _hazy(self, name: str, rivals: Rivals, key: Tensor, sides: tuple[str, ...] = _SIDES) -> Rivals:
        """Rivals of which some sides are seen through noise, anew at each turn."""
        haze = self._buffer("haze", name)
        if not haze:
            return rivals
        key, seen = noise.fold(noise.fold(key, _FOG), self.turn), {}
        for side in sides:
            own = noise.fold(key, _SIDES.index(side))
            seen[side] = tuple(
                part + haze * noise.normal(noise.fold(own, place), part.shape[1:]).to(part.dtype)
                for place, part in enumerate(getattr(rivals, side))
            )
        return rivals._replace(**seen)

    def _balance(self, name: str, plain: Tensor, fool: Tensor) -> None:
        """Sets an adversary's weight by the gradients at the layer that it contests.

        It never grows beyond what it was at first: once an adversary is fooled, its gradient vanishes, as it should.
        """
        contested = self.predictor.contested()[name]
        norms = [
            _everywhere(torch.autograd.grad(term, contested, retain_graph=True)[0].float().norm())
            for term in (plain, fool)
        ]
        weight, share, most = (self._buffer(kind, name) for kind in ("weight", "share", "most"))
        wanted = self.share / (1 - self.share) * norms[0] / norms[1].clamp(min=1e-8)
        most.copy_(torch.where(weight > 0, most, wanted))
        weight.copy_(torch.where(weight > 0, torch.lerp(weight, wanted.minimum(most), _FOLLOW), wanted))
        share.copy_(weight * norms[1] / (norms[0] + weight * norms[1]).clamp(min=1e-12))

    def _buffer(self, kind: str, name: str) -> Tensor:
        return self.get_buffer(f"{kind}_{name}")

    def _standing(self) -> Losses:
        """What is told of each adversary."""
        kinds = ("accuracy", "weight", "share", "haze")
        return {f"{kind}_{name}": self._buffer(kind, name).clone() for kind in kinds for name in self.critics}


def objective_of(
    predictor: Predictor, context: int, weights: dict[str, float], free: float, loss: str, share: float
) -> Rollout:
    """What a predictor is trained with: `Adversarial` if it declares adversaries and they have a share."""
    if share > 0 and predictor.adversaries:
        return Adversarial(predictor, context, weights, free, loss, share)
    return Rollout(predictor, context, weights, free)


def _scores(critic: nn.Module, rivals: Rivals) -> tuple[Tensor, Tensor]:
    sides = ((*rivals.given, *side) for side in (rivals.real, rivals.fake))
    real, fake = (critic(*(part.detach() for part in parts)).float() for parts in sides)
    return real, fake


def _verdict(scores: Tensor) -> Tensor:
    """Mean score of each lane, (B,)."""
    return scores.detach().flatten(1).mean(1)


def _everywhere(value: Tensor) -> Tensor:
    """A number's mean over all processes."""
    value = value.detach().clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(value)
        value /= torch.distributed.get_world_size()
    return value
