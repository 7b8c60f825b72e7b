"""A training loop as CleanRL writes it: PPO on a vector environment, nothing but Gymnasium, NumPy and torch."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint
from torch import Tensor, nn
from torch.distributions import Categorical

LANES, STEPS, UPDATES = 4, 16, 3

pytestmark = pytest.mark.slow


class Agent(nn.Module):
    """Policy and value from one look at a 4x84x84 observation."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 8, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(800, 32), nn.ReLU()
        )
        self.actor, self.critic = nn.Linear(32, actions), nn.Linear(32, 1)

    def forward(self, observation: Tensor, action: Tensor | None = None) -> tuple[Tensor, ...]:
        hidden = self.body(observation / 255.0)
        chances = Categorical(logits=self.actor(hidden))
        action = chances.sample() if action is None else action
        return action, chances.log_prob(action), chances.entropy(), self.critic(hidden).flatten()


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_cleanrls_ppo_runs(mode: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(0)
    envs = gym.make_vec(
        "atari_dream:AtariDream-Pacman-v0",
        num_envs=LANES,
        checkpoint=fidget_checkpoint(tmp_path_factory.mktemp("f")),
        device="cpu",
        observation="dqn",
        autoreset_mode=mode,
    )
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    envs = gym.wrappers.vector.ClipReward(envs, -1, 1)
    assert envs.single_observation_space.shape is not None
    agent = Agent(envs.single_action_space.n)
    optimizer = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
    before = nn.utils.parameters_to_vector(agent.parameters()).clone()

    seen = torch.zeros(STEPS, LANES, *envs.single_observation_space.shape)
    actions, logs, rewards, dones, values = (torch.zeros(STEPS, LANES) for _ in range(5))
    returns: list[float] = []
    observation, _ = envs.reset(seed=1)
    done = np.zeros(LANES)
    for _ in range(UPDATES):
        for step in range(STEPS):
            seen[step], dones[step] = torch.tensor(observation), torch.tensor(done)
            with torch.no_grad():
                action, logs[step], _, values[step] = agent(seen[step])
            actions[step] = action
            observation, reward, terminated, truncated, infos = envs.step(action.numpy())
            done = np.logical_or(terminated, truncated).astype(float)
            rewards[step] = torch.tensor(reward)
            if "episode" in infos:
                returns += infos["episode"]["r"][infos["_episode"]].tolist()
        with torch.no_grad():
            following, alive = agent(torch.tensor(observation).float())[3], torch.tensor(1 - done)
            advantages, last = torch.zeros_like(rewards), torch.zeros(LANES)
            for step in reversed(range(STEPS)):
                delta = rewards[step] + 0.99 * following * alive - values[step]
                advantages[step] = last = delta + 0.99 * 0.95 * alive * last
                following, alive = values[step], 1 - dones[step]
        _, log, entropy, value = agent(seen.flatten(0, 1), actions.flatten())
        ratio, gain = (log - logs.flatten()).exp(), advantages.flatten()
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        policy = torch.max(-gain * ratio, -gain * ratio.clamp(0.8, 1.2)).mean()
        loss = (
            policy + 0.5 * (value - (advantages + values).flatten()).square().mean() - 0.01 * entropy.mean()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
        optimizer.step()
    assert returns and torch.isfinite(loss)
    assert not torch.equal(before, nn.utils.parameters_to_vector(agent.parameters()))
