"""TorchRL's own checks, its rollouts and resets, where it is installed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fidget import doubtful_checkpoint

pytest.importorskip("torchrl")

from tensordict import TensorDict
from torchrl.envs.utils import check_env_specs

from atari_dream.envs import DreamVectorEnv
from atari_dream.envs.torchrl import DreamTorchRLEnv
from atari_dream.errors import UsageError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def make(lanes: int = 3, **options: object) -> DreamTorchRLEnv:
    return DreamTorchRLEnv("pacman", lanes, checkpoint="copy_last", device="cpu", **options)


@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_torchrls_checks_pass(observation: str) -> None:
    check_env_specs(make(observation=observation), seed=0)


def test_a_rollout_is_that_of_the_vector() -> None:
    env = DreamTorchRLEnv("pacman", 2, checkpoint="emulator", device="cpu")
    envs = DreamVectorEnv(2, "pacman", checkpoint="emulator", device="cpu")
    env.set_seed(3)
    told = env.reset()
    wanted, _ = envs.reset(seed=3)
    np.testing.assert_array_equal(told["pixels"], wanted)
    for step in range(5):
        action = torch.tensor([step, 8 - step])
        told = env.step(told.set("action", action))["next"]
        frames, rewards, terminated, _, infos = envs.step(action)
        np.testing.assert_array_equal(told["pixels"], frames)
        np.testing.assert_array_equal(told["reward"][:, 0], rewards)
        np.testing.assert_array_equal(told["terminated"][:, 0], terminated)
        np.testing.assert_array_equal(told["score"][:, 0], infos["score"])


def test_lanes_that_have_ended_begin_anew() -> None:
    env = make(2, horizon=3)
    told = env.rollout(10, break_when_any_done=False)
    assert told["next", "truncated"][:, :, 0].tolist() == [[step % 3 == 2 for step in range(10)]] * 2
    assert told.batch_size == (2, 10)


def test_some_lanes_are_reset() -> None:
    env = make(3)
    env.set_seed(0)
    env.reset()
    before = env.envs.clone_state()
    mask = torch.tensor([[False], [True], [False]])
    env.reset(TensorDict({"_reset": mask}, batch_size=[3]))
    assert env.envs.clone_state().resets.tolist() == [0, 1, 0]
    assert torch.equal(env.envs.clone_state().start[[0, 2]], before.start[[0, 2]])


def test_keywords_are_checked() -> None:
    with pytest.raises(UsageError, match="unknown keyword 'observaton'"):
        make(observaton="dqn")
    with pytest.raises(UsageError, match="keyword 'output' is not for DreamTorchRLEnv"):
        make(output="numpy")


def test_doubt_is_told_where_it_is_calibrated(tmp_path: Path) -> None:
    env = DreamTorchRLEnv("pacman", 2, checkpoint=doubtful_checkpoint(tmp_path / "fidget"), device="cpu")
    check_env_specs(env, seed=0)
    before = env.reset()
    after = env.step(before.set("action", torch.zeros(2, dtype=torch.int64)))["next"]
    assert (after["doubt"] > before["doubt"]).all() and (before["doubt"] == 0.01).all()
    assert "doubt" not in make().reset()
