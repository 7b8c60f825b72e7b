"""A cheap predictor for tests of the environments: it flickers, scores, loses lives and ends all the time."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.checkpoint import save_checkpoint
from atari_dream.doubt import Doubt
from atari_dream.files import read_json
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Predictor, Start, State
from atari_dream.registry import register_model

CELL = 10


@register_model("fidget")
class Fidget(Predictor):
    """Draws 21x16 squares. State: frame uint8 (B, 210, 160), memory float (B, 21, 16), lives int64 (B,)."""

    context = 3
    batch_invariant = True
    noise = {
        "drift": Noise("normal", (HEIGHT // CELL, WIDTH // CELL)),
        "reward": Noise("gumbel", (3,)),
        "fate": Noise("gumbel", (3,)),
    }

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        self.table = nn.Parameter(torch.randn(18, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("rewards", torch.tensor(domain.rewards))

    def init(self, start: Start) -> State:
        seen = start.frames[:, -self.context :, ::CELL, ::CELL].float().sum(1) / 255 - 1
        return start.frames[:, -1].clone(), seen, start.lives.clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        _, memory, lives = state
        moved = self.table[action.int()].mean(1)[:, None, None] / 3
        memory = (memory.roll(1, 2) * 0.75 + moved + noise["drift"]).clamp(-3, 3)
        colours = torch.tensor(self.domain.colours, dtype=torch.uint8, device=memory.device)
        cells = colours[((memory + 3) * len(colours) / 6.01).int()]
        frame = cells.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
        odds = torch.tensor([math.log(0.8), math.log(0.12), math.log(0.08)], device=memory.device)
        fate = (odds + noise["fate"]).argmax(1)
        lives = (lives - (fate == 1).long()).clamp(min=0)
        reward = self.rewards[noise["reward"].argmax(1)]
        return (frame, memory, lives), Outcome(reward, fate == 2, lives.clone())

    def decode(self, state: State) -> Frames:
        return Frames(state[0])


def fidget_checkpoint(folder: Path, game: str = "pacman", frame_skip: int = 4) -> str:
    """Writes a checkpoint of it and gives the path."""
    predictor = Fidget(Domain(game, frame_skip, (0, 14, 36, 68, 100), (0.0, 10.0, 200.0)))
    save_checkpoint(folder, predictor, "fidget", {}, {}, "no data")
    return str(folder)


def doubtful_checkpoint(folder: Path) -> str:
    """The same with a calibration: it changes some ten thousand pixels a step, so that doubt grows fast."""
    path = Path(fidget_checkpoint(folder))
    weights = read_json(path / "config.json", "checkpoint")["weights_sha256"]
    Doubt(0.1, 50, 99, torch.arange(1, 100) * 1000).save(path, weights, {})
    return str(path)


def same(one: Any, other: Any) -> bool:
    """Whether nested dicts, tuples, arrays and tensors are equal, types included."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, tuple | list):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) and one.dtype == object:
        return other.dtype == object and same(one.tolist(), other.tolist())
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and one == other
