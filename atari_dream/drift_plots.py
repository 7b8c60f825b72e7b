"""Plots of a drift measurement: curves with their bands, and where objects went; for light and for dark pages."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from atari_dream.drift_tables import TITLES, too_few
from atari_dream.objects.scene import SceneReader
from atari_dream.palette import PALETTE
from atari_dream.rollout import Rollout

THEMES = {
    "light": {"text": "#24292f", "grid": "#d8dee4", "faint": "#8c959f"},
    "dark": {"text": "#e6edf3", "grid": "#30363d", "faint": "#7d8590"},
}
_OVERVIEW = ("dyn_psnr", "wrong_moving", "object_survival", "reward_accuracy", "ms_ssim", "sharp_diff")
_CHECKPOINTS = ("#2f81f7", "#e16f24", "#2da44e", "#bf4b8a", "#9a6700", "#8250df", "#1b9aaa", "#cf222e")
_FLOORS = {"copy_last": ("#8c959f", "--"), "background": ("#8c959f", ":"), "emulator": ("#57ab5a", "-")}
_DECIBELS = ("psnr", "dyn_psnr", "sharp_diff")


def curve_svg(summary: dict[str, Any], key: str, theme: str) -> bytes:
    """One measure by step, a line and a band an entry, as SVG."""
    with mpl.rc_context(_style(theme)):
        figure = Figure(figsize=(4.4, 2.7), layout="constrained")
        _curves(figure.subplots(), summary, key)
        return _bytes(figure, "svg")


def overview_png(summary: dict[str, Any]) -> bytes:
    """Six measures by step with their bands, as PNG."""
    with mpl.rc_context(_style("light") | {"figure.facecolor": "white", "savefig.transparent": False}):
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        axes = figure.subplots(2, 3).ravel()
        for panel, key in zip(axes, _OVERVIEW, strict=True):
            _curves(panel, summary, key)
        figure.legend(
            *axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
        )
        title = f"Drift in {summary['game']}, {summary['protocol']['starts']} starts"
        figure.suptitle(title, x=0.01, ha="left")
        return _bytes(figure, "png")


Tracks = dict[str, tuple[np.ndarray, np.ndarray]]
"""By object when it is seen, as a share of the rollout, (K,), and where, as (x, y), (K, 2)."""


def tracks_svg(first: np.ndarray, real: Tracks, dreamt: Tracks, theme: str) -> bytes:
    """Where objects went in both worlds, dots that grow with time, over the frame of the start, as SVG."""
    with mpl.rc_context(_style(theme)):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for panel, side, title in zip(panels, (real, dreamt), ("real game", "dream"), strict=True):
            panel.imshow(PALETTE[first], alpha=0.35, interpolation="nearest")
            for number, (name, (gone, places)) in enumerate(side.items()):
                colour, size = _CHECKPOINTS[number % len(_CHECKPOINTS)], 4 + 16 * gone
                panel.scatter(*places.T, c=colour, s=size, label=name, lw=0)
            panel.set_title(title, loc="left")
            panel.set_axis_off()
        legend = figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
        )
        for handle in legend.legend_handles:
            assert isinstance(handle, PathCollection)
            handle.set_sizes([30])
        return _bytes(figure, "svg")


def find_tracks(reader: SceneReader, rollout: Rollout, names: list[str]) -> Tracks:
    """Where a reader sees objects in a rollout; each frame is read once."""
    scenes = [reader.of_frame(frame).points for frame in rollout.frames]
    found = {}
    for name in names:
        seen = [(step, points[name]) for step, points in enumerate(scenes)]
        pairs = [(step, place) for step, places in seen if places is not None for place in places]
        gone = np.array([step for step, _ in pairs]) / max(1, rollout.steps)
        found[name] = (gone, np.array([place for _, place in pairs]).reshape(-1, 2))
    return found


def looks(summary: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Colour and line style of each entry; the controls' are always the same."""
    others = [entry["name"] for entry in summary["entries"] if entry["name"] not in _FLOORS]
    drawn = {name: (_CHECKPOINTS[place % len(_CHECKPOINTS)], "-") for place, name in enumerate(others)}
    return {entry["name"]: _FLOORS.get(entry["name"]) or drawn[entry["name"]] for entry in summary["entries"]}


def _curves(panel: Axes, summary: dict[str, Any], key: str) -> None:
    style = looks(summary)
    for entry in summary["entries"]:
        if entry["name"] == "emulator" and key in _DECIBELS:
            continue  # 100 dB would flatten every other curve
        colour, line = style[entry["name"]]
        values = np.array(entry["per_step"][key], float)
        bands = np.array([pair or [np.nan, np.nan] for pair in entry["ci95"][key]], float)
        steps = np.arange(1, len(values) + 1)
        few = [bool(too_few(summary, key, step)) for step in steps.tolist()]
        values[few], bands[few] = np.nan, np.nan
        panel.plot(steps, values, color=colour, linestyle=line, label=entry["name"], lw=1.5)
        panel.fill_between(steps, bands[:, 0], bands[:, 1], color=colour, alpha=0.16, lw=0)
    if told := too_few(summary, key, summary["protocol"]["horizon"]):
        panel.text(0.5, 0.5, told, ha="center", va="center", transform=panel.transAxes)
    panel.set_xlim(0, summary["protocol"]["horizon"] + 1)
    panel.set_title(TITLES[key], loc="left")
    panel.set_xlabel("agent steps")


def _style(theme: str) -> Any:
    colours = THEMES[theme]
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(inked, colours["text"]),
        "axes.edgecolor": colours["faint"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": colours["grid"],
        "grid.linewidth": 0.6,
        "axes.titlesize": 9.5,
        "font.size": 9,
        "savefig.transparent": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "atari-dream",
        "font.family": "sans-serif",
    }


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
