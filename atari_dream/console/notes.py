"""Notes of play: what the parts of a console learn from."""

from typing import NamedTuple

from torch import Tensor


class Notes(NamedTuple):
    """What is kept of play, (B, L, ...): what its parts learn from.

    Attributes:
        memory: uint8 (B, L, 128).
        actions: ALE codes, uint8 (B, L, frame_skip).
        valid: Whether the step was played, bool (B, L).
        profiles: What the reader sees of frames, uint8 (B, L, PROFILE).
        cells: What it sees of their cells, uint8 (B, L, 600).
        look: Which shape is shown at each place, int8 (B, L, S), as in `Shown`.
        down: int8 (B, L, S).
        across: int8 (B, L, S).
        value: Where things are seen that have colours of their own, uint8 (B, L, T, 2), as in `Sighted`.
        there: bool (B, L, T).
    """

    memory: Tensor
    actions: Tensor
    valid: Tensor
    profiles: Tensor
    cells: Tensor
    look: Tensor
    down: Tensor
    across: Tensor
    value: Tensor
    there: Tensor
