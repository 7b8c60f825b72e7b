"""What a predictor is trained with: `objective(batch, key, progress) -> {optimiser: loss}, metrics`."""

from collections import defaultdict

import torch
import torch_optimizer
from torch import Tensor, nn

from atari_dream import dream, noise
from atari_dream.losses import IMAGE_LOSSES, free_bits
from atari_dream.predictor import Batch, Lesson, Predictor

PIXEL_WEIGHT = 0.01
"""Factor of a frame's pixels, hundreds of nats, against one reward's."""

_OWN = -3
_BETAS = (0.9, 0.99)  # with 0.999 rectification holds the first thousand updates back

Losses = dict[str, Tensor]


class Rollout(nn.Module):
    """Sum of a predictor's loss terms over several of its own predicted steps.

    A lane goes on from its own frame with a probability that rises from 0 to 1 over the first half of training,
    and from the real one otherwise: a model taught only by real frames never learns to live with its own
    (Chiappa et al. 2017).

    Args:
        predictor: What learns.
        context: Steps of context in the windows, at most the predictor's own; fewer are cheaper.
        weights: Factor of each term; a term that is not named counts once. The names of `losses.IMAGE_LOSSES` add
            that loss of the last predicted image.
        free: Nats of the latent's divergence that cost nothing.
    """

    def __init__(
        self,
        predictor: Predictor,
        context: int,
        weights: dict[str, float] | None = None,
        free: float = 0.0,
    ) -> None:
        super().__init__()
        self.predictor, self.context, self.free = predictor, context, free
        self.weights = {"pixels": PIXEL_WEIGHT, "kl": PIXEL_WEIGHT} if weights is None else weights
        self._image_losses = [name for name in IMAGE_LOSSES if self.weights.get(name)]

    def forward(self, batch: Batch, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """Rolls the predictor out over windows.

        Args:
            batch: Windows of the context and a horizon.
            key: Random key of each lane, int64 (B,).
            progress: Share of the training that is done, 0 to 1.

        Returns:
            The loss of the optimiser `"model"`, and the mean of each term per step, detached.
        """
        terms, _ = self._roll(batch, key, progress, compete=bool(self._image_losses))
        return {"model": self._sum(terms)}, {name: term.detach() for name, term in terms.items()}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each optimiser."""
        return {"model": list(self.predictor.parameters())}

    def optimizer(self, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """What parameters are trained by."""
        return torch_optimizer.RAdam(parameters, lr=rate, betas=_BETAS)

    def whole(self, progress: float) -> bool:
        """Whether all that the objective consists of takes part by now; the best checkpoint is from then on."""
        return True

    def _sum(self, terms: Losses) -> Tensor:
        weighted = (self.weights.get(name, 1.0) * term for name, term in terms.items())
        return sum(weighted, torch.zeros((), device=next(iter(terms.values())).device))

    def _roll(self, batch: Batch, key: Tensor, progress: float, compete: bool) -> tuple[Losses, Lesson]:
        """Mean of each term per step, and the last step's lesson, which competes if asked."""
        steps = range(self.context, batch.frames.shape[1])
        state = self.predictor.init(batch.start(self.context))
        own = noise.uniform(noise.fold(key, _OWN), (len(steps),)) < 2 * progress
        sums: Losses = defaultdict(lambda: torch.zeros((), device=key.device))
        for t, place in enumerate(steps):
            target = batch.target(place)
            drawn = dream.draw_practice(self.predictor, key, torch.full_like(key, t))
            last = compete and place == steps[-1]
            lesson = self.predictor.learn(state, batch.actions[:, place], target, drawn, last)
            state = self.predictor.show(lesson.state, target.frame, ~own[:, t])
            for name, term in self._terms(lesson).items():
                share = 1 if name in IMAGE_LOSSES else len(steps)
                sums[name] = sums[name] + (term * batch.valid[:, place]).mean() / share
        return sums, lesson

    def _terms(self, lesson: Lesson) -> Losses:
        terms = dict(lesson.terms)
        if "kl" in terms:
            terms["kl"] = free_bits(terms["kl"], self.free)
        if lesson.image is not None and lesson.truth is not None:
            for name in self._image_losses:
                terms[name] = IMAGE_LOSSES[name](lesson.image, lesson.truth)
        return terms
