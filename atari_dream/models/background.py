"""The eraser, the second floor: what it cannot predict, it paints over.

A sprite predicted in the wrong place is wrong twice, an erased one once: pixel measures favour erasing at long
horizons, so a claim against copy-last alone says little.
"""

import torch
from torch import Tensor

from atari_dream.models.copy_last import CopyLast
from atari_dream.predictor import Domain, Outcome, Start, State
from atari_dream.registry import register_model


@register_model("background")
class Background(CopyLast):
    """Repaints every pixel that changed in the context with the game's most frequent colour there, then holds.

    State: that of `CopyLast`, and the painted frame, uint8 (B, 210, 160), which shows from the first step on.

    Args:
        domain: The game.
        usual: Most frequent palette code of each pixel, uint8 (210, 160), as a start pool carries it.
    """

    context = 16
    usual: Tensor

    def __init__(self, domain: Domain, usual: Tensor | None = None) -> None:
        super().__init__(domain)
        self.register_buffer("usual", torch.zeros(210, 160, dtype=torch.uint8) if usual is None else usual)

    def init(self, start: Start) -> State:
        """Erases what moved in the context."""
        last, lives = super().init(start)
        moved = (start.frames != last[:, None]).any(1)
        return last, lives, torch.where(moved, self.usual, last)

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Shows the painted frame."""
        _, lives, painted = state
        after, outcome = super().step((painted, lives), action, noise)
        return (*after, painted.clone()), outcome
