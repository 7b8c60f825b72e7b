"""One episode of real play: palette codes, actions, rewards, lives, and how it ended."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Ending = Literal["terminated", "truncated", "cut"]


@dataclass
class Episode:
    """One game, or a part of one: `frames[t]` --`actions[t]`--> `rewards[t]`, `frames[t + 1]`.

    Attributes:
        frames: Palette codes, uint8 (T + 1, 210, 160).
        actions: ALE codes 0-17, uint8 (T,).
        rewards: Game points, float32 (T,).
        lives: int16 (T + 1,), or None where they are not known.
        ending: `"terminated"` (game over), `"truncated"` (a limit) or `"cut"` (the recording stops).
        meta: Game, source, `frame_skip`, seed, split, id.
        prelude: Raw actions from power-on to `frames[0]`, uint8 (P,), or None where they are not known.
        state_steps: Steps t of which `states` holds the emulator's state, int64 (N,).
        states: Emulator states at `frames[state_steps]`, uint8 (N, S).
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    lives: np.ndarray | None
    ending: Ending
    meta: dict[str, Any] = field(default_factory=dict)
    prelude: np.ndarray | None = None
    state_steps: np.ndarray | None = None
    states: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of actions, T."""
        return len(self.actions)

    def digest(self) -> str:
        """SHA-256 of frames, actions, rewards, lives and ending, in hex."""
        frames = hashlib.sha256(np.ascontiguousarray(self.frames).data)
        return digest_of(frames, self.actions, self.rewards, self.lives, self.ending)


def digest_of(
    frames: "hashlib._Hash",
    actions: np.ndarray,
    rewards: np.ndarray,
    lives: np.ndarray | None,
    ending: Ending,
) -> str:
    """The digest of an episode, in hex, from the SHA-256 of its frames, which is left as it is."""
    total = frames.copy()
    for array in (actions, rewards, lives):
        if array is not None:
            total.update(np.ascontiguousarray(array).data)
    total.update(ending.encode())
    return total.hexdigest()
