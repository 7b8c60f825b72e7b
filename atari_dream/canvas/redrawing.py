"""Which cells are drawn anew, and what they show.

What cannot be known, such as where a ghost turns, is not for each pixel to guess: the likeliest colour of each would
be no ghost at all. A cell as a whole stays as it is, goes back to its ground, or shows what has moved in, with what lay
under it or over its own ground; and single pixels are touched up. What is learnt is the likelihood of that mixture,
in closed form; a step takes one way by its odds, with one draw for all cells, so that those of a sprite go together.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import PIXELS, from_grid, pick, put
from atari_dream.canvas.moves import Move, Moves
from atari_dream.layers import Conv2d, silu, strata

_CHANGED, _DOUBTFUL = 40, 16
_POSSIBLE = -4.0
_CALM, _KEEP, _TOUCH = -3.0, 2.0, -4.0
_ROW = 8


class Scene(NamedTuple):
    """What a frame is drawn from.

    Attributes:
        frames: The present frame and those before it, the newest first, uint8 (B, LAGS, 600, 56).
        ground: What each pixel showed when it last rested, uint8 (B, 600, 56).
    """

    frames: Tensor
    ground: Tensor

    @property
    def present(self) -> Tensor:
        """The present frame, uint8 (B, 600, 56)."""
        return self.frames[:, 0]


class Redrawing(nn.Module):
    """Draws the cells that may change. An untrained one keeps all.

    Ways of a cell: to stay, to go back to its ground, and for each move, to show what has moved in: all of it, or
    over the cell's ground only what was not ground where it came from.

    Args:
        colours: Palette codes of the game.
        moves: N of them.
        channels: Channels of the features.
        hidden: Channels between features and cells.
        drawn: The most cells that are drawn in a step, a multiple of 8.

    Attributes:
        ways: How many there are.
    """

    colours: Tensor
    slot: Tensor

    def __init__(
        self, colours: tuple[int, ...], moves: tuple[Move, ...], channels: int, hidden: int, drawn: int
    ) -> None:
        super().__init__()
        slot = torch.zeros(256, dtype=torch.int64)
        slot[torch.tensor(colours)] = torch.arange(len(colours))
        self.register_buffer("slot", slot)
        self.register_buffer("colours", torch.tensor(colours, dtype=torch.uint8))
        self.moves = Moves(moves)
        self.ways = 2 + 2 * len(moves)
        self.drawn = drawn
        self.stir = Conv2d(channels, 1, 1)
        self.enter = Conv2d(channels, hidden, 1)
        self.choose = Conv2d(hidden, self.ways, 1)
        self.touch = Conv2d(hidden, PIXELS, 1)
        self.paint = Conv2d(hidden, PIXELS * len(colours), 1)
        with torch.no_grad():
            self.stir.bias.fill_(_CALM)  # type: ignore[union-attr]
            self.touch.bias.fill_(_TOUCH)  # type: ignore[union-attr]
            self.choose.bias[0] += _KEEP  # type: ignore[index]

    def stirred(self, features: Tensor) -> Tensor:
        """How likely each cell is to change, logits (B, 600), from features (B, channels, 30, 20)."""
        return from_grid(self.stir(features))[..., 0].float()

    def draw(self, features: Tensor, stirred: Tensor, scene: Scene, chance: Tensor) -> Tensor:
        """The next frame, uint8 (B, 600, 56); Gumbel noise (B, ways) decides on ways."""
        likely, cell = stirred.topk(self.drawn, dim=1)
        odds, touched, paint = self._tell(features, cell)
        way = (odds + chance[:, None]).argmax(-1)
        shown = self._shown(scene, cell, way[..., None])[:, :, 0]
        touched = touched.sigmoid()
        share = paint.softmax(-1) * touched[..., None]
        best, place = share.max(-1)
        kept = 1 - touched + share.gather(-1, self._slot(shown)[..., None])[..., 0]
        colour = self.colours.index_select(0, place.flatten()).view(place.shape)
        drawn = torch.where(best > kept, colour, shown)
        possible = (likely > _POSSIBLE)[..., None]
        return put(scene.present, cell, torch.where(possible, drawn, pick(scene.present, cell)))

    def nll(self, features: Tensor, stirred: Tensor, scene: Scene, target: Tensor, order: Tensor) -> Tensor:
        """Negative log-likelihood of a frame in nats, (B,): which cells change, and what those that are drawn show.

        The second is an estimate, unbiased over `order`, from some of the cells that change and of those that might.

        Args:
            features: (B, channels, 30, 20).
            stirred: Logits (B, 600).
            scene: What it is drawn from.
            target: The frame, uint8 (B, 600, 56).
            order: A random number for each cell, (B, 600): which are taken.
        """
        changes = (target != scene.present).any(-1)
        doubtful = (stirred > _POSSIBLE) & ~changes
        cells, weights = zip(
            *(strata(order, mask, count) for mask, count in ((changes, _CHANGED), (doubtful, _DOUBTFUL))),
            strict=True,
        )
        cell, weight = torch.cat(cells, dim=1), torch.cat(weights, dim=1)
        moves = F.binary_cross_entropy_with_logits(stirred, changes.float(), reduction="none")
        return moves.sum(1) + (weight * self._cell_nll(features, scene, target, cell)).sum(1)

    def _cell_nll(self, features: Tensor, scene: Scene, target: Tensor, cell: Tensor) -> Tensor:
        """Nats of cells, int64 (B, n), if they are drawn: (B, n)."""
        odds, touched, paint = self._tell(features, cell)
        follows = pick(target, cell)
        every = torch.arange(self.ways, device=cell.device).expand(*cell.shape, -1)
        right = self._shown(scene, cell, every) == follows[:, :, None]  # (B, n, ways, 56)
        painted = paint.log_softmax(-1).gather(-1, self._slot(follows)[..., None])[..., 0]
        painted = painted + F.logsigmoid(touched)
        either = torch.logaddexp(painted, F.logsigmoid(-touched))
        gain = (right * (either - painted)[:, :, None]).sum(-1)
        return -(odds.log_softmax(-1) + gain).logsumexp(-1) - painted.sum(-1)

    def _tell(self, features: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of cells, int64 (B, n): logits of ways, (B, n, ways), of touches, (B, n, 56), of colours, (B, n, 56, K)."""
        seen = pick(from_grid(features), cell).unflatten(1, (-1, _ROW)).permute(0, 3, 1, 2)
        hidden = silu(self.enter(silu(seen)))
        odds, touched, paint = (
            layer(hidden).permute(0, 2, 3, 1).flatten(1, 2).float()
            for layer in (self.choose, self.touch, self.paint)
        )
        return odds, touched, paint.unflatten(-1, (PIXELS, -1))

    def _shown(self, scene: Scene, cell: Tensor, way: Tensor) -> Tensor:
        """What cells, int64 (B, n), show in ways of theirs, int64 (B, n, W): uint8 (B, n, W, 56)."""
        present, ground = (pick(part, cell)[:, :, None] for part in (scene.present, scene.ground))
        move = ((way - 2) // 2).clamp(min=0)
        moved, lifted = (
            self.moves(frames, cell, move) for frames in (scene.frames, scene.frames != scene.ground[:, None])
        )
        over = torch.where((way % 2 == 1)[..., None] & ~lifted, ground, moved)
        return torch.where((way == 0)[..., None], present, torch.where((way == 1)[..., None], ground, over))

    def _slot(self, shown: Tensor) -> Tensor:
        """Places among the colours, int64, of palette codes."""
        return self.slot.index_select(0, shown.flatten().int()).view(shown.shape)
