"""The tables of the predictors: the result file, the page and the plot of the adversaries; see `predictors.py`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from predictor_page import page
from predictor_rows import ADVERSARIES, WORK, finished

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import FLOORS, commit, versions
from atari_dream.drift import measure
from atari_dream.drift_tables import TABLE, shown_steps
from atari_dream.files import FORMAT, read_json, whole, write_json
from atari_dream.protocol import Protocol, open_entries
from atari_dream.results import load_drift
from atari_dream.summary import summarise

RESULT, PAGE, PLOT = (
    Path("benchmarks/results/predictors.json"),
    Path("docs/predictors.md"),
    Path("docs/adversaries.png"),
)
COMMAND = "python benchmarks/predictors.py tables"
KEYS = (*TABLE, "sharp_diff", "ssim")
"""Measures that the result file holds, at the steps that tables show."""
PAIRED = ("wrong_moving", "dyn_psnr", "sharp_diff", "object_survival")
"""Those of which it holds the difference of each predictor from every other; of the floors it holds all."""
_BINS = 50


class Found(NamedTuple):
    """What is known of a game: the joint measurement, the finished rows by model, and how fast they are."""

    summary: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    speed: dict[str, Any]


def main(games: list[str]) -> None:
    """Writes all three."""
    found = {game: gather(game) for game in games}
    told = {game: _result(each) for game, each in found.items()}
    made = {"command": COMMAND, "commit": commit(), "versions": versions()}
    write_json(RESULT, {"format": FORMAT, "games": told, **made})
    plotted = plot(found)
    with whole(PAGE) as fresh:
        fresh.write_text(page(found, PLOT.name if plotted else None))
    print(*(path for path in (RESULT, PAGE, PLOT) if path != PLOT or plotted), sep="\n")


def gather(game: str) -> Found:
    """Pairs the measurements of all finished rows with one another and with the controls."""
    rows, pool = finished(game), bundled_pool(game)
    known = read_json(rows[0].drift / "drift.json", "drift measurement")["protocol"]
    protocol = Protocol.of(pool, known["starts"], known["horizon"], known["seed"], known["actions"])
    controls = open_entries([], pool)
    measured = measure(protocol, pool, controls)
    for row in rows:
        measured.join(load_drift(row.drift, protocol)[1])
    entries = [(entry.name, str(entry.kind)) for entry in controls]
    entries += [(row.model, "checkpoint") for row in rows]
    speed = WORK / game / "speed.json"
    return Found(
        summarise(protocol, entries, measured, COMMAND),
        {row.model: _thin(row.read()) for row in rows},
        read_json(speed, "speed") if speed.exists() else {},
    )


def _result(found: Found) -> dict[str, Any]:
    summary = found.summary
    steps = shown_steps(summary)
    entries = {entry["name"]: _entry(entry, steps) for entry in summary["entries"]}
    for name, row in found.rows.items():
        facts = {
            name: row[name] for name in ("training", "measurement", "commit", "parameters", "updates", "best")
        }
        entries[name] |= facts | {"adversaries": row["adversaries"]}
        entries[name]["steps_per_second"] = found.speed.get("steps_per_second", {}).get(name)
    return {
        "budget": next(iter(found.rows.values()))["budget"],
        "protocol": summary["protocol"],
        "objects": summary["objects"]["kept"],
        "events": {kind: [counts[step - 1] for step in steps] for kind, counts in summary["events"].items()},
        "speed": {name: value for name, value in found.speed.items() if name != "steps_per_second"},
        "steps": steps,
        "entries": entries,
    }


def _entry(entry: dict[str, Any], steps: list[int]) -> dict[str, Any]:
    def pick(table: dict[str, list[Any]], keys: tuple[str, ...]) -> dict[str, list[Any]]:
        return {key: [table[key][step - 1] for step in steps] for key in keys}

    others = {
        name: pick(table, KEYS if name in FLOORS else PAIRED)
        for name, table in entry["better_than"].items()
        if name != "emulator" and entry["kind"] == "checkpoint"
    }
    values = {part: pick(entry[part], KEYS) for part in ("per_step", "ci95")}
    return values | {"median_survival": entry["median_survival"], "better_than": others}


def _thin(row: dict[str, Any]) -> dict[str, Any]:
    """A row in which what training logged of adversaries is the means of at most `_BINS` stretches."""
    thin = {}
    for name, points in row["adversaries"].items():
        parts = np.array_split(np.array(points), min(_BINS, len(points)))
        thin[name] = [[int(part[-1, 0]), round(float(part[:, 1].mean()), 4)] for part in parts]
    return row | {"adversaries": thin}


def plot(found: dict[str, Found]) -> bool:
    """Draws how the adversaries fared, a row of panels a game; whether there is anything to draw."""
    games = [game for game, each in found.items() if any(row["adversaries"] for row in each.rows.values())]
    if not games:
        return False
    figure = Figure(figsize=(13, 0.6 + 2.7 * len(games)), layout="constrained")
    panels = figure.subplots(len(games), len(ADVERSARIES), sharex=True, sharey="col", squeeze=False)
    for line, game in zip(panels, games, strict=True):
        for panel, name in zip(line, ADVERSARIES, strict=True):
            for number, (model, row) in enumerate(found[game].rows.items()):
                if name in row["adversaries"]:
                    steps, values = np.array(row["adversaries"][name]).T
                    panel.plot(steps / row["updates"], values, f"C{number % 10}", label=model, lw=1.2)
                    panel.axvline(row["best"]["step"] / row["updates"], color=f"C{number % 10}", ls=":", lw=1)
            panel.set_title(f"{game}: {name.replace('_', ', ')}", loc="left", fontsize=9)
            panel.set_ylim(0, 1)
    for panel in panels[-1]:
        panel.set_xlabel("share of updates")
    known: dict[str, Artist] = {}
    for panel in panels.ravel():
        handles, labels = panel.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    figure.legend([*known.values()], [*known], loc="outside lower center", ncols=7, frameon=False)
    with whole(PLOT) as fresh:
        figure.savefig(fresh, format="png", dpi=100)
    return True
