"""Which cells are drawn anew, and what each of their pixels shows."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import PIXELS, from_grid, pick, put
from atari_dream.layers import Conv2d, silu, strata
from atari_dream.losses import mixture_nll

_BUSY, _CALM = 48, 24
_KEEP = (4.0, 2.0)
_ROW = 8


class Ways(NamedTuple):
    """What pixels show that take no new colour, uint8 (B, 600, 56) each.

    Attributes:
        present: If they keep theirs.
        ground: If they go back to their ground.
    """

    present: Tensor
    ground: Tensor

    def at(self, cell: Tensor) -> "Ways":
        """Those of some cells, int64 (B, n)."""
        return Ways(pick(self.present, cell), pick(self.ground, cell))


class Redrawing(nn.Module):
    """Draws the cells likeliest to change: a pixel keeps its colour, goes back to its ground, or takes another.

    A likelihood is that of a mixture: ways to the same colour add up. An untrained one keeps all.

    Args:
        colours: Palette codes of the game.
        channels: Channels of the features.
        hidden: Channels between features and pixels.
        drawn: Cells drawn in a step, a multiple of 8.
    """

    colours: Tensor
    slot: Tensor

    def __init__(self, colours: tuple[int, ...], channels: int, hidden: int, drawn: int) -> None:
        super().__init__()
        ways = len(_KEEP)
        slot = torch.zeros(256, dtype=torch.int64)
        slot[torch.tensor(colours)] = torch.arange(len(colours)) + ways
        self.register_buffer("slot", slot)
        self.register_buffer("colours", torch.tensor((0,) * ways + colours, dtype=torch.uint8))
        self.drawn = drawn
        self.stir = Conv2d(channels, 1, 1)
        self.enter = Conv2d(channels, hidden, 1)
        self.pixels = Conv2d(hidden, PIXELS * len(self.colours), 1)
        with torch.no_grad():
            bias = torch.zeros(PIXELS, len(self.colours))
            bias[:, :ways] = torch.tensor(_KEEP)
            self.pixels.bias.copy_(bias.flatten())  # type: ignore[union-attr]

    def stirred(self, features: Tensor) -> Tensor:
        """How likely each cell is to change, logits (B, 600), from features (B, channels, 30, 20)."""
        return from_grid(self.stir(features))[..., 0].float()

    def draw(self, features: Tensor, stirred: Tensor, ways: Ways) -> Tensor:
        """The next frame, uint8 (B, 600, 56)."""
        cell = stirred.topk(self.drawn, dim=1).indices
        best = self._logits(features, cell).argmax(-1)
        colour = self.colours.index_select(0, best.flatten()).view(best.shape)
        present, ground = ways.at(cell)
        return put(
            ways.present, cell, torch.where(best == 0, present, torch.where(best == 1, ground, colour))
        )

    def nll(
        self, features: Tensor, stirred: Tensor, ways: Ways, target: Tensor, chosen: Tensor, order: Tensor
    ) -> Tensor:
        """Negative log-likelihood of a frame in nats, (B,): of which cells change, and of what they show.

        The second is an estimate, unbiased over `order`, from a fixed number of cells: most hardly change.

        Args:
            features: (B, channels, 30, 20).
            stirred: Logits (B, 600).
            ways: What led here.
            target: The frame, uint8 (B, 600, 56).
            chosen: The frame that `draw` gave.
            order: A random number for each cell, (B, 600).
        """
        changes = (target != ways.present).any(-1)
        busy = changes | (chosen != target).any(-1)
        cells, weights = zip(
            *(strata(order, mask, count) for mask, count in ((busy, _BUSY), (~busy, _CALM))), strict=True
        )
        cell, weight = torch.cat(cells, dim=1), torch.cat(weights, dim=1)
        shown = pick(target, cell)
        led = torch.stack([way == shown for way in ways.at(cell)], dim=-1)
        nll = mixture_nll(self._logits(features, cell), self.slot[shown.int()], led)
        moves = F.binary_cross_entropy_with_logits(stirred, changes.float(), reduction="none")
        return (nll.sum(-1) * weight).sum(1) + moves.sum(1)

    def _logits(self, features: Tensor, cell: Tensor) -> Tensor:
        """Logits (B, n, 56, 2 + colours) of cells, int64 (B, n)."""
        seen = pick(from_grid(features), cell).unflatten(1, (-1, _ROW)).permute(0, 3, 1, 2)
        logits = self.pixels(silu(self.enter(silu(seen))))
        return logits.permute(0, 2, 3, 1).flatten(1, 2).unflatten(-1, (PIXELS, -1))
