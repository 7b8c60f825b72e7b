"""Video Pinball: the ball, the plunger and the two flippers.

The console draws the ball with the register of the walls' colour and, while the table flashes, XORs all colours with
one number, so no colour is fixed here: the walls' and the background's are read off the picture at places that never
change, the plunger's rod is told from its knob, and everything else goes by shape and place.

A fast ball may get into a wall for a step or two, where it cannot be seen: pixels show it in 99 % of the frames.
"""

from typing import ClassVar

import numpy as np

from atari_dream.objects.blobs import blob_centres
from atari_dream.objects.scene import NOWHERE, UNKNOWN, Scene, SceneReader, ram_table, register_reader

TOP, BOTTOM = 16, 192
"""First row of the table and the first below it; the score is above."""
_HALF_TABLE = """
####################
###.................
##..................
##..................
##........#..#....##
##.#......#..#....#.
##.#......#..#....#.
##.#......#..#....##
##.#................
##.#................
##.#................
##.#..............##
##.#......####......
##.#......#..#......
##.#......#..#......
##.#......####......
##.#................
##.##...............
##.###..............
##.####.............
##.#####............
##.######+######....
"""
"""Left half of the table, which is symmetric, in blocks of 4 x 8 pixels: walls (#) and the outlane's gate (+), which
may be open. What had the walls' colour in over 90 % of 4,302 real frames."""


def _pixels(mark: str) -> np.ndarray:
    """Where the table has a mark, bool (BOTTOM - TOP, 160)."""
    half = np.array([[block == mark for block in row] for row in _HALF_TABLE.split()])
    return np.kron(np.hstack([half, half[:, ::-1]]), np.ones((8, 4), bool))


WALLS, GATES = _pixels("#"), _pixels("+")
FELT = np.s_[80:104, 16:144]
"""A part of the table where little but background is ever shown."""

BALL_X, BALL_Y = 0.5, -1.5
"""From the ball's bytes to its centre: it is 2 x 4 pixels, the bytes are its left column and its last row; so in all
4,063 real frames that show it whole."""
BALL_Y_DRAWN = 69
"""Byte of half the last row that the picture used. It lags for a frame when a new ball is put on the plunger."""
BALL_SIZE: dict[str, tuple[int, int]] = {"area": (4, 14), "width": (1, 4), "height": (3, 6)}
"""A ball may be half hidden by a wall, and ragged in a dream."""

ROD = np.s_[24:174, 149:151]
KNOB = (183, 149)
"""The plunger's rod, above its knob; pulling it shortens what is seen of it."""
ROD_TOP = 70
"""Byte of half the row below the rod's top: the top is at `2 * byte - 1` in 4,299 of 4,302 real frames."""
SHORTEST_ROD = 4
"""Rows of a rod that can be told from specks."""

FLIPPERS: tuple[tuple[slice, slice], ...] = (np.s_[177:192, 64:80], np.s_[177:192, 95:79:-1])
"""Boxes of the left flipper and, mirrored, of the right one."""
_FLIPPER_ROWS = (
    "0000 0000 0000 0000 0000 0000 0000 c000 f000 fc00 ff00 ffc0 fff0 07f8 0038",
    "0000 0000 0000 0000 0000 0000 0000 f800 ffc0 fff8 fff8 ffc0 f800 0000 0000",
    "0000 0000 0000 0000 0018 01f8 1ff0 ffc0 ff80 fe00 f800 f000 c000 0000 0000",
    "0030 0070 01e0 03c0 0f80 1f00 7e00 fc00 f800 f000 e000 c000 8000 0000 0000",
)
FLIPPER_SHAPES: np.ndarray = np.array(
    [
        [[int(row, 16) >> bit & 1 for bit in range(15, -1, -1)] for row in shape.split()]
        for shape in _FLIPPER_ROWS
    ],
    bool,
)
"""The four positions from down to up, bool (4, 15, 16), the same in all real frames but for the ball before them."""
FLIPPER_MISFIT = 20
"""Most pixels that may differ from a position's shape, of 50 to 56."""


@register_reader("pinball")
class PinballReader(SceneReader):
    """Reads the ball's and the plunger's place, and the position of both flippers from 0, down, to 3, up."""

    tracks: ClassVar[tuple[str, ...]] = ("ball", "plunger")
    readings: ClassVar[dict[str, int]] = {"flippers": 2}

    def of_ram(self, ram: np.ndarray) -> Scene:
        """What is really there; no ball between two balls, and it cannot be told in the first frame of a new one."""
        byte = ram_table("pinball")
        flippers = [int(ram[byte[f"player_{side}_paddle_y"]]) >> 4 & 3 for side in ("left", "right")]
        points = {
            "ball": _ball_of_ram(int(ram[byte["ball_x"]]), int(ram[byte["ball_y"]]), int(ram[BALL_Y_DRAWN])),
            "plunger": _plunger_of_ram(2 * int(ram[ROD_TOP]) - 1),
        }
        return Scene(points, {"flippers": np.array(flippers, np.int64)})

    def of_frame(self, frame: np.ndarray) -> Scene:
        """What a picture shows."""
        table = frame[TOP:BOTTOM]
        wall, background = _commonest(table[WALLS]), _commonest(frame[FELT])
        points: dict[str, np.ndarray | None] = {
            "ball": _ball(table == wall),
            "plunger": _plunger(frame, wall, background),
        }
        drawn = [(frame[box] != wall) & (frame[box] != background) for box in FLIPPERS]
        return Scene(points, {"flippers": np.array([_position(flipper) for flipper in drawn], np.int64)})


def _commonest(codes: np.ndarray) -> int:
    return int(np.bincount(codes.ravel(), minlength=256).argmax())


def _ball_of_ram(x: int, y: int, drawn: int) -> np.ndarray | None:
    if abs(2 * drawn - y) > 3:
        return None
    return NOWHERE if y - 3 >= BOTTOM else np.array([[x + BALL_X, y + BALL_Y]], np.float32)


def _plunger_of_ram(top: int) -> np.ndarray | None:
    """The top of the rod, or None if too little of it is seen."""
    return np.array([[149.5, top]], np.float32) if top <= ROD[0].stop - SHORTEST_ROD else None


def _ball(walls: np.ndarray) -> np.ndarray:
    """What has the walls' colour, bool (BOTTOM - TOP, 160), where no wall is."""
    loose = walls & ~WALLS
    if walls[GATES].mean() > 0.5:
        loose &= ~GATES
    return blob_centres(loose, **BALL_SIZE) + np.array([0, TOP], np.float32)


def _plunger(frame: np.ndarray, wall: int, background: int) -> np.ndarray:
    """The top of the rod: where three of four rows have its colour first."""
    rod = frame[ROD]
    drawn = (rod != wall) & (rod != background) & (rod != frame[KNOB])
    rows = np.flatnonzero(np.convolve(drawn.sum(1), np.ones(SHORTEST_ROD), "valid") >= 2 * SHORTEST_ROD - 2)
    return np.array([[149.5, ROD[0].start + rows[0] + 1]], np.float32) if len(rows) else NOWHERE


def _position(drawn: np.ndarray) -> int:
    """The position whose shape a flipper has, bool (15, 16)."""
    misfits = (drawn != FLIPPER_SHAPES).sum((1, 2))
    best = int(misfits.argmin())
    return best if misfits[best] <= FLIPPER_MISFIT else UNKNOWN
