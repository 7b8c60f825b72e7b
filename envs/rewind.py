"""Going back: a wrapper that keeps the last states."""

from collections import deque
from typing import Any

import gymnasium
import numpy as np

from atari_dream.envs.lanes import Lanes
from atari_dream.envs.options import whole_number
from atari_dream.errors import UsageError


class Rewind(gymnasium.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64]):
    """Keeps the states of the last steps, so that a dream can be taken back; other wrappers go around it.

    Args:
        env: A dream, or a wrapper without a state of its own around one.
        steps: How far back it reaches; a reset is a limit, too.

    Raises:
        UsageError: If `steps` is not a whole number from 1.
    """

    def __init__(self, env: gymnasium.Env[np.ndarray, np.int64], steps: int = 64) -> None:
        if not whole_number(steps):
            raise UsageError(f"Rewind takes a whole number of steps from 1, got {steps!r}")
        super().__init__(env)
        self._states: deque[Lanes] = deque(maxlen=steps + 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins anew; nothing before it can be gone back to."""
        shown = self.env.reset(seed=seed, options=options)
        self._states.clear()
        self._states.append(self.get_wrapper_attr("clone_state")())
        return shown

    def step(self, action: np.int64) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Dreams one agent step, and keeps the state."""
        shown = self.env.step(action)
        self._states.append(self.get_wrapper_attr("clone_state")())
        return shown

    def rewind(self, steps: int = 1) -> tuple[np.ndarray, dict[str, Any]]:
        """Goes back some steps, after an end too.

        Returns:
            Observation and info of then.

        Raises:
            UsageError: If it does not reach back so far.
        """
        most = len(self._states) - 1
        if not whole_number(steps, 0) or steps > most:
            raise UsageError(
                f"rewind() takes a whole number of steps from 0 to {max(most, 0)}, got {steps!r}"
            )
        for _ in range(steps):
            self._states.pop()
        self.get_wrapper_attr("restore_state")(self._states[-1])
        shown: tuple[np.ndarray, dict[str, Any]] = self.get_wrapper_attr("observe")()
        return shown
