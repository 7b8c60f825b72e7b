"""The keywords of `gym.make`, checked: an unsupported value is an error, never ignored."""

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from gymnasium.vector import AutoresetMode

from atari_dream.errors import UsageError, unknown
from atari_dream.games import Game, get_game

OBSERVATIONS = ("rgb", "dqn")
RENDER_MODES = (None, "rgb_array")
VECTOR_KEYWORDS = ("num_envs", "max_episode_steps", "output", "autoreset_mode")
DEFAULT_HORIZON = 1000


@dataclass(frozen=True)
class Options:
    """What an environment is asked to be; the README's table says what each keyword means."""

    game: str
    checkpoint: str | None = None
    device: str = "auto"
    observation: str = "rgb"
    horizon: int | None = DEFAULT_HORIZON
    starts: str | None = None
    memory: bool = False
    sticky: float = 0.0
    full_action_space: bool = False
    terminal_on_life_loss: bool = False
    deterministic: bool = False
    temperature: float = 1.0
    shadow: bool | int = False
    max_doubt: float | None = None
    validate: bool = False
    render_mode: str | None = None

    @classmethod
    def of(cls, game: str | Game, vector: bool = False, **keywords: Any) -> "Options":
        """Checks keywords.

        Args:
            game: Name of the game, or its environment id.
            vector: Whether they were given to a vector environment, which knows more of them.
            keywords: What the user gave.

        Raises:
            UsageError: If a keyword is unknown, or its value not supported.
        """
        names = [field.name for field in fields(cls)][1:]
        made = f'gym.make{"_vec" if vector else ""}("{get_game(game).env_id}", {{}}=...)'
        for name in keywords:
            if name in VECTOR_KEYWORDS:
                raise UsageError(
                    f"keyword {name!r} is for vectors: try {made.replace('make', 'make_vec').format(name)}"
                )
            if name not in names:
                raise unknown("keyword", name, (*names, *VECTOR_KEYWORDS) if vector else names, made)
        options = cls(get_game(game).name, **keywords)
        options._check()
        options._check_shadow(vector)
        return options

    def _check(self) -> None:
        for name in ("checkpoint", "starts"):
            if not isinstance(getattr(self, name), str | None):
                raise UsageError(
                    f"{name} must be a string or None, got {getattr(self, name)!r}: give a path as str(path)"
                )
        if not isinstance(self.device, str):
            raise UsageError(
                f"device must be a string, got {self.device!r}: give a torch device as str(device)"
            )
        for name in ("memory", "full_action_space", "terminal_on_life_loss", "deterministic", "validate"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.observation not in OBSERVATIONS:
            raise unknown("observation", self.observation, OBSERVATIONS)
        if self.render_mode not in RENDER_MODES:
            raise unknown("render_mode", self.render_mode, RENDER_MODES)
        if self.horizon is not None and not whole_number(self.horizon):
            raise UsageError(f"horizon must be a whole number of steps from 1, or None, got {self.horizon!r}")
        if not _is_number(self.sticky) or not 0 <= self.sticky <= 1:
            raise UsageError(f"sticky must be a probability, 0 to 1, got {self.sticky!r}")
        if not _is_number(self.temperature) or self.temperature < 0:
            raise UsageError(f"temperature must be a number from 0, got {self.temperature!r}")
        if self.max_doubt is not None and not (_is_number(self.max_doubt) and 0 < self.max_doubt < 1):
            raise UsageError(
                f"max_doubt must be a probability between 0 and 1, or None, got {self.max_doubt!r}"
            )

    def _check_shadow(self, vector: bool) -> None:
        """Whether the real game plays beside the dream: in this process, or for a vector in some of its own."""
        if isinstance(self.shadow, bool) or (vector and whole_number(self.shadow)):
            return
        allowed = "True, False or a number of processes" if vector else "True or False"
        raise UsageError(f"shadow must be {allowed}, got {self.shadow!r}")

    @property
    def scale(self) -> float:
        """Temperature that the dream is sampled at; 0 is the mode."""
        return 0.0 if self.deterministic else float(self.temperature)

    @property
    def codes(self) -> tuple[int, ...]:
        """ALE code of each action of the action space."""
        return tuple(range(18)) if self.full_action_space else get_game(self.game).actions


def pick_device(name: str) -> torch.device:
    """The torch device of that name; `"auto"` takes cuda, then mps, then the CPU.

    Raises:
        UsageError: If there is no such device here.
    """
    if name == "auto":
        has_mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UsageError(
            f"no device {name!r} here, allowed are auto, cpu, cuda, cuda:N, mps: {str(error).splitlines()[0]}"
        ) from None
    return device


def read_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """The autoreset mode of that value.

    Raises:
        UsageError: If there is none.
    """
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise unknown("autoreset_mode", mode, [known.value for known in AutoresetMode]) from None


def with_horizon(options: dict[str, Any], max_episode_steps: int | None) -> dict[str, Any]:
    """Keywords in which `max_episode_steps`, another name for the horizon, has become that.

    Raises:
        UsageError: If both are given and differ.
    """
    if max_episode_steps is None:
        return options
    horizon = options.get("horizon", max_episode_steps)
    if horizon != max_episode_steps:
        raise UsageError(
            f"horizon={horizon} and max_episode_steps={max_episode_steps} mean the same: give one of them "
            f"(default {DEFAULT_HORIZON})"
        )
    return {**options, "horizon": max_episode_steps}


def whole_number(value: Any, least: int = 1) -> bool:
    """Whether a value is a whole number, `least` or more; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
