"""Loads saved stable-baselines3 agents and says clearly when one does not fit."""

from pathlib import Path


from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from atari_dream.errors import UsageError, unknown
from atari_dream.games import Game
from atari_dream.observation import SIZE, STACK

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN}


def load_agent(path: str | Path, game: Game, device: str = "cpu") -> BaseAlgorithm:
    """Loads an agent saved by stable-baselines3, of any of `ALGORITHMS`.

    Raises:
        UsageError: If the file is no such agent, or one for other observations or actions.
    """
    if not Path(path).is_file():
        raise UsageError(
            f"no agent at {path}: train one with `atari-dream agent train --game {game.name} --out {path}`"
        )
    agent = _load(path, device)
    shape, actions = agent.observation_space.shape, getattr(agent.action_space, "n", None)
    if shape != (STACK, SIZE, SIZE) or actions != len(game.actions):
        raise UsageError(
            f"agent {path} takes observations {shape} and has {actions} actions; "
            f"{game.name} needs {(STACK, SIZE, SIZE)} (observation='dqn') and {len(game.actions)}"
        )
    return agent


def get_algorithm(name: str) -> type[BaseAlgorithm]:
    """Looks an algorithm up by its name."""
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def _load(path: str | Path, device: str) -> BaseAlgorithm:
    faults = []
    for algorithm in ALGORITHMS.values():
        try:
            agent = algorithm.load(path, device=device)
        except Exception as error:
            faults.append(error)
        else:
            return agent
    raise UsageError(f"{path} is no saved agent of {', '.join(ALGORITHMS)}: {faults[0]}")
