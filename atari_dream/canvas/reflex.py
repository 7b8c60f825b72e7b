"""What moves goes on, and obeys: a short way from colours, traces and the action to the odds of ways.

Deep features come to both late: what moved is likely to go on as it did, and in most steps that alone tells what comes,
so what only the action can tell is a small part of what changes. Here traces add to the odds directly, and the action
scales the hidden units of a small network that sees a cell and its neighbours; as in Perez et al. (2018), "FiLM: Visual
reasoning with a general conditioning layer", without the shift. It needs no rollouts to learn: see `canvas.drill`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import from_grid, to_grid
from atari_dream.canvas.counts import NUMBERS
from atari_dream.canvas.moves import LAGS
from atari_dream.layers import GRID, ActionEmbedding, Conv2d, silu

_RECENT = 2
_CALM, _KEEP, _INERTIA = -3.0, 2.0, 0.5


class Reflex(nn.Module):
    """Odds from what moves and from the action. An untrained one lets all rest that rests, and what moved go on.

    Args:
        frame_skip: Emulator frames in an action.
        ways: Ways in which a cell may come about, the first of them to stay.
        hidden: Units.
    """

    def __init__(self, frame_skip: int, ways: int, hidden: int) -> None:
        super().__init__()
        self._seen = 2 * NUMBERS + _RECENT * ways
        self._traced = LAGS * ways
        self.onward = Conv2d(self._traced, 1 + ways, 3, padding=1)
        self.look = Conv2d(self._seen, hidden, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, hidden, *GRID))
        self.act = ActionEmbedding(frame_skip, hidden)
        self.tell = Conv2d(hidden, 1 + ways, 1)
        with torch.no_grad():
            nn.init.zeros_(self.tell.weight)
            nn.init.zeros_(self.tell.bias)  # type: ignore[arg-type]
            nn.init.zeros_(self.onward.bias)  # type: ignore[arg-type]
            self.onward.bias[:2] += torch.tensor([_CALM, _KEEP])  # type: ignore[index]
            nn.init.zeros_(self.onward.weight)
            for way in range(ways):
                self.onward.weight[1 + way, way::ways] = _INERTIA

    def forward(self, seen: Tensor, action: Tensor) -> Tensor:
        """Logits of change and of each way, (B, 600, 1 + ways).

        Args:
            seen: Counts of all colours and of those that are not ground, NUMBERS each, and in which ways the last
                frames came about, the newest first, LAGS * ways: (B, 600, F).
            action: uint8 (B, frame_skip).
        """
        hidden = silu(self.look(to_grid(seen[..., : self._seen])) + self.place)
        onward = self.onward(to_grid(seen[..., -self._traced :]))
        return from_grid(onward + self.tell(hidden * (1 + self.act(action))))

    def at(self, near: Tensor, cell: Tensor, action: Tensor) -> Tensor:
        """The same of single cells, (n, 1 + ways).

        Args:
            near: What is seen of each cell and its neighbours, float16 (n, 9, F).
            cell: Its place, int64 (n,).
            action: uint8 (n, frame_skip).
        """
        near = near.to(self.place.dtype).transpose(1, 2).unflatten(2, (3, 3))
        looked = F.conv2d(near[:, : self._seen], self.look.weight, self.look.bias)
        hidden = silu(looked + self.place[0].flatten(1).T[cell][..., None, None])
        onward = F.conv2d(near[:, -self._traced :], self.onward.weight, self.onward.bias)
        return (onward + self.tell(hidden * (1 + self.act(action))))[..., 0, 0]
