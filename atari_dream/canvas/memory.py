"""What a lane remembers of its frames: what rests, since when, and the last few of them."""

from typing import NamedTuple

import torch
from torch import Tensor

REST = 6
"""Steps that a pixel keeps its colour before that becomes its ground."""
LONGEST = 16
"""Steps beyond which a cell's age counts as this."""


class Memory(NamedTuple):
    """What is known of lanes up to a frame.

    Attributes:
        last: The frame, uint8 (B, 600, 56).
        ground: What each pixel showed when it last kept a colour for `REST` steps; before that, the first frame.
        still: Steps that each pixel has kept its colour, at most 255, uint8 (B, 600, 56).
        age: Steps since anything in a cell changed, uint8 (B, 600).
        interval: Steps between the two changes before, uint8 (B, 600).
        sketches: Features of the last frames, the newest first, (B, 600, frames * features).
    """

    last: Tensor
    ground: Tensor
    still: Tensor
    age: Tensor
    interval: Tensor
    sketches: Tensor

    @classmethod
    def begin(cls, frame: Tensor, sketches: Tensor) -> "Memory":
        """Knows one frame, uint8 (B, 600, 56), as if it had never been otherwise."""
        age = torch.full_like(frame[..., 0], LONGEST)
        return cls(frame, frame.clone(), torch.zeros_like(frame), age, age.clone(), sketches)

    def take_in(self, frame: Tensor, sketch: Tensor) -> "Memory":
        """Goes on to the next frame, uint8 (B, 600, 56), and its features (B, 600, features)."""
        changed = frame != self.last
        still = torch.where(changed, 0, self.still.clamp(max=254) + 1)
        ground = torch.where(still >= REST, frame, self.ground)
        stirred = changed.any(-1)
        older = self.age.clamp(max=LONGEST - 1) + 1
        sketches = torch.cat([sketch, self.sketches[..., : -sketch.shape[-1]]], dim=-1)
        return Memory(
            frame,
            ground,
            still,
            torch.where(stirred, 0, older),
            torch.where(stirred, older, self.interval),
            sketches,
        )
