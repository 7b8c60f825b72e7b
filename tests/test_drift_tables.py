"""Tables and lines say what drift.json says, and say so where there is too little."""

import copy
import re
from typing import Any

import pytest

from atari_dream.drift_tables import (
    better_steps,
    cell,
    lines,
    readings,
    rows,
    shown_steps,
    survival,
    too_few,
    verdicts,
)

pytestmark = pytest.mark.slow


def entry_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in summary["entries"] if entry["name"] == name)


def test_rows_show_the_steps_that_there_are(summary: dict[str, Any]) -> None:
    assert shown_steps(summary) == [1, 5, 10]  # of 1, 5, 10, 25, 50 up to a horizon of 12
    table = dict(rows(summary, "wrong_moving"))
    assert list(table) == [entry["name"] for entry in summary["entries"]]
    assert table["emulator"] == ["0.000 [0.000, 0.000]"] * 3
    value, low, high = map(float, re.findall(r"[\d.]+", table["copy_last"][1]))
    told = entry_of(summary, "copy_last")
    assert value == pytest.approx(told["per_step"]["wrong_moving"][4], abs=5e-4)
    assert [low, high] == pytest.approx(told["ci95"]["wrong_moving"][4], abs=5e-4)


def test_a_step_without_data_says_so() -> None:
    assert cell(None, None) == "no data" and cell(0.25, None) == "0.250"
    assert cell(12.34, [11.0, 13.06]) == "12.3 [11.0, 13.1]"


def test_few_events_are_told_instead_of_their_measures(summary: dict[str, Any]) -> None:
    many = copy.deepcopy(summary)
    many["events"]["life"] = [19] * 9 + [20] * 3
    assert too_few(many, "life_f1", 9) == "too few events (19)" and too_few(many, "life_f1", 10) == ""
    assert too_few(many, "wrong_moving", 1) == ""
    first, second, third = dict(rows(many, "life_f1"))["emulator"]
    assert first == second == "too few events (19)" and not third.startswith("too few")
    assert better_steps(many, entry_of(many, "emulator"), "life_f1", ("copy_last",)) in ("step 10", "no step")


def test_verdicts_are_the_paired_intervals_against_both_floors(summary: dict[str, Any]) -> None:
    told = copy.deepcopy(summary)
    late = entry_of(told, "late")
    for floor, lows in (("copy_last", (0.1, 0.1, -0.1)), ("background", (0.1, -0.1, 0.1))):
        row = late["better_than"][floor]["wrong_moving"]
        for step, low in zip((1, 5, 10), lows, strict=True):
            row[step - 1] = [low, 1.0]
    assert better_steps(told, late, "wrong_moving", ("copy_last", "background")) == "step 1"
    late["better_than"]["copy_last"]["wrong_moving"][0] = None
    assert better_steps(told, late, "wrong_moving", ("copy_last", "background")) == "no step"
    found = verdicts(told)
    assert [line.partition(" better than both floors: ")[0] for line in found] == ["late", "endless"]
    assert "wrong_moving at no step" in found[0]


def test_there_is_a_line_for_every_entry(summary: dict[str, Any]) -> None:
    told = dict(lines(summary))
    assert list(told) == [entry["name"] for entry in summary["entries"]]
    assert told["emulator"].startswith(
        "0.0% of moving pixels wrong at step 10; steps until an object fails: never"
    )
    assert "effects of actions agree in 100% of their pixels, lag +0" in told["emulator"]
    assert "lag +1" in told["late"] and "better than both floors in that at " in told["late"]
    assert "no clear lag" in told["copy_last"] and "long run: frozen" in told["copy_last"]
    assert "both floors" not in told["copy_last"] + told["emulator"]
    unsure = copy.deepcopy(summary)
    entry_of(unsure, "late")["control"]["lag"]["confidence"] = 0.94
    assert "no clear lag" in dict(lines(unsure))["late"]


def test_perceptual_distances_are_told_where_there_are_some(summary: dict[str, Any]) -> None:
    told = copy.deepcopy(summary)
    entry_of(told, "late")["perceptual"] = {"lpips": {"1": 0.1, "5": 0.2, "10": 0.31}, "fvd": 123.4}
    assert dict(lines(told))["late"].endswith("LPIPS 0.31; FVD 123")


@pytest.mark.parametrize(
    ("curve", "told"),
    [
        ([1.0, 1.0, None], "never"),
        ([1.0, 0.9, None], "more than 12"),
        ([1.0, 0.4], "2"),
        ([None, None], "more than 12"),
    ],
)
def test_survival_in_words(curve: list[float | None], told: str, summary: dict[str, Any]) -> None:
    assert survival(summary, {"per_step": {"it": curve}}, "it") == told


def test_the_readers_own_error_is_told(summary: dict[str, Any]) -> None:
    told = copy.deepcopy(summary)
    told["objects"]["left_out"] = {"plunger": "the emulator itself fails in 1 of 4 starts"}
    told["objects"]["reading"] = {
        "ball": {"there": 40, "found": 0.95, "found_in_window": 1.0, "false": None}
        | {"median_px": 0.5, "p95_px": 1.0, "max_px": 2.25},
        "plunger": {"there": 0, "found": None, "found_in_window": None, "false": 0.0}
        | dict.fromkeys(("median_px", "p95_px", "max_px")),
        "flippers": {"known": 80, "legible": 0.9875, "wrong": None},
    }
    assert readings(told) == [
        "ball: 40 frames, seen in 95.00% and in 100.00% of windows, 0.5 px off (95 % within 1.0, worst 2.25)",
        "flippers: 80 values, 98.75% legible, none wrong",
        "plunger: left out, the emulator itself fails in 1 of 4 starts",
    ]
    assert len(readings(summary)) == 3
