"""The page of a drift measurement: one file that opens anywhere, in the light and in the dark."""

import base64
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader

from atari_dream import drift_plots, drift_tables
from atari_dream.control import CONTROL_MEASURES
from atari_dream.drift import Measured
from atari_dream.files import whole
from atari_dream.games import get_game
from atari_dream.longrun import EXACT
from atari_dream.objects.scene import scene_reader
from atari_dream.pictures import clip_bytes, picture_bytes, strip
from atari_dream.protocol import Entry, Protocol
from atari_dream.rollout import Rollout, planned, roll
from atari_dream.starts import StartPool

_TEMPLATE = "drift_report.html.jinja"
_LINES = {"-": "solid", "--": "dashed", ":": "dotted"}
_SHOWN = 3
"""Checkpoints whose cases are shown at the most."""


class Case(NamedTuple):
    """One start under one entry: its place among all starts, by the wrong pixels of the whole dream."""

    entry: Entry
    rank: str
    start: int
    real: Rollout
    dreamt: Rollout


def save_report(
    folder: Path,
    summary: dict[str, Any],
    protocol: Protocol,
    pool: StartPool,
    entries: list[Entry],
    measured: Measured,
) -> None:
    """Writes `drift.png`, `strip.png` (the first case) and the self-contained `report.html`."""
    shown = cases(protocol, pool, entries, measured)
    pictures = [_case(summary, pool, case) for case in shown]
    page = _page(summary, pictures)
    overview = drift_plots.overview_png(summary)
    first = picture_bytes(strip(shown[0].real, shown[0].dreamt, shown[0].entry.name))
    for name, content in (("drift.png", overview), ("strip.png", first), ("report.html", page.encode())):
        with whole(folder / name) as fresh:
            fresh.write_bytes(content)


def cases(protocol: Protocol, pool: StartPool, entries: list[Entry], measured: Measured) -> list[Case]:
    """The median and the worst start of each checkpoint as it ships, or of copy-last where there is none."""
    shipped = [entry for entry in entries if entry.kind == "checkpoint" and ":" not in entry.name]
    emulator, copy_last = (
        next(entry for entry in entries if entry.name == name) for name in ("emulator", "copy_last")
    )
    starts = pool.sample(protocol.starts, protocol.seed)
    found = []
    for entry in shipped[:_SHOWN] or [copy_last]:
        for rank, place in ranks(measured, entry.name).items():
            start = int(starts[place])
            codes = planned(pool, start, protocol.horizon, protocol.seed, protocol.actions)
            real = roll(emulator.predictor, pool, start, codes)
            dreamt = roll(entry.predictor, pool, start, codes, protocol.seed, entry.temperature)
            found.append(Case(entry, rank, start, real, dreamt))
    return found


def ranks(measured: Measured, name: str) -> dict[str, int]:
    """Places of the median and the worst start, by the share of wrong moving pixels over all steps."""
    sums = measured.starts[name]
    share = sums["moving_wrong"].sum(1) / np.maximum(sums["moving"].sum(1), 1)
    order = np.argsort(share, kind="stable")
    return {"median": int(order[len(order) // 2]), "worst": int(order[-1])}


def _case(summary: dict[str, Any], pool: StartPool, case: Case) -> dict[str, Any]:
    told: dict[str, Any] = {
        "title": f"{case.entry.name}, {case.rank} case",
        "start": f"{pool.entries[case.start]['id']} ({pool.entries[case.start]['stratum']})",
        "clip": _link(clip_bytes(case.real, case.dreamt, case.entry.name, pool.frame_skip), "image/gif"),
        "strip": _link(picture_bytes(strip(case.real, case.dreamt, case.entry.name)), "image/png"),
    }
    reader = scene_reader(summary["game"])
    if reader is not None and (names := [one for one in reader.tracks if one in summary["objects"]["kept"]]):
        real, dreamt = (drift_plots.find_tracks(reader, side, names) for side in (case.real, case.dreamt))
        told["tracks"] = {
            theme: _svg(drift_plots.tracks_svg(case.real.frames[0], real, dreamt, theme))
            for theme in drift_plots.THEMES
        }
    return told


def _page(summary: dict[str, Any], shown: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    steps = drift_tables.shown_steps(summary)
    keys = [key for key in drift_tables.TITLES if key in summary["entries"][0]["per_step"]]
    return environment.get_template(_TEMPLATE).render(
        summary=summary,
        title=get_game(summary["game"]).env_id,
        protocol=summary["protocol"],
        lines=drift_tables.lines(summary),
        verdicts=drift_tables.verdicts(summary),
        legend={name: (colour, _LINES[line]) for name, (colour, line) in drift_plots.looks(summary).items()},
        curves=[_curve(summary, key) for key in keys],
        tables=[(drift_tables.TITLES[key], drift_tables.rows(summary, key)) for key in keys],
        gaps=drift_tables.gap_rows(summary) if "domain_gap" in summary else [],
        steps=steps,
        cases=shown,
        survival=_survival(summary),
        control_measures=list(CONTROL_MEASURES),
        long_measures=list(EXACT),
        cell=drift_tables.cell,
    )


def _curve(summary: dict[str, Any], key: str) -> dict[str, str]:
    drawn = {theme: _svg(drift_plots.curve_svg(summary, key, theme)) for theme in drift_plots.THEMES}
    return drawn | {"title": drift_tables.TITLES[key]}


def _survival(summary: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """A row an object, a cell an entry: the median of its survival, and what became of it."""
    found = []
    for name in summary["objects"]["kept"]:
        cells = []
        for entry in summary["entries"]:
            causes = ", ".join(
                f"{cause} {count}" for cause, count in entry["objects"][name]["causes"].items()
            )
            told = drift_tables.survival(summary, entry, f"survival_{name}")
            cells.append(f"{told} ({causes})" if causes else told)
        found.append((f"{name} (in {summary['entries'][0]['objects'][name]['judged']} starts)", cells))
    return found


def _svg(content: bytes) -> str:
    return _link(content, "image/svg+xml")


def _link(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
