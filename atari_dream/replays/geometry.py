"""Where a pixel of a replay is on ALE's screen: exact, but for what the replay does not show, which is marked.

Javatari shows Video Pinball five rows lower than ALE, draws black comb lines at the left edge of Ms. Pac-Man and
Space Invaders, and cuts some rows off at the bottom.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from atari_dream.games import HEIGHT, WIDTH

COMB = 8
"""Width of a comb line, in pixels."""


@dataclass(frozen=True)
class Geometry:
    """How the screen of a replay becomes ALE's.

    Attributes:
        lower: Rows by which the replay shows everything lower than ALE.
        unseen: Rows at the bottom that the replay does not show; they become black.
        comb: Rows whose first 8 pixels are overdrawn by a black line.
        beside: Whether a comb line is mended from the pixel at its right end, not from the row above.
        repeat_last: Whether the last row is black here and as the row above in ALE.
        blank: Rows, in ALE, whose first 8 pixels are black there and not here.
    """

    lower: int = 0
    unseen: int = 0
    comb: tuple[int, ...] = ()
    beside: bool = False
    repeat_last: bool = False
    blank: tuple[int, ...] = ()

    @property
    def seen_rows(self) -> int:
        """Rows, from the top, of which the replay has data."""
        return HEIGHT - self.unseen

    def convert(self, codes: np.ndarray) -> np.ndarray:
        """The frame as ALE shows it, uint8 (210, 160), from a replay's palette codes, uint8 (210, 160)."""
        frame = codes.take(self._source)
        frame[self.seen_rows :] = 0
        frame[list(self.blank), :COMB] = 0
        return frame

    @cached_property
    def _source(self) -> np.ndarray:
        """Which pixel of the replay each pixel comes from, int64 (210, 160)."""
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        rows = (rows + self.lower).clip(0, HEIGHT - 1)
        lines = np.array(self.comb, np.int64)
        if self.beside:
            columns[lines, :COMB] = COMB
        else:
            rows[lines, :COMB] -= 1
        if self.repeat_last:
            rows[-1] -= 1
        return rows * WIDTH + columns


ALE = Geometry()
"""Of frames that are ALE's own."""
GEOMETRIES = {
    "pacman": Geometry(unseen=1, comb=(*range(6, 163, 12), *range(13, 170, 12))),
    "pinball": Geometry(lower=5, unseen=5, blank=(0,)),
    "qbert": Geometry(unseen=7),
    "revenge": Geometry(unseen=2),
    "space_invaders": Geometry(comb=tuple(range(197, 202)), beside=True, repeat_last=True),
}
