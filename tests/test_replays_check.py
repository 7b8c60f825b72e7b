"""The timing that is declared beside the one that is found."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from replay_files import ACTIONS, REWARDS, ROWS, codes, lines, write_replay

from atari_dream.replays import check
from atari_dream.replays.check import Check, check_timing
from atari_dream.replays.layout import ReplayFolder
from atari_dream.replays.timing import Finding

Seen = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.mark.parametrize(
    ("finding", "told"),
    [
        (Finding(2, 0.97, 40, ()), "action shift 2 found (confidence 0.97, 40 events), as declared"),
        (
            Finding(3, 0.97, 40, ()),
            "action shift 3 found (confidence 0.97, 40 events), but 2 is declared: look at the data, or give "
            "--action-shift 3",
        ),
        (
            Finding(3, 0.5, 2, ()),
            "action shift 3 found (confidence 0.50, 2 events), 2 is declared: too little data to tell",
        ),
        (Finding(None, 0.0, 0, ()), "0 events do not tell the action shift; 2 is declared"),
    ],
)
def test_what_was_found_is_told_in_a_line(finding: Finding, told: str) -> None:
    one = Check("action shift", 2, finding)
    assert str(one) == f"alignment: {told}"
    assert one.contradicts == ("look at the data" in told)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the finder is given."""
    given: Seen = []

    def find(
        replays: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], game: str
    ) -> tuple[Finding, Finding]:
        assert game == "qbert"
        given.extend(replays)
        return Finding(7, 1.0, 1, ()), Finding(8, 1.0, 1, ())

    monkeypatch.setattr(check, "both_shifts", find)
    return given


def test_pictures_and_rows_go_to_the_finder(tmp_path: Path, seen: Seen) -> None:
    write_replay(tmp_path, "17")
    checks = check_timing(ReplayFolder(tmp_path, reward_shift=5))
    told = [(one.what, one.declared, one.finding.shift) for one in checks]
    assert told == [("action shift", 2, 7), ("reward shift", 5, 8)]
    ((frames, actions, scores),) = seen
    assert actions.tolist() == ACTIONS and scores.tolist() == np.cumsum(REWARDS).tolist()
    assert len(frames) == ROWS
    np.testing.assert_array_equal(frames[3][:203], codes(3)[:203])


def test_a_replay_counts_up_to_its_first_damage(tmp_path: Path, seen: Seen) -> None:
    (write_replay(tmp_path, "1") / "6.png").unlink()
    text = lines()
    text[10] = "8, x"
    write_replay(tmp_path, "2", text)
    write_replay(tmp_path, "3", ["nothing"])
    (write_replay(tmp_path, "4") / "0.png").write_bytes(b"")
    check_timing(ReplayFolder(tmp_path))
    assert [len(frames) for frames, *_ in seen] == [6, 8]
