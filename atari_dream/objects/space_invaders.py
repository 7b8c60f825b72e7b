"""Scenes of Space Invaders: ship, rack of invaders, how many are left, mother ship, the ship's shot, invaders' bombs.

The console draws the shot in every odd frame and the bombs, two at most, in every even one, all alike: a picture cannot
tell them apart, and with an even number of frames a step only one of the two is ever shown after a start. The memory
tells of the one that is. Left out: the shields, as what hits leave of one has no shape of its own.
"""

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from atari_dream.objects.blobs import blob_centres
from atari_dream.objects.scene import NOWHERE, Scene, SceneReader, ram_table, register_reader

_TOP, _GROUND = 24, 195
"""First rows below the score and of the ground."""
_SHIP, _INVADER, _MOTHER_SHIP, _MISSILE = 196, 20, 82, 6
"""Colours; above the ground nothing else has them, but for the score, which has the ship's."""

_ROWS = slice(23, 17, -1)
"""Bytes of the rack's rows from the top; bit 0 is the leftmost invader. Found, as all bytes and offsets here, by
comparing memory with pixels over 60,000 frames."""
_DESCENT, _MOTHER_SHIP_X, _FRAME_COUNT = 16, 30, 74
_SHOT, _BOMBS = ((87, 85),), ((83, 81), (84, 82))
"""Bytes of (x, y) of missiles. Their y and the rack's descent count pairs of pixel rows."""
_AWAY = 180
"""The mother ship's x while it is away."""
_IDLE = 246
"""A missile's y while it is not in flight."""
_SCORE_END, _GROUND_BEGIN = 13, 88
"""Least y of a missile that the score cuts nothing off, and the least that the ground does."""
_RACK_END = 64
"""Least y of a bomb that no invader hides, before the rack comes down."""
_FEW = 12
"""Invaders that a rack needs: one dies a frame later in the picture, which would move the middle of fewer by much."""

_HEIGHT, _WIDTH = 10, 8
"""Of an invader."""
_EXPLOSIONS = ("0000285c763c24000000", "40209024c74895240100", "6ddacd7e2dcc77b6bb5d", "8199a59354c353255482")
"""What a hit invader, which no longer counts, looks like for eight steps: a byte for each row of pixels."""
_UNLIKE = 15
"""Pixels in which an invader differs from an explosion: 19 at least, but a dream may damage sprites."""
_SHIFTS = np.mgrid[-1:2, -1:2].reshape(2, -1)
"""(y, x) by which an explosion may be off the centre of its blob."""


@register_reader("space_invaders")
class SpaceInvadersReader(SceneReader):
    """Reads scenes; the rack is where the middle of the invaders left is."""

    tracks = ("player", "rack", "mother_ship", "shot", "bomb")
    readings = {"invaders": 1}

    def __init__(self) -> None:
        self._bytes = ram_table("space_invaders")
        sprites = np.frombuffer(bytes.fromhex("".join(_EXPLOSIONS)), np.uint8)
        self._explosions = np.unpackbits(sprites).reshape(-1, _HEIGHT * _WIDTH).astype(np.float32)

    def of_ram(self, ram: np.ndarray) -> Scene:
        """See `SceneReader`. A bomb is told of once it is below the rack, a rack until few are left of it."""
        memory = ram.astype(np.int64)
        mother_ship, odd = memory[_MOTHER_SHIP_X], memory[_FRAME_COUNT] % 2
        below = range(_RACK_END + memory[_DESCENT], _GROUND_BEGIN)
        points = {
            "player": _point(memory[self._bytes["player_x"]] + 2, 190),
            "rack": self._rack(memory),
            "mother_ship": NOWHERE if mother_ship == _AWAY else _point(mother_ship + 2, 15.5),
            "shot": _missile(memory, _SHOT, range(_SCORE_END, _GROUND_BEGIN)) if odd else None,
            "bomb": None if odd else _missile(memory, _BOMBS, below),
        }
        return Scene(points, {"invaders": memory[[self._bytes["invaders_left_count"]]]})

    def of_frame(self, frame: np.ndarray) -> Scene:
        """See `SceneReader`."""
        sky = frame[:_GROUND]
        invaders, missiles = self._unhurt(sky == _INVADER), _streaks(sky == _MISSILE)
        points: dict[str, np.ndarray | None] = {
            "player": _sprites(sky[_TOP:] == _SHIP) + np.array([0, _TOP], np.float32),
            "rack": invaders.mean(0, keepdims=True) if len(invaders) else NOWHERE,
            "mother_ship": _sprites(sky == _MOTHER_SHIP),
            "shot": missiles,
            "bomb": missiles,
        }
        return Scene(points, {"invaders": np.array([len(invaders)])})

    def _rack(self, memory: np.ndarray) -> np.ndarray | None:
        rows, columns = np.nonzero(memory[_ROWS, None] >> np.arange(6) & 1)
        if len(rows) < _FEW:
            return None
        left, top = memory[self._bytes["enemies_x"]] + 2.5, 2 * memory[_DESCENT] + 35.5
        return _point(left + 16 * columns.mean(), top + 18 * rows.mean())

    def _unhurt(self, mask: np.ndarray) -> np.ndarray:
        """Centres of the invaders that do not explode, float32 (K, 2)."""
        centres = _sprites(mask)
        windows = sliding_window_view(np.pad(mask, _HEIGHT), (_HEIGHT, _WIDTH))
        left, top = np.rint(centres - [(_WIDTH - 1) / 2, (_HEIGHT - 1) / 2]).astype(int).T[..., None]
        seen = windows[top + _SHIFTS[0] + _HEIGHT, left + _SHIFTS[1] + _HEIGHT]
        flat = seen.reshape(*seen.shape[:2], _HEIGHT * _WIDTH).astype(np.float32)
        common = flat @ self._explosions.T
        unlike = flat.sum(-1, keepdims=True) + self._explosions.sum(-1) - 2 * common
        return centres[unlike.min((1, 2)) >= _UNLIKE]


def _missile(memory: np.ndarray, places: tuple[tuple[int, int], ...], told: range) -> np.ndarray | None:
    """One of some missiles whose y is in a range; None if they fly elsewhere."""
    flying = [(x, y) for x, y in memory[np.array(places)] if y != _IDLE]
    points = [_point(x - 2, 2 * y + 7.5) for x, y in flying if y in told]
    return points[0] if points else None if flying else NOWHERE


def _point(x: float, y: float) -> np.ndarray:
    return np.array([[x, y]], np.float32)


def _sprites(mask: np.ndarray) -> np.ndarray:
    """Centres of what is as large as an invader or a ship; a border of one pixel joins its parts."""
    return blob_centres(cv2.dilate(mask.view(np.uint8), np.ones((3, 3))), (45, 200), (6, 14), (6, 16))


def _streaks(mask: np.ndarray) -> np.ndarray:
    """Centres of upright lines of four pixels or more; a pixel more at their ends joins their parts."""
    return blob_centres(cv2.dilate(mask.view(np.uint8), np.ones((3, 1))), (6, 36), (1, 3), (6, 18))
