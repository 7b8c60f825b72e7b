"""Reads the pictures of a replay as frames of ALE, and what its rows say of the steps between them."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from atari_dream.games import HEIGHT, WIDTH
from atari_dream.replays.colours import PALETTES, UNKNOWN, to_codes
from atari_dream.replays.damage import UnreadableError
from atari_dream.replays.layout import Source
from atari_dream.replays.trajectory import Trajectory

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_POWER_ON = 600
"""Rows within which a falling score is memory that was random when the console was switched on."""
_WRAP = {"space_invaders": 10_000}
"""Scores at which a game's counter starts again at 0."""


class DamagedError(Exception):
    """A picture that cannot be read; the first argument is the kind of damage."""


class ForeignError(UnreadableError):
    """A picture that is no frame of the game in the colours that were declared."""


@dataclass(frozen=True)
class Steps:
    """The steps of a replay by picture: step k leads from picture k to picture k + 1.

    Attributes:
        usable: Whether the rows tell all of it and the game goes on, bool (K,).
        actions: ALE codes, uint8 (K,).
        rewards: float32 (K,).
        ends: Whether the game is over after it, bool (K,).
        resets: Whether the score falls: the console was reset, bool (K,).
    """

    usable: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    ends: np.ndarray
    resets: np.ndarray


def steps_of(rows: Trajectory, source: Source, pictures: int) -> Steps:
    """What the rows say of the steps between so many pictures."""
    timing = source.timing
    steps = np.arange(max(0, pictures - 1))
    acted, gained = steps + timing.action_shift, steps + timing.reward_shift
    inside = (np.minimum(acted, gained - 1) >= timing.first_row) & (np.maximum(acted, gained) < len(rows))
    acted, gained = (row.clip(0, len(rows) - 1) for row in (acted, gained))
    before = (gained - 1).clip(0)
    rewards = _unwrapped(rows, source.game)[gained].astype(np.float32)
    resets = inside & rows.known[gained] & (rewards < 0)
    usable = inside & rows.known[acted] & rows.known[gained] & rows.known[before] & ~rows.terminal[before]
    usable &= ~resets
    switched_on = np.flatnonzero(resets[:_POWER_ON])
    if len(switched_on) and timing.first_row:
        usable[: switched_on[-1] + 1] = False
    return Steps(usable, rows.actions[acted], rewards, rows.terminal[gained], resets)


def final_score(rows: Trajectory, game: str) -> int:
    """The score at the end of a replay, with what a counter that wraps has lost."""
    lost = _unwrapped(rows, game) - rows.rewards
    return int(rows.scores[rows.known][-1] + lost.sum())


def _unwrapped(rows: Trajectory, game: str) -> np.ndarray:
    """The rewards, int64 (R,), where a counter that wraps has not fallen."""
    wrap = _WRAP.get(game)
    return (
        rows.rewards
        if wrap is None
        else np.where(rows.rewards < -wrap // 2, rows.rewards + wrap, rows.rewards)
    )


def read_frame(path: Path, source: Source) -> np.ndarray:
    """One picture as a frame of ALE, palette codes, uint8 (210, 160).

    Raises:
        DamagedError: If the file is missing, cut off or changed.
        ForeignError: If its size or one of its colours is not the game's.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedError("missing PNG") from None
    if not _is_whole(data):
        raise DamagedError("damaged PNG")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DamagedError("damaged PNG")
    if picture.shape != (HEIGHT, WIDTH, 3):
        height, width = picture.shape[:2]
        raise ForeignError(f"{path} is {width}x{height}, expected {WIDTH}x{HEIGHT}")
    codes = to_codes(picture, source.palette)
    if (codes & UNKNOWN).any():
        raise _unknown_colour(path, picture, codes, source)
    return source.geometry.convert(codes)


def _is_whole(data: bytes) -> bool:
    """Whether bytes are a PNG to its last chunk, with the check sums right."""
    if not data.startswith(_SIGNATURE):
        return False
    place = len(_SIGNATURE)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + size
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        if data[place + 4 : place + 8] == b"IEND":
            return True
        place = end + 4
    return False


def _unknown_colour(path: Path, picture: np.ndarray, codes: np.ndarray, source: Source) -> ForeignError:
    row, column = np.argwhere(codes & UNKNOWN)[0]
    other = next(name for name in PALETTES if name != source.palette)
    hint = ""
    if not (to_codes(picture, other) & UNKNOWN).any():
        hint = f"; all its colours are {other}'s: try --palette {other}"
    red, green, blue = picture[row, column][::-1].tolist()
    return ForeignError(
        f"{path} has colour ({red}, {green}, {blue}) at row {row}, column {column}, "
        f"which is not in palette {source.palette}{hint}"
    )
