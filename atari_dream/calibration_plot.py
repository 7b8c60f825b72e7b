"""The reliability plot of a calibration of doubt."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from atari_dream.calibration import LEVEL
from atari_dream.files import whole


def draw(path: Path, report: dict[str, Any], step: np.ndarray, stop: np.ndarray, horizon: int) -> None:
    """Draws how often drift came before each level of doubt, and where both were for each test start, as PNG.

    Args:
        path: The file.
        report: What `calibration.judge` gave.
        step: Steps at which drift passed the bound, (N,).
        stop: Steps at which doubt passed `calibration.LEVEL`, (N,).
        horizon: Steps that starts were followed; what is later is drawn one step beyond.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    reliability, scatter = figure.subplots(1, 2)
    levels = np.array([row["level"] for row in report["levels"]])
    missed = 1 - np.array([row["coverage"] for row in report["levels"]])
    band = 1 - np.array([row["coverage_ci95"] for row in report["levels"]])
    reliability.plot([0, 0.5], [0, 0.5], color="#8c959f", ls="--", lw=1, label="as promised")
    reliability.plot(levels, missed, "o-", color="#2f81f7", label="test starts")
    reliability.fill_between(levels, band[:, 0], band[:, 1], color="#2f81f7", alpha=0.16, lw=0)
    reliability.set_xlabel("max_doubt")
    reliability.set_ylabel("share whose drift passed the bound before")
    reliability.legend(frameon=False)
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, (2, len(step)))
    scatter.plot([0, horizon + 1], [0, horizon + 1], color="#8c959f", ls="--", lw=1)
    scatter.scatter(stop + jitter[0], step + jitter[1], s=7, color="#2f81f7", alpha=0.5, lw=0)
    scatter.set_xlabel(f"step at which doubt passes {LEVEL}")
    scatter.set_ylabel("step at which drift passes the bound")
    for panel in (reliability, scatter):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#d8dee4", lw=0.6)
    with whole(path) as fresh:
        figure.savefig(fresh, format="png", dpi=110)
