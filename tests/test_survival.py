"""What becomes of an object: every cause by itself on scenes made up, the window of steps, and what is not judged."""

from collections.abc import Sequence

import numpy as np
import pytest

from atari_dream.objects.scene import NOWHERE, UNKNOWN, Scene
from atari_dream.objects.survival import CAUSES, REACH, WINDOW, Fate, fates

HERE = ((50.0, 60.0),)
AWAY: tuple[tuple[float, float], ...] = ()
SURVIVED = Fate(True)

Places = Sequence[tuple[float, float]] | None


def scenes(rows: Sequence[Places]) -> list[Scene]:
    points = [None if row is None else np.array(row, np.float32).reshape(-1, 2) for row in rows]
    return [Scene({"it": point}, {}) for point in points]


def fate(real: Sequence[Places], dreamt: Sequence[Places], seen: Sequence[Places] | None = None) -> Fate:
    """Of one object; the real game's pixels show what its memory tells, unless said otherwise."""
    shown = real if seen is None else seen
    return fates(scenes(real), scenes(shown), scenes(dreamt))["it"]


def values(rows: Sequence[Sequence[int]]) -> list[Scene]:
    return [Scene({}, {"it": np.array(row, np.int64)}) for row in rows]


def reading_fate(
    real: Sequence[Sequence[int]],
    dreamt: Sequence[Sequence[int]],
    seen: Sequence[Sequence[int]] | None = None,
) -> Fate:
    return fates(values(real), values(real if seen is None else seen), values(dreamt))["it"]


def moved(x: float, y: float = 0.0) -> tuple[tuple[float, float]]:
    return ((HERE[0][0] + x, HERE[0][1] + y),)


def test_the_window_and_the_reach_are_those_that_are_published() -> None:
    assert (WINDOW, REACH) == (8, 8.0)
    assert CAUSES == ("lost", "extra", "doubled", "teleported", "off", "wrong")


def test_what_is_dreamt_as_it_is_never_fails() -> None:
    path = [moved(3 * t, -t) for t in range(40)]
    assert fate(path, path) == SURVIVED
    assert reading_fate([[t // 4, 7] for t in range(40)], [[t // 4, 7] for t in range(40)]) == SURVIVED


def test_objects_are_judged_one_by_one_and_each_has_its_fate() -> None:
    here, off = np.array(HERE, np.float32), np.array(moved(20), np.float32)
    real = [Scene({"a": here, "b": here}, {"c": np.array([3]), "d": np.array([4])})] * 10
    dreamt = [Scene({"a": off, "b": here}, {"c": np.array([3]), "d": np.array([5])})] * 10
    assert fates(real, real, dreamt) == {
        "a": Fate(True, 0, "off"),
        "b": SURVIVED,
        "c": SURVIVED,
        "d": Fate(True, WINDOW - 1, "wrong"),
    }


@pytest.mark.parametrize("last", [0, 1, 5, 20])
def test_lost_is_what_is_shown_nowhere_for_a_window(last: int) -> None:
    dreamt = [HERE] * last + [AWAY] * 30
    assert fate([HERE] * len(dreamt), dreamt) == Fate(True, last + WINDOW - 1, "lost")


def test_seven_steps_are_not_a_window() -> None:
    assert fate([HERE] * 9, [HERE] + [AWAY] * 7 + [HERE]) == SURVIVED
    assert fate([HERE] * 7, [AWAY] * 7) == SURVIVED
    assert fate([HERE] * 8, [AWAY] * 8) == Fate(True, 7, "lost")


def test_flicker_loses_nothing() -> None:
    flicker = [HERE if t % WINDOW == 0 else AWAY for t in range(60)]
    assert fate([HERE] * 60, flicker) == SURVIVED
    assert fate([HERE] * 60, flicker, seen=flicker) == SURVIVED
    slower = [HERE if t % (WINDOW + 1) == 0 else AWAY for t in range(60)]
    assert fate([HERE] * 60, slower) == Fate(True, 8, "lost")


def test_a_place_that_the_dream_cannot_tell_is_not_shown() -> None:
    assert fate([HERE] * 10, [None] * 10) == Fate(True, 7, "lost")


def test_nothing_is_lost_where_real_pixels_do_not_show_it_either() -> None:
    assert fate([HERE] * 30, [AWAY] * 30, seen=[AWAY] * 30) == SURVIVED
    once = [HERE if t == 12 else AWAY for t in range(30)]
    assert fate([HERE] * 30, [AWAY] * 30, seen=once) == Fate(True, 12, "lost")


def test_nothing_is_lost_that_left_or_came_within_the_window() -> None:
    real = [HERE] * 7 + [AWAY] + [HERE] * 7
    assert fate(real, [AWAY] * 15) == SURVIVED
    assert fate(real + [HERE], [AWAY] * 16) == Fate(True, 15, "lost")


@pytest.mark.parametrize("left", [1, 8, 20])
def test_extra_is_what_is_shown_though_the_real_one_was_away_for_a_window(left: int) -> None:
    real = [HERE] * left + [AWAY] * 20
    assert fate(real, [HERE] * len(real)) == Fate(True, left + WINDOW - 1, "extra")
    assert fate(real, [HERE] * (left + WINDOW - 1) + [AWAY] * 13) == SURVIVED


def test_nothing_is_extra_that_real_pixels_show() -> None:
    real = [HERE] + [AWAY] * 20
    assert fate(real, [HERE] * 21, seen=[HERE] * 21) == SURVIVED
    assert fate(real, [HERE] * 21, seen=[HERE] * 5 + [AWAY] * 16) == Fate(True, 12, "extra")


def test_doubled_is_what_is_shown_more_often_than_in_any_real_frame_of_the_window() -> None:
    two = (*HERE, (120.0, 30.0))
    dreamt = [HERE] * 3 + [two] + [HERE] * 20
    assert fate([HERE] * 24, dreamt) == Fate(True, 3, "doubled")
    assert fate([HERE] * 24, [two] + [HERE] * 23) == Fate(True, 0, "doubled")
    for at, doubled in ((3, None), (2, None), (4, 3)):
        seen = [two if t == at else HERE for t in range(24)]
        assert fate([HERE] * 24, dreamt, seen).step == doubled, at
    for at, doubled in ((12, None), (11, 19)):
        late = [HERE] * 19 + [two] + [HERE] * 4
        assert fate([HERE] * 24, late, [two if t == at else HERE for t in range(24)]).step == doubled, at


def test_three_are_doubled_where_real_pixels_show_two() -> None:
    two = (*HERE, (120.0, 30.0))
    three = (*two, (90.0, 90.0))
    assert fate([HERE] * 3, [two, three, two], seen=[two] * 3) == Fate(True, 1, "doubled")


def test_one_is_not_doubled_where_real_pixels_show_none() -> None:
    assert fate([HERE] * 5, [HERE] * 5, seen=[AWAY] * 5) == SURVIVED


@pytest.mark.parametrize(("x", "y"), [(8.0, 0.0), (0.0, -8.0), (5.0, 6.2)])
def test_eight_pixels_are_not_off_and_a_tenth_more_is(x: float, y: float) -> None:
    assert fate([HERE] * 5, [moved(x, y)] * 5) == SURVIVED
    assert fate([HERE] * 5, [moved(x * 8.1 / 8, y * 8.1 / 8)] * 5) == Fate(True, 0, "off")


def test_an_object_goes_off_at_the_step_at_which_it_is_too_far() -> None:
    assert fate([moved(2 * t) for t in range(20)], [HERE] * 20) == Fate(True, 5, "off")


def test_the_nearest_of_several_is_compared() -> None:
    several = ((140.0, 10.0), *moved(3), (10.0, 150.0))
    assert fate([HERE] * 5, [several] * 5, seen=[several] * 5) == SURVIVED


def test_teleported_is_what_jumps_while_the_real_one_does_not() -> None:
    dreamt = [HERE] * 4 + [moved(20)] * 10
    assert fate([HERE] * 14, dreamt) == Fate(True, 4, "teleported")
    back_and_forth = [moved(-6)] * 4 + [moved(6)] * 10  # never off, but not the same object
    assert fate([HERE] * 14, back_and_forth) == Fate(True, 4, "teleported")
    assert fate([HERE] * 14, [moved(-4)] * 4 + [moved(4)] * 10) == SURVIVED


def test_a_jump_of_the_real_one_that_the_dream_follows_is_none() -> None:
    jump = [HERE] * 4 + [moved(60, 40)] * 10
    assert fate(jump, jump) == SURVIVED


def test_a_jump_of_the_real_one_that_the_dream_misses_is_off() -> None:
    assert fate([HERE] * 4 + [moved(60)] * 10, [HERE] * 14) == Fate(True, 4, "off")


@pytest.mark.parametrize(("hidden", "cause"), [(0, "teleported"), (6, "teleported"), (7, "off"), (9, "off")])
def test_a_jump_counts_as_one_if_the_last_place_was_seen_within_the_window(hidden: int, cause: str) -> None:
    dreamt = [HERE] + [AWAY] * hidden + [moved(20)] * 2
    seen = [HERE] + [AWAY] * (len(dreamt) - 1)
    assert fate([HERE] * len(dreamt), dreamt, seen if hidden > 7 else None).cause == cause


def test_where_the_real_one_cannot_be_told_nothing_is_judged() -> None:
    unknown: list[Places] = [None] * 30
    for dreamt in ([AWAY] * 30, [HERE] * 30, [moved(t * 9 % 70) for t in range(30)]):
        assert fate(unknown, dreamt, seen=[HERE] * 30) == Fate(False)
    gap: list[Places] = [HERE, *[None] * 20, HERE]
    assert fate(gap, [HERE, *[moved(50)] * 20, HERE], seen=[HERE] * 22) == SURVIVED
    assert fate([None if t % 8 == 0 else HERE for t in range(40)], [AWAY] * 40) == SURVIVED
    assert fate([HERE, *[None if t % 8 == 0 else AWAY for t in range(40)]], [HERE] * 41) == SURVIVED


def test_what_was_never_there_is_not_judged() -> None:
    assert fate([AWAY] * 30, [HERE] * 30) == Fate(False)
    assert fate([AWAY] * 30, [AWAY] * 30) == Fate(False)
    assert fate([AWAY] * 30 + [HERE], [HERE] * 31) == Fate(True, 7, "extra")


def test_nowhere_is_no_place() -> None:
    assert NOWHERE.shape == (0, 2) and NOWHERE.dtype == np.float32
    real = [Scene({"it": np.array(HERE, np.float32)}, {})] * 9
    assert fates(real, real, [Scene({"it": NOWHERE}, {})] * 9)["it"] == Fate(True, 7, "lost")


def test_the_first_failure_is_told() -> None:
    dreamt = [HERE] * 2 + [moved(9)] + [AWAY] * 20
    assert fate([HERE] * 23, dreamt) == Fate(True, 2, "teleported")
    assert fate([HERE] * 23, [AWAY] * 8 + [moved(30)] * 15) == Fate(True, 7, "lost")


def test_wrong_is_a_value_that_is_not_right_throughout_a_window() -> None:
    assert reading_fate([[3]] * 20, [[4]] * 20) == Fate(True, 7, "wrong")
    assert reading_fate([[3]] * 20, [[3]] * 5 + [[4]] * 15) == Fate(True, 12, "wrong")
    assert reading_fate([[3]] * 20, [[UNKNOWN]] * 20) == Fate(True, 7, "wrong")
    assert reading_fate([[3]] * 7, [[4]] * 7) == SURVIVED


def test_a_value_that_is_late_by_less_than_a_window_is_right() -> None:
    count = [[t // 10] for t in range(60)]
    late = [[max(0, t - 7) // 10] for t in range(60)]
    assert reading_fate(count, late) == SURVIVED
    assert reading_fate(count, [[max(0, t - 8) // 10] for t in range(60)]) == Fate(True, 17, "wrong")


def test_one_wrong_value_of_many_is_enough_and_several_do_not_add_up() -> None:
    real = [[1, 2, 3]] * 20
    assert reading_fate(real, [[1, 2, 9]] * 20) == Fate(True, 7, "wrong")
    turns = [[1, 9, 3] if t % 2 else [9, 2, 3] for t in range(20)]
    assert reading_fate(real, turns) == SURVIVED


def test_a_value_that_real_pixels_never_tell_is_not_wrong() -> None:
    assert reading_fate([[3]] * 20, [[4]] * 20, seen=[[UNKNOWN]] * 20) == SURVIVED
    once = [[UNKNOWN]] * 11 + [[3]] + [[UNKNOWN]] * 8
    assert reading_fate([[3]] * 20, [[4]] * 20, seen=once) == Fate(True, 11, "wrong")


def test_a_value_that_the_memory_does_not_tell_is_not_judged() -> None:
    assert reading_fate([[UNKNOWN]] * 20, [[4]] * 20, seen=[[3]] * 20) == Fate(False)
    assert reading_fate([[UNKNOWN] if t % 8 == 0 else [3] for t in range(40)], [[4]] * 40) == SURVIVED
    assert reading_fate([[UNKNOWN, 3]] * 20, [[4, 4]] * 20) == Fate(True, 7, "wrong")
