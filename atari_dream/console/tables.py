"""What single bytes of memory tell of the rest of the picture: dots, digits, lives, cubes.

For each cell of the screen that changes other than by sprites, the byte, half of a byte or bit is found that tells best
what it shows, and a table from its value to that. A value that was never seen changes nothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, PIXELS, to_cells
from atari_dream.console.changes import BYTES

_SETTLED, _EXPLAINED = 0.998, 0.5
VALUE_COST = 2.0
"""Frames that each value of a part must make up for: few that tell are better than many."""
_UNTOLD = -1
_CODES = np.random.default_rng(0).integers(2**63, size=PIXELS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_PARTS = [(0, 255)] + [(shift, 15) for shift in (0, 4)] + [(shift, 1) for shift in range(8)]
"""What of a byte may tell: all of it, half of it, a bit; as a shift and a mask."""


def every_part() -> list[tuple[int, int, int]]:
    """All parts of all bytes: byte, shift and mask."""
    return [(byte, shift, mask) for byte in range(BYTES) for shift, mask in _PARTS]


def part_of(memory: np.ndarray, byte: int, shift: int, mask: int) -> np.ndarray:
    """Parts of bytes of memory, uint8 (..., 128)."""
    return memory[..., byte] >> shift & mask


class Tables(nn.Module):
    """What cells show by values of bytes.

    Args:
        count: Pictures of cells that are known, at least 1.
    """

    byte: Tensor
    shift: Tensor
    mask: Tensor
    entry: Tensor
    pictures: Tensor

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.register_buffer("byte", torch.zeros(CELLS, dtype=torch.int64))
        self.register_buffer("shift", torch.zeros(CELLS, dtype=torch.uint8))
        self.register_buffer("mask", torch.zeros(CELLS, dtype=torch.uint8))
        self.register_buffer("entry", torch.full((CELLS, 256), _UNTOLD, dtype=torch.int16))
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
        begin = 0
        for cell, part, entry, own in _told(shown.numpy(), memory.numpy(), ~covered.numpy()):
            if begin + len(own) > len(self.pictures):
                break
            self.pictures[begin : begin + len(own)] = torch.from_numpy(own)
            self.byte[cell], self.shift[cell], self.mask[cell] = part
            self.entry[cell] = torch.from_numpy(np.where(entry >= 0, entry + begin, _UNTOLD))
            begin += len(own)

    def values(self, memory: Tensor) -> Tensor:
        """What the bytes of all cells tell, int32 (B, 600), of memory (B, 128); 0 for a cell of which none tells."""
        held = memory.index_select(1, self.byte).int()
        return torch.bitwise_and(torch.bitwise_right_shift(held, self.shift.int()), self.mask.int())

    def shown(self, memory: Tensor, otherwise: Tensor) -> Tensor:
        """What cells show, uint8 (B, 600, 56), where memory tells it; elsewhere as given, uint8 (B, 600, 56)."""
        every = torch.arange(CELLS, device=memory.device) * 256 + self.values(memory)
        entry = self.entry.flatten().index_select(0, every.flatten()).view(every.shape).long()
        picture = self.pictures.index_select(0, entry.clamp(min=0).flatten()).view(*entry.shape, PIXELS)
        return torch.where((entry >= 0)[..., None], picture, otherwise)

    def follow(self, cells: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Cells, uint8 (B, 600, 56), when memory, uint8 (B, 128), changes: those that it tells otherwise now."""
        turned = (self.values(before) != self.values(after))[..., None]
        return torch.where(turned, self.shown(after, cells), cells)


def _by_cell(frame: Tensor, memory: Tensor, covered: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return to_cells(frame), memory, to_cells(covered).any(-1)


def _told(
    shown: np.ndarray, memory: np.ndarray, bare: np.ndarray
) -> Iterator[tuple[int, tuple[int, int, int], np.ndarray, np.ndarray]]:
    """Cells of which a part of a byte tells what they show: that part, places of pictures by value, and pictures."""
    value = {part: part_of(memory, *part) for part in every_part()}
    lively = [part for part in value if value[part].min() != value[part].max()]
    for cell in range(CELLS):
        clear = bare[:, cell]
        visible = shown[clear, cell]
        code = visible.astype(np.uint64) @ _CODES  # equal for equal pictures, and for hardly any others
        _, first, which, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
        pictures = visible[first]
        if not clear.any() or counts.max() >= _SETTLED * clear.sum():
            continue
        tables = {part: _table(value[part][clear], which.ravel(), len(pictures)) for part in lively}
        best = max(lively, key=lambda part: told_right(tables[part]))
        missed = clear.sum() - counts.max()
        if clear.sum() - told_right(tables[best]) > (1 - _EXPLAINED) * missed:
            continue
        table = tables[best]
        used = np.unique(table.argmax(1)[table.any(1)])
        place = np.full(len(pictures), _UNTOLD)
        place[used] = np.arange(len(used))
        yield cell, best, np.where(table.any(1), place[table.argmax(1)], _UNTOLD), pictures[used]


def _table(value: np.ndarray, which: np.ndarray, count: int) -> np.ndarray:
    """How often each value goes with each picture, int64 (256, count)."""
    return np.bincount(value.astype(int) * count + which, minlength=256 * count).reshape(256, count)


def told_right(table: np.ndarray) -> float:
    """How many frames a table tells right, less a little for each value: few that tell are better than many."""
    return float(table.max(1).sum() - VALUE_COST * table.any(1).sum())
