"""Which cells are drawn anew, and what each of their pixels shows.

What cannot be known, such as where a ghost turns, is not for each pixel to guess: the likeliest colour of each would
be no ghost at all. A region of 6x5 cells has several futures, each a whole picture, and one is drawn by its odds.
What is learnt is the likelihood of the mixture, in closed form: no encoder of the future, and no bound.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, PIXELS, from_grid, pick, put
from atari_dream.canvas.moves import Move, Moves
from atari_dream.layers import GRID, Conv2d, silu
from atari_dream.losses import mixture_nll

REGION = (6, 5)
"""Cells, rows by columns, that share a future."""
REGIONS = CELLS // (REGION[0] * REGION[1])

_SCORED = 56
_FIRST = 1e3
_CALM = -3.0
_KEEP, _RETURN = 5.0, 2.0
_ROW = 8
_SPAN = (REGION[0] * REGION[1]) ** 0.5


class Ways(NamedTuple):
    """What pixels show that take no new colour.

    Attributes:
        frames: The frame, of which a pixel keeps its colour, and those before it, uint8 (B, LAGS, 600, 56).
        ground: What they show if they go back to their ground, uint8 (B, 600, 56).
    """

    frames: Tensor
    ground: Tensor

    @property
    def present(self) -> Tensor:
        """The frame, uint8 (B, 600, 56)."""
        return self.frames[:, 0]


class Redrawing(nn.Module):
    """Draws the cells likeliest to change: a pixel keeps its colour, goes back to its ground, moves, or is painted.

    Ways to the same colour add up. An untrained one keeps all.

    Args:
        colours: Palette codes of the game.
        moves: Where else a pixel's colour may come from.
        channels: Channels of the features.
        hidden: Channels between features and pixels.
        drawn: Cells drawn in a step, a multiple of 8.
        futures: Futures of a region.
    """

    colours: Tensor
    slot: Tensor
    region: Tensor

    def __init__(
        self,
        colours: tuple[int, ...],
        moves: tuple[Move, ...],
        channels: int,
        hidden: int,
        drawn: int,
        futures: int,
    ) -> None:
        super().__init__()
        slot = torch.full((256,), len(colours))  # the last is of all colours that training never saw
        slot[torch.tensor(colours)] = torch.arange(len(colours))
        self.register_buffer("slot", slot)
        self.register_buffer("colours", torch.tensor((*colours, 0), dtype=torch.uint8))
        self.moves = Moves(moves)
        self.ways = 2 + len(moves)
        self.register_buffer("region", _regions())
        self.drawn = drawn
        self.odds = Conv2d(channels, futures, 1)
        self.stir = Conv2d(channels, 1, 1)
        self.futures = futures
        self.enter = Conv2d(channels, futures * hidden, 1)
        self.pixels = Conv2d(hidden, PIXELS * (self.ways + len(colours)), 1)
        with torch.no_grad():
            bias = torch.zeros(PIXELS, self.ways + len(colours))
            bias[:, 0], bias[:, 1] = _KEEP, _RETURN
            self.pixels.bias.copy_(bias.flatten())  # type: ignore[union-attr]
            self.stir.bias.fill_(_CALM)  # type: ignore[union-attr]

    def stirred(self, features: Tensor) -> Tensor:
        """How likely each cell is to change, logits (B, 600), from features (B, channels, 30, 20)."""
        return from_grid(self.stir(features))[..., 0].float()

    def draw(self, features: Tensor, stirred: Tensor, ways: Ways, chance: Tensor) -> Tensor:
        """The next frame, uint8 (B, 600, 56); Gumbel noise (B, regions, futures) decides on futures."""
        cell = stirred.topk(self.drawn, dim=1).indices
        future = (self._odds(features) + chance).argmax(-1).gather(1, self.region[cell])
        hidden = self._hidden(features, cell)
        hidden = hidden.gather(0, future[None, ..., None].expand(1, -1, -1, hidden.shape[-1]))[0]
        share = self._logits(hidden).softmax(-1)
        shown = self._shown(ways, cell)
        odds = F.pad(share[..., self.ways :], (0, 1))
        odds = odds.scatter_add(-1, self._slot(shown), share[..., : self.ways])
        best = odds.argmax(-1)
        colour = self.colours.index_select(0, best.flatten()).view(best.shape)
        return put(ways.present, cell, torch.where(best < len(self.colours) - 1, colour, shown[..., 0]))

    def nll(self, features: Tensor, stirred: Tensor, ways: Ways, target: Tensor, order: Tensor) -> Tensor:
        """Negative log-likelihood of a frame in nats, (B,): which cells change, and what those that are drawn show.

        The second is of a fixed number of cells: those that change, or as many of them, then those likeliest to.

        Args:
            features: (B, channels, 30, 20).
            stirred: Logits (B, 600).
            ways: What led here.
            target: The frame, uint8 (B, 600, 56).
            order: Gumbel noise, (B, 600): which cells are taken.
        """
        changes = (target != ways.present).any(-1)
        cell = torch.where(changes, order + _FIRST, order + stirred.detach()).topk(_SCORED, dim=1).indices
        crowd = (changes.sum(1, keepdim=True) / _SCORED).clamp(min=1)
        weight = torch.where(changes.gather(1, cell), crowd, 1.0)
        follows = pick(target, cell)
        led = self._shown(ways, cell) == follows[..., None]
        hidden = self._hidden(features, cell)
        logits = self._logits(hidden.flatten(0, 1)).unflatten(0, (self.futures, -1))
        slot = self._slot(follows).clamp(max=len(self.colours) - 2) + self.ways
        each = (self.futures, -1, -1, -1)
        by_cell = mixture_nll(logits, slot.expand(each), led.expand(*each, -1)).sum(-1) * weight
        by_region = torch.zeros(*by_cell.shape[:2], REGIONS, device=by_cell.device).scatter_add(
            2, self.region[cell].expand_as(by_cell), by_cell
        )
        odds = self._odds(features).log_softmax(-1).permute(2, 0, 1)
        moves = F.binary_cross_entropy_with_logits(stirred, changes.float(), reduction="none")
        return moves.sum(1) - (odds - by_region).logsumexp(0).sum(1)

    def _shown(self, ways: Ways, cell: Tensor) -> Tensor:
        """What each way leads to in cells, int64 (B, n): uint8 (B, n, 56, ways)."""
        still = torch.stack([pick(ways.present, cell), pick(ways.ground, cell)], dim=2)
        return torch.cat([still, self.moves(ways.frames, cell)], dim=2).transpose(2, 3)

    def _slot(self, shown: Tensor) -> Tensor:
        """Places among the colours, int64, of palette codes."""
        return self.slot.index_select(0, shown.flatten().int()).view(shown.shape)

    def _odds(self, features: Tensor) -> Tensor:
        """Logits of the futures of each region, (B, regions, futures)."""
        return F.avg_pool2d(self.odds(features).float(), REGION).flatten(2).transpose(1, 2) * _SPAN

    def _hidden(self, features: Tensor, cell: Tensor) -> Tensor:
        """What is known of cells, int64 (B, n), in each future: (futures, B, n, hidden)."""
        seen = _by_row(self.enter, silu(pick(from_grid(features), cell)))
        return seen.unflatten(-1, (self.futures, -1)).permute(2, 0, 1, 3)

    def _logits(self, hidden: Tensor) -> Tensor:
        """Logits (B, n, 56, ways + colours) of cells, from (B, n, hidden)."""
        return _by_row(self.pixels, silu(hidden)).unflatten(-1, (PIXELS, -1))


def _by_row(layer: nn.Module, cells: Tensor) -> Tensor:
    """A 1x1 convolution of cells (B, n, F), eight in a row."""
    image = cells.unflatten(1, (-1, _ROW)).permute(0, 3, 1, 2)
    result: Tensor = layer(image).permute(0, 2, 3, 1).flatten(1, 2)
    return result


def _regions() -> Tensor:
    """The region of each cell, int64 (600,)."""
    rows, columns = (torch.arange(size) // side for size, side in zip(GRID, REGION, strict=True))
    return (rows[:, None] * (GRID[1] // REGION[1]) + columns).flatten()
