"""The dream as stable-baselines3's VecEnv: batched, with no Python loop over the model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from atari_dream.envs.infos import by_lane
from atari_dream.envs.vector import DreamVectorEnv
from atari_dream.errors import UsageError


class DreamVecEnv(VecEnv):
    """Dreams side by side for stable-baselines3; wrap it in `VecMonitor` to log returns.

    Args:
        game: Name of the game, or its environment id.
        num_envs: Number of lanes.
        stagger: Whether the first episodes are cut at different steps, lane i's after (i + 1) / num_envs of the
            horizon, so that lanes do not reach it together.
        options: The keywords of `gym.make`, and `max_episode_steps` as another name for `horizon`.

    Raises:
        UsageError: If a keyword is unknown or its value not supported.
    """

    def __init__(self, game: str, num_envs: int = 1, stagger: bool = False, **options: Any) -> None:
        for name in ("output", "autoreset_mode"):
            if name in options:
                raise UsageError(
                    f"keyword {name!r} is not for DreamVecEnv: it gives numpy and resets at once"
                )
        self.envs = DreamVectorEnv(num_envs, game, autoreset_mode=AutoresetMode.SAME_STEP, **options)
        if stagger and self.envs.options.horizon is None:
            raise UsageError("stagger=True needs a horizon: give horizon=1000, or leave it out")
        self._staggers = stagger
        self.render_mode = self.envs.render_mode
        super().__init__(num_envs, self.envs.single_observation_space, self.envs.single_action_space)
        self._actions = np.zeros(num_envs, np.int64)

    def reset(self) -> np.ndarray:
        """Begins all dreams, with the seeds and options set since the last time."""
        names = self._options[0].keys()
        if any(options.keys() != names for options in self._options):
            raise UsageError(f"set_options() takes the same options for all lanes, got {self._options}")
        options: dict[str, Any] = {name: [each[name] for each in self._options] for name in names}
        queries = [start for start in options.get("start", []) if isinstance(start, dict)]
        if queries:
            if any(start != queries[0] for start in options["start"]):
                raise UsageError("set_options() takes the same query for all lanes, or positions and ids")
            options["start"] = queries[0]
        observation, infos = self.envs.reset(seed=self._seeds, options=options)
        if self._staggers:
            self.envs.stagger()
            self._staggers = False
        self.reset_infos = by_lane(infos)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Dreams one agent step; lanes that ended show their new start, their info the last frame."""
        observation, rewards, terminated, truncated, infos = self.envs.step(self._actions)
        split = by_lane(infos)
        done = terminated | truncated
        final = by_lane(infos["final_info"]) if done.any() else []
        for lane in done.nonzero()[0]:
            self.reset_infos[lane] = split[lane]
            split[lane] = {**final[lane], "terminal_observation": infos["final_obs"][lane]}
        for lane, info in enumerate(split):
            info["TimeLimit.truncated"] = bool(truncated[lane])
        return observation, rewards, done, split

    def close(self) -> None:
        """Lets go of the dreams."""
        self.envs.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """The frame of each lane, uint8 (210, 160, 3)."""
        return self.envs.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the environment that all lanes share, once a lane."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the environment that all lanes share."""
        self._refuse_some(attr_name, indices)
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Calls a method of the environment that all lanes share, once; every lane gets its result."""
        self._refuse_some(method_name, indices)
        return [getattr(self.envs, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Whether lanes are wrapped: they never are, one batch serves them all."""
        return [False for _ in self._get_indices(indices)]

    def _refuse_some(self, name: str, indices: Any) -> None:
        if len(set(self._get_indices(indices))) != self.num_envs:
            raise UsageError(f"{name!r} is shared by all lanes: leave out indices, got {indices!r}")
