"""What a predictor is trained with: `objective(batch, key, progress) -> {optimiser: loss}, metrics`."""

from collections import defaultdict

import torch
from torch import Tensor, nn

from atari_dream import dream, noise
from atari_dream.predictor import Predictor, Target
from atari_dream.windows import Batch

PIXEL_WEIGHT = 0.01
"""Factor of a frame's pixels, hundreds of nats, against one reward's."""

_OWN = -3


class Rollout(nn.Module):
    """Sum of a predictor's loss terms over several of its own predicted steps.

    A lane goes on from its own frame with a probability that rises from 0 to 1 over the first half of training,
    and from the real one otherwise: a model taught only by real frames never learns to live with its own
    (Chiappa et al. 2017).

    Args:
        predictor: What learns.
        context: Steps of context in the windows, at most the predictor's own; fewer are cheaper.
        weights: Factor of each term; a term that is not named counts once.
    """

    def __init__(self, predictor: Predictor, context: int, weights: dict[str, float] | None = None) -> None:
        super().__init__()
        self.predictor, self.context = predictor, context
        self.weights = {"pixels": PIXEL_WEIGHT, "kl": PIXEL_WEIGHT} if weights is None else weights

    def forward(
        self, batch: Batch, key: Tensor, progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Rolls the predictor out over windows.

        Args:
            batch: Windows of the context and a horizon.
            key: Random key of each lane, int64 (B,).
            progress: Share of the training that is done, 0 to 1.

        Returns:
            The loss of the optimiser `"model"`, and the mean of each term per step, detached.
        """
        steps = range(self.context, batch.frames.shape[1])
        state = self.predictor.init(batch.start(self.context))
        own = noise.uniform(noise.fold(key, _OWN), (len(steps),)) < 2 * progress
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=key.device))
        for t, place in enumerate(steps):
            target = Target(
                *(part[:, place] for part in (batch.frames, batch.rewards, batch.ended, batch.lives))
            )
            drawn = dream.draw(self.predictor, key, torch.full_like(key, t))
            state, terms = self.predictor.learn(state, batch.actions[:, place], target, drawn)
            state = self.predictor.show(state, target.frame, ~own[:, t])
            for name, term in terms.items():
                sums[name] = sums[name] + (term * batch.valid[:, place]).mean() / len(steps)
        loss = sum(
            (self.weights.get(name, 1.0) * term for name, term in sums.items()),
            torch.zeros((), device=key.device),
        )
        return {"model": loss}, {name: term.detach() for name, term in sums.items()}
