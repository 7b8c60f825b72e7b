"""Rewards, ends and lives of learnt predictors: classes that occur, drawn by their logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from atari_dream.predictor import Domain, Noise, Outcome, Predictor, Target

LIVES_CHANGES = (-1, 0, 1)


class OutcomePredictor(Predictor):
    """A predictor whose rewards are among those of its domain, and whose lives change by one at most.

    Attributes:
        outcomes: How many logits tell the reward, the end and the change of lives.
    """

    rewards: Tensor

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        self.outcomes = {"reward": len(domain.rewards), "terminated": 2, "lives": len(LIVES_CHANGES)}
        self.noise = {name: Noise("gumbel", (size,)) for name, size in self.outcomes.items()}
        self.register_buffer("rewards", torch.tensor(domain.rewards))

    def tell(self, logits: Tensor, lives: Tensor, noise: dict[str, Tensor]) -> Outcome:
        """Draws an outcome from logits (B, sum of `outcomes`), after lives, int64 (B,)."""
        reward, terminated, change = (
            (part + noise[name]).argmax(-1) for name, part in self._split(logits).items()
        )
        left = (lives + change + LIVES_CHANGES[0]).clamp(min=0)
        return Outcome(self.rewards[reward], terminated.bool(), left)

    def outcome_terms(self, logits: Tensor, lives: Tensor, target: Target) -> dict[str, Tensor]:
        """Cross-entropies, each (B,); where lives are not known they teach nothing."""
        answers = {
            "reward": self.place_of(target.reward),
            "terminated": target.terminated.long(),
            "lives": (target.lives - lives).clamp(-1, 1) + 1,
        }
        terms = {
            name: F.cross_entropy(part, answers[name], reduction="none")
            for name, part in self._split(logits).items()
        }
        return terms | {"lives": torch.where(target.lives >= 0, terms["lives"], 0.0)}

    def place_of(self, reward: Tensor) -> Tensor:
        """The places of rewards, float32 (B,), among those of the domain, int64 (B,)."""
        return (reward[:, None] - self.rewards).abs().argmin(1)

    def _split(self, logits: Tensor) -> dict[str, Tensor]:
        parts = logits.split(list(self.outcomes.values()), dim=1)
        return dict(zip(self.outcomes, parts, strict=True))


def lives_after(lives: Tensor, target: Target) -> Tensor:
    """The target's lives, int64 (B,); those of before where they are not known."""
    return torch.where(target.lives >= 0, target.lives, lives)
