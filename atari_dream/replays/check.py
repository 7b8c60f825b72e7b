"""Whether the declared timing of replays is that of the data: both shifts, measured on the first replays."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atari_dream.replays.damage import Damage, UnreadableError
from atari_dream.replays.layout import ReplayFolder
from atari_dream.replays.reader import DamagedError, read_frame
from atari_dream.replays.timing import SURE, Finding, both_shifts
from atari_dream.replays.trajectory import read_trajectory

_LONGEST = 3000
"""Pictures of one replay, which are in memory together."""


class Check(NamedTuple):
    """A shift as declared and as found.

    Attributes:
        what: `"action shift"` or `"reward shift"`.
        declared: Rows.
        finding: What the data says.
    """

    what: str
    declared: int
    finding: Finding

    @property
    def contradicts(self) -> bool:
        """Whether the data clearly says something else."""
        return self.finding.shift not in (None, self.declared) and self.finding.confidence >= SURE

    def __str__(self) -> str:
        shift, confidence, events = self.finding[:3]
        if shift is None:
            return f"alignment: {events} events do not tell the {self.what}; {self.declared} is declared"
        told = f"alignment: {self.what} {shift} found (confidence {confidence:.2f}, {events} events)"
        if shift == self.declared:
            return f"{told}, as declared"
        if not self.contradicts:
            return f"{told}, {self.declared} is declared: too little data to tell"
        option = self.what.replace(" ", "-")
        return f"{told}, but {self.declared} is declared: look at the data, or give --{option} {shift}"


def check_timing(replays: ReplayFolder) -> tuple[Check, Check]:
    """Measures both shifts on the first replays, as far as they are whole."""
    timing = replays.source.timing
    acted, scored = both_shifts(_whole(replays), replays.game)
    return (
        Check("action shift", timing.action_shift, acted),
        Check("reward shift", timing.reward_shift, scored),
    )


def _whole(replays: ReplayFolder) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each replay's frames, uint8 (P, 210, 160), up to the first piece of damage, and its actions and scores by row."""
    for replay in replays.replays():
        try:
            rows = read_trajectory(replay.trajectory, Damage())
        except UnreadableError:
            continue
        frames = []
        paths = replay.pictures()
        sound = len(rows) if rows.known.all() else int(rows.known.argmin())
        for place in range(min(_LONGEST, sound)):
            try:
                frames.append(read_frame(paths[place + replays.first_picture], replays.source))
            except (KeyError, DamagedError, UnreadableError):
                break
        if frames:
            yield np.stack(frames), rows.actions, rows.scores
