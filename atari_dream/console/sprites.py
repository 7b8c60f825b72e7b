"""What stands at the places that memory tells: a few shapes for each, found in the data, drawn whole.

A program has few pictures of a thing, and one of them is shown, or none, at its place or a little behind it. So what is
drawn from them is sharp and in one piece, whatever was predicted. Source of the idea: Smirnov et al. (2021),
"MarioNette: Self-supervised sprite learning"; there sprites are learnt by gradients, here they are counted.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.console.margins import margins
from atari_dream.console.places import NO_FINE, NOTHING, REACH, SIDE, Place, finely, round_the_edge
from atari_dream.games import HEIGHT, WIDTH

JITTER, _MOST_JITTER = 8, 16
"""Pixels that a shape may be off its usual distance from its place, either way: what is usual, and the most."""
_WINDOW = 2 * REACH
_SELDOM, _FEWEST = 0.001, 8
_BEYOND = 0.005
"""Share of the shapes of a place that may be further off it."""
_UNLIKE = 0.5
"""Share of the pixels of what is seen in which a shape must not differ from it."""
_USUAL = torch.tensor([0.01, 0.99], dtype=torch.float64)


class Seen(NamedTuple):
    """What is seen at the places of lanes.

    Attributes:
        shape: Palette codes, or `NOTHING`, from the first row and column that show something, uint8 (B, S, 24, 24).
        down: Rows from the place to the first, int64 (B, S).
        across: Columns from the place to the first, int64 (B, S).
        there: Whether anything is, bool (B, S).
        whole: Whether it is no larger than a shape may be, and all within reach, bool (B, S).
    """

    shape: Tensor
    down: Tensor
    across: Tensor
    there: Tensor
    whole: Tensor


class Sighted(NamedTuple):
    """Where things are seen by their colours alone, without memory.

    Attributes:
        value: What the bytes of a place would be if its first row and column were as usual, or pixels where one byte
            does not tell, uint8 (B, S, 2).
        there: Whether anything is seen, bool (B, S).
    """

    value: Tensor
    there: Tensor


class Shown(NamedTuple):
    """What is shown at the places of lanes, int64 (B, S) each.

    Attributes:
        look: 0 for nothing, from 1 on the place's shapes; -1 where it is not known.
        down: Rows off the usual distance, plus how many they may be.
        across: Columns off the usual distance, plus how many they may be.
    """

    look: Tensor
    down: Tensor
    across: Tensor


class Sprites(nn.Module):
    """The shapes at each of S places.

    Args:
        places: Where something stands.
        looks: The most shapes of a place, L.
        jitter: Pixels that a shape may be off its usual distance from its place, either way.
    """

    backdrop: Tensor
    colours: Tensor
    alone: Tensor
    axes: Tensor
    mine: Tensor
    own: Tensor
    box: Tensor
    range: Tensor
    shapes: Tensor
    usual: Tensor

    def __init__(self, places: Sequence[Place], looks: int = 32, jitter: int = JITTER) -> None:
        super().__init__()
        self.jitter = jitter
        alone, colours = torch.zeros(2, len(places), 256, dtype=torch.bool)
        for place, told in enumerate(places):
            alone[place, list(told.colours)] = True
            colours[place, list(told.colours + told.besides)] = True
        axes = torch.tensor([[told.down, told.across] for told in places], dtype=torch.int64).view(-1, 2, 4)
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("alone", alone, persistent=False)
        self.register_buffer("axes", axes, persistent=False)
        self.register_buffer("backdrop", torch.full((HEIGHT, WIDTH), NOTHING, dtype=torch.uint8))
        self.register_buffer(
            "shapes", torch.full((len(places), 1 + looks, SIDE, SIDE), NOTHING, dtype=torch.uint8)
        )
        self.register_buffer("usual", torch.zeros(len(places), 2, dtype=torch.int64))
        shared = alone.sum(0) > 1
        own = torch.where((alone & ~shared).any(1, keepdim=True), alone & ~shared, alone)
        mine = own.any(1).nonzero()[:, 0]
        self.register_buffer("mine", mine, persistent=False)
        self.register_buffer("own", own[mine], persistent=False)
        near = torch.arange(-REACH, REACH)
        box = torch.tensor([told.box for told in places], dtype=torch.int64).view(-1, 4, 1)
        rows, columns = ((near >= box[:, k]) & (near < box[:, k + 1]) for k in (0, 2))
        self.register_buffer("box", rows[..., None] & columns[:, None], persistent=False)
        self.register_buffer("range", torch.tensor([[0, HEIGHT], [0, WIDTH]]).repeat(len(places), 1, 1))

    def place(self, memory: Tensor) -> Tensor:
        """Row and column of each place, int64 (B, S, 2), by memory, uint8 (B, 128); they may be off the screen."""
        return stands_at(self.axes, memory)

    def see(self, frame: Tensor, memory: Tensor) -> Seen:
        """What stands at the places in frames, uint8 (B, 210, 160), whose memory is uint8 (B, 128)."""
        index, own = self._own(frame, memory)
        code = frame.flatten(1).gather(1, index.flatten(1)).view(index.shape)
        in_row, in_column = own.any(-1), own.any(-2)
        first, last = (torch.stack(ends, -1) for ends in zip(_ends(in_row), _ends(in_column), strict=True))
        some = torch.arange(SIDE, device=frame.device)
        top, left = (first[..., axis, None] + some for axis in range(2))
        within = (top < _WINDOW)[..., :, None] & (left < _WINDOW)[..., None, :]
        spot = top.clamp(max=_WINDOW - 1)[..., :, None] * _WINDOW + left.clamp(max=_WINDOW - 1)[..., None, :]
        drawn = torch.where(own, code, NOTHING).flatten(2).gather(2, spot.flatten(2)).view(spot.shape)
        down, across = (first - REACH).unbind(-1)
        whole = ((last - first < SIDE) & (first > 0) & (last < _WINDOW - 1)).all(-1)
        return Seen(torch.where(within, drawn, NOTHING), down, across, in_row.any(-1), whole)

    def covered(self, frame: Tensor, memory: Tensor) -> Tensor:
        """Where in frames, uint8 (B, 210, 160), something stands, bool (B, 210, 160)."""
        index, own = self._own(frame, memory)
        return (
            torch.zeros_like(frame)
            .flatten(1)
            .scatter_reduce(1, index.flatten(1), own.flatten(1).to(frame.dtype), "amax")
            .bool()
            .view(frame.shape)
        )

    def sighted(self, frame: Tensor) -> Sighted:
        """Where things are seen in frames, uint8 (B, 210, 160), within the range in which they ever were.

        They are those of S places that have colours of their own, the rest share all of theirs.
        """
        if not len(self.own):
            none = frame.new_zeros(len(frame), 0)
            return Sighted(none[..., None], none.bool())
        rows, columns = (
            (torch.arange(size, device=frame.device) >= span[:, :1])
            & (torch.arange(size, device=frame.device) < span[:, 1:])
            for size, span in zip((HEIGHT, WIDTH), self.range[self.mine].unbind(1), strict=True)
        )
        loose = torch.where(frame == self.backdrop, NOTHING, frame)
        some = margins(loose, self.own, rows[:, :, None] & columns[:, None]) > 0
        in_column, in_row = some.int().split([WIDTH, HEIGHT], dim=-1)
        first = torch.stack([in_row.argmax(-1), in_column.argmax(-1)], -1)
        _, slope, offset, fine = self.axes[self.mine].unbind(-1)
        each = torch.where((slope == 0) | (fine != NO_FINE), 1, slope)
        value = torch.div(first - self.usual[self.mine] - offset, each, rounding_mode="floor")
        return Sighted(value.clamp(0, 255).to(torch.uint8), some.any(-1))

    def like_sprites(self, frame: Tensor) -> Tensor:
        """Where frames, uint8 (B, 210, 160), show a colour of places alone that is not the backdrop's, bool."""
        return shows(self.alone.any(0), frame, self.backdrop)

    def _own(self, frame: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels around each place, int64 (B, S, window, window), and whether they show what stands there."""
        near = torch.arange(-REACH, REACH, device=frame.device)
        index, inside = pixels(*(place[..., None] + near for place in self.place(memory).unbind(-1)))
        code = frame.flatten(1).gather(1, index.flatten(1)).view(index.shape)
        begin = torch.arange(len(self.colours), device=frame.device, dtype=torch.int32)[:, None, None] * 256
        own = self.colours.flatten().index_select(0, (code.int() + begin).flatten()).view(code.shape)
        return index, own & self.box & inside & (code != self.backdrop.flatten()[index])

    def learn(self, backdrop: np.ndarray, scenes: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Takes the most frequent shapes of each place, and where they usually are.

        Args:
            backdrop: What pixels mostly show, uint8 (210, 160).
            scenes: Frames, uint8 (B, 210, 160), and their memory, uint8 (B, 128).
        """
        self.backdrop.copy_(torch.from_numpy(backdrop))
        told = list(scenes)
        seen, memory = [self.see(*scene) for scene in told], torch.cat([scene[1] for scene in told])
        every = Seen(*(torch.cat(parts) for parts in zip(*seen, strict=True)))
        for place, (shapes, usual) in enumerate(zip(self.shapes, self.usual, strict=True)):
            clear = (every.there & every.whole)[:, place]
            if not clear.any():
                continue
            found, counts = every.shape[clear, place].flatten(1).unique(dim=0, return_counts=True)
            order = counts.argsort(descending=True, stable=True)[: len(shapes) - 1]
            order = order[counts[order] >= max(_FEWEST, _SELDOM * int(clear.sum()))]
            shapes[1 : 1 + len(order)] = found[order].unflatten(1, (SIDE, SIDE))
            usual[0], usual[1] = every.down[clear, place].mode()[0], every.across[clear, place].mode()[0]
            corner = self.place(memory[every.there[:, place]])[:, place] + usual
            low, high = corner.double().quantile(_USUAL, dim=0).long()
            self.range[place] = torch.stack([low - JITTER, high + SIDE], -1)

    def needed_jitter(self, frame: Tensor, memory: Tensor) -> int:
        """Pixels that nearly all shapes are off their usual distance at most, `JITTER` to 16.

        Args:
            frame: uint8 (B, 210, 160).
            memory: uint8 (B, 128).
        """
        seen = self.see(frame, memory)
        off = (torch.stack([seen.down, seen.across], -1) - self.usual).abs().amax(-1)
        clear = seen.there & seen.whole
        for jitter in range(JITTER, _MOST_JITTER):
            if ((off > jitter) & clear).sum(0).le(_BEYOND * clear.sum(0)).all():
                return jitter
        return _MOST_JITTER

    def known(self, seen: Seen) -> Shown:
        """Which of the shapes is most like what was seen, and where; what is like none of them is not known."""
        down, across = (
            part - usual + self.jitter
            for part, usual in zip((seen.down, seen.across), self.usual.T, strict=True)
        )
        most = 2 * self.jitter
        near = ((down >= 0) & (down <= most)) & ((across >= 0) & (across <= most))
        nearest = self._nearest(seen)
        known = seen.there & seen.whole & near & (nearest > 0)
        look = torch.where(known, nearest, torch.where(seen.there, -1, 0))
        return Shown(look, *(torch.where(known, part, self.jitter) for part in (down, across)))

    def _nearest(self, seen: Seen) -> Tensor:
        """Places of the shapes that are most like those seen, int64 (B, S); 0 where none is like it."""
        drawn, shapes = (shape.flatten(-2).contiguous() for shape in (seen.shape, self.shapes))
        words = drawn.view(torch.int64)[:, :, None] == shapes.view(torch.int64)  # eight pixels at once
        same = words.all(-1).int()
        rest = (seen.there & seen.whole & (same.amax(-1) == 0)).nonzero(as_tuple=True)
        unlike = (drawn[rest][:, None] != shapes[rest[1], 1:]).sum(-1)
        least, like = unlike.min(-1)
        enough = least <= _UNLIKE * (drawn[rest] != NOTHING).sum(-1)
        return same.argmax(-1).index_put(rest, torch.where(enough, like + 1, 0))

    def draw(self, frame: Tensor, memory: Tensor, shown: Shown) -> Tensor:
        """Frames, uint8 (B, 210, 160), over which what is shown is drawn, the last place on top."""
        some = torch.arange(SIDE, device=frame.device)
        corner = self.place(memory) + self.usual + torch.stack([shown.down, shown.across], -1) - self.jitter
        index, inside = pixels(*(part[..., None] + some for part in corner.unbind(-1)))
        flat = torch.cat(
            [frame.flatten(1), frame.new_zeros(len(frame), 1)], dim=1
        )  # what is not drawn goes last
        for place, shapes in enumerate(self.shapes):
            code = shapes.index_select(0, shown.look[:, place].clamp(min=0))
            drawn = inside[:, place] & (code != NOTHING)
            target = torch.where(drawn, index[:, place], HEIGHT * WIDTH)
            flat = flat.scatter(1, target.flatten(1), code.flatten(1))
        return flat[:, :-1].view(frame.shape)


def stands_at(axes: Tensor, memory: Tensor) -> Tensor:
    """Row and column of places, int64 (B, S, 2), by their axes, int64 (S, 2, 4), and memory, uint8 (B, 128)."""
    byte, slope, offset, fine = axes.unbind(-1)
    coarse, left = (
        memory.long().index_select(1, part.flatten()).view(len(memory), *part.shape)
        for part in (byte, fine.clamp(min=0))
    )
    told = coarse * slope + offset
    told = torch.where(slope.abs() == 1, round_the_edge(told), told)
    return told - torch.where(fine == NO_FINE, 0, finely(left))


def shows(colours: Tensor, frame: Tensor, backdrop: Tensor) -> Tensor:
    """Where frames, uint8 (B, 210, 160), show one of some colours, bool (256,), that is not the backdrop's, bool."""
    return colours.index_select(0, frame.flatten().int()).view(frame.shape) & (frame != backdrop)


def pixels(row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Places in a frame of rows (B, S, H) by columns (B, S, W), clamped, int64 (B, S, H, W), and which are in it."""
    within = ((row >= 0) & (row < HEIGHT))[..., :, None] & ((column >= 0) & (column < WIDTH))[..., None, :]
    index = row.clamp(0, HEIGHT - 1)[..., :, None] * WIDTH + column.clamp(0, WIDTH - 1)[..., None, :]
    return index, within


def _ends(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last that is true, of (B, S, n)."""
    mask = mask.int()
    return mask.argmax(-1), mask.shape[-1] - 1 - mask.flip(-1).argmax(-1)
