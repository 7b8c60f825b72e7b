"""The text of a replay: one row a frame, in either syntax of the data set, with what is wrong in it noted."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atari_dream.replays.damage import Damage, UnreadableError

COLUMNS = ("frame", "reward", "score", "terminal", "action")
_TITLE = "db traj id"
_FLAGS = {"True": 1, "False": 0}
_LONGEST = 2_000_000
"""No play goes on for 9 hours: a frame number beyond is a malformed one."""


@dataclass(frozen=True)
class Trajectory:
    """The rows of a replay by their frame number; where `known` is False, a row is missing or malformed.

    Attributes:
        play: The number of the recorded play in the data set's data base, if it is given.
        known: bool (R,).
        actions: ALE codes 0-17, uint8 (R,).
        rewards: Change of the score, int64 (R,).
        scores: int64 (R,).
        terminal: Whether the game was over, bool (R,).
        digest: SHA-256 of the rows, in hex.
    """

    play: str | None
    known: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    terminal: np.ndarray
    digest: str

    def __len__(self) -> int:
        """Number of rows, R."""
        return len(self.known)


def read_trajectory(path: Path, damage: Damage) -> Trajectory:
    """Reads the rows of a replay, of version 1 (`3, 0, 0, False, 4`) or 2 (`3,0,0,0,4`).

    Args:
        path: The text file.
        damage: Takes note of malformed lines, rows that are missing or come twice, and actions outside 0-17.

    Raises:
        UnreadableError: If it cannot be read or holds no row.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from None
    if "\r" in text:
        damage.note("line ends of Windows", path.name)
    lines = text.splitlines()
    play, head = _head(lines)
    rows = dict(_rows(lines, head, path, damage))
    if not rows:
        raise UnreadableError(f"{path} has no rows {', '.join(COLUMNS)}")
    known = np.zeros(max(rows) + 1, bool)
    known[list(rows)] = True
    damage.note("missing row", f"row {np.argmin(known)}", int((~known).sum()) - _malformed(damage))
    table = np.zeros((len(known), 4), np.int64)
    table[list(rows)] = list(rows.values())
    rewards, scores, terminal, actions = table.T
    return Trajectory(
        play,
        known,
        actions.astype(np.uint8),
        rewards.copy(),
        scores.copy(),
        terminal.astype(bool),
        hashlib.sha256(np.ascontiguousarray(table).data).hexdigest(),
    )


def _malformed(damage: Damage) -> int:
    return damage.count("malformed line") + damage.count("action outside 0-17")


def _head(lines: list[str]) -> tuple[str | None, int]:
    """The play's number and how many lines stand before the first row."""
    play = None
    head = 0
    for line in lines[:2]:
        name, colon, value = line.partition(":")
        if colon and name.strip() == _TITLE:
            play = value.strip()
        elif tuple(part.strip() for part in line.split(",")) != COLUMNS:
            break
        head += 1
    return play, head


def _rows(
    lines: list[str], head: int, path: Path, damage: Damage
) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Each well-formed row, by its frame number."""
    seen = set()
    for number, line in enumerate(lines[head:], head + 1):
        if not line.strip():
            continue
        place = f"{path.name} line {number}"
        row = _row(line)
        if row is None:
            damage.note("malformed line", place)
            continue
        frame, reward, score, terminal, action = row
        if not 0 <= action <= 17:
            damage.note("action outside 0-17", place)
        elif frame in seen:
            damage.note("row that comes twice", place)
        else:
            seen.add(frame)
            yield frame, (reward, score, terminal, action)


def _row(line: str) -> tuple[int, int, int, int, int] | None:
    parts = [part.strip() for part in line.split(",")]
    try:
        frame, reward, score, terminal, action = (
            _FLAGS[part] if part in _FLAGS else int(part) for part in parts
        )
    except ValueError:
        return None
    sound = 0 <= frame < _LONGEST and terminal in (0, 1)
    return (frame, reward, score, terminal, action) if sound else None
