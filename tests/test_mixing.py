"""Mixtures draw by seed and weight, and play as their members do; a dream wakes up on time."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fidget import fidget_checkpoint
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import atari_dream  # noqa: F401
from atari_dream.bundled import bundled_pool
from atari_dream.envs import DreamEnv, Mixture, WakeUp
from atari_dream.errors import UsageError
from atari_dream.games import GAMES


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget"))


def dream(checkpoint: str, **options: Any) -> DreamEnv:
    return DreamEnv("pacman", checkpoint=checkpoint, device="cpu", **options)


def mixture(*checkpoints: str, weights: list[float] | None = None) -> Mixture:
    return Mixture([dream(checkpoint) for checkpoint in checkpoints], weights)


@pytest.mark.slow
def test_members_play_by_their_weights() -> None:
    mixed = mixture("copy_last", "background", "emulator", weights=[1, 0, 3])
    drawn = [mixed.reset(seed=seed)[1]["member"] for seed in range(300)]
    assert set(drawn) == {0, 2} and 0.65 < np.mean(np.array(drawn) == 2) < 0.85
    assert [mixed.reset(seed=seed)[1]["member"] for seed in range(300)] == drawn


def test_an_episode_is_the_members_own() -> None:
    mixed = mixture("copy_last", "emulator")
    alone = [dream("copy_last"), dream("emulator")]
    for seed in range(6):
        observation, info = mixed.reset(seed=seed)
        member = alone[info["member"]]
        wanted, told = member.reset(seed=seed)
        np.testing.assert_array_equal(observation, wanted)
        assert info == told | {"member": info["member"]}
        for action in (2, 3):
            got, expected = mixed.step(action), member.step(action)
            np.testing.assert_array_equal(got[0], expected[0])
            assert got[1:4] == expected[1:4] and got[4] == expected[4] | {"member": info["member"]}


def test_resets_without_a_seed_follow_from_the_last_seed() -> None:
    mixed = mixture("copy_last", "background")

    def episodes() -> list[tuple[str, int]]:
        infos = [mixed.reset(seed=4)[1], *(mixed.reset()[1] for _ in range(8))]
        return [(info["start"], info["member"]) for info in infos]

    one = episodes()
    assert episodes() == one and len({start for start, _ in one}) > 3 and len({who for _, who in one}) == 2


def test_it_is_an_environment() -> None:
    check_env(mixture("copy_last", "background"), skip_render_check=True)
    shown = Mixture([dream("copy_last", render_mode="rgb_array")])
    with pytest.raises(ResetNeeded):
        shown.render()
    with pytest.raises(ResetNeeded):
        shown.step(0)
    shown.reset(seed=0)
    assert shown.render().shape == (210, 160, 3)
    shown.close()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Mixture([]), "a mixture needs environments"),
        (lambda: Mixture([dream("copy_last"), dream("copy_last", observation="dqn")]), "member 1 differ"),
        (lambda: mixture("copy_last", weights=[1, 2]), r"weights must be 1 numbers from 0, .* got \[1, 2\]"),
        (lambda: mixture("copy_last", weights=[-1]), "weights must be 1 numbers"),
        (lambda: mixture("copy_last", weights=[0]), "not all 0"),
        (lambda: WakeUp(dream("copy_last", shadow=True), 0), "whole number of steps from 1, got 0"),
        (lambda: WakeUp(dream("copy_last", shadow=True), True), "whole number of steps from 1, got True"),
        (lambda: WakeUp(dream("copy_last"), 3).reset(), "make the environment with shadow=True"),
    ],
)
def test_wrong_calls_are_one_line(make: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make()


def test_a_dream_wakes_up_every_so_often(fidget: str) -> None:
    env = WakeUp(gym.make("AtariDream-Pacman-v0", checkpoint="copy_last", device="cpu", shadow=True), every=3)
    real = dream("emulator")
    env.reset(seed=5)
    real.reset(seed=5)
    woken, wrong = [], []
    for step in range(9):
        observation, _, _, _, info = env.step(step % 9)
        frame = real.step(step % 9)[0]
        woken.append(info["awake"])
        wrong.append((observation != frame).any())
    assert woken == [False, False, True] * 3
    assert not any(wrong[2::3]) and any(wrong)


def test_it_wakes_up_to_an_end() -> None:
    pool = bundled_pool("pinball")
    ends = next(place for place, entry in enumerate(pool.entries) if entry["stratum"] == "end")
    env = WakeUp(
        DreamEnv("pinball", checkpoint="copy_last", device="cpu", shadow=True, horizon=None), every=4
    )
    env.reset(options={"start": ends})
    codes = {code: place for place, code in enumerate(GAMES["pinball"].actions)}
    played = [codes.get(int(raw[-1]), 0) for raw in pool.continuation(ends)]
    for action in [*played, 0, 0, 0]:
        *_, terminated, truncated, info = env.step(action)
        if terminated:
            break
    assert terminated and not truncated and info["shadow"]["terminated"] and info["awake"]
