"""The rows of a replay."""

from pathlib import Path

import numpy as np
import pytest
from replay_files import ACTIONS, REWARDS, ROWS, lines

from atari_dream.replays.damage import Damage, UnreadableError
from atari_dream.replays.trajectory import Trajectory, read_trajectory


def read(path: Path, text: str | bytes) -> tuple[Trajectory, Damage]:
    data = text.encode() if isinstance(text, str) else text
    (path / "17.txt").write_bytes(data)
    damage = Damage()
    return read_trajectory(path / "17.txt", damage), damage


def test_both_versions_say_the_same(tmp_path: Path) -> None:
    first, damage = read(tmp_path, "\n".join(lines(1)))
    second, _ = read(tmp_path, "\n".join(lines(2)) + "\n")
    assert first.digest == second.digest and first.play == "77" and len(first) == ROWS
    assert first.actions.tolist() == ACTIONS and first.rewards.tolist() == REWARDS
    assert first.scores.tolist() == np.cumsum(REWARDS).tolist() and first.known.all()
    assert not damage.found


def test_line_ends_of_windows_change_nothing_and_are_told(tmp_path: Path) -> None:
    unix, _ = read(tmp_path, "\n".join(lines()))
    windows, damage = read(tmp_path, b"\xef\xbb\xbf" + "\r\n".join(lines()).encode())
    assert windows.digest == unix.digest and windows.play == "77"
    assert str(damage) == "line ends of Windows (1, first 17.txt)"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("5, 10, 10, Fal", "malformed line (1, first 17.txt line 8)"),
        ("5, 10, 10, False", "malformed line (1, first 17.txt line 8)"),
        ("5, x, 10, False, 4", "malformed line (1, first 17.txt line 8)"),
        ("5, 10, 10, 2, 4", "malformed line (1, first 17.txt line 8)"),
        ("-5, 10, 10, False, 4", "malformed line (1, first 17.txt line 8)"),
        ("999999999999, 10, 10, False, 4", "malformed line (1, first 17.txt line 8)"),
        ("5, 10, 10, False, 18", "action outside 0-17 (1, first 17.txt line 8)"),
        ("5, 10, 10, False, -1", "action outside 0-17 (1, first 17.txt line 8)"),
        (
            "4, 10, 10, False, 4",
            "row that comes twice (1, first 17.txt line 8); missing row (1, first row 5)",
        ),
        ("", "missing row (1, first row 5)"),
    ],
)
def test_a_bad_line_costs_its_own_row_only(tmp_path: Path, broken: str, told: str) -> None:
    text = lines()
    assert text[7].startswith("5,")
    text[7] = broken
    rows, damage = read(tmp_path, "\n".join(text))
    assert np.flatnonzero(~rows.known).tolist() == [5] and str(damage) == told
    sound = [place for place in range(ROWS) if place != 5]
    assert rows.actions[sound].tolist() == [ACTIONS[place] for place in sound]


def test_a_last_line_that_was_cut_is_told(tmp_path: Path) -> None:
    rows, damage = read(tmp_path, "\n".join(lines())[:-6])
    assert len(rows) == ROWS - 1 and rows.known.all() and damage.count("malformed line") == 1


def test_the_head_may_be_missing(tmp_path: Path) -> None:
    rows, damage = read(tmp_path, "\n".join(lines()[2:]))
    assert rows.play is None and len(rows) == ROWS and not damage.found
    rows, damage = read(tmp_path, "\n".join(lines()[1:]))
    assert rows.play is None and len(rows) == ROWS and not damage.found


@pytest.mark.parametrize("data", [b"", b"\n\n", "\n".join(lines()[:2]).encode(), b"\xff\xfe\x00binary"])
def test_what_has_no_rows_is_unreadable(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"17\.txt"):
        read(tmp_path, data)


def test_equal_rows_have_equal_digests_and_others_do_not(tmp_path: Path) -> None:
    text = lines()
    base, _ = read(tmp_path, "\n".join(text))
    other, _ = read(tmp_path, "\n".join([*text[:-1], text[-1].replace("3", "4", 1)]))
    renamed, _ = read(tmp_path, "\n".join(["db traj id : 78", *text[1:]]))
    assert renamed.digest == base.digest != other.digest
