"""Saves stable-baselines3 agents, loads them, and says clearly when one does not fit."""

import os
import warnings
from pathlib import Path
from typing import Any

from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from atari_dream.errors import UsageError
from atari_dream.files import whole
from atari_dream.games import Game
from atari_dream.observation import SIZE, STACK

ALGORITHMS: tuple[type[BaseAlgorithm], ...] = (PPO, A2C, DQN)
_PLAYED_LAST = ("_last_obs", "_last_original_obs", "_last_episode_starts")


def save_agent(agent: BaseAlgorithm, path: Path, origin: dict[str, Any]) -> None:
    """Saves an agent, whole or not at all.

    Args:
        agent: The agent.
        path: Its zip.
        origin: What it learnt from, plain data; `load_agent` gives it back as the attribute `origin`.

    Raises:
        UsageError: If it cannot be written.
    """
    check_writable(path)
    vars(agent)["origin"] = origin
    with whole(path) as fresh, fresh.open("wb") as file:
        agent.save(file, exclude=_PLAYED_LAST)


def check_writable(path: Path) -> None:
    """Refuses, before long work, a path that no file can be written to.

    Raises:
        UsageError: If it cannot.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder, give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: {path.parent} is read-only")


def load_agent(path: str | Path, game: Game, device: str = "cpu") -> BaseAlgorithm:
    """Loads an agent saved by stable-baselines3, of any of `ALGORITHMS`.

    Loading unpickles, which can run code: load only agents whose makers you trust.

    Raises:
        UsageError: If the file is no such agent, or one for another game, other observations or actions.
    """
    if not Path(path).is_file():
        raise UsageError(
            f"no agent at {path}: train one with `atari-dream agent train --game {game.name} --in dream "
            f"--steps 50000 --out {path}`"
        )
    agent = _load(path, device)
    learnt = vars(agent).get("origin", {}).get("game", game.name)
    if learnt != game.name:
        raise UsageError(f"agent {path} learnt game {learnt!r}, not {game.name!r}: use --game {learnt}")
    shape, actions = agent.observation_space.shape, getattr(agent.action_space, "n", None)
    if shape != (STACK, SIZE, SIZE) or actions != len(game.actions):
        raise UsageError(
            f"agent {path} takes observations {shape} and has {actions} actions; "
            f"{game.name} needs {(STACK, SIZE, SIZE)} (observation='dqn') and {len(game.actions)}"
        )
    return agent


def _load(path: str | Path, device: str) -> BaseAlgorithm:
    faults = []
    for algorithm in ALGORITHMS:
        try:
            with warnings.catch_warnings(action="ignore"):
                return algorithm.load(path, device=device)
        except Exception as error:
            faults.append(error)
    names = ", ".join(algorithm.__name__ for algorithm in ALGORITHMS)
    raise UsageError(f"{path} is no saved agent of {names}: {faults[0]}")
