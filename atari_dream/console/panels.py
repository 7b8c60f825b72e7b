"""What is larger than a shape and stands at a place that memory tells, as a rack of invaders: cells that move with it.

All of its cells change their look together, as a bit of memory tells; besides, each shows what a part of a byte of its
own tells, as tables have it for cells that stand still.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, PIXELS, to_cells, to_frame
from atari_dream.console.places import NOTHING, Place
from atari_dream.console.sprites import Sprites, pixels, shows, stands_at
from atari_dream.console.tables import Tables, find_bit, value_of

_MARGIN = 24
"""Where the place is in a panel, in pixels from its top and left."""
_VALUES = 32
_LARGE = 0.5


def find_panels(places: Sequence[Place], frames: Tensor, memory: Tensor, backdrop: np.ndarray) -> list[int]:
    """Which places have something larger than a shape in most frames that show it.

    Args:
        places: Where something stands.
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
    """
    sprites = Sprites(places)
    sprites.backdrop.copy_(torch.from_numpy(backdrop))
    seen = sprites.see(frames, memory)
    large = (seen.there & ~seen.whole).sum(0) > _LARGE * seen.there.sum(0)
    return [int(place) for place in large.nonzero()[:, 0]]


class Panel(nn.Module):
    """What stands at a place.

    Args:
        place: Where.
        pictures: The most pictures of cells in each of its two looks, at least 1.
    """

    axes: Tensor
    colours: Tensor
    look: Tensor
    still: Tensor

    def __init__(self, place: Place, pictures: int = 256) -> None:
        super().__init__()
        self.register_buffer("axes", torch.tensor([[place.down, place.across]]), persistent=False)
        colours = torch.zeros(256, dtype=torch.bool)
        colours[list(place.colours)] = True
        self.register_buffer("colours", colours, persistent=False)
        self.register_buffer("look", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("still", torch.full((2, CELLS, PIXELS), NOTHING, dtype=torch.uint8))
        self.tables = nn.ModuleList([Tables(pictures, _VALUES), Tables(pictures, _VALUES)])

    def learn(self, backdrop: Tensor, scenes: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Finds which bit tells its look, and counts what its cells show.

        Args:
            backdrop: What pixels mostly show, uint8 (210, 160).
            scenes: Frames, uint8 (B, 210, 160), and their memory, uint8 (B, 128).
        """
        told = [self._still(backdrop, *scene) for scene in scenes]
        frames, memory, away = (torch.cat(parts) for parts in zip(*told, strict=True))
        self.look[:] = torch.tensor(find_bit(frames, memory, away))
        look = value_of(memory, self.look)
        for each, (still, tables) in enumerate(zip(self.still, self._tables(), strict=True)):
            own = look == each
            if own.any():
                still.copy_(to_cells(frames[own]).mode(0)[0])
                tables.learn([(frames[own], memory[own], away[own])])

    def draw(self, frame: Tensor, memory: Tensor) -> Tensor:
        """Frames, uint8 (B, 210, 160), over which it is drawn as memory, uint8 (B, 128), tells."""
        still = (cells.expand(len(memory), -1, -1) for cells in self.still)
        looks = [tables.shown(memory, cells) for tables, cells in zip(self._tables(), still, strict=True)]
        cells = self._by_look(memory, looks)
        drawn, _ = _moved(to_frame(cells), *(-part for part in self._corner(memory)))
        return torch.where(drawn == NOTHING, frame, drawn)

    def against(self, backdrop: Tensor, frame: Tensor, memory: Tensor) -> Tensor:
        """How many cells speak against values of bytes, as `Tables.against` has it: (B, 128, 256).

        Args:
            backdrop: What pixels mostly show, uint8 (210, 160).
            frame: uint8 (B, 210, 160).
            memory: Tells its place and look, uint8 (B, 128).
        """
        shown, inside = _moved(self._alone(backdrop, frame), *self._corner(memory))
        cells, bare = to_cells(shown), to_cells(inside).all(-1)
        return self._by_look(memory, [tables.against(cells, bare, memory) for tables in self._tables()])

    def covered(self, frame: Tensor, backdrop: Tensor) -> Tensor:
        """Which pixels of frames, uint8 (B, 210, 160), show one of its colours, bool (B, 210, 160)."""
        return shows(self.colours, frame, backdrop)

    def _still(self, backdrop: Tensor, frame: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames that show it, moved so that it stands still, memory, and which pixels are off the screen."""
        some = self.covered(frame, backdrop).flatten(1).any(1)
        shown, inside = _moved(self._alone(backdrop, frame[some]), *self._corner(memory[some]))
        return shown, memory[some], ~inside

    def _alone(self, backdrop: Tensor, frame: Tensor) -> Tensor:
        """Frames, uint8 (B, 210, 160), without all that has other colours."""
        return torch.where(self.covered(frame, backdrop), frame, NOTHING)

    def _tables(self) -> list[Tables]:
        return [cast(Tables, tables) for tables in self.tables]

    def _by_look(self, memory: Tensor, looks: Sequence[Tensor]) -> Tensor:
        """What goes with the look that memory, uint8 (B, 128), tells: one of two, (B, n, m) each."""
        first, second = looks
        return torch.where((value_of(memory, self.look) == 0)[:, None, None], first, second)

    def _corner(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of its first cell, int64 (B,) each; they may be off the screen."""
        row, column = (stands_at(self.axes, memory)[:, 0] - _MARGIN).unbind(-1)
        return row, column


def _moved(frame: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Frames, uint8 (B, 210, 160), from a row and a column of each on, int64 (B,), and which pixels they had, bool."""
    rows, columns = (
        begin[:, None, None] + torch.arange(size, device=frame.device)
        for begin, size in zip((row, column), frame.shape[1:], strict=True)
    )
    index, inside = pixels(rows, columns)
    shown = frame.flatten(1).gather(1, index.flatten(1)).view(frame.shape)
    return torch.where(inside[:, 0], shown, NOTHING), inside[:, 0]
