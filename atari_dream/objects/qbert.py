"""Scenes of Q*bert: he himself, the purple Coily (ball and snake), the green Sam, and the colours of the 21 cubes.

The facts of the console were found by comparing its memory with its picture over 33,000 frames. In them Coily and Sam
were the only creatures. The discs and the words of a caught Q*bert are not read.
"""

import cv2
import numpy as np

from atari_dream.objects.blobs import blob_centres
from atari_dream.objects.scene import NOWHERE, UNKNOWN, Scene, SceneReader, ram_table, register_reader

_RAM = ram_table("qbert")
_TILES = [_RAM[f"tile_color_{cube}"] for cube in range(21)]
"""Palette code of each cube's top, row by row from the left, as it is shown."""
_FLASH = 80
"""Counts down while the tops flash after a round."""
_PLAYER_X, _PLAYER_ROW = _RAM["player_x"], 68
"""Unlike AtariARI's `player_y`, byte 68 counts rows of the picture (28 for 29) also while Q*bert falls."""
_LIFE, _FALLING = 59, 255
"""From the edge of the board to the next life. He falls behind cubes, so that no picture tells where."""
_FIRST_ROW, _LAST_ROW = 10, 205
"""Where sprites are shown."""

_ROWS = (
    # picture, colour, place in steps of 15 pixels, how far left of it (high four bits), lowest row of the sprite
    (92, 107, 75, 60, 59),
    (93, 108, 76, 61, 87),
    (94, 109, 77, 62, 116),
    (96, 110, 78, 63, 146),
    (95, 111, 79, 64, 175),
)
"""Each row of cubes but the first has one sprite: its four bytes and where it stands."""
_POSES = {0: (6, 0), 17: (9, 11), 38: (18, 0), 59: (21, 0), 81: (18, 0), 102: (15, 0)}
"""Rows of each picture and how high it floats: a ball on the ground and in the air, Sam, three of Coily. The others
are nothing (7) and what Q*bert says when he is caught (166)."""
_COLOURS = {"coily": 102, "sam": 196}
"""Coily is a ball until he hatches. No other creature was met."""
_PLAYER_COLOUR = 52
"""In all rounds; the discs pass through it and through the others, but are two pixels high."""


def _faces() -> np.ndarray:
    """Places of the pixels of each top in a flat frame, int64 (21, 52)."""
    columns = [18 + 12 * column + 4 * (column > 5) for column in range(11)]
    rows = enumerate((36, 64, 93, 122, 151, 180))
    tops = [(y, columns[5 - row + 2 * cube]) for row, y in rows for cube in range(row + 1)]
    dy, dx = np.mgrid[-2:3, -10:10]
    inside = np.abs(dy) * 4 + np.abs(dx + 0.5) < 10
    return np.array([(y + dy[inside]) * 160 + x + dx[inside] for y, x in tops])


_FACES = _faces()
_GAP = np.ones((7, 3), np.uint8)
"""Sprites have holes, and cubes hide parts of Q*bert."""


@register_reader("qbert")
class QbertReader(SceneReader):
    """Reads scenes of Q*bert: `player` and two creatures, and the palette codes of the cubes' tops."""

    tracks = ("player", *_COLOURS)
    readings = {"cubes": 21}

    def of_ram(self, ram: np.ndarray) -> Scene:
        """By each row's sprite and the cubes' colours; the cubes are unknown while they flash."""
        points: dict[str, np.ndarray | None] = {"player": _player(ram)}
        points |= {name: _creature(ram, colour) for name, colour in _COLOURS.items()}
        tops = np.full(21, UNKNOWN, np.int64) if ram[_FLASH] else ram[_TILES].astype(np.int64)
        return Scene(points, {"cubes": tops})

    def of_frame(self, frame: np.ndarray) -> Scene:
        """By the creatures' colours and sizes; a cube is unknown where less than 60 % of its top has one colour."""
        points: dict[str, np.ndarray | None] = {"player": _sprites(frame, _PLAYER_COLOUR, 8)}
        points |= {name: _sprites(frame, colour, 4) for name, colour in _COLOURS.items()}
        return Scene(points, {"cubes": _tops(frame)})


def _player(ram: np.ndarray) -> np.ndarray | None:
    """Centre of what the picture shows of Q*bert; he also jumps out of it at the top."""
    middle = 23.0 + ((int(ram[_PLAYER_ROW]) + 32) % 256 - 32) * 29 / 28
    first, last = max(middle - 9, _FIRST_ROW), min(middle + 9, _LAST_ROW)
    if not ram[_PLAYER_X] or last < first:
        return NOWHERE
    if ram[_LIFE] == _FALLING or last - first < 8:
        return None
    return np.array([[ram[_PLAYER_X] + 0.5, (first + last) / 2]], np.float32)


def _creature(ram: np.ndarray, colour: int) -> np.ndarray:
    """Centre of the sprite of a colour."""
    for shape, hue, steps, left, floor in _ROWS:
        if ram[hue] == colour and int(ram[shape]) in _POSES:
            height, lift = _POSES[int(ram[shape])]
            x = 15.0 * ram[steps] + 7 - ((int(ram[left]) >> 4 ^ 8) - 8)
            return np.array([[x, floor - lift - (height - 1) / 2]], np.float32)
    return NOWHERE


def _sprites(frame: np.ndarray, colour: int, height: int) -> np.ndarray:
    """Centres of the sprites of a colour that are of some height, with their gaps closed."""
    mask = (frame == colour).view(np.uint8)
    if cv2.countNonZero(mask) < 20:
        return NOWHERE
    whole = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _GAP)
    return blob_centres(whole, (20, 200), (5, 10), (height, 24))


def _tops(frame: np.ndarray) -> np.ndarray:
    """The colour of most of each top, int64 (21,)."""
    pixels = np.sort(frame.reshape(-1)[_FACES], axis=1)
    middle = pixels[:, pixels.shape[1] // 2]
    clear = (pixels == middle[:, None]).mean(axis=1) > 0.6
    return np.where(clear, middle, UNKNOWN).astype(np.int64)
