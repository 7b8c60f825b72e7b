"""What single bytes of memory tell of the rest of the picture: dots, digits, lives, cubes.

For each cell of the screen that changes other than by sprites, the half of a byte, byte, bit, or value that a byte must
reach is found that tells best what it shows, with a half, a bit or such a value besides if that tells more, and a table
from their values to that. A value that was never seen changes nothing.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, PIXELS, to_cells
from atari_dream.console.changes import BYTES

_SETTLED, _EXPLAINED = 0.998, 0.5
VALUE_COST = 2.0
"""Frames that each value of a part must make up for: few that tell are better than many."""
Part = tuple[int, int, int]
"""A part of a byte: which byte, a shift, and a mask; a shift of -t asks whether the byte is t or more."""
_UNTOLD = 255
_AT_ONCE = 16
_CODES = torch.from_numpy(np.random.default_rng(0).integers(2**36, size=PIXELS))
_WHOLE = 255
_PARTS = [(shift, 15) for shift in (0, 4)] + [(0, _WHOLE)] + [(shift, 1) for shift in range(8)]
"""What of a byte may tell: half of it, all of it, a bit; as a shift and a mask.

Its table says from which value on it tells something else, which may be asked, too.
"""
_PARTS_TRIED, _BITS_TRIED, _BESIDES = 6, 24, 0.1
"""Parts, and bits, that are tried together, those that tell most alone; and the share of the frames that a part tells
wrong that another must mend to be asked besides."""


def every_part() -> list[Part]:
    """All parts of all bytes: byte, shift and mask."""
    return [(byte, shift, mask) for byte in range(BYTES) for shift, mask in _PARTS]


def part_of(memory: np.ndarray, byte: int, shift: int, mask: int) -> np.ndarray:
    """Parts of bytes of memory, uint8 (..., 128)."""
    return _part_of_byte(memory[..., byte], shift, mask)


def value_of(memory: Tensor, part: Tensor) -> Tensor:
    """The value of a part of a byte, int64 (B,), of memory (B, 128); the part is int64 (3,): byte, shift and mask."""
    return _values(memory, *part[:, None])[:, 0]


def every_value(part: Tensor) -> Tensor:
    """Values of parts of bytes, int64 (256, n), by those of the bytes; the parts are int64 (3, n)."""
    every = torch.arange(256, device=part.device)[:, None]
    return _values(every, torch.zeros_like(part[0]), *part[1:])


def find_bit(frames: Tensor, memory: Tensor, covered: Tensor) -> Part:
    """The bit that alone tells most of what cells show, as byte, shift and mask.

    Args:
        frames: uint8 (N, 210, 160).
        memory: uint8 (N, 128).
        covered: Which pixels do not count, bool (N, 210, 160).
    """
    shown, memory, hidden = _by_cell(frames, memory, covered)
    value = _lively(memory.numpy(), [part for part in every_part() if part[2] == 1])
    right = dict.fromkeys(value, 0.0)
    for cell, bare in enumerate(~hidden.numpy().T):
        pictures, which = _pictures(shown[:, cell].numpy()[bare])
        for part in value if len(pictures) > 1 else ():
            right[part] += told_right(_table(value[part][bare], which, len(pictures)))
    return max(right, key=lambda part: right[part])


class Tables(nn.Module):
    """What cells show by values of bytes.

    Args:
        count: Pictures of cells that are known, at least 1.
        values: The most values that may tell what a cell shows.
    """

    part: Tensor
    besides: Tensor
    begin: Tensor
    entry: Tensor
    pictures: Tensor

    def __init__(self, count: int = 1, values: int = 256) -> None:
        super().__init__()
        self.register_buffer("part", torch.zeros(3, CELLS, dtype=torch.int64))
        self.register_buffer("besides", torch.zeros(3, CELLS, dtype=torch.int64))
        self.register_buffer("begin", torch.zeros(CELLS, dtype=torch.int64))
        self.register_buffer("entry", torch.full((CELLS, values), _UNTOLD, dtype=torch.uint8))
        self.register_buffer("pictures", torch.zeros(count, PIXELS, dtype=torch.uint8))

    def learn(self, scenes: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Counts what goes with what; of more pictures than fit, cells have none from there on.

        Args:
            scenes: Frames, uint8 (B, 210, 160), their memory, uint8 (B, 128), and what sprites cover in them, bool
                (B, 210, 160).
        """
        shown, memory, covered = (
            torch.cat(parts) for parts in zip(*(_by_cell(*scene) for scene in scenes), strict=True)
        )
        begin, most = 0, self.entry.shape[1]
        for cell, told in _told(shown.numpy(), memory.numpy(), ~covered.numpy(), most):
            if begin + len(told.pictures) > len(self.pictures):
                break
            self.pictures[begin : begin + len(told.pictures)] = torch.from_numpy(told.pictures)
            self.part[:, cell], self.besides[:, cell] = torch.tensor(told.part), torch.tensor(told.besides)
            self.begin[cell] = begin
            self.entry[cell] = torch.from_numpy(told.entry)
            begin += len(told.pictures)

    def values(self, memory: Tensor) -> Tensor:
        """What tells cells, int64 (B, 600), by memory (B, 128); 0 for a cell of which nothing tells."""
        part, besides = (_values(memory, *told) for told in (self.part, self.besides))
        return part + besides * (self.part[2] + 1)

    def shown(self, memory: Tensor, otherwise: Tensor) -> Tensor:
        """What cells show, uint8 (B, 600, 56), where memory tells it; elsewhere as given, uint8 (B, 600, 56)."""
        every = torch.arange(CELLS, device=memory.device) * self.entry.shape[1] + self.values(memory)
        entry = self.entry.flatten().index_select(0, every.flatten()).view(every.shape)
        picture = self.pictures.index_select(0, self._picture(entry).flatten()).view(*entry.shape, PIXELS)
        return torch.where((entry != _UNTOLD)[..., None], picture, otherwise)

    def against(self, cells: Tensor, bare: Tensor, memory: Tensor) -> Tensor:
        """How many cells speak against each value of each byte: they show what other values tell.

        A cell that shows what no value tells says nothing.

        Args:
            cells: uint8 (B, 600, 56).
            bare: Which of them no sprite may cover, bool (B, 600).
            memory: Tells what is asked besides, uint8 (B, 128).

        Returns:
            float32 (B, 128, 256).
        """
        parts = zip(cells.split(_AT_ONCE), bare.split(_AT_ONCE), memory.split(_AT_ONCE), strict=True)
        return torch.cat([self._against(*part) for part in parts])

    def _against(self, cells: Tensor, bare: Tensor, memory: Tensor) -> Tensor:
        byte, _, mask = self.part
        first = torch.arange(CELLS, device=cells.device) * self.entry.shape[1]
        asked = _values(memory, *self.besides) * (mask + 1)
        place = first + every_value(self.part) + asked[:, None]  # (B, 256, 600)
        entry = self.entry.flatten().index_select(0, place.flatten()).view(place.shape)
        known = _digest(self.pictures).index_select(0, self._picture(entry).flatten()).view(place.shape)
        fit = (known == _digest(cells)[:, None]) & (entry != _UNTOLD)
        speaks = fit.any(1) & bare & (mask > 0)
        other = (~fit & speaks[:, None]).transpose(1, 2).float()
        return other.new_zeros(len(cells), BYTES, 256).index_add(1, byte, other)

    def _picture(self, entry: Tensor) -> Tensor:
        """Places of cells' pictures among all, int64 (..., 600), by their places among those of the cell, uint8."""
        return torch.where(entry != _UNTOLD, entry.long() + self.begin, 0)

    def follow(self, cells: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Cells, uint8 (B, 600, 56), when memory, uint8 (B, 128), changes: those that it tells otherwise now."""
        turned = (self.values(before) != self.values(after))[..., None]
        return torch.where(turned, self.shown(after, cells), cells)


def _digest(cells: Tensor) -> Tensor:
    """Numbers that are equal for equal pictures, and for hardly any others, int64 (...), none of them negative."""
    return (cells.long() * _CODES.to(cells.device)).sum(-1)


def _values(memory: Tensor, byte: Tensor, shift: Tensor, mask: Tensor) -> Tensor:
    """Parts of bytes, int64 (B, n), of memory (B, 128); byte, shift and mask are int64 (n,)."""
    held = memory.index_select(1, byte).long()
    part = torch.bitwise_and(torch.bitwise_right_shift(held, shift.clamp(min=0)), mask)
    return torch.where(shift < 0, (held >= -shift).long(), part)


def _by_cell(frame: Tensor, memory: Tensor, covered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return to_cells(frame), memory, to_cells(covered).any(-1)


class Told(NamedTuple):
    """What tells a cell.

    Attributes:
        part: A part of a byte.
        besides: Another, no larger, in the same way; the mask is 0 if none is asked.
        entry: By value, place of what the cell shows, uint8 (n,).
        pictures: What it shows, uint8 (n, 56).
    """

    part: Part
    besides: Part
    entry: np.ndarray
    pictures: np.ndarray


def _told(shown: np.ndarray, memory: np.ndarray, bare: np.ndarray, most: int) -> Iterator[tuple[int, Told]]:
    """Cells of which a part of a byte, and another besides, tell what they show, by `most` values, and what does."""
    value = _lively(memory, [part for part in every_part() if part[2] < most])
    for cell in range(CELLS):
        clear = bare[:, cell]
        pictures, which = _pictures(shown[clear, cell])
        missed = len(which) - np.bincount(which, minlength=1).max()
        if missed <= (1 - _SETTLED) * len(which):
            continue
        part, besides, held = _telling({part: held[clear] for part, held in value.items()}, which, most)
        table = _table(held, which, len(pictures), most)
        if len(which) - told_right(table) <= (1 - _EXPLAINED) * missed:
            yield cell, Told(part, besides, *_entries(table, pictures))


def _telling(value: dict[Part, np.ndarray], which: np.ndarray, most: int) -> tuple[Part, Part, np.ndarray]:
    """What tells best which pictures are shown, int64 (N,): a part, another besides or none, and their values, (N,)."""
    count = int(which.max()) + 1
    alone = {part: told_right(_table(held, which, count)) for part, held in value.items()}
    wholes = sorted((part for part in alone if part[2] == _WHOLE), key=lambda part: -alone[part])
    for edge in (_edge(whole, value, np.zeros_like(which), which) for whole in wholes):
        alone[edge] = told_right(_table(_held(edge, value), which, count))
    parts = sorted(alone, key=lambda part: -alone[part])
    bits, halves = ([part for part in parts if part[2] == mask] for mask in (1, 15))
    found = parts[0], (0, 0, 0), _held(parts[0], value)
    told = alone[parts[0]] + _BESIDES * (len(which) - alone[parts[0]])
    for part in parts[:_PARTS_TRIED]:
        held = _held(part, value)
        if len(which) - VALUE_COST * len(np.unique(held)) <= told:
            continue  # whatever is asked besides, it has as many values
        edges = [_edge(whole, value, held, which) for whole in wholes if part[2] < _WHOLE]
        for other in bits[:_BITS_TRIED] + halves[:_PARTS_TRIED] + edges:
            if other[2] <= part[2] and (other[2] + 1) * (part[2] + 1) <= most:
                both = held + _held(other, value).astype(int) * (part[2] + 1)
                better = told_right(_table(both, which, count))
                if better > told:
                    found, told = (part, other, both), better
    return found


def _edge(whole: Part, value: dict[Part, np.ndarray], held: np.ndarray, which: np.ndarray) -> Part:
    """Whether a byte is some value or more: that which tells most of which pictures are shown, besides what is held."""
    both = held.astype(int) * 256 + value[whole]
    table = _table(both, which, int(which.max()) + 1, 256 * (int(held.max()) + 1))
    below = table.reshape(-1, 256, table.shape[1]).cumsum(1)
    right = (below.max(2) + (below[:, -1:] - below).max(2)).sum(0)[:-1]
    return whole[0], -1 - int(right.argmax()), 1


def _held(part: Part, value: dict[Part, np.ndarray]) -> np.ndarray:
    """Values of a part of a byte, (N,), by those of the parts that are known."""
    byte, *asked = part
    return value[part] if part in value else _part_of_byte(value[byte, 0, _WHOLE], *asked)


def _part_of_byte(held: np.ndarray, shift: int, mask: int) -> np.ndarray:
    return held >> shift & mask if shift >= 0 else (held >= -shift).view(np.uint8)


def _entries(table: np.ndarray, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By value, place of the picture that goes with it most, uint8 (n,), among those that go with any, and those."""
    used = np.unique(table.argmax(1)[table.any(1)])[:_UNTOLD]
    place = np.full(len(pictures), _UNTOLD, np.uint8)
    place[used] = np.arange(len(used))
    return np.where(table.any(1), place[table.argmax(1)], np.uint8(_UNTOLD)), pictures[used]


def _lively(memory: np.ndarray, parts: list[Part]) -> dict[Part, np.ndarray]:
    """Those of the parts that ever change, and their values (N,) in memory (N, 128)."""
    value = {part: part_of(memory, *part) for part in parts}
    return {part: held for part, held in value.items() if held.min() != held.max()}


def _pictures(visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ones of pictures of a cell, uint8 (n, 56) of (N, 56), and which of them each is, int64 (N,)."""
    code = _digest(torch.from_numpy(visible)).numpy()
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return visible[first], which.ravel()


def _table(value: np.ndarray, which: np.ndarray, count: int, values: int = 0) -> np.ndarray:
    """How often each value goes with each picture, int64 (values, count): so many values as there are, or more."""
    values = values or int(value.max(initial=0)) + 1
    return np.bincount(value.astype(int) * count + which, minlength=values * count).reshape(values, count)


def told_right(table: np.ndarray) -> float:
    """How many frames a table tells right, less a little for each value: few that tell are better than many."""
    right = table.max(1)
    return float(right.sum() - VALUE_COST * np.count_nonzero(right))
