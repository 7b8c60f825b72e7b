"""Gymnasium's own wrappers, single and vector, work around a dream as around any environment."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import vector as vectors

import atari_dream  # noqa: F401

PACMAN = "AtariDream-Pacman-v0"

Wrap = Callable[[Any], Any]


def dream(**options: Any) -> gym.Env[Any, Any]:
    return gym.make(PACMAN, checkpoint="copy_last", device="cpu", **options)


def dreams(mode: str, **options: Any) -> VectorEnv[Any, Any, Any]:
    return gym.make_vec(
        PACMAN, num_envs=3, checkpoint="copy_last", device="cpu", horizon=4, autoreset_mode=mode, **options
    )


SINGLE: dict[str, Wrap] = {
    "AddRenderObservation": lambda env: wrappers.AddRenderObservation(env, render_only=False),
    "Autoreset": wrappers.Autoreset,
    "ClipReward": lambda env: wrappers.ClipReward(env, -1, 1),
    "DelayObservation": lambda env: wrappers.DelayObservation(env, 2),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float32),
    "FlattenObservation": wrappers.FlattenObservation,
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, 4),
    "GrayscaleObservation": wrappers.GrayscaleObservation,
    "MaxAndSkipObservation": lambda env: wrappers.MaxAndSkipObservation(env, 2),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "NormalizeReward": wrappers.NormalizeReward,
    "OrderEnforcing": wrappers.OrderEnforcing,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "RenderCollection": wrappers.RenderCollection,
    "RescaleObservation": lambda env: wrappers.RescaleObservation(
        wrappers.DtypeObservation(env, np.float32), np.float32(0), np.float32(1)
    ),
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(env, (210 * 160, 3)),
    "ResizeObservation": lambda env: wrappers.ResizeObservation(env, (84, 84)),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.25),
    "TimeAwareObservation": lambda env: wrappers.TimeAwareObservation(wrappers.TimeLimit(env, 5)),
    "TimeLimit": lambda env: wrappers.TimeLimit(env, 5),
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
}
VECTOR: dict[str, Wrap] = {
    "ClipReward": lambda envs: vectors.ClipReward(envs, -1, 1),
    "DtypeObservation": lambda envs: vectors.DtypeObservation(envs, np.float32),
    "FlattenObservation": vectors.FlattenObservation,
    "GrayscaleObservation": vectors.GrayscaleObservation,
    "NormalizeObservation": vectors.NormalizeObservation,
    "NormalizeReward": vectors.NormalizeReward,
    "RecordEpisodeStatistics": vectors.RecordEpisodeStatistics,
    "ResizeObservation": lambda envs: vectors.ResizeObservation(envs, (84, 84)),
    "TransformReward": lambda envs: vectors.TransformReward(envs, lambda reward: 2 * reward),
    "DictInfoToList": vectors.DictInfoToList,
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_wrappers(name: str) -> None:
    needs_render = name in ("AddRenderObservation", "RenderCollection")
    env = SINGLE[name](dream(render_mode="rgb_array" if needs_render else None, horizon=6))
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for _ in range(14):
        action = env.action_space.sample()
        observation, reward, terminated, truncated, info = env.step(action)
        assert np.isfinite(reward) and {"start", "lives", "score", "revision"} <= info.keys()
        assert env.observation_space.contains(observation)
        if (terminated or truncated) and name != "Autoreset":
            env.reset()
    env.close()


MODES = ("NextStep", "SameStep", "Disabled")
_OF_OBSERVATIONS = ("DtypeObservation", "FlattenObservation", "GrayscaleObservation", "ResizeObservation")
REFUSED = {(name, "SameStep") for name in _OF_OBSERVATIONS} | {
    ("NormalizeObservation", mode) for mode in ("SameStep", "Disabled")
}
"""Autoreset modes that Gymnasium's wrappers refuse for every environment."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name in VECTOR for mode in MODES if (name, mode) not in REFUSED]
)
def test_vector_wrappers(name: str, mode: str) -> None:
    envs = VECTOR[name](dreams(mode))
    observation, _ = envs.reset(seed=0)
    for _ in range(6):
        if mode == "Disabled" and bool(envs.unwrapped.lanes.over.any()):
            envs.reset(options={"reset_mask": envs.unwrapped.lanes.over.numpy()})
        observation, reward, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert len(observation) == 3 and np.isfinite(reward).all()
        assert terminated.shape == truncated.shape == (3,)
    envs.close()


def test_statistics_of_a_vector_count_whole_episodes() -> None:
    envs = vectors.RecordEpisodeStatistics(dreams("SameStep"))
    envs.reset(seed=0)
    lengths = []
    for _ in range(8):
        *_, infos = envs.step(envs.action_space.sample())
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
    assert lengths == [4] * 6


def test_a_person_can_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.warns(UserWarning, match="The HumanRendering wrapper is being applied"):
        env = dream(render_mode="human")
    shown = cast(wrappers.HumanRendering, env)
    shown.reset(seed=0)
    shown.step(0)
    assert shown.window.get_size() == (160, 210)
    env.close()


@pytest.mark.slow
def test_videos_are_recorded(tmp_path: Path) -> None:
    env = wrappers.RecordVideo(dream(render_mode="rgb_array", horizon=5), str(tmp_path / "videos"))
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    env.close()
    (video,) = (tmp_path / "videos").glob("*.mp4")
    frames = cv2.VideoCapture(str(video))
    assert int(frames.get(cv2.CAP_PROP_FRAME_COUNT)) >= 5 and frames.read()[1].shape == (210, 160, 3)


def test_made_by_module_by_spec_and_by_pickle() -> None:
    env = gym.make(f"atari_dream:{PACMAN}", checkpoint="copy_last", device="cpu")
    assert env.spec is not None
    told = json.loads(env.spec.to_json())
    assert told["id"] == PACMAN and told["kwargs"]["checkpoint"] == "copy_last"
    for spec in (
        gym.envs.registration.EnvSpec.from_json(env.spec.to_json()),
        pickle.loads(pickle.dumps(env.spec)),
    ):
        again = gym.make(spec)
        np.testing.assert_array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])
    envs = dreams("SameStep")
    assert json.loads(envs.spec.to_json())["kwargs"]["autoreset_mode"] == "SameStep"  # type: ignore[union-attr]
