"""Lanes: what they draw from their seeds, when they end, and that each depends on itself alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fidget import Fidget, fidget_checkpoint, same
from torch import Tensor

from atari_dream.bundled import bundled_pool
from atari_dream.dream import tree_map
from atari_dream.emulator import Emulator
from atari_dream.envs.lanes import Lanes, World
from atari_dream.envs.options import Options
from atari_dream.games import FRAME_LIMIT
from atari_dream.palette import to_rgb
from atari_dream.predictor import Start

CONTROLS = ("emulator", "copy_last", "background")


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget") / "checkpoint")


def world(checkpoint: str, game: str = "pacman", **options: Any) -> World:
    return World(Options.of(game, checkpoint=checkpoint, device="cpu", **options))


def begin(place: World, *seeds: int, resets: int = 0) -> Lanes:
    return place.begin(torch.tensor(seeds), torch.full((len(seeds),), resets))


Spy = Callable[[World], list[Tensor]]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Keeps the raw actions that a predictor is given."""
    return lambda place: _spy(place, monkeypatch)


def _spy(place: World, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    seen: list[Tensor] = []
    kind = type(place.predictor)
    step = kind.step

    def listen(self: Any, state: Any, action: Tensor, noise: Any) -> Any:
        seen.append(action.clone())
        return step(self, state, action, noise)

    monkeypatch.setattr(kind, "step", listen)
    return seen


def row(lanes: Any, lane: int) -> Any:
    return tree_map(lambda part: part[lane : lane + 1], lanes)


def test_a_seed_draws_the_same_start_whatever_dreams(fidget: str) -> None:
    seeds = range(16)
    for starts in (None, "power-on"):
        drawn = [begin(world(name, starts=starts), *seeds).start.tolist() for name in (*CONTROLS, fidget)]
        assert drawn[0] == drawn[1] == drawn[2] == drawn[3]
        assert len(set(drawn[0])) > 5


def test_starts_are_spread_over_the_pool() -> None:
    place = world("copy_last", starts="power-on")
    counts = np.bincount(begin(place, *range(3100)).start, minlength=31)
    assert counts.min() > 60 and counts.max() < 150


def test_reset_k_depends_on_seed_and_k_alone(fidget: str) -> None:
    place = world(fidget, observation="dqn")
    played = begin(place, 3, 4, 5)
    for step in range(30):
        played, _ = place.step(played, torch.tensor([step % 9, 0, 1]))
        played = place.restart(played, torch.tensor([step in (4, 9, 20), step == 7, False]))
    again = place.restart(played, torch.tensor([True, False, True]))
    assert again.resets.tolist() == [4, 1, 1]
    for lane, (seed, resets) in enumerate([(3, 4), (4, 1), (5, 1)]):
        if lane != 1:
            assert same(row(again, lane), begin(place, seed, resets=resets))
    assert same(row(again, 1), row(played, 1))


def test_resets_of_a_seed_differ() -> None:
    lanes = world("copy_last", starts="power-on").begin(torch.full((20,), 3), torch.arange(20))
    assert len(lanes.start.unique()) > 5 and len(lanes.dream.key.unique()) == 20


def test_restart_takes_seeds_and_starts(fidget: str) -> None:
    place = world(fidget)
    mask, seeds = torch.tensor([True, False, True]), torch.tensor([7, 8, 9])
    lanes = place.restart(begin(place, 1, 2, 3), mask, seeds)
    assert same(row(lanes, 0), begin(place, 7)) and same(row(lanes, 2), begin(place, 9))
    chosen = place.restart(lanes, torch.tensor([False, True, False]), start=torch.tensor([0, 6, 0]))
    assert chosen.start.tolist()[1] == 6 and chosen.resets.tolist() == [0, 1, 0]
    assert same(row(chosen, 0), row(lanes, 0))


def test_burn_in_does_not_depend_on_what_else_is_drawn(fidget: str) -> None:
    one, other = world(fidget, observation="dqn"), world(fidget, observation="dqn")
    first, second = begin(one, *range(10)), [begin(other, seed) for seed in reversed(range(10))]
    for lane, alone in enumerate(reversed(second)):
        assert same(row(first, lane), alone)


def test_a_start_is_burned_in_once(fidget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = world(fidget)
    batches: list[int] = []
    init = Fidget.init

    def listen(self: Fidget, start: Start) -> Any:
        batches.append(len(start.lives))
        return init(self, start)

    monkeypatch.setattr(Fidget, "init", listen)
    begin(place, *range(30))
    calls = len(batches)
    begin(place, *range(30))
    assert calls == len(batches) > 1 and set(batches) == {8}


def test_lanes_start_at_the_real_state(fidget: str) -> None:
    for game in ("qbert", "space_invaders"):
        pool, console = bundled_pool(game), Emulator(game)
        place = world("emulator", game, observation="dqn")
        lanes = begin(place, 0, 1, 2, 3)
        for lane, start in enumerate(lanes.start.tolist()):
            pool.replay(start, console)
            assert lanes.lives[lane] == console.lives and lanes.score[lane] == console.score
            assert np.array_equal(place.frames(lanes)[lane], to_rgb(console.frame))
            assert lanes.held[lane] == pool.recipe(start)[-1]


def play(place: World, lanes: Lanes, policy: Callable[[int], Tensor], steps: int) -> list[tuple[Tensor, ...]]:
    out = []
    for step in range(steps):
        lanes, moved = place.step(lanes, policy(step))
        out.append((place.frames(lanes), *moved, lanes.lives, lanes.score))
    return out


def test_the_same_whatever_the_number_of_threads(fidget: str) -> None:
    place, threads = world(fidget), torch.get_num_threads()
    try:
        played = []
        for count in (1, 2):
            torch.set_num_threads(count)
            played.append(play(place, begin(place, *range(8)), lambda step: torch.arange(8) + step % 2, 10))
    finally:
        torch.set_num_threads(threads)
    assert same(*played)


def test_deterministic_is_the_mode_and_temperature_scales(fidget: str) -> None:
    def dreams(**options: Any) -> Tensor:
        place = world(fidget, **options)
        lanes = place.begin(torch.arange(2), torch.zeros(2, dtype=torch.int64), torch.tensor([3, 3]))
        return torch.stack([step[0] for step in play(place, lanes, lambda step: torch.zeros(2).long(), 4)])

    sampled, mode = dreams(), dreams(deterministic=True)
    assert not torch.equal(sampled[:, 0], sampled[:, 1])
    assert torch.equal(mode[:, 0], mode[:, 1])
    assert torch.equal(mode, dreams(temperature=0)) and torch.equal(sampled, dreams(temperature=1))
    assert not torch.equal(sampled, dreams(temperature=0.3))


def test_horizon_truncates_what_has_not_terminated(fidget: str) -> None:
    place = world(fidget, horizon=5)
    lanes, ends = begin(place, *range(60)), []
    for step in range(5):
        lanes, moved = place.step(lanes, torch.zeros(60).long())
        assert bool(moved.truncated.any()) == (step == 4)
        assert torch.equal(lanes.over, moved.terminated | moved.truncated)
        ends.append(moved)
    assert torch.equal(ends[-1].truncated, ~ends[-1].terminated)
    assert ends[-1].terminated.any() and ends[-1].truncated.any()


def late(place: World, elapsed: int) -> bool:
    """Whether the step number `elapsed` truncates."""
    lanes = begin(place, 0)._replace(elapsed=torch.tensor([elapsed - 1]))
    return bool(place.step(lanes, torch.tensor([0]))[1].truncated)


def test_without_a_horizon_only_power_on_starts_are_truncated() -> None:
    assert not late(world("copy_last", horizon=None), 10**9)
    limit = FRAME_LIMIT // 4
    for horizon, end in ((None, limit), (limit + 1, limit), (1000, 1000)):
        place = world("copy_last", starts="power-on", horizon=horizon)
        assert not late(place, end - 1) and late(place, end)


def test_terminal_on_life_loss(fidget: str) -> None:
    plain, strict = world(fidget), world(fidget, terminal_on_life_loss=True)
    lanes, lost = begin(plain, *range(50)), 0
    for _ in range(8):
        after, moved = plain.step(lanes, torch.zeros(50).long())
        _, judged = strict.step(lanes, torch.zeros(50).long())
        fewer = after.lives < lanes.lives
        assert torch.equal(judged.terminated, moved.terminated | fewer)
        lost += int((fewer & ~moved.terminated).sum())
        lanes = after
    assert lost > 5


def test_score_sums_the_rewards_since_power_on(fidget: str) -> None:
    place = world(fidget)
    lanes = begin(place, *range(4))
    assert torch.equal(lanes.score, torch.from_numpy(place.pool.scores)[lanes.start])
    played = play(place, lanes, lambda step: torch.full((4,), step % 9), 12)
    total = lanes.score + sum(step[1] for step in played)
    assert torch.equal(played[-1][-1], total) and (total > lanes.score).all()


def test_raw_actions_are_held_for_the_frame_skip(spy: Spy) -> None:
    place = world("copy_last")
    seen = spy(place)
    play(place, begin(place, 0, 1, 2), lambda step: torch.tensor([step, 0, 8]), 9)
    codes = torch.tensor(place.options.codes, dtype=torch.uint8)
    for step, raw in enumerate(seen):
        assert torch.equal(raw, codes[[step, 0, 8]][:, None].expand(3, 4))


def test_sticky_actions_repeat_the_frame_before(spy: Spy) -> None:
    place = world("copy_last", sticky=0.25)
    seen = spy(place)
    lanes = begin(place, *range(64))
    play(place, lanes, lambda step: torch.full((64,), 1 + step % 2), 60)
    raw = torch.cat(seen, dim=1)
    before = torch.cat([lanes.held[:, None], raw[:, :-1]], dim=1)
    wanted = torch.tensor(place.options.codes)[[1, 2]].repeat_interleave(4).repeat(30)[None].expand(64, -1)
    assert torch.where(raw == wanted, True, raw == before).all()
    free = before != wanted
    kept = (raw == before)[free].float().mean()
    assert free.sum() > 3000 and abs(kept - 0.25) < 0.02
    assert abs((raw[:, 4::4] != wanted[:, 4::4]).float().mean() - 0.25) < 0.04


@pytest.mark.parametrize("sticky", [0, 1])
def test_sticky_at_its_limits(sticky: float, spy: Spy) -> None:
    place = world("copy_last", sticky=sticky)
    seen = spy(place)
    lanes = begin(place, 0, 1)
    play(place, lanes, lambda step: torch.tensor([3, 5]), 3)
    wanted = lanes.held if sticky else torch.tensor(place.options.codes, dtype=torch.uint8)[[3, 5]]
    assert all(torch.equal(raw, wanted[:, None].expand(2, 4)) for raw in seen)


def test_dream_and_emulator_receive_equal_sticky_actions(fidget: str, spy: Spy) -> None:
    given = []
    for checkpoint in (fidget, "emulator"):
        place = world(checkpoint, sticky=0.5)
        given.append(spy(place))
        play(place, begin(place, 5, 6), lambda step: torch.tensor([step % 9, (3 * step) % 9]), 20)
    assert same(*given)
    assert any((raw != raw[:, :1]).any() for raw in given[0])


def test_sticky_actions_do_not_change_what_a_seed_draws(fidget: str) -> None:
    one, other = (world(fidget, sticky=sticky) for sticky in (0.0, 0.5))
    assert same(begin(one, *range(5)), begin(other, *range(5)))
