"""The reader's own error: what is counted of scenes made up, and the shares and pixels that come of it."""

from collections.abc import Sequence

import numpy as np

from atari_dream.objects.error import Tally, reading_errors, summarise_errors
from atari_dream.objects.scene import UNKNOWN, Scene

Places = Sequence[tuple[float, float]] | None
HERE = [(50.0, 60.0)]


def scenes(rows: Sequence[Places]) -> list[Scene]:
    points = [None if row is None else np.array(row, np.float32).reshape(-1, 2) for row in rows]
    return [Scene({"it": point}, {}) for point in points]


def track(real: Sequence[Places], seen: Sequence[Places]) -> Tally:
    return reading_errors(scenes(real), scenes(seen))


def reading(real: Sequence[Sequence[int]], seen: Sequence[Sequence[int]]) -> Tally:
    rows = [[Scene({}, {"it": np.array(row, np.int64)}) for row in part] for part in (real, seen)]
    return reading_errors(*rows)


def counts(tally: Tally) -> dict[str, int]:
    return {key: count for key, count in tally["it"].items() if key != "errors" and count}


def test_frames_that_show_it_count_as_found_and_give_its_error() -> None:
    tally = track([HERE] * 4, [HERE, [(53.0, 64.0)], [], [(50.0, 67.0)]])
    assert counts(tally) == {"there": 4, "found": 3, "found_in_window": 4}
    assert tally["it"]["errors"] == [0.0, 5.0, 7.0]


def test_found_in_a_window_is_found_in_one_of_the_last_eight_frames() -> None:
    seen = [HERE if t in (3, 20) else [] for t in range(30)]
    assert counts(track([HERE] * 30, seen)) == {"there": 30, "found": 2, "found_in_window": 16}


def test_the_nearest_of_several_counts() -> None:
    assert track([HERE], [[(0.0, 0.0), (50.0, 61.0), (90.0, 60.0)]])["it"]["errors"] == [1.0]


def test_what_is_shown_while_it_is_away_is_false_and_gives_no_error() -> None:
    tally = track([[], [], [], HERE], [HERE, [], None, HERE])
    assert counts(tally) == {"away": 3, "false": 1, "there": 1, "found": 1, "found_in_window": 1}
    assert tally["it"]["errors"] == [0.0]


def test_what_the_memory_cannot_tell_is_not_counted() -> None:
    assert counts(track([None, None], [HERE, []])) == {}
    assert counts(track([None, HERE], [HERE, []])) == {"there": 1, "found_in_window": 1}


def test_what_pixels_cannot_tell_is_not_found() -> None:
    tally = track([HERE, HERE], [None, None])
    assert counts(tally) == {"there": 2} and tally["it"]["errors"] == []


def test_values_are_known_legible_and_wrong() -> None:
    real = [[1, 2], [1, UNKNOWN], [1, 2]]
    assert counts(reading(real, [[1, 2], [7, 7], [UNKNOWN, 3]])) == {"known": 5, "legible": 4, "wrong": 2}


def test_each_object_has_its_tally() -> None:
    here = np.array(HERE, np.float32)
    real = [Scene({"a": here, "b": None}, {"c": np.array([4])})]
    tally = reading_errors(real, real)
    assert list(tally) == ["a", "b", "c"]
    assert {name: counts({"it": row}) for name, row in tally.items()} == {
        "a": {"there": 1, "found": 1, "found_in_window": 1},
        "b": {},
        "c": {"known": 1, "legible": 1},
    }


def test_places_are_summed_up_over_stretches() -> None:
    far = [[(50.0, 60.0 + error)] for error in range(10)]
    one = track([HERE] * 10 + [[]] * 3, far + [HERE, [], []])
    other = track([HERE] * 10, [[]] * 9 + [[(50.0, 70.0)]])
    pixels = np.arange(11)
    assert summarise_errors([one, other])["it"] == {
        "there": 20,
        "found": 0.55,
        "found_in_window": 0.55,
        "false": 0.3333,
        "median_px": 5.0,
        "p95_px": round(float(np.percentile(pixels, 95)), 2),
        "max_px": 10.0,
    }


def test_values_are_summed_up_over_stretches() -> None:
    one, other = reading([[1, 1]] * 3, [[1, 2]] * 3), reading([[1, 1]], [[UNKNOWN, 1]])
    assert summarise_errors([one, other])["it"] == {"known": 8, "legible": 0.875, "wrong": 0.4286}


def test_shares_of_nothing_are_none() -> None:
    never = {"there": 0, "found": None, "found_in_window": None, "false": 0.0}
    unseen = {"median_px": None, "p95_px": None, "max_px": None}
    assert summarise_errors([track([[]], [[]])])["it"] == never | unseen
    always = {"there": 1, "found": 0.0, "found_in_window": 0.0, "false": None}
    assert summarise_errors([track([HERE], [[]])])["it"] == always | unseen
    dark = {"known": 1, "legible": 0.0, "wrong": None}
    assert summarise_errors([reading([[5]], [[UNKNOWN]])])["it"] == dark


def test_a_window_does_not_reach_into_another_stretch() -> None:
    seen, hidden = track([HERE], [HERE]), track([HERE] * 3, [[]] * 3)
    assert summarise_errors([seen, hidden])["it"]["found_in_window"] == 0.25


def test_a_tally_holds_plain_numbers() -> None:
    for tally in (track([HERE, []], [HERE, HERE]), reading([[1]], [[2]])):
        assert all(type(value) is int for key, value in tally["it"].items() if key != "errors")
        assert all(type(value) is float for value in tally["it"].get("errors", []))
