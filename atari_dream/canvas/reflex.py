"""What an action does to what moves: a short way from colours, traces and the action to the odds of ways.

Deep features come to it late: in most steps motion alone tells what comes, and what only the action can tell is a small
part of what changes. Here the action scales the hidden units of a small network that sees a cell and its neighbours;
as in Perez et al. (2018), "FiLM: Visual reasoning with a general conditioning layer", without the shift.
"""

import torch
from torch import Tensor, nn

from atari_dream.canvas.cells import from_grid, to_grid
from atari_dream.canvas.counts import NUMBERS
from atari_dream.layers import GRID, ActionEmbedding, Conv2d, silu

_LAGS = 2


class Reflex(nn.Module):
    """Odds from what moves and from the action. An untrained one adds nothing.

    Args:
        frame_skip: Emulator frames in an action.
        ways: Ways in which a cell may come about.
        hidden: Units.
    """

    def __init__(self, frame_skip: int, ways: int, hidden: int) -> None:
        super().__init__()
        self._traced = _LAGS * ways
        self.look = Conv2d(2 * NUMBERS + self._traced, hidden, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, hidden, *GRID))
        self.act = ActionEmbedding(frame_skip, hidden)
        self.tell = Conv2d(hidden, 1 + ways, 1)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)  # type: ignore[arg-type]

    def forward(self, every: Tensor, loose: Tensor, traces: Tensor, action: Tensor) -> Tensor:
        """What is to be added to the logits of change and of each way, (B, 600, 1 + ways).

        Args:
            every: Counts of all colours, (B, 600, NUMBERS).
            loose: Of those that are not ground, (B, 600, NUMBERS).
            traces: In which ways the last frames came about, the newest first, (B, 600, LAGS * ways).
            action: uint8 (B, frame_skip).
        """
        seen = torch.cat([every, loose, traces[..., : self._traced]], dim=-1)
        hidden = silu(self.look(to_grid(seen)) + self.place)
        return from_grid(self.tell(hidden * (1 + self.act(action))))
