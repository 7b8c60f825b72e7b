"""A saved stable-baselines3 agent as a player, for the recorder and for evaluation."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from atari_dream.agents.loading import load_agent
from atari_dream.games import Game
from atari_dream.observation import STACK, shrink
from atari_dream.players import decision_steps


@dataclass
class AgentPlayer:
    """Plays what a saved agent (`observation="dqn"`) samples from its policy.

    Attributes:
        path: The agent's zip.
        deterministic: Whether it plays the mode of its policy.
    """

    path: str
    deterministic: bool = False
    _agent: BaseAlgorithm | None = field(default=None, init=False, repr=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        """Loads the agent, once, and empties its frame stack."""
        if self._agent is None:
            self._agent = load_agent(self.path, game)
        self._agent.set_random_seed(int(rng.integers(2**31)))
        self._game, self._every, self._clock = game, decision_steps(frame_skip), 0
        self._stack: deque[np.ndarray] = deque(maxlen=STACK)

    def act(self, frame: np.ndarray) -> int:
        """The agent's action; between decisions, the last one."""
        if self._clock % self._every == 0:
            grey = shrink(frame)
            self._stack.extend([grey] * (STACK if not self._stack else 1))
            self._action = self._game.actions[self._choose(np.stack(self._stack))]
        self._clock += 1
        return self._action

    def _choose(self, observation: np.ndarray) -> int:
        assert self._agent is not None
        action: Any = self._agent.predict(observation, deterministic=self.deterministic)[0]
        return int(action)
