"""Which cells are drawn anew, and what they show.

What cannot be known, such as where a ghost turns, is not for each pixel to guess: the likeliest colour of each would
be no ghost at all. A cell as a whole stays as it is, goes back to its ground, or shows what has moved in, with what lay
under it or over its own ground; and single pixels are touched up. A step takes one way by its odds, with one draw for
all cells, so that those of a sprite go together; and cells that are likely to change lend their neighbours their odds,
since what is right for a part of a sprite is right for the rest.
In which ways the cells came about is read off the frames: what moved is likely to go on (`canvas.reflex`).
Which way is right is told by how many pixels it gets wrong, not by what touches could mend: touches that learn first
would leave the ways nothing to learn.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import PIXELS, ROW, from_grid, pick, put, to_grid
from atari_dream.canvas.moves import Move, Moves
from atari_dream.layers import Conv2d, silu, strata

_CHANGED, _DOUBTFUL = 40, 16
_POSSIBLE = -4.0
_TOUCH = -4.0
_WRONG, _AGREE = 2.0, 2.0
_TRACED = 64


class Scene(NamedTuple):
    """What a frame is drawn from.

    Attributes:
        frames: The present frame and those before it, the newest first, and what each cell showed before it last
            changed, uint8 (B, SOURCES, 600, 56).
        ground: What each pixel showed when it last rested, uint8 (B, 600, 56).
    """

    frames: Tensor
    ground: Tensor

    @property
    def present(self) -> Tensor:
        """The present frame, uint8 (B, 600, 56)."""
        return self.frames[:, 0]


class Plan(NamedTuple):
    """What is known of the cells to be drawn.

    Attributes:
        features: (B, channels, 30, 20).
        stirred: How likely each cell is to change, logits (B, 600).
        onward: How likely each way is as far as the reflex knows, to be added to its logit, (B, 600, ways).
    """

    features: Tensor
    stirred: Tensor
    onward: Tensor


class Redrawing(nn.Module):
    """Draws the cells that may change. An untrained one keeps all that rests.

    Ways of a cell: to stay, to go back to its ground, and for each move, to show what has moved in.

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
        self.ways = 2 + len(moves)
        self.drawn = drawn
        self.stir = Conv2d(channels, 1, 1)
        self.enter = Conv2d(channels, hidden, 1)
        self.choose = Conv2d(hidden, self.ways, 1)
        self.touch = Conv2d(hidden, PIXELS, 1)
        self.paint = Conv2d(hidden, PIXELS * len(colours), 1)
        with torch.no_grad():
            self.touch.bias.fill_(_TOUCH)  # type: ignore[union-attr]
            for layer in (self.stir, self.choose):  # the reflex knows first
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def plan(self, features: Tensor, reflex: Tensor) -> Plan:
        """Looks ahead.

        Args:
            features: (B, channels, 30, 20).
            reflex: Logits of change and of each way, to which the features add, (B, 600, 1 + ways).
        """
        reflex = reflex.float()
        return Plan(
            features, from_grid(self.stir(features))[..., 0].float() + reflex[..., 0], reflex[..., 1:]
        )

    def traced(self, scene: Scene, frame: Tensor) -> Tensor:
        """In which ways the cells came to show a frame, uint8 (B, 600, 56): odds (B, 600, ways), 0 if none changed.

        Of at most so many cells, those in which most pixels changed.
        """
        changed = (frame != scene.present).sum(-1, dtype=torch.int32)
        most, cell = changed.topk(min(self.drawn, _TRACED), dim=1)
        odds = self.fit(scene, cell, frame)[0].softmax(-1) * (most > 0)[..., None]
        return put(odds.new_zeros(*changed.shape, self.ways), cell, odds)

    def draw(self, plan: Plan, scene: Scene, chance: Tensor) -> Tensor:
        """The next frame, uint8 (B, 600, 56); Gumbel noise (B, ways) decides on ways."""
        likely, cell = plan.stirred.topk(self.drawn, dim=1)
        odds, *touches = self._tell(plan, cell)
        told = odds.log_softmax(-1) * likely.sigmoid()[..., None]
        every = put(told.new_zeros(*plan.stirred.shape, self.ways), cell, told)
        around = from_grid(F.avg_pool2d(to_grid(every), 3, stride=1, padding=1))
        agreed = odds + _AGREE * pick(around, cell)
        return self._with(plan, scene, cell, self._drawn(scene, cell, agreed + chance[:, None], touches))

    def retrace(self, plan: Plan, scene: Scene, target: Tensor) -> Tensor:
        """What it would have drawn, had chance had it that a frame came about, uint8 (B, 600, 56)."""
        _, cell = plan.stirred.topk(self.drawn, dim=1)
        odds, *touches = self._tell(plan, cell)
        likely = odds.log_softmax(-1) + self.fit(scene, cell, target)[0]
        return self._with(plan, scene, cell, self._drawn(scene, cell, likely, touches))

    def draw_at(self, cell: Tensor, plan: Plan, scene: Scene) -> Tensor:
        """What some cells, int64 (B, n), likeliest show, whether they are likely to change or not, uint8 (B, n, 56)."""
        odds, *touches = self._tell(plan, cell)
        return self._drawn(scene, cell, odds, touches)

    def _drawn(self, scene: Scene, cell: Tensor, likely: Tensor, touches: list[Tensor]) -> Tensor:
        """Some cells, int64 (B, n), in their likeliest ways, (B, n, ways), and touched up: uint8 (B, n, 56)."""
        touched, paint = touches
        shown = self._shown(scene, cell, likely.argmax(-1, keepdim=True))[:, :, 0]
        touched = touched.sigmoid()
        share = paint.softmax(-1) * touched[..., None]
        best, place = share.max(-1)
        kept = 1 - touched + share.gather(-1, self._slot(shown)[..., None])[..., 0]
        colour = self.colours.index_select(0, place.flatten()).view(place.shape)
        return torch.where(best > kept, colour, shown)

    def _with(self, plan: Plan, scene: Scene, cell: Tensor, drawn: Tensor) -> Tensor:
        """The present frame with those of some cells, int64 (B, n), that may change as drawn, uint8 (B, n, 56)."""
        possible = (plan.stirred.gather(1, cell) > _POSSIBLE)[..., None]
        return put(scene.present, cell, torch.where(possible, drawn, pick(scene.present, cell)))

    def nll(self, plan: Plan, scene: Scene, target: Tensor, order: Tensor) -> dict[str, Tensor]:
        """Negative log-likelihoods of a frame in nats, each (B,).

        Args:
            plan: What was known.
            scene: What it is drawn from.
            target: The frame, uint8 (B, 600, 56).
            order: A random number for each cell, (B, 600): which are taken.

        Returns:
            `cells`, of which cells change; `ways`, of how those that are drawn come about, and `touches`, of what their
            pixels show after that. The last two are estimates, unbiased over `order`, from some of the cells that
            change and of those that might.
        """
        changes = (target != scene.present).any(-1)
        doubtful = (plan.stirred > _POSSIBLE) & ~changes
        cells, weights = zip(
            *(strata(order, mask, count) for mask, count in ((changes, _CHANGED), (doubtful, _DOUBTFUL))),
            strict=True,
        )
        cell, weight = torch.cat(cells, dim=1), torch.cat(weights, dim=1)
        stirs = F.binary_cross_entropy_with_logits(plan.stirred, changes.float(), reduction="none")
        ways, touches = self.nll_at(cell, plan, scene, target)
        return {
            "cells": stirs.sum(1),
            "ways": (weight * ways).sum(1),
            "touches": (weight * touches).sum(1),
        }

    def nll_at(self, cell: Tensor, plan: Plan, scene: Scene, target: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of the ways of cells, int64 (B, n), and of the touches after them, if they are drawn: each (B, n)."""
        odds, touched, paint = self._tell(plan, cell)
        fit, right = self.fit(scene, cell, target)
        likely = odds.log_softmax(-1) + fit
        ways = fit.amax(-1) - likely.logsumexp(-1)
        painted = paint.log_softmax(-1).gather(-1, self._slot(pick(target, cell))[..., None])[..., 0]
        painted = painted + F.logsigmoid(touched)
        either = torch.logaddexp(painted, F.logsigmoid(-touched))
        share = (likely.detach().softmax(-1)[..., None] * right).sum(-2)
        return ways, -(share * either + (1 - share) * painted).sum(-1)

    def fit(self, scene: Scene, cell: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """How well each way explains what cells, int64 (B, n), show in a frame, (B, n, ways), and which pixels."""
        every = torch.arange(self.ways, device=cell.device).expand(*cell.shape, -1)
        right = self._shown(scene, cell, every) == pick(frame, cell)[:, :, None]
        return _WRONG * (right.sum(-1, dtype=torch.int32) - PIXELS), right

    def _tell(self, plan: Plan, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of cells, int64 (B, n): logits of ways, (B, n, ways), of touches, (B, n, 56), of colours, (B, n, 56, K)."""
        seen = pick(from_grid(plan.features), cell).unflatten(1, (-1, ROW)).permute(0, 3, 1, 2)
        hidden = silu(self.enter(silu(seen)))
        odds, touched, paint = (
            layer(hidden).permute(0, 2, 3, 1).flatten(1, 2).float()
            for layer in (self.choose, self.touch, self.paint)
        )
        return odds + pick(plan.onward, cell), touched, paint.unflatten(-1, (PIXELS, -1))

    def _shown(self, scene: Scene, cell: Tensor, way: Tensor) -> Tensor:
        """What cells, int64 (B, n), show in ways of theirs, int64 (B, n, W): uint8 (B, n, W, 56)."""
        present, ground = (pick(part, cell)[:, :, None] for part in (scene.present, scene.ground))
        moved = self.moves(scene.frames, scene.ground, cell, (way - 2).clamp(min=0))
        return torch.where((way == 0)[..., None], present, torch.where((way == 1)[..., None], ground, moved))

    def _slot(self, shown: Tensor) -> Tensor:
        """Places among the colours, int64, of palette codes."""
        return self.slot.index_select(0, shown.flatten().int()).view(shown.shape)
