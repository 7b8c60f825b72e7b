"""Events are matched by hand: early, late, missed, made up; counts run on, so every step has its own measure."""

import numpy as np
import pytest

from atari_dream.events import EVENT_MEASURES, KINDS, NEAR, drops, match
from atari_dream.metrics import pool, stack

STEPS = 20


def at(*steps: int) -> np.ndarray:
    """Events at these steps, bool (20,)."""
    happened = np.zeros(STEPS, bool)
    happened[list(steps)] = True
    return happened


def last(real: tuple[int, ...], told: tuple[int, ...]) -> tuple[float, ...]:
    """Real events, told ones, real ones that were told, told ones that were real: at the end."""
    sums = match(at(*real), at(*told), "life")
    return tuple(sums[f"life_{name}"][-1] for name in ("real", "told", "real_right", "told_right"))


@pytest.mark.parametrize("late", range(-NEAR, NEAR + 1))
def test_an_event_may_be_two_steps_early_or_late(late: int) -> None:
    assert NEAR == 2
    assert last((8,), (8 + late,)) == (1, 1, 1, 1)


@pytest.mark.parametrize("late", [-3, 3])
def test_an_event_three_steps_away_is_missed_and_made_up(late: int) -> None:
    assert last((8,), (8 + late,)) == (1, 1, 0, 0)


def test_an_event_is_matched_once() -> None:
    assert last((8,), (7, 8, 9)) == (1, 3, 1, 1)
    assert last((7, 8, 9), (8,)) == (3, 1, 1, 1)
    assert last((5, 7), (6,)) == (2, 1, 1, 1)


def test_the_earliest_partner_is_taken_so_that_all_find_one() -> None:
    assert last((5, 7), (4, 6)) == (2, 2, 2, 2)
    assert last((5, 6), (6, 8)) == (2, 2, 2, 2)
    assert last((6, 8), (5, 6)) == (2, 2, 2, 2)


def test_counts_run_on_and_an_event_counts_where_it_happened() -> None:
    sums = match(at(3, 10), at(5, 15), "end")
    assert set(sums) == {
        f"end_{name}" for name in ("real", "told", "real_right", "told_right", "hits", "calls")
    }
    steps = np.arange(STEPS)
    np.testing.assert_array_equal(sums["end_real"], (steps >= 3) * 1.0 + (steps >= 10))
    np.testing.assert_array_equal(sums["end_told"], (steps >= 5) * 1.0 + (steps >= 15))
    np.testing.assert_array_equal(sums["end_real_right"], steps >= 3)
    np.testing.assert_array_equal(sums["end_told_right"], steps >= 5)
    np.testing.assert_array_equal(sums["end_hits"], sums["end_real_right"] + sums["end_told_right"])
    np.testing.assert_array_equal(sums["end_calls"], sums["end_real"] + sums["end_told"])


def test_measures_are_precision_recall_and_f1_over_all_starts() -> None:
    rows = [
        match(at(8), at(9, 15), "life") | match(at(), at(), "end"),
        match(at(2, 12, 17), at(), "life") | match(at(19), at(19), "end"),
    ]
    values = pool(stack(rows), np.array([[1.0, 1.0], [1.0, 0.0]]), EVENT_MEASURES)
    assert set(values) == {f"{kind}_{name}" for kind in KINDS for name in ("precision", "recall", "f1")}
    ends = {name: value[:, -1] for name, value in values.items()}
    np.testing.assert_allclose(ends["life_precision"], [1 / 2, 1 / 2])
    np.testing.assert_allclose(ends["life_recall"], [1 / 4, 1 / 1])
    precision, recall = ends["life_precision"], ends["life_recall"]
    np.testing.assert_allclose(ends["life_f1"], 2 * precision * recall / (precision + recall))
    for name in ("end_precision", "end_recall", "end_f1"):
        assert ends[name][0] == 1.0 and np.isnan(ends[name][1])
        assert np.isnan(values[name][:, 18]).all()


def test_a_measure_names_the_real_events_that_it_rests_on() -> None:
    sums = match(at(3), at(), "life") | match(at(4), at(), "end")
    for name, measure in EVENT_MEASURES.items():
        assert measure.events == f"{name.split('_')[0]}_real" and measure.sign == 1
        assert sums[measure.events][-1] == 1


def test_a_lost_life_is_a_drop_and_a_won_one_is_none() -> None:
    assert drops(3, np.array([3, 2, 2, 3, 1, 0])).tolist() == [False, True, False, False, True, True]
    assert drops(3, np.array([2, 2])).tolist() == [True, False]
    assert drops(2, np.array([3, 3])).tolist() == [False, False]
