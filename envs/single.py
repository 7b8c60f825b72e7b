"""The dream as a single environment: lane 0 of a vector of one."""

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from atari_dream.envs.infos import of_one
from atari_dream.envs.inputs import read_actions
from atari_dream.envs.lanes import Lanes
from atari_dream.envs.options import Options
from atari_dream.envs.vector import METADATA, DreamVectorEnv
from atari_dream.games import ACTION_NAMES


class DreamEnv(gymnasium.Env[np.ndarray, np.int64]):
    """One dream, as `gym.make` makes it.

    Args:
        game: Name of the game, or its environment id.
        options: The keywords of `gym.make`, as the README's table says.

    Raises:
        UsageError: If a keyword is unknown or its value not supported.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(self, game: str, **options: Any) -> None:
        Options.of(game, **options)  # refuses what only vectors know
        self._vector = DreamVectorEnv(1, game, autoreset_mode=AutoresetMode.DISABLED, **options)
        self.render_mode = self._vector.render_mode
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self.metadata = copy.deepcopy(METADATA) | {"render_fps": self._vector.metadata["render_fps"]}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins a dream at a start that the seed draws, or at `options={"start": ...}`.

        Args:
            seed: Whole number from 0.
            options: `"start"`: a position, an id, or a query such as `{"lives": 2, "score": (0, 500)}`, among whose
                starts the seed draws.

        Returns:
            The real frame of the start, as an observation, and the info.
        """
        super().reset(seed=seed)
        if seed is None and self._vector.lanes is None:
            seed = int(self.np_random.integers(2**31))
        observation, infos = self._vector.reset(seed=seed, options=options)
        return observation[0], of_one(infos)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dreams one agent step.

        Returns:
            Observation, reward in game points, terminated, truncated, info.

        Raises:
            ResetNeeded: Before a reset, or after the end.
            UsageError: If the action is not in the action space.
        """
        position = read_actions(action, (), len(self._vector.options.codes))
        if self._vector.lanes is not None and bool(self._vector.lanes.over[0]):
            raise ResetNeeded("the dream has ended: call reset() first")
        observation, reward, terminated, truncated, infos = self._vector.step(position[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), of_one(infos)

    def render(self) -> Any:
        """The frame, uint8 (210, 160, 3), where `render_mode="rgb_array"`."""
        frames = self._vector.render()
        return None if frames is None else frames[0]

    def get_keys_to_action(self) -> dict[tuple[str, ...], int]:
        """Keys for `gymnasium.utils.play`, as ALE's: w, a, s, d, space to fire, e for nothing."""
        keys = {"UP": "w", "RIGHT": "d", "LEFT": "a", "DOWN": "s", "FIRE": " "}
        table = {}
        for position, code in enumerate(self._vector.options.codes):
            pressed = [key for word, key in keys.items() if word in ACTION_NAMES[code]]
            table[tuple(sorted(pressed or ["e"]))] = position
        return table

    def clone_state(self) -> Lanes:
        """A copy of everything that lies ahead: restored, it gives the same future under the same actions."""
        return self._vector.clone_state()

    def restore_state(self, state: Lanes) -> None:
        """Takes up a cloned state; it counts as a reset."""
        self._vector.restore_state(state)

    def observe(self) -> tuple[np.ndarray, dict[str, Any]]:
        """What the agent sees now, and the info: what a reset or the last step has shown, or a restored state."""
        observation, infos = self._vector.observe()
        return observation[0], of_one(infos)

    def resync(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Brings the dream back to the state of the real game beside it; needs `shadow=True`.

        Returns:
            Observation and info, as `observe`.

        Raises:
            UsageError: If there is no shadow, or the real game has ended.
        """
        observation, infos = self._vector.resync()
        return observation[0], of_one(infos)

    def fork(self, copies: int, fresh: bool = False) -> DreamVectorEnv:
        """A vector of copies of this dream, this one stays as it is; see `DreamVectorEnv.fork`.

        A lane that ends begins anew only when it is reset: autoreset is disabled.
        """
        return self._vector.fork(copies, fresh)

    def close(self) -> None:
        """Lets go of the dream; it may be called twice."""
        self._vector.close()
