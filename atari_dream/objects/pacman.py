"""Scenes of Ms. Pac-Man: the player, the four ghosts and the fruit while it is a cherry, as in the first level.

A ghost is told by its colour, whole or as the eyes that are left of an eaten one. A frightened ghost is blue or white,
whichever it is, so where it is cannot be told; nor can the place of a sprite in a tunnel, which is drawn in halves.
Ghosts on the same rows take turns on the screen: a ghost that is there is seen in 52-83 % of frames and in 91-96 % of
windows of 8 steps, and may be hidden for 30 steps. All four mazes were tried, the later ones by writing to memory.
"""

import cv2
import numpy as np

from atari_dream.objects.blobs import blob_centres
from atari_dream.objects.scene import NOWHERE, Scene, SceneReader, ram_table, register_reader

GHOSTS = ("blinky", "pinky", "inky", "sue")
COLOURS = {"player": 42, "blinky": 70, "pinky": 88, "inky": 184, "sue": 38, "fruit": 68}
"""Palette code of each sprite, which nothing else in the field has; the fruit is the cherry."""
FIELD_ROWS = 172
"""Rows of the maze; lives, the level's fruit and the score are below it."""
OFFSET = (-8.5, 5.5)
"""From the memory's place to a sprite's centre: the median over 54,000 sprites of real frames."""
CORRIDORS = (18, 158)
"""Leftmost and rightmost place by memory outside the tunnels."""

STATES = {"sue": 1, "inky": 2, "pinky": 3, "blinky": 4}
"""Byte of each ghost's state, found by comparing memory with the sprite's colour."""
FRIGHTENED = 0x80
"""The bit of a ghost's state that is set while its sprite is blue or white."""
FRUIT_KIND = 123
"""Byte whose upper half is the kind of fruit: 0 for the cherry, then one more a level, random after the seventh."""
PHASE = 39
"""Byte that counts through pauses: 9-33 and 35-49 before play, 55-71 after a level, 73-83 at a death; else 255."""
PLACED = 35
"""The phase in which the memory has the places of the next life and the picture may still have the last one's."""
VANISHING, PLAY = 78, 255
"""The phase in which the ghosts disappear, before the player spins and dies, and that of play."""

GROWTH = np.ones((5, 5), np.uint8)
"""Grown by this, a sprite's parts hang together: the eyes of a ghost, or what a crossing sprite leaves of it."""
AREA, SIDE = (70, 300), (7, 20)
"""Pixels and sides of a grown sprite: two eyes have 104 pixels, a whole ghost has 164, a speck of two has 30."""
LAG = 2
"""Pixels that a sprite may be beyond the corridors because its picture is older than the memory."""


@register_reader("pacman")
class PacmanReader(SceneReader):
    """Reads scenes of Ms. Pac-Man."""

    tracks = ("player", *GHOSTS, "fruit")

    def of_ram(self, ram: np.ndarray) -> Scene:
        """What is really there; a ghost is nowhere while the player dies."""
        ghosts = {name: _ghost(ram, name) for name in GHOSTS}
        return Scene({"player": _place(ram, "player"), **ghosts, "fruit": _fruit(ram)}, {})

    def of_frame(self, frame: np.ndarray) -> Scene:
        """What a picture shows outside the tunnels."""
        field = frame[:FIELD_ROWS]
        return Scene({name: _sprites(field == COLOURS[name]) for name in self.tracks}, {})


def _ghost(ram: np.ndarray, name: str) -> np.ndarray | None:
    if VANISHING < ram[PHASE] < PLAY:
        return NOWHERE
    if ram[PHASE] == VANISHING or ram[STATES[name]] & FRIGHTENED:
        return None
    return _place(ram, f"enemy_{name}")


def _fruit(ram: np.ndarray) -> np.ndarray | None:
    if not ram[ram_table("pacman")["fruit_x"]]:
        return NOWHERE
    return None if ram[FRUIT_KIND] >> 4 else _place(ram, "fruit")


def _place(ram: np.ndarray, name: str) -> np.ndarray | None:
    table = ram_table("pacman")
    x, y = (int(ram[table[f"{name}_{axis}"]]) for axis in "xy")
    if ram[PHASE] == PLACED or not CORRIDORS[0] <= x <= CORRIDORS[1]:
        return None
    return np.array([[x + OFFSET[0], y + OFFSET[1]]], np.float32)


def _sprites(mask: np.ndarray) -> np.ndarray:
    """Centres of the sprites outside the tunnels in a mask of their colour."""
    if not mask.any():
        return NOWHERE
    grown = cv2.dilate(mask.view(np.uint8), GROWTH).view(bool)
    centres = blob_centres(grown, AREA, SIDE, SIDE)
    left, right = (place + OFFSET[0] for place in CORRIDORS)
    return centres[(centres[:, 0] > left - LAG) & (centres[:, 0] < right + LAG)]
