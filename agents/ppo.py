"""Proximal policy optimisation, in a dream or in the real game.

Run: `atari-dream agent train --algo ppo --game pacman --in real --steps 50000 --out agent.zip`
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor

from atari_dream.agents.loading import check_writable, save_agent
from atari_dream.agents.truncation import ValueAtTruncation
from atari_dream.agents.venue import Venue
from atari_dream.checkpoint import commit, versions
from atari_dream.envs import DreamVecEnv
from atari_dream.errors import UsageError

SAVE_SECONDS = 60.0
"""A kill loses at most this much of a training."""
ROLLOUT = 128
"""Steps that every lane plays between two updates."""
_ENDLESS = 2**62

Progress = Callable[[int, float | None], object]
"""Called with the steps just played and the mean score of the last 100 games, once there is one."""


@dataclass(frozen=True)
class Budget:
    """How long to train: agent steps over all lanes, minutes, or whichever ends first."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise UsageError("how long to train? give --steps N or --minutes T")


class SignRewards(VecEnvWrapper):
    """Hands on only the sign of each reward, so that one learning rate fits all games."""

    def reset(self) -> Any:
        """Begins all lanes."""
        return self.venv.reset()

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps all lanes."""
        observation, rewards, done, infos = self.venv.step_wait()
        return observation, np.sign(rewards), done, infos


def train_ppo(
    venue: Venue,
    out: Path,
    budget: Budget,
    envs: int = 8,
    seed: int = 0,
    progress: Progress = lambda steps, score: None,
) -> dict[str, Any]:
    """Trains an agent and saves it: every minute, at the end, and when interrupted.

    It plays whole rollouts, so a few more steps than asked. Rewards are clipped to their sign for learning
    only; scores are unclipped.

    Args:
        venue: Where it plays.
        out: The agent's zip; it appears whole or not at all.
        budget: How long.
        envs: Lanes side by side.
        seed: Seed of the weights, the actions and the starts; lane i gets seed + i.
        progress: Told how it goes.

    Returns:
        What the agent learnt from, as it is saved with it, with steps, seconds, games and their mean score.

    Raises:
        UsageError: If the place does not exist, or the zip cannot be written.
    """
    check_writable(out)
    lanes = DreamVecEnv(venue.game, envs, stagger=venue.keywords()["horizon"] is not None, **venue.keywords())
    cut = ValueAtTruncation(SignRewards(VecMonitor(lanes)))
    agent = cut.agent = make_ppo(cut, venue, budget.steps, seed)
    origin = {
        "game": venue.game,
        "place": venue.place,
        **venue.keywords(),
        "revision": lanes.envs.world.revision,
        "algo": "ppo",
        "envs": envs,
        "seed": seed,
        "commit": commit(),
        "versions": versions(),
    }
    keeper = _Keeper(out, origin, budget, progress)
    try:
        agent.learn(budget.steps or _ENDLESS, callback=keeper)
    except KeyboardInterrupt:
        keeper.save()
        raise
    return keeper.save()


def make_ppo(lanes: VecEnv, venue: Venue, steps: int | None, seed: int) -> PPO:
    """PPO as it is commonly set for Atari, with shorter rollouts where few steps are asked for.

    Source of the numbers: Schulman et al. 2017, table 5, as tuned in RL Baselines3 Zoo, without annealing.
    """
    rollout = ROLLOUT if steps is None else min(ROLLOUT, 8 * math.ceil(steps / lanes.num_envs / 8))
    return PPO(
        "CnnPolicy",
        lanes,
        n_steps=rollout,
        batch_size=rollout * lanes.num_envs // 4,
        n_epochs=4,
        learning_rate=2.5e-4,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.1,
        ent_coef=0.01,
        vf_coef=0.5,
        max_grad_norm=0.5,
        seed=seed,
        device=venue.policy_device,
    )


class _Keeper(BaseCallback):
    """Saves every minute, tells how it goes, and stops when the time is up."""

    def __init__(self, out: Path, origin: dict[str, Any], budget: Budget, progress: Progress) -> None:
        super().__init__()
        self._out, self._origin, self._progress = out, origin, progress
        self._began = self._saved = monotonic()
        self._limit = math.inf if budget.minutes is None else 60 * budget.minutes

    def save(self) -> dict[str, Any]:
        origin = {
            **self._origin,
            "steps": self.model.num_timesteps,
            "seconds": round(monotonic() - self._began, 1),
            "score": self._score(),
        }
        save_agent(self.model, self._out, origin)
        self._saved = monotonic()
        return origin

    def _on_step(self) -> bool:
        self._progress(self.training_env.num_envs, self._score())
        if monotonic() - self._saved > SAVE_SECONDS:
            self.save()
        return monotonic() - self._began < self._limit

    def _score(self) -> float | None:
        games = self.model.ep_info_buffer
        return float(np.mean([game["r"] for game in games])) if games else None
