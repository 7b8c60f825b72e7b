"""The predictors as tests take them: small, with weights that make a difference, on five lanes of real play."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream import dream
from atari_dream.autoencoders.dense import Dense
from atari_dream.autoencoders.grid import GridAutoencoder
from atari_dream.dream import DreamState, tree_map
from atari_dream.predictor import Domain, Outcome, Predictor, Start
from atari_dream.registry import create_model, list_models, model_class

REFERENCE = [
    *(f"{layers}{adversary}_ae" for adversary in ("", "_ga", "_gia", "_ia") for layers in ("c", "fc")),
    *("c_vae", "fc_vae", "c_lstm_ae", "c_lstm_vae", "c_td_ae", "c_td_vae", "multi_scale_gan"),
]
"""The fifteen predictors of the reference."""
LANES = 5


def small(name: str) -> dict[str, Any]:
    """Sizes at which a model is quick; one of no known kind is built as it comes."""
    made = model_class(name)
    if issubclass(made, GridAutoencoder):
        return {"channels": 4, "deep": 16, "latent": 2}
    if issubclass(made, Dense):
        return {"channels": 4, "width": 30, "latent": 2}
    sizes = {
        "multi_scale_gan": {"divide": 64, "channels": 4},
        "vivid": {
            **{"channels": 4, "deep": 8, "blocks": 1, "hidden": 8, "drawn": 32, "sketch": 2},
            "moves": [[0, 0, 3, 1], [2, -4, 0, 0]],
            "display": [540, 541, 542],
        },
        "console": {
            **{"width": 8, "blocks": 1, "sight": 8, "drawing": 8, "looks": 2, "pictures": 8},
            "changes": [[[0, 0]] + [[0, 3], [0, 253], [1, 1]] * (byte in (10, 16)) for byte in range(128)],
            "lively": [10, 16, 20],
            "places": [[[10, 1, -9], [16, 1, 5], [42]], [[20, 1, 0], [0, 0, 100], [70, 88]]],
        },
    }
    return sizes.get(name, {})


NAMES = [name for name in list_models() if name == "tiny" or "models" in model_class(name).__module__]
"""The package's own models, and the one that shows that one file and one decorator are enough."""

_QUICK = ("background", "c_lstm_vae", "copy_last", "emulator", "tiny")


def cases(*flags: str, but: tuple[str, ...] | list[str] = ()) -> pytest.MarkDecorator:
    """A test for each model that has all flags, but for some; for most it is slow."""
    names = [name for name in NAMES if all(getattr(model_class(name), flag) for flag in flags)]
    return pytest.mark.parametrize("name", [case(name) for name in names if name not in but])


def case(name: str) -> Any:
    """A model's name as a test takes it."""
    return pytest.param(name, marks=[] if name in _QUICK else [pytest.mark.slow])


every_model = cases()
trainables = cases("trainable", but=[name for name in NAMES if model_class(name).branches])
"""Those that learn from rollouts."""


def build(name: str, domain: Domain) -> Predictor:
    """The model with weights that make a difference: fresh ones may be set to change nothing."""
    torch.manual_seed(0)
    predictor = create_model(name, domain, **small(name)).eval().requires_grad_(False)
    for parameter in predictor.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return predictor.to(memory_format=torch.channels_last)  # as checkpoints are loaded


def actions(steps: int) -> Tensor:
    """Raw actions, uint8 (steps, LANES, 4)."""
    drawn = np.random.default_rng(0).choice([0, 2, 3, 4, 5], (steps, LANES, 1))
    return torch.from_numpy(drawn.repeat(4, 2).astype(np.uint8))


def lanes_of(start: Start, rows: list[int]) -> Start:
    return tree_map(lambda part: part[rows], start)


@torch.no_grad()
def play(
    predictor: Predictor, start: Start, key: Tensor, codes: Tensor, temperature: float = 1.0
) -> tuple[DreamState, list[Outcome], list[Tensor]]:
    state = dream.init(predictor, start, key)
    outcomes, frames = [], [dream.decode(predictor, state).indices()]
    for action in codes:
        state, outcome = dream.step(predictor, state, action, temperature)
        outcomes.append(outcome)
        frames.append(dream.decode(predictor, state).indices())
    return state, outcomes, frames


def flat(tree: Any) -> list[Tensor]:
    return [tensor for part in tree for tensor in flat(part)] if isinstance(tree, tuple) else [tree]
