"""Single steps of noted play, gone over again and again: what a predictor of the console's memory is trained with."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.console.branches import Play
from atari_dream.console.notes import Notes
from atari_dream.models.console import Console

_READ = 2
"""A window is read for so many steps that are learnt: it is as dear as many of them."""
_ROW = 8
"""Windows in a row that are read together, as they share most of their frames."""
_WINDOW, _JUMBLE = 1, 2
_DECAY = 0.01

Losses = dict[str, Tensor]


class Lanes(NamedTuple):
    """Lanes of an update whose objective holds what it learns from.

    Attributes:
        lane: int64 (B,).
        plays: What was played meanwhile.
    """

    lane: Tensor
    plays: tuple[Play, ...] = ()


class Drills(nn.Module):
    """Sum of a predictor's terms of steps and windows, drawn at random from its notes.

    Notes are of so much play; when there is more, it takes the place of what has been there longest.

    Args:
        predictor: What learns.
        notes: Of the play that it begins with; they are no part of what is saved.
    """

    def __init__(self, predictor: Console, notes: Notes) -> None:
        super().__init__()
        self.predictor = predictor
        self._notes = notes
        self._oldest = 0
        self._find()

    def forward(self, batch: Lanes, key: Tensor, progress: float) -> tuple[Losses, Losses]:
        """Takes over what was played meanwhile; draws a step for each key, int64 (B,), and a window for some.

        Returns:
            The loss of the optimiser `"model"`, and the mean of each term, detached.
        """
        for play in batch.plays:
            self._replace(self.predictor.note(play))
        read = noise.fold(key[: max(1, len(key) // (_READ * _ROW))], _WINDOW)
        step = self._steps[noise.integers(key, len(self._steps))]
        first = self._windows[noise.integers(read, len(self._windows))]
        near = torch.arange(_ROW, device=first.device)
        keys = noise.fold(key, _JUMBLE), noise.fold(read[:, None], near).flatten()
        told = self.predictor.terms(self._notes, step, first[:, None] + near, keys)
        terms = {name: term.mean() for name, term in told.items()}
        return {"model": torch.stack(list(terms.values())).sum()}, {
            name: term.detach() for name, term in terms.items()
        }

    def _replace(self, notes: Notes) -> None:
        place = (self._oldest + torch.arange(len(notes.valid), device=notes.valid.device)) % len(
            self._notes.valid
        )
        for kept, fresh in zip(self._notes, notes, strict=True):
            kept[place] = fresh
        self._oldest = (self._oldest + len(notes.valid)) % len(self._notes.valid)
        self._find()

    def _find(self) -> None:
        """Finds the steps that were played, and the windows with which a row begins."""
        valid = self._notes.valid
        step = torch.arange(valid.shape[1], device=valid.device)
        self._steps = (valid & (step > 0)).flatten().nonzero()[:, 0]
        rows = (
            valid.roll(1 - _ROW, 1) & (step >= self.predictor.context - 1) & (step <= valid.shape[1] - _ROW)
        )
        self._windows = rows.flatten().nonzero()[:, 0]

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
