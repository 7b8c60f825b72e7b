"""What a lane remembers of its frames: the last few, what rests and since when."""

from typing import NamedTuple

import torch
from torch import Tensor

from atari_dream.canvas.moves import LAGS, SOURCES

REST = 6
"""Steps that a pixel keeps its colour before that becomes its ground."""
LONGEST = 16
"""Steps beyond which a cell's age counts as this."""


class Memory(NamedTuple):
    """What is known of lanes up to a frame.

    Attributes:
        frames: The frame and those before it, `LAGS`, the newest first; and last, what each cell showed before it last
            changed: uint8 (B, SOURCES, 600, 56).
        ground: What each pixel showed when it last kept a colour for `REST` steps; before that, the first frame.
        still: Steps that each pixel has kept its colour, at most 255, uint8 (B, 600, 56).
        age: Steps since anything in a cell changed, uint8 (B, 600).
        interval: Steps between the two changes before, uint8 (B, 600).
        sketches: Features of each of those frames, (B, 600, LAGS * features).
        traces: In which ways each came from the one before, (B, 600, LAGS * ways).
    """

    frames: Tensor
    ground: Tensor
    still: Tensor
    age: Tensor
    interval: Tensor
    sketches: Tensor
    traces: Tensor

    @classmethod
    def begin(cls, frame: Tensor, sketch: Tensor, ways: int) -> "Memory":
        """Knows one frame, uint8 (B, 600, 56), and its features (B, 600, features), as if it had always been so."""
        age = torch.full_like(frame[..., 0], LONGEST)
        frames, sketches = frame[:, None].repeat(1, SOURCES, 1, 1), sketch.repeat(1, 1, LAGS)
        traces = sketch.new_zeros(*age.shape, LAGS * ways)
        return cls(frames, frame.clone(), torch.zeros_like(frame), age, age.clone(), sketches, traces)

    @property
    def last(self) -> Tensor:
        """The frame, uint8 (B, 600, 56)."""
        return self.frames[:, 0]

    def take_in(self, frame: Tensor, sketch: Tensor, trace: Tensor) -> "Memory":
        """Goes on to the next frame, uint8 (B, 600, 56), its features (B, 600, features) and ways (B, 600, ways)."""
        changed = frame != self.last
        still = torch.where(changed, 0, self.still.clamp(max=254) + 1)
        ground = torch.where(still >= REST, frame, self.ground)
        stirred = changed.any(-1)
        before = torch.where(stirred[..., None], self.last, self.frames[:, -1])
        older = self.age.clamp(max=LONGEST - 1) + 1
        return Memory(
            torch.cat([frame[:, None], self.frames[:, : LAGS - 1], before[:, None]], dim=1),
            ground,
            still,
            torch.where(stirred, 0, older),
            torch.where(stirred, older, self.interval),
            _newest_first(sketch, self.sketches),
            _newest_first(trace, self.traces),
        )


def _newest_first(new: Tensor, known: Tensor) -> Tensor:
    """What is known, (B, 600, LAGS * F), with something new, (B, 600, F), and without the oldest."""
    return torch.cat([new, known[..., : -new.shape[-1]]], dim=-1)
