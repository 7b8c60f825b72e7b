"""The dream: pure functions on tensors. State in, state out, the random key part of the state."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from atari_dream import noise
from atari_dream.predictor import Frames, Noise, Outcome, Predictor, Start, State

Tree = TypeVar("Tree", bound=tuple[Any, ...])

_DRAW = {"normal": noise.normal, "gumbel": noise.gumbel}
_PRACTICE = -5


class DreamState(NamedTuple):
    """Lanes of a dream.

    Attributes:
        predictor: The predictor's own state.
        key: Random key of each lane, int64 (B,).
        t: Steps since the start, int64 (B,).
    """

    predictor: State
    key: Tensor
    t: Tensor


def init(predictor: Predictor, start: Start, key: Tensor) -> DreamState:
    """Begins dreams at starts, with random keys, int64 (B,)."""
    return DreamState(predictor.init(start), key, torch.zeros_like(key))


def step(
    predictor: Predictor, state: DreamState, action: Tensor, temperature: float = 1.0
) -> tuple[DreamState, Outcome]:
    """Dreams one agent step.

    Args:
        predictor: What is dreamt with.
        state: The lanes.
        action: ALE codes of each emulator frame, uint8 (B, frame_skip).
        temperature: Scale of the noise; 0 gives the mode of each distribution.
    """
    drawn = draw(predictor, state.key, state.t, temperature)
    after, outcome = predictor.step(state.predictor, action, drawn)
    return DreamState(after, state.key, state.t + 1), outcome


def draw(predictor: Predictor, key: Tensor, t: Tensor, temperature: float = 1.0) -> dict[str, Tensor]:
    """The noise that a predictor declares, tensors (B, *shape), for step `t` (B,) of lanes with keys (B,)."""
    return {name: value * temperature for name, value in _draw(predictor.noise, noise.fold(key, t)).items()}


def draw_practice(predictor: Predictor, key: Tensor, t: Tensor) -> dict[str, Tensor]:
    """What `draw` gives, and what a predictor draws in learning alone."""
    practice = _draw(predictor.practice, noise.fold(noise.fold(key, t), _PRACTICE))
    return draw(predictor, key, t) | practice


def _draw(specs: dict[str, Noise], key: Tensor) -> dict[str, Tensor]:
    return {
        name: _DRAW[spec.kind](noise.fold(key, index), spec.shape)
        for index, (name, spec) in enumerate(specs.items())
    }


def decode(predictor: Predictor, state: DreamState) -> Frames:
    """The frame that each lane shows."""
    return predictor.decode(state.predictor)


def where(mask: Tensor, new: Tree, old: Tree) -> Tree:
    """Takes the lanes of `new` where `mask`, bool (B,), holds, and those of `old` elsewhere."""

    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *(1,) * (a.ndim - 1)), a, b)

    return tree_map(choose, new, old)


def tree_map(function: Callable[..., Any], *trees: Tree) -> Tree:
    """Applies a function to the tensors of equally nested tuples."""
    first = trees[0]
    mapped = [
        tree_map(function, *parts) if isinstance(parts[0], tuple) else function(*parts)
        for parts in zip(*trees, strict=True)
    ]
    return type(first)(*mapped) if hasattr(first, "_fields") else type(first)(mapped)
