"""How well an agent plays, beside one that plays at random.

Run: `atari-dream agent evaluate --agent agent.zip --game pacman --in real --games 30`
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from atari_dream.agents.venue import Venue
from atari_dream.bootstrap import interval, resample
from atari_dream.dream import tree_map
from atari_dream.envs.lanes import World
from atari_dream.envs.options import Options

Policy = Callable[[np.ndarray], np.ndarray]
"""Chooses actions, int (B,), for observations, uint8 (B, 4, 84, 84)."""


@dataclass(frozen=True)
class Games:
    """Games played once each.

    Attributes:
        scores: Points gained, unclipped, float64 (N,).
        steps: Agent steps, int64 (N,).
        terminated: Whether the game was over, bool (N,); the others were cut.
    """

    scores: np.ndarray
    steps: np.ndarray
    terminated: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Mean score with its interval, then every game."""
        return {
            **estimate(self.scores),
            "median": float(np.median(self.scores)),
            "terminated": float(self.terminated.mean()),
            "scores": self.scores.tolist(),
            "steps": self.steps.tolist(),
        }


def evaluate(
    agent: BaseAlgorithm,
    venue: Venue,
    games: int = 30,
    seed: int = 0,
    deterministic: bool = False,
    progress: Callable[[int], object] = lambda games: None,
) -> dict[str, Any]:
    """Scores an agent beside a uniformly random one, both from the same starts.

    The difference is paired by seed: games soon diverge, but starts differ in how much there is to gain, and
    resampling pairs is right whether the two scores go together or not.

    Args:
        agent: What plays.
        venue: Where.
        games: Games for each of the two; game i has seed + i.
        seed: Seed of the starts and of both players.
        deterministic: Whether the agent plays its likeliest action instead of a sample.
        progress: Called with the number of games that have just ended.

    Returns:
        `revision`; `agent` and `random`, each a `Games.summary`; `difference`, `estimate` of agent - random.

    Raises:
        UsageError: If the place does not exist.
    """
    world = World(Options.of(venue.game, **venue.keywords()))
    agent.set_random_seed(seed)
    players = {
        "agent": lambda observation: agent.predict(observation, deterministic=deterministic)[0],
        "random": uniform(len(world.options.codes), seed),
    }
    played = {name: play(world, policy, games, seed, progress) for name, policy in players.items()}
    return {
        "revision": world.revision,
        **{name: result.summary() for name, result in played.items()},
        "difference": estimate(played["agent"].scores - played["random"].scores),
    }


def play(
    world: World,
    policy: Policy,
    games: int,
    seed: int = 0,
    progress: Callable[[int], object] = lambda games: None,
) -> Games:
    """Plays one game a lane, so that short games count no more than long ones; a lane that ends goes.

    Args:
        world: Where, with `observation="dqn"`.
        policy: Who.
        games: Number of games; game i has seed + i.
        seed: Seed of the first.
        progress: Called with the number of games that have just ended.
    """
    scores, steps, terminated = np.zeros(games), np.zeros(games, np.int64), np.zeros(games, bool)
    seeds = torch.arange(seed, seed + games, device=world.device)
    lanes, left = world.begin(seeds, torch.zeros_like(seeds)), np.arange(games)
    while len(left):
        action = torch.as_tensor(policy(world.observe(lanes).cpu().numpy()), device=world.device)
        lanes, moved = world.step(lanes, action)
        scores[left] += moved.reward.cpu().numpy()
        steps[left] += 1
        terminated[left] = moved.terminated.cpu().numpy()
        going = ~lanes.over
        lanes, left = tree_map(lambda part, keep=going: part[keep], lanes), left[going.cpu().numpy()]
        progress(int((~going).sum()))
    return Games(scores, steps, terminated)


def uniform(actions: int, seed: int) -> Policy:
    """Plays every action equally often, at every agent step anew."""
    rng = np.random.default_rng(seed)
    return lambda observation: rng.integers(actions, size=len(observation))


def estimate(values: np.ndarray) -> dict[str, Any]:
    """Mean of values, float (N,), and its 95 % interval: percentile bootstrap over games (Efron 1979)."""
    drawn = resample(len(values)) @ values[:, None] / len(values)
    return {"mean": float(values.mean()), "ci95": interval(drawn)[0]}
