"""What a drift measurement says in words and tables, for the terminal and the page."""

from collections.abc import Iterable
from typing import Any

from atari_dream.checkpoint import FLOORS
from atari_dream.events import EVENT_MEASURES, FEW
from atari_dream.scoring import median_steps

STEPS = (1, 5, 10, 25, 50)
"""Agent steps that tables show, as far as the horizon goes."""
TABLE = ("dyn_psnr", "wrong_moving", "object_survival", "reward_accuracy", "life_f1", "end_f1")
"""Measures that the terminal shows."""
_CLEAR = 0.95
"""Confidence from which a lag is told in words."""
TITLES = {
    "psnr": "PSNR (dB)",
    "dyn_psnr": "PSNR of moving pixels (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "sharp_diff": "Sharp difference (dB)",
    "total_variation": "Error of total variation",
    "wrong_pixels": "Share of wrong pixels",
    "wrong_moving": "Share of wrong moving pixels",
    "palette_violations": "Share of pixels in impossible colours",
    "object_survival": "Share of starts with every object still true",
    "reward_accuracy": "Share of starts with the right return",
    "score_error": "Error of the return (points)",
    "terminal_agreement": "Share of starts with the right ended flag",
    "life_f1": "F1 of lost lives",
    "life_precision": "Precision of lost lives",
    "life_recall": "Recall of lost lives",
    "end_f1": "F1 of ends",
    "end_precision": "Precision of ends",
    "end_recall": "Recall of ends",
}

Row = tuple[str, list[str]]


def shown_steps(summary: dict[str, Any]) -> list[int]:
    """Those of `STEPS` that the horizon reaches."""
    return [step for step in STEPS if step <= summary["protocol"]["horizon"]]


def rows(summary: dict[str, Any], key: str) -> list[Row]:
    """A table of one measure: a row an entry, a cell for each shown step, with its interval."""
    steps = shown_steps(summary)
    return [
        (
            entry["name"],
            [
                too_few(summary, key, step)
                or cell(entry["per_step"][key][step - 1], entry["ci95"][key][step - 1])
                for step in steps
            ],
        )
        for entry in summary["entries"]
    ]


def too_few(summary: dict[str, Any], key: str, step: int) -> str:
    """What stands for a measure of events where there are few real ones up to a step; empty if there are enough."""
    if key not in EVENT_MEASURES:
        return ""
    count = summary["events"][EVENT_MEASURES[key].events.removesuffix("_real")][step - 1]
    return f"too few events ({count})" if count < FEW else ""


def cell(value: float | None, band: list[float] | None) -> str:
    """A value with its interval."""
    if value is None:
        return "no data"
    digits = 3 if abs(value) <= 1 else 1
    told = f"{value:.{digits}f}"
    return told if band is None else f"{told} [{band[0]:.{digits}f}, {band[1]:.{digits}f}]"


def better_steps(summary: dict[str, Any], entry: dict[str, Any], key: str, floors: tuple[str, ...]) -> str:
    """At which of the shown steps an entry is better than all of some others: paired intervals above 0."""
    told = [
        str(step)
        for step in shown_steps(summary)
        if not too_few(summary, key, step)
        and all(
            (band := entry["better_than"][floor][key][step - 1]) is not None and band[0] > 0
            for floor in floors
        )
    ]
    return f"step{'s' * (len(told) > 1)} {', '.join(told)}" if told else "no step"


def verdicts(summary: dict[str, Any]) -> list[str]:
    """For each checkpoint, at which of the shown steps it is better than both floors, by measure."""
    return [
        f"{entry['name']} better than both floors: "
        + "; ".join(f"{key} at {better_steps(summary, entry, key, FLOORS)}" for key in TABLE)
        for entry in summary["entries"]
        if entry["kind"] == "checkpoint"
    ]


def lines(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """One line an entry: its name, and what is to be said of it."""
    return [(entry["name"], "; ".join(_line(summary, entry))) for entry in summary["entries"]]


def _line(summary: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    step = shown_steps(summary)[min(2, len(shown_steps(summary)) - 1)]
    values = {key: row[step - 1] for key, row in entry["per_step"].items() if key != "n"}
    told = []
    if values["wrong_moving"] is not None:
        told.append(f"{values['wrong_moving']:.1%} of moving pixels wrong at step {step}")
    if entry["name"] not in (*FLOORS, "emulator"):
        told.append(
            f"better than both floors in that at {better_steps(summary, entry, 'wrong_moving', FLOORS)}"
        )
    if summary["objects"]["kept"]:
        told.append(f"steps until an object fails: {survival(summary, entry, 'object_survival')}")
    told.append(f"right return in {values['reward_accuracy']:.0%} of starts at step {step}")
    if "control" in entry:
        told += _obedience(entry["control"])
    if "long" in entry:
        told.append(f"long run: {entry['long']['verdict']}")
    for kind, value in entry.get("perceptual", {}).items():
        distance = value[str(step)] if isinstance(value, dict) else value
        told.append(f"{kind.upper()} {distance:.3g}")
    return told


def readings(summary: dict[str, Any]) -> list[str]:
    """A line an object: how well it is read from real frames, or why it is left out."""
    told = []
    for name, row in summary["objects"]["reading"].items():
        if "known" in row:
            told.append(
                f"{name}: {row['known']} values, {_share(row['legible'])} legible, {_share(row['wrong'])} wrong"
            )
        elif row["median_px"] is not None:
            seen = f"seen in {_share(row['found'])} and in {_share(row['found_in_window'])} of windows"
            off = f"{row['median_px']} px off (95 % within {row['p95_px']}, worst {row['max_px']})"
            told.append(f"{name}: {row['there']} frames, {seen}, {off}")
    return told + [f"{name}: left out, {why}" for name, why in summary["objects"]["left_out"].items()]


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2%}"


def survival(summary: dict[str, Any], entry: dict[str, Any], key: str) -> str:
    """The median of a survival curve in steps: never, more than the horizon, or a number."""
    curve = entry["per_step"][key]
    if {1.0} <= set(curve) <= {1.0, None}:
        return "never"
    median = median_steps(curve)
    return f"more than {summary['protocol']['horizon']}" if median is None else str(median)


def _obedience(control: dict[str, Any]) -> list[str]:
    effect = control["per_step"]["effect_agreement"][-1]
    lag = control["lag"]
    clear = lag["steps"] is not None and lag["confidence"] >= _CLEAR
    told = f"lag {lag['steps']:+d}" if clear else "no clear lag"
    return [] if effect is None else [f"effects of actions agree in {effect:.0%} of their pixels, {told}"]


def markdown(heads: list[str], body: Iterable[list[str]]) -> str:
    """A table in Markdown, its first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, rule, *body])


def gap_rows(summary: dict[str, Any]) -> list[Row]:
    """The domain gap: a row an entry and measure, a cell for each shown step: on replays, in ALE, and what is lost."""
    steps = shown_steps(summary)
    return [
        (f"{name}: {key}", [_gap_cell(row, step - 1) for step in steps])
        for name, measures in summary["domain_gap"]["entries"].items()
        for key, row in measures.items()
    ]


def _gap_cell(row: dict[str, Any], place: int) -> str:
    sides = [row[side][place] for side in ("replays", "ale")]
    if None in sides:
        return "no data"
    digits = 3 if max(map(abs, sides)) <= 10 else 1
    told = " to ".join(f"{side:.{digits}f}" for side in sides)
    band = row["ci95"]["gap"][place]
    return told if band is None else f"{told} [{band[0]:+.{digits}f}, {band[1]:+.{digits}f}]"
