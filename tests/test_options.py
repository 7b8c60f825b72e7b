"""Every keyword is checked, and its error says in one line what was given and what is allowed."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from atari_dream.envs.options import Options, pick_device
from atari_dream.errors import UsageError
from atari_dream.games import GAMES

WRONG = [
    ("checkpoint", 3, "string"),
    ("checkpoint", Path("runs"), "str(path)"),
    ("starts", Path("pool"), "str(path)"),
    ("device", torch.device("cpu"), "str(device)"),
    ("observation", "rbg", "nearest is 'rgb'"),
    ("observation", "grey", "rgb, dqn"),
    ("observation", ["rgb"], "rgb, dqn"),
    ("render_mode", "rgb", "nearest is 'rgb_array'"),
    ("render_mode", "human", "rgb_array"),
    ("horizon", 0, "from 1"),
    ("horizon", 2.5, "whole number"),
    ("horizon", True, "whole number"),
    ("horizon", "100", "whole number"),
    ("sticky", -0.1, "0 to 1"),
    ("sticky", 1.1, "0 to 1"),
    ("sticky", float("nan"), "0 to 1"),
    ("sticky", True, "0 to 1"),
    ("sticky", None, "0 to 1"),
    ("temperature", -1, "from 0"),
    ("temperature", float("inf"), "from 0"),
    ("temperature", "1", "from 0"),
    ("full_action_space", 1, "True or False"),
    ("terminal_on_life_loss", "yes", "True or False"),
    ("deterministic", None, "True or False"),
    ("memory", 1, "True or False"),
    ("shadow", 0, "True or False"),
    ("shadow", 2, "True or False"),
    ("shadow", None, "True or False"),
    ("max_doubt", 1.5, "between 0 and 1"),
    ("max_doubt", 0, "between 0 and 1"),
]


@pytest.mark.parametrize(("name", "value", "hint"), WRONG)
def test_wrong_value_is_refused_in_one_line(name: str, value: Any, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options.of("pacman", **{name: value})
    message = str(caught.value)
    assert name in message and repr(value) in message and hint in message and "\n" not in message


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_unknown_keyword_names_the_nearest_and_the_call(make: Any) -> None:
    with pytest.raises(UsageError, match=r"unknown keyword 'observaton'.*nearest is 'observation'") as caught:
        make("AtariDream-Qbert-v0", observaton="dqn")
    assert f'gym.{make.__name__}("AtariDream-Qbert-v0", observation=...)' in str(caught.value)


@pytest.mark.parametrize("name", ["output", "autoreset_mode", "num_envs"])
def test_keyword_of_vectors_is_refused_in_a_single_environment(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name!r} is for vectors.*gym.make_vec.*{name}=..."):
        gym.make("AtariDream-Pacman-v0", checkpoint="copy_last", **{name: "torch"})


def test_vectors_know_their_own_keywords() -> None:
    with pytest.raises(UsageError, match="nearest is 'output'"):
        gym.make_vec("AtariDream-Pacman-v0", ouput="torch")


def test_defaults() -> None:
    options = Options.of("pacman")
    assert (options.horizon, options.sticky, options.scale, options.observation) == (1000, 0.0, 1.0, "rgb")
    assert options.checkpoint is options.starts is options.render_mode is options.max_doubt is None
    assert not (options.full_action_space or options.terminal_on_life_loss or options.deterministic)


def test_deterministic_overrules_temperature() -> None:
    assert Options.of("pacman", temperature=0.5).scale == 0.5
    assert Options.of("pacman", temperature=0.5, deterministic=True).scale == 0.0


def test_game_goes_by_name_or_id() -> None:
    assert Options.of("AtariDream-Revenge-v0") == Options.of("revenge") == Options.of(GAMES["revenge"])
    with pytest.raises(UsageError, match="nearest is 'pinball'"):
        Options.of("pinbal")


def test_codes_are_the_minimal_or_the_full_actions() -> None:
    assert Options.of("qbert").codes == GAMES["qbert"].actions
    assert Options.of("qbert", full_action_space=True).codes == tuple(range(18))


def test_device() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto").type == best
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "gpu", "cpu:x"):
        with pytest.raises(UsageError, match=f"no device '{name}' here.*auto, cpu, cuda") as caught:
            pick_device(name)
        assert "\n" not in str(caught.value)
