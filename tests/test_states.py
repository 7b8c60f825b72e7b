"""States as bytes and files, forks and going back: equal futures, in another process too."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from gymnasium.error import ResetNeeded
from safetensors.torch import load, save

import atari_dream  # noqa: F401
from atari_dream.bundled import bundled_pool
from atari_dream.envs import (
    DreamEnv,
    DreamVectorEnv,
    Rewind,
    load_state,
    save_state,
    state_from_bytes,
    state_to_bytes,
)
from atari_dream.errors import UsageError

MODES = ["NextStep", "SameStep", "Disabled"]


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget"))


def lanes(checkpoint: str, count: int = 3, **options: Any) -> DreamVectorEnv:
    envs = DreamVectorEnv(count, "pacman", checkpoint=checkpoint, device="cpu", **options)
    envs.reset(seed=5)
    return envs


def future(envs: DreamVectorEnv, steps: int = 6) -> list[np.ndarray]:
    """What each step shows and brings; ended lanes are reset where that is not automatic."""
    told = []
    for step in range(steps):
        if envs.autoreset_mode.value == "Disabled" and envs.lanes is not None and bool(envs.lanes.over.any()):
            envs.reset(options={"reset_mask": envs.lanes.over})
        observation, reward, terminated, truncated, infos = envs.step(
            (np.arange(envs.num_envs) // 8 + step) % 9
        )
        told += [observation, reward, terminated, truncated, infos["score"], infos["start"]]
    return told


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_a_file_has_the_same_future(mode: str, observation: str, fidget: str, tmp_path: Path) -> None:
    envs = lanes(fidget, autoreset_mode=mode, observation=observation, horizon=5)
    future(envs, 3)
    save_state(envs.clone_state(), tmp_path / "state")
    ahead = future(envs)
    other = lanes(fidget, autoreset_mode=mode, observation=observation, horizon=5)
    other.restore_state(load_state(tmp_path / "state"))
    assert equal(future(other), ahead)


def test_bytes_hold_every_tensor(fidget: str) -> None:
    state = lanes(fidget).clone_state()
    assert same(state_from_bytes(state_to_bytes(state)), state)


@pytest.mark.slow
def test_another_process_has_the_same_future(tmp_path: Path) -> None:
    envs = lanes("emulator", 2, sticky=0.25)
    future(envs, 3)
    save_state(envs.clone_state(), tmp_path / "state")
    code = (
        "import sys, numpy as np\n"
        "from atari_dream.envs import DreamVectorEnv, load_state\n"
        "envs = DreamVectorEnv(2, 'pacman', checkpoint='emulator', device='cpu', sticky=0.25)\n"
        "envs.restore_state(load_state(sys.argv[1]))\n"
        "np.save(sys.argv[2], [envs.step(np.arange(2) + step)[0] for step in range(5)])\n"
    )
    files = [str(tmp_path / "state"), str(tmp_path / "frames.npy")]
    subprocess.run([sys.executable, "-c", code, *files], check=True, cwd=Path(__file__).parents[1])
    ahead = [envs.step(np.arange(2) + step)[0] for step in range(5)]
    np.testing.assert_array_equal(np.load(files[1]), ahead)


def damaged(data: bytes, how: str) -> bytes:
    if how == "cut":
        return data[: len(data) // 2]
    if how == "flipped":
        return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    if how == "other":
        return b"no state"
    tensors = load(data[32:])
    changed = {"later": tensors | {"format": torch.tensor(2)}, "poor": {"format": tensors["format"]}}[how]
    return hashlib.sha256(save(changed)).digest() + save(changed)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut", "no state, or a damaged one"),
        ("flipped", "no state, or a damaged one"),
        ("poor", "no state, or a damaged one"),
        ("other", "no state, or a damaged one"),
        ("later", "has format 2, this version reads 1: pip install --upgrade atari-dream"),
    ],
)
def test_what_is_no_state_is_one_line(how: str, told: str, fidget: str, tmp_path: Path) -> None:
    data = damaged(state_to_bytes(lanes(fidget).clone_state()), how)
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(UsageError, match=told) as caught:
        load_state(tmp_path / "state")
    assert "\n" not in str(caught.value) and str(tmp_path / "state") in str(caught.value)


def test_a_missing_file_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no state at .*: write one with save_state\("):
        load_state(tmp_path / "nothing")


def test_a_state_of_another_world_is_refused(fidget: str) -> None:
    state = lanes("copy_last").clone_state()
    for other in (
        DreamVectorEnv(3, "pacman", checkpoint="copy_last", device="cpu", starts="power-on"),
        DreamVectorEnv(3, "qbert", checkpoint="copy_last", device="cpu"),
    ):
        with pytest.raises(UsageError, match="another kind of environment"):
            other.restore_state(state)


def test_copies_of_a_lane_have_its_future(fidget: str) -> None:
    envs = lanes(fidget, 2)
    future(envs, 2)
    before = envs.clone_state()
    forked = envs.fork(3)
    assert forked.num_envs == 6 and forked.action_space.shape == (6,)
    moves = np.array([1, 4])
    shown = [forked.step(moves.repeat(3)) for _ in range(4)]
    assert same(envs.clone_state(), before)
    for observation, reward, *_ in shown:
        wanted, gained, *_ = envs.step(moves)
        np.testing.assert_array_equal(observation, wanted.repeat(3, axis=0))
        np.testing.assert_array_equal(reward, gained.repeat(3))


def test_other_actions_and_fresh_keys_lead_elsewhere(fidget: str) -> None:
    env = DreamEnv("pacman", checkpoint=fidget, device="cpu")
    env.reset(seed=2)
    tried = env.fork(9)
    observation, *_ = tried.step(np.arange(9))
    assert len({frame.tobytes() for frame in observation}) > 1
    drawn = env.fork(8, fresh=True)
    observation, *_ = drawn.step(np.full(8, 3))
    assert len({frame.tobytes() for frame in observation}) > 4
    np.testing.assert_array_equal(observation[0], env.step(3)[0])


@pytest.mark.parametrize("copies", [0, 1.5, True, "2"])
def test_a_wrong_number_of_copies_is_one_line(copies: Any, fidget: str) -> None:
    with pytest.raises(UsageError, match="fork\\(\\) takes a whole number of copies from 1"):
        lanes(fidget).fork(copies)


def test_nothing_is_forked_or_seen_before_a_reset(fidget: str) -> None:
    env = DreamEnv("pacman", checkpoint=fidget, device="cpu")
    for call in (lambda: env.fork(2), env.observe):
        with pytest.raises(ResetNeeded):
            call()


@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_what_is_observed_is_what_was_shown(observation: str) -> None:
    env = DreamEnv("pacman", checkpoint="emulator", device="cpu", observation=observation)
    shown, info = env.reset(seed=1)
    for step in range(3):
        seen, told = env.observe()
        np.testing.assert_array_equal(seen, shown)
        assert told == info
        shown, _, _, _, info = env.step(step)


def test_rewind_goes_back_to_what_was_shown() -> None:
    env = Rewind(gym.make("AtariDream-Pacman-v0", checkpoint="emulator", device="cpu"), steps=4)
    shown = [env.reset(seed=3)[0]]
    shown += [env.step(step)[0] for step in range(6)]
    for back, place in ((2, 4), (1, 3), (1, 2)):
        observation, info = env.rewind(back)
        np.testing.assert_array_equal(observation, shown[place])
        assert info["score"] >= 0
    with pytest.raises(UsageError, match=r"rewind\(\) takes a whole number of steps from 0 to 0, got 1"):
        env.rewind()
    for step in range(2, 6):
        np.testing.assert_array_equal(env.step(step)[0], shown[step + 1])


def test_rewind_takes_back_an_end(fidget: str) -> None:
    env = Rewind(DreamEnv("pacman", checkpoint=fidget, device="cpu", horizon=3))
    env.reset(seed=0)
    for _ in range(3):
        _, _, terminated, truncated, _ = env.step(np.int64(0))
    assert terminated or truncated
    env.rewind()
    env.step(np.int64(1))
    env.reset()
    with pytest.raises(UsageError, match="from 0 to 0"):
        env.rewind(1)


@pytest.mark.parametrize("steps", [0, 2.0, True])
def test_a_wrong_reach_is_one_line(steps: Any, fidget: str) -> None:
    with pytest.raises(UsageError, match="Rewind takes a whole number of steps from 1"):
        Rewind(DreamEnv("pacman", checkpoint=fidget, device="cpu"), steps)


def test_a_query_draws_by_seed_in_every_kind_of_environment(fidget: str) -> None:
    pool = bundled_pool("pacman")
    query = {"lives": 2, "stratum": ["life", "score"]}
    allowed = {
        entry["id"] for entry in pool.entries if entry["lives"] == 2 and entry["stratum"] in ("life", "score")
    }
    envs = lanes(fidget, 16)
    _, infos = envs.reset(seed=3, options={"start": query})
    drawn = infos["start"].tolist()
    assert set(drawn) <= allowed and len(set(drawn)) > 4
    env = DreamEnv("pacman", checkpoint=fidget, device="cpu")
    assert [env.reset(seed=3 + lane, options={"start": query})[1]["start"] for lane in range(16)] == drawn
    _, infos = envs.reset(seed=3)
    assert not set(infos["start"].tolist()) <= allowed


def test_stable_baselines3_takes_a_query_for_all_lanes(fidget: str) -> None:
    from atari_dream.envs import DreamVecEnv

    envs = DreamVecEnv("AtariDream-Pacman-v0", num_envs=3, checkpoint=fidget, device="cpu")
    envs.set_options({"start": {"lives": 1}})
    envs.reset()
    assert [info["lives"] for info in envs.reset_infos] == [1, 1, 1]
    envs.set_options([{"start": {"lives": lives}} for lives in (1, 2, 2)])
    with pytest.raises(UsageError, match="the same query for all lanes"):
        envs.reset()
