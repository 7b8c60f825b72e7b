"""Dreams mixed with the real game, and with one another."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from atari_dream.envs.options import whole_number
from atari_dream.errors import UsageError

Env = gymnasium.Env[np.ndarray, Any]


class Mixture(gymnasium.Env[np.ndarray, Any]):
    """One of several environments in each episode, drawn at its reset: an ensemble of dreams, or dream and real game.

    `info["member"]` is the position of the one that plays. Which one `reset(seed=s)` draws depends on s alone, the
    k-th reset after it on (s, k).

    Example: `Mixture([gym.make(i), gym.make(i, checkpoint="emulator")], weights=[0.7, 0.3])`

    Args:
        members: Environments with equal spaces.
        weights: How often each plays, as shares of their sum; equally often if not given.

    Raises:
        UsageError: If there are no members, their spaces differ, or there is not a weight from 0 for each.
    """

    def __init__(self, members: Sequence[Env], weights: Sequence[float] | None = None) -> None:
        if not members:
            raise UsageError("a mixture needs environments: Mixture([gym.make(...), ...])")
        first = members[0]
        for place, member in enumerate(members):
            if (member.observation_space, member.action_space) != (
                first.observation_space,
                first.action_space,
            ):
                raise UsageError(
                    f"a mixture needs equal spaces: those of member {place} differ from member 0's"
                )
        self.members, self._shares = list(members), _shares(weights, len(members))
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.metadata, self.render_mode = first.metadata, first.render_mode
        self._playing: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draws who plays, and begins; a seed goes on to it, so that it draws the start that it would alone."""
        super().reset(seed=seed)
        self._playing = int(self.np_random.choice(len(self.members), p=self._shares))
        inner = int(self.np_random.integers(2**31)) if seed is None else seed
        observation, info = self.members[self._playing].reset(seed=inner, options=options)
        return observation, info | {"member": self._playing}

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Plays one agent step."""
        observation, reward, terminated, truncated, info = self._member().step(action)
        return observation, reward, terminated, truncated, info | {"member": self._playing}

    def render(self) -> Any:
        """What the one that plays renders."""
        return self._member().render()

    def close(self) -> None:
        """Closes all members."""
        for member in self.members:
            member.close()

    def _member(self) -> Env:
        if self._playing is None:
            raise ResetNeeded("nobody plays yet: call reset() first")
        return self.members[self._playing]


class WakeUp(gymnasium.Wrapper[np.ndarray, Any, np.ndarray, Any]):
    """A dream that every so often wakes up to the real state, so that its drift stays small.

    Where the real game has ended by then, the episode ends. `info["awake"]` tells the steps at which it woke up.

    Args:
        env: A dream made with `shadow=True`, or a wrapper without a state of its own around one.
        every: Agent steps between two real states.

    Raises:
        UsageError: If `every` is not a whole number from 1.
    """

    def __init__(self, env: Env, every: int) -> None:
        if not whole_number(every):
            raise UsageError(f"WakeUp takes a whole number of steps from 1, got {every!r}")
        super().__init__(env)
        self._every, self._asleep = every, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins at a start, awake.

        Raises:
            UsageError: If there is no real game beside the dream.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        if "shadow" not in info:
            raise UsageError("WakeUp needs the real game: make the environment with shadow=True")
        self._asleep = 0
        return observation, info | {"awake": True}

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Dreams one agent step and, where it is time, wakes up."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._asleep += 1
        if self._asleep < self._every or terminated or truncated:
            return observation, reward, terminated, truncated, info | {"awake": False}
        self._asleep = 0
        if info["shadow"]["terminated"]:
            return observation, reward, True, False, info | {"awake": True}
        observation, info = self.get_wrapper_attr("resync")()
        return observation, reward, False, False, info | {"awake": True}


def _shares(weights: Sequence[float] | None, count: int) -> np.ndarray:
    given = np.ones(count) if weights is None else np.array(weights, float)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise UsageError(f"weights must be {count} numbers from 0, not all 0, got {weights!r}")
    return given / given.sum()
