"""The predictor's step on a GPU as a CUDA graph: recorded once, then launched whole."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from atari_dream import dream
from atari_dream.dream import DreamState, tree_map
from atari_dream.predictor import Outcome, Predictor

Moved = tuple[DreamState, Outcome]
Step = Callable[[DreamState, Tensor], Moved]

_WARM_UP = 3


class GraphStep:
    """`dream.step` at one temperature, as a graph where a GPU can record one that gives the very same numbers.

    Each number of lanes is recorded at its first step. What cannot be recorded, or comes out otherwise, is played
    plainly from then on, and a warning says so.

    Args:
        predictor: What dreams.
        temperature: Scale of the noise.
    """

    def __init__(self, predictor: Predictor, temperature: float) -> None:
        self._predictor, self._temperature = predictor, temperature
        self._steps: dict[int, Step] = {}

    def __call__(self, state: DreamState, action: Tensor) -> Moved:
        """One step of lanes with ALE codes, uint8 (B, frame_skip)."""
        if not (recordable(state.key.device) and self._predictor.exportable):
            return self._plain(state, action)
        lanes = len(action)
        if lanes not in self._steps:
            self._steps[lanes] = self._prepare(state, action)
        return self._steps[lanes](state, action)

    def _plain(self, state: DreamState, action: Tensor) -> Moved:
        return dream.step(self._predictor, state, action, self._temperature)

    def _prepare(self, state: DreamState, action: Tensor) -> Step:
        """The recorded step, if it does what the plain one does."""
        try:
            recorded = record(self._plain, state, action)
            same = equal(recorded(state, action), self._plain(state, action))
            trouble = None if same else "it gives other numbers"
        except RuntimeError as error:
            trouble = str(error).splitlines()[0]
        if trouble is None:
            return recorded
        warnings.warn(
            f"steps of {type(self._predictor).__name__} at batch {len(action)} are not played as a CUDA graph, "
            f"but one kernel after the other: {trouble}",
            RuntimeWarning,
            stacklevel=2,
        )
        return self._plain


def recordable(device: torch.device) -> bool:
    """Whether steps can be recorded on a device."""
    return device.type == "cuda"


@torch.no_grad()
def record(step: Step, state: DreamState, action: Tensor) -> Step:
    """Records a step of lanes of one form: what it gives is copied, so the next launch leaves it alone.

    Raises:
        RuntimeError: If the step waits for the device, or does anything else that a graph cannot hold.
    """
    taken = tree_map(torch.clone, (state, action))
    aside = torch.cuda.Stream(action.device)
    aside.wait_stream(torch.cuda.current_stream(action.device))
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            step(*taken)
    torch.cuda.current_stream(action.device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        given = step(*taken)

    def launch(state: DreamState, action: Tensor) -> Moved:
        tree_map(lambda kept, new: kept.copy_(new), taken, (state, action))
        graph.replay()
        return tree_map(torch.clone, given)

    return launch


def equal(one: Any, other: Any) -> bool:
    """Whether two equally nested tuples hold the same numbers."""
    if isinstance(one, tuple):
        return all(equal(*parts) for parts in zip(one, other, strict=True))
    return torch.equal(one, other)
