"""What a step earns and ends, read off what changed in the frame: a dot that goes, a ship that bursts.

The strongest place decides, as in multiple-instance learning: what happens, happens somewhere. Read from deep features
and summed over the frame, it was not learnt in a thousand updates; from the colours that go and come, it is in a
hundred.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import to_grid
from atari_dream.canvas.counts import NUMBERS
from atari_dream.layers import Conv2d, silu

_LIVES = 8


class Tally(nn.Module):
    """Logits of outcomes.

    Args:
        classes: How many.
        hidden: Channels between.
    """

    def __init__(self, classes: int, hidden: int) -> None:
        super().__init__()
        self.look = Conv2d(3 * NUMBERS, hidden, 3, padding=1)
        self.left = nn.Parameter(torch.randn(_LIVES, hidden) * 0.3)
        self.judge = Conv2d(hidden, hidden, 3, stride=2, padding=1)
        self.vote = Conv2d(hidden, classes, 1)

    def forward(self, seen: Tensor, lives: Tensor) -> Tensor:
        """Logits (B, classes).

        Args:
            seen: Counts of the colours that were not ground, of those that went and of those that came, (B, 600,
                3 * NUMBERS).
            lives: int64 (B,).
        """
        left = self.left[lives.clamp(0, _LIVES - 1)][:, :, None, None]
        votes = self.vote(silu(self.judge(silu(self.look(to_grid(seen)) + left)))).float()
        most = votes.amax((2, 3), keepdim=True)
        odds = F.avg_pool2d((votes - most).exp(), votes.shape[2:])
        return (most + odds.log())[:, :, 0, 0]
