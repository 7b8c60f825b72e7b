"""The drill: a reflex learns from some steps what the action does, and only from steps that were played."""

import copy

import pytest
import torch
from torch import Tensor

from atari_dream.models import vivid
from atari_dream.models.vivid import Vivid
from atari_dream.predictor import Batch, Domain
from atari_dream.registry import create_model

DOMAIN = Domain("pacman", 4, (14, 42), (0.0, 10.0))
LEFT, RIGHT = 4, 3
STEPS = 24


@pytest.fixture(scope="module")
def predictor() -> Vivid:
    torch.manual_seed(0)
    made = create_model("vivid", DOMAIN, moves=[[0, 0, 8, 1], [0, 0, -8, 1]], hidden=16)
    assert isinstance(made, Vivid)
    return made


def play(seed: int, lanes: int = 8) -> Batch:
    """A ship of a cell that goes where the action says, from the middle of a row of its own."""
    held = torch.randint(0, 2, (lanes, STEPS // 4), generator=torch.Generator().manual_seed(seed))
    right = held.repeat_interleave(4, dim=1)
    frames = torch.full((lanes, STEPS, 210, 160), 14, dtype=torch.uint8)
    for lane in range(lanes):
        column = 10
        for step in range(STEPS):
            column = min(18, max(1, column + (1 if right[lane, step] else -1)))
            frames[lane, step, 70:77, 8 * column : 8 * column + 6] = 42
    actions = torch.where(right == 1, RIGHT, LEFT).to(torch.uint8)[..., None].repeat(1, 1, 4)
    nothing = torch.zeros(lanes, STEPS)
    return Batch(frames, actions, nothing, nothing.long(), nothing > 0, nothing == 0, torch.arange(lanes))


def follows(predictor: Vivid, batch: Batch, place: int, code: int) -> Tensor:
    """The frame that it takes for likeliest after a step, with an action."""
    state = predictor.init(batch.start(place + 1))
    action = torch.full((len(state[0]), 4), code, dtype=torch.uint8)
    chance = {name: torch.zeros(len(state[0]), *spec.shape) for name, spec in predictor.noise.items()}
    return predictor.decode(predictor.step(state, action, chance)[0]).codes


def wrong(predictor: Vivid, batch: Batch) -> int:
    """Pixels that it shows wrong, whatever is played in two states of each lane, off the walls."""
    missed = 0
    for place, code in ((12, LEFT), (12, RIGHT), (15, LEFT), (15, RIGHT)):
        column = (batch.frames[:, place, 73] == 42).int().argmax(1) // 8
        went = batch.frames[:, place].roll(8 if code == RIGHT else -8, dims=2)
        free = (column > 2) & (column < 17)
        with torch.no_grad():
            missed += int((follows(predictor, batch, place, code) != went)[free].sum())
    return missed


def test_after_it_what_moves_obeys(predictor: Vivid, monkeypatch: pytest.MonkeyPatch) -> None:
    taught, unseen = copy.deepcopy(predictor), play(99)
    monkeypatch.setattr(vivid, "_CELLS_DRILL", (512, 400))
    monkeypatch.setattr(vivid, "_STEPS_DRILL", (8, 2))
    torch.manual_seed(1)
    taught.prime(play(seed) for seed in range(4))
    assert wrong(taught, unseen) == 0 < wrong(predictor, unseen)


def test_steps_that_were_not_played_teach_nothing(predictor: Vivid) -> None:
    batch = play(0)
    half = batch._replace(valid=batch.valid & (torch.arange(8) < 4)[:, None])
    few = batch._replace(valid=torch.zeros_like(batch.valid))
    counted = [
        [sum(len(one[0]) for one in examples) for examples in zip(*predictor._examples(part), strict=True)]
        for part in (batch, half, few)
    ]
    for kind in range(2):
        assert counted[0][kind] > counted[1][kind] > counted[2][kind] == 0


def test_cells_stand_for_all_cells(predictor: Vivid) -> None:
    for example, _ in predictor._examples(play(0)):
        torch.testing.assert_close(example.weight.sum(), torch.tensor(8 * 600.0))
        assert example.changed.any() and (~example.changed).any()
        assert (example.weight[example.changed] == 1).all()
        assert (example.moving | ~example.changed).all()
