"""Single steps of noted play, gone over again and again: what a predictor of the console's memory is trained with."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.console.branches import Play
from atari_dream.models.console import Console, Notes

_READ = 4
"""A window is read for so many steps that are learnt: it is as dear as many of them."""
_WINDOW = 1
_DECAY = 0.01

Losses = dict[str, Tensor]


class Drills(nn.Module):
    """Sum of a predictor's terms of steps and windows, drawn at random from its notes.

    Args:
        predictor: What learns.
        notes: Of all play that it learns from; they are no part of what is saved.
    """

    def __init__(self, predictor: Console, notes: Notes) -> None:
        super().__init__()
        self.predictor = predictor
        self._notes = notes
        step = torch.arange(notes.valid.shape[1], device=notes.valid.device)
        self._steps = (notes.valid & (step > 0)).flatten().nonzero()[:, 0]
        self._windows = (notes.valid & (step >= predictor.context - 1)).flatten().nonzero()[:, 0]

    def forward(self, batch: object, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """Draws a step for each key, int64 (B,), and a window for some.

        Returns:
            The loss of the optimiser `"model"`, and the mean of each term, detached.
        """
        read = noise.fold(key[: max(1, len(key) // _READ)], _WINDOW)
        step = self._steps[noise.integers(key, len(self._steps))]
        window = self._windows[noise.integers(read, len(self._windows))]
        terms = {name: term.mean() for name, term in self.predictor.terms(self._notes, step, window).items()}
        return {"model": torch.stack(list(terms.values())).sum()}, {
            name: term.detach() for name, term in terms.items()
        }

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each optimiser."""
        return {"model": [part for part in self.predictor.parameters() if part.requires_grad]}

    def whole(self, progress: float) -> bool:
        """Whether all that the objective consists of takes part by now: always."""
        return True

    def optimizer(self, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        """What the parameters are trained by."""
        return torch.optim.AdamW(
            parameters, rate, weight_decay=_DECAY, fused=parameters[0].is_cuda, betas=(0.9, 0.99)
        )


def noted(predictor: Console, plays: Iterable[Play]) -> Notes:
    """Notes of play, all together."""
    return Notes(*(torch.cat(parts) for parts in zip(*map(predictor.note, plays), strict=True)))
