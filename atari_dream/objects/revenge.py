"""What is where in Montezuma's Revenge: Panama Joe, a rolling skull, the room, and whether a key is shown.

All bundled starts and what follows them stay in room 1. Facts on other rooms were seen by writing room
numbers into the console's memory and walking on from there.
"""

import cv2
import numpy as np

from atari_dream.objects.blobs import Range, blob_centres
from atari_dream.objects.scene import NOWHERE, UNKNOWN, Scene, SceneReader, ram_table, register_reader

_TOP, _BOTTOM = 48, 184
"""Rows of a room: below the lives, the score, and the line under them."""

_PLAYER = (70, 74, 76, 250)
"""Colours of the player alone: shirt, shading of the skin, skin."""
_SKULL = (14,)
"""White, as the score above the room and the rope of room 5."""
_KEY = (252,)
"""Yellow, as the ropes, 1 px wide, and the laser doors of room 1, 4 px wide."""

_PLAYER_PLACE = np.array([2.5, 318.0])
"""Centre of the sprite by its bytes, as (x + 2.5, 318 - y): medians over 50,000 real frames."""
_DEAD_DROP = 3.5
"""Pixels by which the centre is lower once he lies dead on his back."""
_SKULL_PLACES = {1: (35.5, 172.5), 5: (35.5, 122.7), 18: (2.5, 87.5)}
"""Centre of the skull of a room by its byte, as (x + 35.5, 172.5) in room 1: it rolls along a floor. The
skulls of rooms 2 and 3, which bounce in pairs, cannot be told by a single point."""

_ACTION, _POSE = 53, 54
"""Bytes of what the player does and of the sprite drawn for it."""
_SINKING = 26
"""Action of drowning in a pit, where the sprite goes under."""
_LYING = 6
"""Pose of the dead."""
_UNDRAWN = ((10, 0), (8, 1))
"""Actions with the pose of the action before: a ladder just caught, or just left. The picture is then older
than the memory, by up to 9 px."""
_STACK, _SETTING_UP = 127, 177
"""High byte of a return address on the stack, and its value in the routine that sets up a room or a life: the
memory then holds the new places, the picture the old ones. All 163 such mismatches seen had it, and at most
0.4 % of other frames."""
_SKULL_PICTURE, _NO_PICTURE = 24, 117
"""Byte of the picture of the skull, which is none once it has been destroyed."""
_ITEM, _KEY_ITEM = 49, 4
"""Byte of what lies or crawls in the room, and its value for a key."""

_GRID = (slice(50, 185, 8), slice(6, None, 8))
"""Places at which a room is looked at: 17 x 20."""
_ROOMS = {
    1: "0000020000200002000020000200008020180201802018060180601f1f1fd0007d0007d0007d0007d00070",
    5: "0000000410000100001000010000100001100011000110001103fd10001100011000010000100001fffff0",
    8: "00000004000000000000000000000000001c000300001000010000100001c0003000010000100001fffff0",
    10: "000000060000200002000020000200f001fe0007e0007ffffffffffffffffffffffffffffffffffffffff0",
    14: "000000000000000000000000000000c0003c0003c0003c0403c0003c0003c0003c0003c0003ffffffffff0",
}
"""Where the grid is not black, as bits in hex, in the rooms that can be told by it: each differs from the
others in 27 places or more. Left out are the corridors 0, 2-4, 6, 7, 9, 11-13 and the dark rooms 15-23, which
look alike: most differ from some other in 0 to 7 places."""
_WRONG_PLACES = 24
"""Most places of the grid that may be wrong: in real frames up to 10 are, behind sprites and doors; a room
that is left out differs in 37 or more."""


def _table(colours: tuple[int, ...]) -> np.ndarray:
    """Whether a palette code is one of these, bool (256,)."""
    return np.isin(np.arange(256), colours)


_IS_PLAYER, _IS_SKULL, _IS_KEY = _table(_PLAYER), _table(_SKULL), _table(_KEY)
_NUMBERS = np.array(list(_ROOMS))
_PICTURES = np.stack(
    [np.unpackbits(np.frombuffer(bytes.fromhex(code), np.uint8))[:340] for code in _ROOMS.values()]
)


@register_reader("revenge")
class RevengeReader(SceneReader):
    """Reads scenes of Montezuma's Revenge; `key` is 1 where one is shown, else 0."""

    tracks = ("player", "skull")
    readings = {"room": 1, "key": 1}

    def __init__(self) -> None:
        table = ram_table("revenge")
        self._x, self._y, self._skull_x = table["player_x"], table["player_y"], table["enemy_skull_x"]
        self._room = table["room_number"]

    def of_ram(self, ram: np.ndarray) -> Scene:
        """See `SceneReader`."""
        ram = ram.astype(np.int64)
        room, key = ram[self._room], int(ram[_ITEM] == _KEY_ITEM)
        if ram[_STACK] == _SETTING_UP:
            return _scene(None, None, UNKNOWN, UNKNOWN)
        return _scene(self._player_of(ram), self._skull_of(ram), room if room in _ROOMS else UNKNOWN, key)

    def of_frame(self, frame: np.ndarray) -> Scene:
        """See `SceneReader`."""
        player = _blobs(frame, _IS_PLAYER, (30, 150), (5, 14), (8, 28))
        skull = _blobs(frame, _IS_SKULL, (14, 120), (4, 12), (6, 18))
        key = _blobs(frame, _IS_KEY, (20, 80), (5, 11), (10, 20))
        return _scene(player, skull, _room_of(frame), int(len(key) > 0))

    def _player_of(self, ram: np.ndarray) -> np.ndarray | None:
        action, pose = ram[_ACTION], ram[_POSE]
        if action == _SINKING or (action, pose) in _UNDRAWN:
            return None
        x, y = _PLAYER_PLACE
        return np.array([[x + ram[self._x], y - ram[self._y] + _DEAD_DROP * (pose == _LYING)]], np.float32)

    def _skull_of(self, ram: np.ndarray) -> np.ndarray | None:
        if ram[self._room] not in _SKULL_PLACES:
            return None
        if ram[_SKULL_PICTURE] == _NO_PICTURE:
            return NOWHERE
        x, y = _SKULL_PLACES[ram[self._room]]
        return np.array([[x + ram[self._skull_x], y]], np.float32)


def _scene(player: np.ndarray | None, skull: np.ndarray | None, room: int, key: int) -> Scene:
    return Scene({"player": player, "skull": skull}, {"room": np.array([room]), "key": np.array([key])})


def _blobs(frame: np.ndarray, table: np.ndarray, area: Range, width: Range, height: Range) -> np.ndarray:
    """Centres of a room's blobs of some colours; gaps of a pixel or two are closed."""
    mask = table[frame[_TOP:_BOTTOM]].view(np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return blob_centres(closed.view(bool), area, width, height) + np.array([0, _TOP], np.float32)


def _room_of(frame: np.ndarray) -> int:
    wrong = ((frame[_GRID] != 0).ravel() != _PICTURES).sum(1)
    best = wrong.argmin()
    return int(_NUMBERS[best]) if wrong[best] <= _WRONG_PLACES else UNKNOWN
