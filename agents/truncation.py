"""The value of what a horizon cuts off, for all lanes at once.

stable-baselines3's on-policy algorithms add it to the last reward one lane at a time, a forward pass each; where many
lanes reach their horizon together that takes most of a rollout's time.
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper


class ValueAtTruncation(VecEnvWrapper):
    """Adds the discounted value of the last observation to the reward of truncated lanes, in one forward pass.

    It is the outermost wrapper, and hands on truncated lanes as ended, so that the agent does not add it again.

    Args:
        venv: The lanes.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.agent: OnPolicyAlgorithm | None = None

    def reset(self) -> Any:
        """Begins all lanes."""
        return self.venv.reset()

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps all lanes."""
        observation, rewards, done, infos = self.venv.step_wait()
        cut = [lane for lane, info in enumerate(infos) if info.get("TimeLimit.truncated")]
        if cut and self.agent is not None:
            last = np.stack([infos[lane]["terminal_observation"] for lane in cut])
            rewards = rewards.copy()
            rewards[cut] += self.agent.gamma * self._values(last)
            for lane in cut:
                infos[lane]["TimeLimit.truncated"] = False
        return observation, rewards, done, infos

    @torch.no_grad()
    def _values(self, observations: np.ndarray) -> np.ndarray:
        assert self.agent is not None
        seen, _ = self.agent.policy.obs_to_tensor(observations)
        values: np.ndarray = self.agent.policy.predict_values(seen)[:, 0].cpu().numpy()
        return values
