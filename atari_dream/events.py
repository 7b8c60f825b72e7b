"""Lost lives and ends as events: which the dream tells when they happen, misses, or makes up.

Precision: share of the dream's events that have a real one within two steps. Recall: share of the real events that
have a dreamt one within two steps. F1: their harmonic mean. All count events up to a step.
"""

import numpy as np

from atari_dream.metrics import Measure, Measures, Sums, plain

NEAR = 2
"""Steps that an event may be early or late."""
FEW = 20
"""Real events without which a measure of them says too little."""
KINDS = ("life", "end")
COUNTED = (*KINDS, "score")
"""Of what the real events are counted: also of steps that bring points, of which no measure is made here."""

EVENT_MEASURES: Measures = {
    f"{kind}_{name}": Measure(f"{kind}_{top}", f"{kind}_{bottom}", plain, events=f"{kind}_real")
    for kind in KINDS
    for name, top, bottom in (
        ("precision", "told_right", "told"),
        ("recall", "real_right", "real"),
        ("f1", "hits", "calls"),
    )
}


def match(real: np.ndarray, told: np.ndarray, kind: str) -> Sums:
    """Counts the events of one start up to each step; an event is matched once at most, the earliest first.

    Args:
        real: At which steps one happened, bool (H,).
        told: At which steps the dream told one, bool (H,).
        kind: One of `KINDS`.

    Returns:
        Running counts, float64 (H,).
    """
    real_right, told_right = np.zeros(len(real)), np.zeros(len(real))
    free = list(np.flatnonzero(told))
    for step in np.flatnonzero(real):
        partner = next((other for other in free if abs(other - step) <= NEAR), None)
        if partner is not None:
            free.remove(partner)
            real_right[step] = told_right[partner] = 1
    counts = {"real": real, "told": told, "real_right": real_right, "told_right": told_right}
    running = {name: np.cumsum(row, dtype=np.float64) for name, row in counts.items()}
    running["hits"] = running["real_right"] + running["told_right"]
    running["calls"] = running["real"] + running["told"]
    return {f"{kind}_{name}": row for name, row in running.items()}


def drops(before: int, lives: np.ndarray) -> np.ndarray:
    """At which steps a life is lost, bool (H,), of lives before, int, and after each step, int (H,)."""
    return np.diff(lives, prepend=before) < 0
