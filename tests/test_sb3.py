"""stable-baselines3's vector environment: equal to its own vector of single ones, and PPO learns in it."""

from typing import Any

import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecTransposeImage

from atari_dream.envs import DreamEnv, DreamVecEnv
from atari_dream.errors import UsageError


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget") / "checkpoint")


def make(num_envs: int = 2, checkpoint: str = "copy_last", **options: Any) -> DreamVecEnv:
    return DreamVecEnv("AtariDream-Pacman-v0", num_envs, checkpoint=checkpoint, device="cpu", **options)


@pytest.mark.parametrize(("lanes", "observation"), [(3, "rgb"), (5, "dqn")])
def test_equals_stable_baselines3s_own_vector(lanes: int, observation: str, fidget: str) -> None:
    """Infos too: what a lane last showed, whether it was cut, and its new start."""
    options = {"checkpoint": fidget, "observation": observation, "horizon": 12, "device": "cpu"}
    singles = DummyVecEnv([lambda: DreamEnv("pacman", **options)] * lanes)
    envs = DreamVecEnv("pacman", lanes, **options)
    assert envs.observation_space == singles.observation_space and envs.action_space == singles.action_space
    envs.seed(4)
    singles.seed(4)
    assert same(envs.reset(), singles.reset())
    cut = ended = 0
    for actions in np.random.default_rng(0).integers(0, 9, (40, lanes)):
        ours, theirs = envs.step(actions), singles.step(actions)
        assert same(ours, theirs) and same(envs.reset_infos, singles.reset_infos)
        cut += sum(info["TimeLimit.truncated"] for info in ours[3])
        ended += int(ours[2].sum())
    assert 0 < cut < ended


def test_terminal_observation_and_truncation() -> None:
    envs = make(3, horizon=2, observation="dqn")
    envs.seed(0)
    first = envs.reset()
    envs.step(np.zeros(3, int))
    observation, rewards, done, infos = envs.step(np.zeros(3, int))
    assert done.all() and done.dtype == bool and rewards.dtype == np.float32
    for lane, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert np.array_equal(info["terminal_observation"][-1], first[lane][-1])
        assert not np.array_equal(observation[lane], info["terminal_observation"])
    _, _, done, infos = envs.step(np.zeros(3, int))
    assert not done.any() and not any("terminal_observation" in info for info in infos)


def test_seeds_count_at_the_next_reset_alone() -> None:
    envs = make(3)
    assert envs.seed(7) == [7, 8, 9]
    envs.reset()
    state = envs.envs.clone_state()
    assert state.seed.tolist() == [7, 8, 9] and state.resets.tolist() == [0, 0, 0]
    envs.reset()
    assert envs.envs.clone_state().resets.tolist() == [1, 1, 1]
    envs.seed(7)
    envs.reset()
    assert same(envs.envs.clone_state(), state)
    assert envs.reset_infos[0]["start"] == envs.envs.world.pool.entries[state.start[0]]["id"]


def test_options_count_at_the_next_reset_alone() -> None:
    envs = make(2)
    entries = envs.envs.world.pool.entries
    envs.set_options({"start": 3})
    envs.reset()
    assert [info["start"] for info in envs.reset_infos] == [entries[3]["id"]] * 2
    envs.set_options([{"start": 1}, {"start": entries[2]["id"]}])
    envs.reset()
    assert [info["start"] for info in envs.reset_infos] == [entries[1]["id"], entries[2]["id"]]
    assert envs._options == [{}, {}]
    envs.set_options([{"start": 1}, {}])
    with pytest.raises(UsageError, match="the same options for all lanes"):
        envs.reset()
    envs.set_options({"begin": 1})
    with pytest.raises(UsageError, match="unknown option 'begin'"):
        envs.reset()


def test_attributes_are_shared_by_all_lanes() -> None:
    envs = make(3, render_mode="rgb_array")
    assert envs.get_attr("render_mode") == ["rgb_array"] * 3 and envs.get_attr("num_envs", [0, 2]) == [3, 3]
    assert envs.has_attr("world") and not envs.has_attr("wrld")
    envs.set_attr("note", 5)
    assert envs.get_attr("note", 1) == [5]
    envs.reset()
    states = envs.env_method("clone_state")
    assert len(states) == 3 and states[0].seed.shape == (3,)
    for call in (lambda: envs.set_attr("note", 6, indices=0), lambda: envs.env_method("close", indices=[1])):
        with pytest.raises(UsageError, match="shared by all lanes: leave out indices"):
            call()
    assert envs.env_is_wrapped(Monitor) == [False] * 3


def test_render_tiles_the_frames() -> None:
    envs = make(2, observation="dqn", render_mode="rgb_array")
    envs.reset()
    frames = envs.get_images()
    assert [frame.shape for frame in frames] == [(210, 160, 3)] * 2
    assert sorted(envs.render().shape[:2]) in ([210, 320], [160, 420])
    assert envs.metadata["render_modes"] == ["human", "rgb_array"]


@pytest.mark.parametrize("name", ["output", "autoreset_mode"])
def test_keywords_of_other_vectors_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name!r} is not for DreamVecEnv"):
        make(1, **{name: "torch"})


def test_horizon_and_max_episode_steps_are_one() -> None:
    envs = make(1, max_episode_steps=2)
    envs.reset()
    assert [envs.step(np.array([0]))[2].item() for _ in range(4)] == [False, True, False, True]
    with pytest.raises(UsageError, match="horizon=3 and max_episode_steps=2"):
        make(1, max_episode_steps=2, horizon=3)


def test_wrong_actions_are_refused() -> None:
    envs = make(2)
    envs.reset()
    with pytest.raises(UsageError, match="step\\(\\) takes 2 whole numbers"):
        envs.step(np.array([0.5, 1.0]))


def test_wrappers_of_stable_baselines3(fidget: str) -> None:
    envs = VecFrameStack(VecTransposeImage(VecMonitor(make(2, fidget, horizon=6))), 2)
    assert envs.reset().shape == (2, 6, 210, 160)
    episodes = []
    for _ in range(20):
        episodes += [info["episode"] for info in envs.step(np.zeros(2, int))[3] if "episode" in info]
    assert len(episodes) > 5 and max(episode["l"] for episode in episodes) == 6


def test_ppo_learns_without_a_warning(fidget: str) -> None:
    envs = VecMonitor(make(4, fidget, observation="dqn", horizon=10))
    agent = PPO("CnnPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    before = [parameter.clone() for parameter in agent.policy.parameters()]
    agent.learn(64)
    assert agent.num_timesteps == 64
    assert not all(map(torch.equal, before, agent.policy.parameters()))
    assert len(agent.ep_info_buffer) > 3
    returns, lengths = evaluate_policy(agent, envs, n_eval_episodes=3, return_episode_rewards=True)
    assert len(returns) == 3 and max(lengths) <= 10
