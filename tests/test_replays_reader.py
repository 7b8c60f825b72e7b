"""Pictures as frames, and rows as steps."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from replay_files import ACTIONS, REWARDS, ROWS, codes, lines, write_pictures

from atari_dream.replays.colours import to_picture
from atari_dream.replays.damage import Damage
from atari_dream.replays.geometry import ALE
from atari_dream.replays.layout import Source, Timing
from atari_dream.replays.reader import DamagedError, ForeignError, Steps, final_score, read_frame, steps_of
from atari_dream.replays.trajectory import Trajectory, read_trajectory

SOURCE = Source("qbert", "agc", ALE, Timing())


def rows_of(path: Path, text: list[str]) -> Trajectory:
    (path / "1.txt").write_text("\n".join(text))
    return read_trajectory(path / "1.txt", Damage())


def steps(path: Path, text: list[str], source: Source = SOURCE, pictures: int = ROWS) -> Steps:
    return steps_of(rows_of(path, text), source, pictures)


def test_the_action_is_two_rows_on_and_its_reward_three(tmp_path: Path) -> None:
    found = steps(tmp_path, lines())
    assert np.flatnonzero(found.usable).tolist() == list(range(1, ROWS - 3))
    assert found.actions[1 : ROWS - 3].tolist() == ACTIONS[3 : ROWS - 1]
    assert found.rewards[1 : ROWS - 3].tolist() == REWARDS[4:ROWS]


def test_other_shifts_are_taken_at_their_word(tmp_path: Path) -> None:
    found = steps(tmp_path, lines(), replace(SOURCE, timing=Timing(0, 1, 0)))
    assert found.usable.all() and len(found.usable) == ROWS - 1
    assert found.actions.tolist() == ACTIONS[:-1] and found.rewards.tolist() == REWARDS[1:]


def test_more_rows_than_pictures_give_the_last_pictures_their_steps(tmp_path: Path) -> None:
    found = steps(tmp_path, lines(), pictures=ROWS - 2)
    assert found.usable[1:].all() and len(found.usable) == ROWS - 3


def test_a_lost_row_costs_the_steps_that_need_it(tmp_path: Path) -> None:
    text = lines()
    del text[2 + 8]
    found = steps(tmp_path, text)
    assert np.flatnonzero(~found.usable[1 : ROWS - 3]).tolist() == [4, 5], "its action, its reward"


def score_lines(scores: list[int], over: int | None = None) -> list[str]:
    gains = np.diff(scores, prepend=0)
    flags = [over is not None and frame >= over for frame in range(len(scores))]
    return [
        "frame,reward,score,terminal,action",
        *(
            f"{frame}, {gain}, {score}, {flag}, 3"
            for frame, (gain, score, flag) in enumerate(zip(gains, scores, flags, strict=True))
        ),
    ]


def test_the_game_ends_where_a_row_says_so(tmp_path: Path) -> None:
    found = steps(tmp_path, score_lines([0] * 20, over=15), pictures=20)
    assert np.flatnonzero(found.usable)[-1] == 12 and np.flatnonzero(found.ends & found.usable).tolist() == [
        12
    ]


def test_rows_of_the_console_being_switched_on_are_dropped(tmp_path: Path) -> None:
    found = steps(tmp_path, score_lines([1_650_000] * 10 + [0] * 10), pictures=20)
    assert np.flatnonzero(found.usable)[0] == 8
    assert not found.rewards[found.usable].any()


def test_a_reset_of_the_console_parts_the_play(tmp_path: Path) -> None:
    found = steps(tmp_path, score_lines([50] * 700 + [0] * 20), pictures=720)
    assert np.flatnonzero(found.resets).tolist() == [697] and not found.usable[697]
    assert found.usable[1:697].all() and found.usable[698:717].all()


def test_a_score_that_wraps_is_a_gain(tmp_path: Path) -> None:
    text = score_lines([9_990] * 700 + [5] * 20)
    found = steps(tmp_path, text, replace(SOURCE, game="space_invaders"), 720)
    assert found.rewards[697] == 15 and found.usable[697] and not found.resets.any()
    assert steps(tmp_path, text, pictures=720).resets.any(), "Q*bert's score does not wrap"
    rows = rows_of(tmp_path, text)
    assert final_score(rows, "space_invaders") == 10_005 and final_score(rows, "qbert") == 5


def test_a_picture_is_a_frame(tmp_path: Path) -> None:
    write_pictures(tmp_path, count=3)
    np.testing.assert_array_equal(read_frame(tmp_path / "2.png", SOURCE), codes(2))


@pytest.mark.parametrize(
    ("start", "stop", "flip"), [(0, 200, None), (0, -1, None), (0, 0, None), (1, None, None), (0, None, 150)]
)
def test_a_damaged_picture_is_told(tmp_path: Path, start: int, stop: int | None, flip: int | None) -> None:
    write_pictures(tmp_path, count=1)
    data = bytearray((tmp_path / "0.png").read_bytes())
    if flip is not None:
        data[flip] ^= 1
    (tmp_path / "0.png").write_bytes(data[start:stop])
    with pytest.raises(DamagedError, match="damaged PNG"):
        read_frame(tmp_path / "0.png", SOURCE)
    with pytest.raises(DamagedError, match="missing PNG"):
        read_frame(tmp_path / "1.png", SOURCE)


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((192, 160, 3), np.uint8))
    with pytest.raises(ForeignError, match=r"0\.png is 160x192, expected 160x210"):
        read_frame(tmp_path / "0.png", SOURCE)


def test_an_unknown_colour_is_named_with_its_place(tmp_path: Path) -> None:
    picture = to_picture(codes(0), "agc").copy()
    picture[209, 5] = (3, 2, 1)
    cv2.imwrite(str(tmp_path / "0.png"), picture)
    told = r"0\.png has colour \(1, 2, 3\) at row 209, column 5, which is not in palette agc$"
    with pytest.raises(ForeignError, match=told):
        read_frame(tmp_path / "0.png", SOURCE)


def test_ales_colours_are_recognised(tmp_path: Path) -> None:
    write_pictures(tmp_path, count=1, palette="ale")
    with pytest.raises(ForeignError, match="all its colours are ale's: try --palette ale"):
        read_frame(tmp_path / "0.png", SOURCE)
    np.testing.assert_array_equal(read_frame(tmp_path / "0.png", replace(SOURCE, palette="ale")), codes(0))
