"""The tables of the predictors: result files, pages and plots of the adversaries; see `predictors.py`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from predictor_page import index, page
from predictor_rows import ADVERSARIES, KEPT, finished

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import FLOORS, commit, versions
from atari_dream.drift import measure
from atari_dream.drift_tables import TABLE, shown_steps
from atari_dream.files import FORMAT, read_json, whole, write_json
from atari_dream.games import GAMES
from atari_dream.protocol import Protocol, open_entries
from atari_dream.results import load_drift
from atari_dream.summary import summarise

DOCS = Path("docs")
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
    """Writes all of it for each game, and the page that leads to them."""
    made = {"command": COMMAND, "commit": commit(), "versions": versions()}
    for game in games:
        found = gather(game)
        result, about, drawn = (
            KEPT / f"{game}.json",
            DOCS / f"predictors-{game}.md",
            DOCS / f"adversaries-{game}.png",
        )
        write_json(result, {"format": FORMAT, **_result(found), **made})
        plotted = plot(found.rows, drawn)
        _write(about, page(game, found, drawn.name if plotted else None))
        print(result, about, *[drawn] * plotted, sep="\n")
    _write(
        DOCS / "predictors.md", index([game for game in GAMES if (DOCS / f"predictors-{game}.md").exists()])
    )


def _write(path: Path, text: str) -> None:
    with whole(path) as fresh:
        fresh.write_text(text)


def gather(game: str) -> Found:
    """Pairs the measurements of all finished rows with one another and with the controls."""
    rows, pool = finished(game), bundled_pool(game)
    known = read_json(rows[0].kept / "drift.json", "drift measurement")["protocol"]
    protocol = Protocol.again(pool, known)
    controls = open_entries([], pool)
    measured = measure(protocol, pool, controls)
    for row in rows:
        measured.join(load_drift(row.kept, protocol)[1])
    entries = [(entry.name, str(entry.kind)) for entry in controls]
    entries += [(row.model, "checkpoint") for row in rows]
    speed = KEPT / game / "speed.json"
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


def plot(rows: dict[str, dict[str, Any]], path: Path) -> bool:
    """Draws how the adversaries of a game's rows fared; whether there is anything to draw."""
    names = [name for name in ADVERSARIES if any(name in row["adversaries"] for row in rows.values())]
    if not names:
        return False
    figure = Figure(figsize=(13, 5.4 if len(names) > 3 else 3.2), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), 3, sharex=True, squeeze=False).ravel()
    known: dict[str, Artist] = {}
    for panel, name in zip(panels, names, strict=False):
        for number, (model, row) in enumerate(rows.items()):
            if name in row["adversaries"]:
                steps, values = np.array(row["adversaries"][name]).T
                (known[model],) = panel.plot(steps / row["updates"], values, f"C{number % 10}", lw=1.2)
                panel.axvline(row["best"]["step"] / row["updates"], color=f"C{number % 10}", ls=":", lw=1)
        panel.set_title(name.replace("_", ", "), loc="left", fontsize=9)
        panel.set_ylim(0, None if "haze" in name else 1)
        panel.set_xlabel("share of updates")
    figure.legend([*known.values()], [*known], loc="outside lower center", ncols=7, frameon=False)
    with whole(path) as fresh:
        figure.savefig(fresh, format="png", dpi=100)
    return True
