"""What a horizon cuts off is valued as stable-baselines3 does, in one pass; lanes reach their horizons apart."""

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from atari_dream.agents.truncation import ValueAtTruncation
from atari_dream.envs import DreamVecEnv
from atari_dream.errors import UsageError


def learnt(batched: bool) -> tuple[np.ndarray, int]:
    """Rewards of a rollout, (steps, lanes), and how many forward passes valued single lanes."""
    lanes = DreamVecEnv("pacman", 4, checkpoint="copy_last", device="cpu", observation="dqn", horizon=3)
    cut = ValueAtTruncation(lanes)
    agent = PPO(
        "CnnPolicy", cut if batched else lanes, n_steps=8, batch_size=32, n_epochs=1, seed=0, device="cpu"
    )
    if batched:
        cut.agent = agent
    single = 0
    values = agent.policy.predict_values

    def count(observation: Any) -> torch.Tensor:
        nonlocal single
        single += len(observation) == 1
        return values(observation)

    agent.policy.predict_values = count  # type: ignore[method-assign]
    agent.learn(32)
    return agent.rollout_buffer.rewards, single


@pytest.mark.slow
def test_rewards_are_those_of_stable_baselines3() -> None:
    (rewards, passes), (wanted, single) = learnt(batched=True), learnt(batched=False)
    np.testing.assert_allclose(rewards, wanted, rtol=1e-4, atol=1e-5)
    assert single == 8 and passes == 0 and np.abs(wanted).max() > 0


def test_without_an_agent_nothing_is_added() -> None:
    lanes = DreamVecEnv("pacman", 2, checkpoint="copy_last", device="cpu", observation="dqn", horizon=1)
    cut = ValueAtTruncation(lanes)
    cut.reset()
    _, rewards, done, infos = cut.step(np.zeros(2, int))
    assert not rewards.any() and done.all() and all(info["TimeLimit.truncated"] for info in infos)


def test_first_horizons_are_staggered_and_later_ones_whole() -> None:
    envs = DreamVecEnv("pacman", num_envs=4, stagger=True, checkpoint="copy_last", device="cpu", horizon=8)
    envs.reset()
    ends = [[] for _ in range(4)]  # type: list[list[int]]
    for step in range(1, 17):
        for lane in envs.step(np.zeros(4, int))[2].nonzero()[0]:
            ends[lane].append(step)
    assert ends == [[2, 10], [4, 12], [6, 14], [8, 16]]
    envs.reset()
    assert not any(envs.step(np.zeros(4, int))[2].any() for _ in range(7))


def test_staggering_needs_a_horizon() -> None:
    with pytest.raises(UsageError, match="stagger=True needs a horizon"):
        DreamVecEnv("pacman", stagger=True, checkpoint="copy_last", horizon=None)
