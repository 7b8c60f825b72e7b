"""What a drift measurement looks like: curves, a strip of a median case, and a page with both and the table."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from atari_dream.drift import Entry, Protocol, Sums
from atari_dream.files import whole
from atari_dream.pictures import picture_bytes, strip
from atari_dream.rollout import continued, roll
from atari_dream.starts import StartPool

STEPS = (1, 5, 10, 25, 50)
"""Agent steps that tables show, as far as the horizon goes."""
TABLE = ("psnr", "dyn_psnr", "wrong_moving", "reward_accuracy")

_TITLES = {
    "psnr": "PSNR (dB)",
    "dyn_psnr": "PSNR of moving pixels (dB)",
    "wrong_moving": "Share of wrong moving pixels",
    "reward_accuracy": "Share of starts with the right return",
    "terminal_agreement": "Share of starts with the right ended flag",
    "ssim": "SSIM",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drift in {game}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
img {{ max-width: 100%; height: auto; }} img.strip {{ image-rendering: pixelated; background: #000; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .2rem .7rem; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
.scroll {{ overflow-x: auto; }} code {{ overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #111; color: #ddd; }} img.plot {{ filter: invert(.92) hue-rotate(180deg); }}
}}
</style>
<h1>Drift in {game}</h1>
<p>{starts} starts, {horizon} agent steps, protocol {name}. Bands and brackets are 95&nbsp;% intervals over starts.</p>
<img class="plot" alt="Drift by step" src="data:image/png;base64,{plot}">
{tables}
<h2>A median case: {case}</h2>
<img class="strip" alt="Real game, dream and difference" src="data:image/png;base64,{strip}">
<p><code>{command}</code><br>commit {commit}, {versions}</p>
</html>
"""


def rows(summary: dict[str, Any], key: str) -> list[tuple[str, list[str]]]:
    """A table of one measure: a row an entry, a cell for each of `STEPS`, with its interval."""
    steps = [step for step in STEPS if step <= summary["protocol"]["horizon"]]
    return [
        (
            entry["name"],
            [_cell(entry["per_step"][key][step - 1], entry["ci95"][key][step - 1]) for step in steps],
        )
        for entry in summary["entries"]
    ]


def verdicts(summary: dict[str, Any]) -> list[str]:
    """For each checkpoint, at which of `STEPS` it is better than each floor: the paired interval lies above 0."""
    steps = [step for step in STEPS if step <= summary["protocol"]["horizon"]]
    lines = []
    for entry in summary["entries"]:
        for floor in ("copy_last", "background"):
            if entry["kind"] == "checkpoint":
                told = {
                    key: entry["better_than"][floor][key]
                    for key in ("dyn_psnr", "wrong_moving", "reward_accuracy")
                }
                better = [f"{key} at {_places(intervals, steps)}" for key, intervals in told.items()]
                lines.append(f"{entry['name']} better than {floor}: {', '.join(better)}")
    return lines


def median_case(
    protocol: Protocol, pool: StartPool, entries: list[Entry], sums: dict[str, Sums]
) -> tuple[Entry, int]:
    """The first checkpoint, or copy-last, and the start at which its wrong moving pixels are the median."""
    shown = next((entry for entry in entries if entry.kind == "checkpoint"), entries[1])
    wrong = sums[shown.name]["moving_wrong"].sum(1) / np.maximum(sums[shown.name]["moving"].sum(1), 1)
    place = int(np.argsort(wrong, kind="stable")[len(wrong) // 2])
    return shown, int(pool.sample(protocol.starts, protocol.seed)[place])


def save_report(
    folder: Path,
    summary: dict[str, Any],
    protocol: Protocol,
    pool: StartPool,
    entries: list[Entry],
    sums: dict[str, Sums],
) -> None:
    """Writes `drift.png`, `strip.png` and the self-contained `report.html`."""
    shown, start = median_case(protocol, pool, entries, sums)
    plot, picture = plot_png(summary), _strip_png(protocol, pool, entries[0], shown, start)
    page = _PAGE.format(
        **summary["protocol"],
        plot=base64.b64encode(plot).decode(),
        strip=base64.b64encode(picture).decode(),
        tables="".join(_table(summary, key) for key in TABLE),
        case=html.escape(f"{shown.name} from start {pool.entries[start]['id']}"),
        command=html.escape(summary["command"]),
        commit=summary["commit"],
        versions=", ".join(f"{name} {version}" for name, version in summary["versions"].items()),
    )
    for name, content in (("drift.png", plot), ("strip.png", picture), ("report.html", page.encode())):
        with whole(folder / name) as fresh:
            fresh.write_bytes(content)


def plot_png(summary: dict[str, Any]) -> bytes:
    """The measures by step with their bands, as PNG."""
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        axes = figure.subplots(2, 3).ravel()
        for panel, (key, title) in zip(axes, _TITLES.items(), strict=True):
            for number, entry in enumerate(summary["entries"]):
                _curve(panel, entry, key, f"C{number}")
            panel.set_title(title, loc="left")
            panel.set_xlabel("agent steps")
        figure.legend(
            *axes[2].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
        )
        figure.suptitle(
            f"Drift in {summary['game']}, {summary['protocol']['starts']} starts", x=0.01, ha="left"
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _curve(panel: Any, entry: dict[str, Any], key: str, colour: str) -> None:
    values = np.array(entry["per_step"][key], float)
    bands = np.array([pair or [np.nan, np.nan] for pair in entry["ci95"][key]], float)
    steps = np.arange(1, len(values) + 1)
    if entry["name"] == "emulator" and key.endswith("psnr"):
        return  # 100 dB would flatten every other curve
    panel.plot(steps, values, color=colour, label=entry["name"], lw=1.4)
    panel.fill_between(steps, bands[:, 0], bands[:, 1], color=colour, alpha=0.15, lw=0)


def _strip_png(protocol: Protocol, pool: StartPool, emulator: Entry, shown: Entry, start: int) -> bytes:
    codes = continued(pool, start, protocol.horizon, protocol.seed)
    real = roll(emulator.predictor, pool, start, codes)
    device = next((tensor.device for tensor in shown.predictor.state_dict().values()), "cpu")
    dreamt = roll(shown.predictor, pool, start, codes, protocol.seed, shown.temperature, device)
    return picture_bytes(strip(real, dreamt, shown.name))


def _table(summary: dict[str, Any], key: str) -> str:
    head = "".join(f"<th>{step}</th>" for step in STEPS if step <= summary["protocol"]["horizon"])
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in rows(summary, key)
    )
    return f"<h2>{_TITLES[key]}</h2><div class=scroll><table><tr><th>step</th>{head}</tr>{body}</table></div>"


def _cell(value: float | None, band: list[float] | None) -> str:
    if value is None or band is None:
        return "no data"
    digits = 3 if abs(value) <= 1 else 1
    return f"{value:.{digits}f} [{band[0]:.{digits}f}, {band[1]:.{digits}f}]"


def _places(intervals: list[list[float] | None], steps: list[int]) -> str:
    better = [str(step) for step in steps if (band := intervals[step - 1]) is not None and band[0] > 0]
    return " ".join(better) or "no step"
