"""Doubt: how likely a dream has drifted past a bound by now, told from what it shows alone.

Drift adds up: each step adds the share of its pixels that are wrong. The dream does not know which are, but it gathers
evidence: pixels that it changes, where it may be mistaken, and steps, each worth `STILL` pixels. Split conformal
prediction (Papadopoulos et al. 2002, "Inductive confidence machines") turns evidence into a probability: of N
calibration starts of the same kind, in how many had the drift passed the bound at no more evidence than this? Whoever
stops as soon as that is more than a level stops after the drift has passed in at most that share of starts.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, write_json
from atari_dream.games import HEIGHT, WIDTH

FILE = "doubt.json"
"""Its name in a checkpoint's folder."""
PIXELS = HEIGHT * WIDTH
STILL = PIXELS // 200
"""Pixels that a step counts for in which nothing moves: half a percent of the frame."""


class Doubt(NamedTuple):
    """A calibration.

    Attributes:
        bound: Drift that is asked about, in frames: shares of wrong pixels, summed over steps.
        horizon: Steps that calibration starts were followed.
        starts: How many there were.
        passed: Evidence at which their drift passed the bound, int64, sorted; nothing of those that it did not.
    """

    bound: float
    horizon: int
    starts: int
    passed: Tensor

    def of(self, evidence: Tensor) -> Tensor:
        """Doubt of lanes with that much evidence, int64 (B,): float32 (B,), above 0."""
        before = torch.searchsorted(self.passed, evidence, right=True)
        return (before + 1) / (self.starts + 1)

    @property
    def least(self) -> float:
        """Doubt at a start."""
        return 1 / (self.starts + 1)

    def to(self, device: torch.device) -> "Doubt":
        """The same on a device."""
        return self._replace(passed=self.passed.to(device))

    def save(self, checkpoint: Path, weights: str, report: dict[str, Any]) -> None:
        """Writes it into a checkpoint's folder, with the weights' SHA-256 and what is known of its quality."""
        own = {"bound": self.bound, "horizon": self.horizon, "starts": self.starts}
        facts = {"weights_sha256": weights, **own, "passed": self.passed.tolist(), **report}
        write_json(checkpoint / FILE, {"format": FORMAT, **facts})


def load_doubt(checkpoint: Path, weights: str) -> Doubt | None:
    """The calibration in a checkpoint's folder, None if there is none.

    Raises:
        UsageError: If it cannot be read, or is of other weights than those with this SHA-256.
    """
    path = checkpoint / FILE
    if not path.exists():
        return None
    told = read_json(path, "calibration")
    if told["weights_sha256"] != weights:
        raise UsageError(
            f"{path} was made for other weights: remove it, or make it anew with `atari-dream doubt`"
        )
    return Doubt(
        told["bound"], told["horizon"], told["starts"], torch.tensor(told["passed"], dtype=torch.int64)
    )


def evidence(before: Tensor, after: Tensor) -> Tensor:
    """Evidence that a step adds, int64 (B,), by the frames before and after it, uint8 (B, 210, 160)."""
    return (before != after).flatten(1).sum(1) + STILL
