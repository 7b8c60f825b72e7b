"""The dream's functions: state in, state out, every lane with a future of its own."""

from typing import NamedTuple

import pytest
import torch
from conftest import Tiny
from torch import Tensor

from atari_dream import dream, noise
from atari_dream.models.copy_last import CopyLast
from atari_dream.predictor import Domain, Noise, Outcome, Start, State


class Point(NamedTuple):
    x: Tensor
    y: Tensor


class Drawing(CopyLast):
    """Keeps in its state what it was handed last."""

    noise = {"a": Noise("normal", (2,)), "b": Noise("gumbel", (3,)), "c": Noise("normal", (2,))}

    def init(self, start: Start) -> State:
        return (torch.zeros(len(start.frames), 7), start.lives.clone())

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        drawn = torch.cat([noise["a"], noise["b"], noise["c"]], dim=1)
        nothing = torch.zeros(len(drawn))
        return (drawn, state[1]), Outcome(nothing, nothing.bool(), state[1])


def drawn(start: Start, key: Tensor, steps: int = 1, temperature: float = 1.0) -> Tensor:
    predictor = Drawing(Domain())
    state = dream.init(predictor, start, key)
    for _ in range(steps):
        state, _ = dream.step(predictor, state, start.actions[:, -1], temperature)
    return state.predictor[0]


def test_where_takes_the_lanes_of_the_mask() -> None:
    old = (torch.zeros(3), Point(torch.zeros(3, 2, 2), torch.zeros(3, dtype=torch.uint8)))
    new = (torch.ones(3), Point(torch.ones(3, 2, 2), torch.ones(3, dtype=torch.uint8)))
    mask = torch.tensor([True, False, True])
    scalars, point = dream.where(mask, new, old)
    assert type(point) is Point
    assert scalars.tolist() == [1, 0, 1]
    assert point.x[:, 0, 0].tolist() == [1, 0, 1] and point.x.shape == (3, 2, 2)
    assert point.y.tolist() == [1, 0, 1] and point.y.dtype == torch.uint8


def test_tree_map_keeps_the_form() -> None:
    tree = (Point(torch.tensor(1), torch.tensor(2)), (torch.tensor(3),), torch.tensor(4))
    doubled = dream.tree_map(lambda a, b: a + b, tree, tree)
    assert type(doubled) is tuple and type(doubled[0]) is Point
    assert [int(doubled[0].x), int(doubled[0].y), int(doubled[1][0]), int(doubled[2])] == [2, 4, 6, 8]


def test_tree_map_refuses_trees_that_differ() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        dream.tree_map(lambda a, b: a, (torch.zeros(1), torch.zeros(1)), (torch.zeros(1),))


def test_the_noise_depends_on_key_and_time_alone(start: Start) -> None:
    key = noise.key_of(torch.tensor([5, 6, 7]))
    for steps in (1, 3):
        assert torch.equal(drawn(start, key, steps), drawn(start, key, steps))
    assert (drawn(start, key, 1) != drawn(start, key, 2)).all()
    mixed = drawn(start, key[[2, 0, 0]])
    assert torch.equal(mixed[0], drawn(start, key)[2]) and torch.equal(mixed[1], mixed[2])


def test_no_two_numbers_of_a_step_are_equal(start: Start) -> None:
    assert len(drawn(start, noise.key_of(torch.arange(3))).unique()) == 21


def test_temperature_scales_and_0_is_the_mode(start: Start) -> None:
    key = noise.key_of(torch.arange(3))
    assert torch.equal(drawn(start, key, temperature=0.5), drawn(start, key) * 0.5)
    assert not drawn(start, key, temperature=0.0).any()


def test_a_copy_of_a_state_has_the_same_future(start: Start) -> None:
    torch.manual_seed(0)
    predictor = Tiny(Domain(colours=(0, 2, 4), rewards=(0.0, 10.0)))
    state = dream.init(predictor, start, noise.key_of(torch.arange(3)))
    state, _ = dream.step(predictor, state, start.actions[:, -1])
    copy = dream.tree_map(Tensor.clone, state)
    futures = []
    for begun in (state, copy):
        gained = []
        for _ in range(5):
            begun, outcome = dream.step(predictor, begun, start.actions[:, -1])
            gained.append(torch.stack([outcome.reward, outcome.terminated.float()]))
        futures.append((torch.stack(gained), dream.decode(predictor, begun).indices(), begun.t))
    assert torch.equal(futures[0][0], futures[1][0]) and torch.equal(futures[0][1], futures[1][1])
    assert futures[0][2].tolist() == [6, 6, 6]
    assert len(futures[0][0].unique(dim=0)) > 1


def test_a_dream_begins_at_the_real_frame(start: Start) -> None:
    predictor = Tiny(Domain())
    frames = dream.decode(predictor, dream.init(predictor, start, noise.key_of(torch.arange(3))))
    assert torch.equal(frames.indices(), start.frames[:, -1])
    assert frames.rgb().shape == (3, 210, 160, 3) and frames.rgb().dtype == torch.uint8
