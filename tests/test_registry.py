"""Every predictor keeps the contract: shapes and types, nothing kept on the module, lanes on their own."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from model_cases import (
    LANES,
    NAMES,
    REFERENCE,
    actions,
    build,
    cases,
    every_model,
    flat,
    lanes_of,
    play,
    trainables,
)
from torch import Tensor, nn

import atari_dream
from atari_dream import dream, noise
from atari_dream.dream import tree_map
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.palette import to_rgb
from atari_dream.predictor import Domain, Frames, Predictor, Start, Target
from atari_dream.registry import create_model, list_models, model_class
from atari_dream.starts import StartPool


def test_the_names_are_there() -> None:
    assert {"background", "copy_last", "emulator", *REFERENCE} <= set(list_models())
    assert list_models() == sorted(list_models()) == atari_dream.list_models()
    assert atari_dream.create_model is create_model


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"unknown model 'c_lstm_vea': allowed are .*nearest is 'c_lstm_vae'"
    ):
        create_model("c_lstm_vea")


@every_model
def test_its_file_and_its_first_line_are_its_own(name: str) -> None:
    made = model_class(name)
    if name != "tiny":
        assert made.__module__ == f"atari_dream.models.{name}"
    assert made.__doc__ and made.__doc__.split("\n")[0].strip()
    assert model_class(name) is type(create_model(name))


@every_model
def test_shapes_and_types(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain)
    key = noise.key_of(torch.arange(LANES))
    state, outcomes, frames = play(predictor, starts, key, actions(3))
    assert predictor.domain == domain and predictor.context <= 16
    assert isinstance(state.predictor, tuple)
    begun = dream.init(predictor, starts, key)
    for before, after in zip(flat(begun.predictor), flat(state.predictor), strict=True):
        assert len(after) == LANES
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert not after.is_floating_point() or after.isfinite().all()
    for frame in frames:
        assert frame.shape == (LANES, 210, 160) and frame.dtype == torch.uint8
    for outcome in outcomes:
        forms = [(tuple(part.shape), part.dtype) for part in outcome]
        assert forms == [((LANES,), torch.float32), ((LANES,), torch.bool), ((LANES,), torch.int64)]
    rgb = dream.decode(predictor, state).rgb()
    assert rgb.shape == (LANES, 210, 160, 3) and rgb.dtype == torch.uint8


@every_model
def test_nothing_is_kept_on_the_module_or_changed_in_the_state(
    name: str, domain: Domain, starts: Start
) -> None:
    predictor = build(name, domain)
    before = copy.deepcopy(vars(predictor)), copy.deepcopy(predictor.state_dict())
    start, key = tree_map(Tensor.clone, starts), noise.key_of(torch.arange(LANES))
    state, _, _ = play(predictor, start, key, actions(2))
    kept = tree_map(Tensor.clone, state)
    dream.step(predictor, state, actions(1)[0])
    dream.decode(predictor, state)
    assert all(torch.equal(one, other) for one, other in zip(flat(state), flat(kept), strict=True))
    assert all(torch.equal(one, other) for one, other in zip(start, starts, strict=True))
    after = predictor.state_dict()
    assert before[1].keys() == after.keys()
    assert all(torch.equal(before[1][entry], after[entry]) for entry in after)
    plain = [entry for entry in before[0] if not entry.startswith("_")]
    assert {entry: before[0][entry] for entry in plain} == {entry: vars(predictor)[entry] for entry in plain}
    assert vars(predictor).keys() == before[0].keys()


@every_model
def test_equal_keys_and_actions_give_equal_bits(name: str, domain: Domain, starts: Start) -> None:
    predictor, key = build(name, domain), noise.key_of(torch.arange(LANES))
    one, other = (play(predictor, starts, key, actions(4)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(flat(one[0]), flat(other[0]), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one[2], other[2], strict=True))


@cases("batch_invariant")
@pytest.mark.parametrize("rows", [[2], [4, 0, 2], [2, 2, 1, 1, 0, 3, 3, 2]], ids=len)
def test_a_lane_does_not_depend_on_its_neighbours(
    name: str, rows: list[int], domain: Domain, starts: Start
) -> None:
    predictor, key, codes = build(name, domain), noise.key_of(torch.arange(LANES)), actions(4)
    state, outcomes, frames = play(predictor, starts, key, codes)
    mine = play(predictor, lanes_of(starts, rows), key[rows], codes[:, rows])
    for all_lanes, some_lanes in zip(
        [*flat(state), *flat(tuple(outcomes)), *frames],
        [*flat(mine[0]), *flat(tuple(mine[1])), *mine[2]],
        strict=True,
    ):
        assert torch.equal(all_lanes[rows], some_lanes)


@cases("batch_invariant")
@torch.no_grad()
def test_at_full_size_even_what_is_not_shown_is_a_lanes_own(name: str, domain: Domain, starts: Start) -> None:
    predictor, seen = create_model(name, domain).to(memory_format=torch.channels_last), []
    for parameter in predictor.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.05)
    for module in predictor.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, given, result: seen.append(result))
    key, codes = noise.key_of(torch.arange(LANES)), actions(2)
    play(predictor, starts, key, codes)
    together = list(seen)
    seen.clear()
    play(predictor, lanes_of(starts, [2]), key[[2]], codes[:, [2]])
    assert len(seen) == len(together) and (seen or not list(predictor.parameters()))
    for all_lanes, lane in zip(together, seen, strict=True):
        assert torch.equal(all_lanes[[2]], lane)


@trainables
@torch.no_grad()
def test_from_equal_states_a_lane_is_nearly_its_own(name: str, domain: Domain, starts: Start) -> None:
    """What a predictor that is not batch-invariant may differ by, too: 1e-4 from one step to the next."""
    predictor, seen, key = build(name, domain), [], noise.key_of(torch.arange(LANES))
    state = play(predictor, starts, key, actions(2))[0]
    for module in predictor.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, given, result: seen.append(result))
    dream.step(predictor, state, actions(1)[0])
    together = list(seen)
    for lane in range(LANES):
        seen.clear()
        dream.step(predictor, tree_map(lambda part, lane=lane: part[[lane]], state), actions(1)[0][[lane]])
        assert len(seen) == len(together) and seen
        for all_lanes, alone in zip(together, seen, strict=True):
            torch.testing.assert_close(all_lanes[[lane]], alone, rtol=1e-4, atol=1e-4)


@trainables
def test_a_learnt_dream_never_reads_the_emulator(name: str, domain: Domain, starts: Start) -> None:
    predictor, key = build(name, domain), noise.key_of(torch.arange(LANES))
    blind = starts._replace(ale=torch.zeros(LANES, 0, dtype=torch.uint8))
    one, other = (play(predictor, start, key, actions(2)) for start in (starts, blind))
    assert all(torch.equal(a, b) for a, b in zip(flat(one[0]), flat(other[0]), strict=True))


@trainables
def test_actions_frames_and_noise_matter(name: str, domain: Domain, starts: Start) -> None:
    predictor, key = build(name, domain), noise.key_of(torch.arange(LANES))

    def last(start: Start = starts, key: Tensor = key, shift: int = 0, temperature: float = 1.0) -> Tensor:
        _, outcomes, frames = play(predictor, start, key, (actions(3) + shift) % 18, temperature)
        told = torch.stack([outcome.reward for outcome in outcomes])
        return torch.cat([frames[-1].flatten().float(), told.flatten()])

    assert not torch.equal(last(shift=1), last())
    assert not torch.equal(last(start=starts._replace(frames=starts.frames.flip(0))), last())
    assert not torch.equal(last(key=key + 1, temperature=1e3), last(temperature=1e3))


@trainables
def test_every_parameter_learns(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain).train().requires_grad_(True)
    key = noise.key_of(torch.arange(LANES))
    state = predictor.init(starts)
    total = torch.zeros(())
    for t, action in enumerate(actions(2)):
        target = Target(
            frame=starts.frames[:, -2 - t],
            reward=torch.tensor(domain.rewards)[torch.arange(LANES) % len(domain.rewards)],
            terminated=torch.arange(LANES) % 2 == 0,
            lives=torch.tensor([3, 2, -1, 3, 2]),
        )
        drawn = dream.draw_practice(predictor, key, torch.full_like(key, t))
        lesson = predictor.learn(state, action, target, drawn)
        state = predictor.show(lesson.state, target.frame, torch.arange(LANES) == 1)
        assert torch.equal(predictor.decode(state).indices()[1], target.frame[1])
        for term in lesson.terms.values():
            assert term.shape == (LANES,) and term.isfinite().all()
            total = total + term.sum()
    total.backward()
    for label, parameter in predictor.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), label
        assert parameter.grad.any(), label


@pytest.mark.parametrize("name", [name for name in NAMES if not model_class(name).trainable])
def test_controls_do_not_learn(name: str, domain: Domain) -> None:
    predictor = build(name, domain)
    assert not list(predictor.parameters())
    with pytest.raises(NotImplementedError):
        predictor.learn((), torch.zeros(0), Target(*[torch.zeros(0)] * 4), {})


class Begin(nn.Module):
    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, *start: Tensor) -> tuple[Tensor, ...]:
        return self.predictor.init(Start(*start))


class Step(Begin):
    def forward(self, state: tuple[Tensor, ...], action: Tensor, noise: dict[str, Tensor]) -> Any:
        return self.predictor.step(state, action, noise)


class Decode(Begin):
    def forward(self, *state: Tensor) -> Tensor:
        return self.predictor.decode(state).indices()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@cases("exportable")
@torch.no_grad()
def test_init_step_and_decode_are_exported(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain)
    key = noise.key_of(torch.arange(LANES))
    drawn = dream.draw(predictor, key, torch.zeros_like(key))
    state, action = predictor.init(starts), actions(1)[0]
    for module, arguments in (
        (Begin(predictor), tuple(starts)),
        (Step(predictor), (state, action, drawn)),
        (Decode(predictor), state),
    ):
        exported = torch.export.export(module, arguments).module()
        Frames(starts.frames[:, 0]).rgb().numpy()  # what tracing has seen must not be kept
        for one, other in zip(flat((exported(*arguments),)), flat((module(*arguments),)), strict=True):
            if one.is_floating_point():
                torch.testing.assert_close(one, other)
            else:
                assert torch.equal(one, other)


def test_copy_last_holds_and_background_repaints_what_moved(starts: Start, pool: StartPool) -> None:
    key, last = noise.key_of(torch.arange(LANES)), starts.frames[:, -1]
    _, outcomes, frames = play(create_model("copy_last"), starts, key, actions(3))
    assert all(torch.equal(frame, last) for frame in frames)
    for outcome in outcomes:
        assert not outcome.reward.any() and not outcome.terminated.any()
        assert torch.equal(outcome.lives, starts.lives)
    usual = torch.from_numpy(pool.usual)
    _, _, frames = play(create_model("background", usual=usual), starts, key, actions(3))
    moved = (starts.frames != last[:, None]).any(1)
    assert moved.any() and torch.equal(frames[0], last)
    for frame in frames[1:]:
        assert torch.equal(frame, torch.where(moved, usual, last))


def test_the_emulator_is_the_recording(pool: StartPool, store: EpisodeStore) -> None:
    indices = np.array([0, 5, 11])
    codes = torch.from_numpy(np.stack([pool.continuation(index)[:30] for index in indices], axis=1))
    key, episode = noise.key_of(torch.arange(3)), store[3]
    assert episode.lives is not None
    _, outcomes, frames = play(create_model("emulator"), pool.batch(indices), key, codes)
    for lane, index in enumerate(indices):
        step = pool.entries[index]["step"]
        for t, outcome in enumerate(outcomes):
            np.testing.assert_array_equal(frames[t + 1][lane], episode.frames[step + t + 1])
            assert outcome.reward[lane] == episode.rewards[step + t]
            assert outcome.lives[lane] == episode.lives[step + t + 1]


def test_frames_of_codes_are_the_palettes() -> None:
    codes = torch.arange(0, 256, dtype=torch.uint8).repeat(1, 210 * 160 // 256 + 1)[:, : 210 * 160]
    frames = Frames(codes.view(1, 210, 160))
    assert torch.equal(frames.indices(), frames.codes)
    np.testing.assert_array_equal(frames.rgb(), to_rgb(frames.codes.numpy()))
