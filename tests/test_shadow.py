"""The real game beside the dream: it is the real game, the drift is the drift, and resync brings the dream back."""

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from gymnasium.error import ResetNeeded

import atari_dream  # noqa: F401
from atari_dream.emulator import Emulator
from atari_dream.envs import DreamEnv, DreamVectorEnv, state_from_bytes, state_to_bytes
from atari_dream.errors import UsageError
from atari_dream.games import GAMES

NAMES = {"frame", "reward", "score", "terminated", "lives", "wrong_pixels", "psnr"}


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget"))


def beside(count: int, checkpoint: str, game: str = "pacman", **options: Any) -> DreamVectorEnv:
    options = {"shadow": True, "device": "cpu", **options}
    envs = DreamVectorEnv(count, game, checkpoint=checkpoint, **options)
    envs.reset(seed=0)
    return envs


def moves(envs: DreamVectorEnv, steps: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    for _ in range(steps):
        yield rng.integers(envs.single_action_space.n, size=envs.num_envs)


@pytest.mark.parametrize(
    "game", [pytest.param(game, marks=[] if game == "pacman" else [pytest.mark.slow]) for game in GAMES]
)
def test_behind_the_emulator_there_is_no_drift(game: str) -> None:
    envs = beside(2, "emulator", game, autoreset_mode="SameStep", sticky=0.25)
    for action in moves(envs, 60):
        observation, reward, terminated, _, infos = envs.step(action)
        real = infos["shadow"]
        final = np.zeros(2, bool) if "_final_obs" not in infos else infos["_final_obs"]
        np.testing.assert_array_equal(real["frame"], observation)
        np.testing.assert_array_equal(real["reward"][~final], reward[~final])
        assert not real["wrong_pixels"].any() and (real["psnr"] == 100).all()
        np.testing.assert_array_equal(real["lives"], infos["lives"])
        np.testing.assert_array_equal(real["score"], infos["score"])
        assert not terminated[~final].any()


@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_the_drift_is_that_of_the_frames(output: str, fidget: str) -> None:
    envs, twin = (
        beside(3, fidget, output=output),
        DreamVectorEnv(3, "pacman", checkpoint="emulator", device="cpu"),
    )
    twin.reset(seed=0)
    for step in range(3):
        observation, *_, infos = envs.step(np.array([1, 2, 3]))
        frame, reward, _, _, told = twin.step(np.array([1, 2, 3]))
        real = {name: np.asarray(column) for name, column in infos["shadow"].items()}
        assert set(real) == (NAMES if output == "torch" else NAMES | {f"_{name}" for name in NAMES})
        over = np.asarray(envs.lanes.over) if envs.lanes is not None else None
        assert over is not None
        np.testing.assert_array_equal(real["frame"], frame)
        np.testing.assert_array_equal(real["reward"], reward)
        np.testing.assert_array_equal(real["score"], told["score"])
        shown = np.asarray(observation).astype(float)
        wrong = (shown != frame).any(-1).mean((1, 2))
        np.testing.assert_allclose(real["wrong_pixels"], wrong, rtol=1e-5)
        square = np.square(shown - frame).mean((1, 2, 3))
        np.testing.assert_allclose(real["psnr"], 10 * np.log10(255**2 / square), rtol=1e-4)
        assert step or wrong.all()
        if over.any():
            break


def test_a_single_environment_tells_plain_values() -> None:
    env = gym.make("AtariDream-Pacman-v0", checkpoint="copy_last", device="cpu", shadow=True)
    _, info = env.reset(seed=2)
    assert set(info["shadow"]) == NAMES and info["shadow"]["psnr"] == 100
    for _ in range(4):
        observation, *_, info = env.step(2)
    real = info["shadow"]
    kinds = {name: type(value) for name, value in real.items() if name != "frame"}
    assert kinds == dict.fromkeys(["reward", "score", "wrong_pixels", "psnr"], float) | {
        "terminated": bool,
        "lives": int,
    }
    assert real["frame"].shape == (210, 160, 3) and real["wrong_pixels"] > 0
    shown, info = env.unwrapped.resync()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(shown, real["frame"])
    assert info["shadow"]["wrong_pixels"] == 0 and info["score"] == real["score"]
    assert (shown != observation).any()


@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_resync_takes_some_lanes_to_their_real_states(observation: str, fidget: str) -> None:
    envs = beside(4, fidget, observation=observation)
    twin = DreamVectorEnv(4, "pacman", checkpoint="emulator", device="cpu", observation=observation)
    twin.reset(seed=0)
    for step in range(5):
        before, *_ = envs.step(np.full(4, step))
        real, *_ = twin.step(np.full(4, step))
    mask = np.array([True, False, True, False])
    shown, infos = envs.resync(mask)
    np.testing.assert_array_equal(shown[mask], real[mask])
    np.testing.assert_array_equal(shown[~mask], before[~mask])
    assert not infos["shadow"]["wrong_pixels"][mask].any()
    assert envs.lanes is not None and not bool(envs.lanes.over[torch.from_numpy(mask)].any())


def test_after_resync_a_dream_goes_on_as_from_a_start() -> None:
    """Its state is what burning in on the real context gives."""
    envs = beside(2, "background")
    for action in moves(envs, 6):
        envs.step(action)
    envs.resync()
    assert envs.lanes is not None and envs.lanes.shadow
    wanted = envs.world.predictor.init(envs.lanes.shadow.start())
    assert same(envs.lanes.dream.predictor, wanted)


def test_what_cannot_be_resynced_is_one_line(fidget: str) -> None:
    plain = DreamVectorEnv(2, "pacman", checkpoint="copy_last", device="cpu")
    with pytest.raises(ResetNeeded):
        plain.resync()
    plain.reset(seed=0)
    with pytest.raises(UsageError, match=r"resync\(\) needs the real game: .*shadow=True"):
        plain.resync()
    envs = beside(2, "copy_last", autoreset_mode="Disabled")
    assert envs.lanes is not None and envs.lanes.shadow
    over = torch.tensor([False, True])
    envs.lanes = envs.lanes._replace(shadow=envs.lanes.shadow._replace(over=over))
    with pytest.raises(UsageError, match=r"the real game of lanes \[1\] has ended: reset them"):
        envs.resync()
    envs.resync(np.array([True, False]))


def test_a_real_game_that_is_over_stays_over() -> None:
    envs = beside(1, "copy_last", "pinball", horizon=None)
    pool = envs.world.pool
    ends = next(place for place, entry in enumerate(pool.entries) if entry["stratum"] == "end")
    envs.reset(seed=0, options={"start": ends})
    codes = {code: place for place, code in enumerate(envs.options.codes)}
    seen = []
    for raw in pool.continuation(ends)[:60]:
        *_, infos = envs.step(np.array([codes.get(int(raw[-1]), 0)]))
        seen.append((bool(infos["shadow"]["terminated"][0]), float(infos["shadow"]["score"][0])))
    overs = [over for over, _ in seen]
    assert overs == sorted(overs) and overs[-1]
    last = seen[overs.index(True)][1]
    assert all(score == last for over, score in seen if over)


@pytest.mark.slow
def test_worker_processes_play_the_same_games() -> None:
    alone, shared = beside(5, "copy_last"), beside(5, "copy_last", shadow=2)
    try:
        for action in moves(alone, 8):
            one, other = alone.step(action)[-1], shared.step(action)[-1]
            for name in NAMES:
                np.testing.assert_array_equal(one["shadow"][name], other["shadow"][name])
    finally:
        shared.close()
    shared = beside(5, "copy_last", shadow=2)
    shared.close()


def test_states_and_forks_carry_the_real_game(fidget: str) -> None:
    envs = beside(2, fidget)
    for action in moves(envs, 3):
        envs.step(action)
    state = envs.clone_state()
    assert same(state_from_bytes(state_to_bytes(state)), state)
    forked = envs.fork(2)
    told = forked.step(np.array([1, 1, 2, 2]))[-1]["shadow"]["frame"]
    np.testing.assert_array_equal(told[::2], told[1::2])
    np.testing.assert_array_equal(told[::2], envs.step(np.array([1, 2]))[-1]["shadow"]["frame"])
    with pytest.raises(UsageError, match="another kind of environment"):
        beside(2, fidget, shadow=False).restore_state(state)


def test_stable_baselines3_is_told_by_lane() -> None:
    from atari_dream.envs import DreamVecEnv

    envs = DreamVecEnv("pacman", num_envs=2, checkpoint="copy_last", device="cpu", shadow=True)
    envs.reset()
    *_, infos = envs.step(np.zeros(2, int))
    assert [set(info["shadow"]) for info in infos] == [NAMES] * 2
    assert infos[0]["shadow"]["frame"].shape == (210, 160, 3)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "number of processes, got 0"),
        ("yes", "number of processes, got 'yes'"),
        (1.5, "processes, got 1.5"),
    ],
)
def test_a_wrong_shadow_is_one_line(value: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        DreamVectorEnv(2, "pacman", checkpoint="copy_last", shadow=value)


def test_environment_checkers_pass_with_a_shadow() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(DreamEnv("pacman", checkpoint="copy_last", device="cpu", shadow=True), skip_render_check=True)


def test_told_the_memory_a_dream_begins_and_goes_on_after_resync_from_what_the_emulator_holds() -> None:
    envs = DreamVectorEnv(2, "pacman", device="cpu", shadow=True, memory=True)
    envs.reset(seed=0)
    assert envs.lanes is not None
    starts = envs.lanes.start.numpy()
    np.testing.assert_array_equal(envs.lanes.dream.predictor[2].numpy(), envs.world.pool.ram[starts])
    for _ in range(4):
        envs.step([0, 1])
    envs.resync()
    assert envs.lanes.shadow
    emulator = Emulator("pacman")
    for lane, state in enumerate(envs.lanes.shadow.game[0].numpy()):
        emulator.restore(state)
        np.testing.assert_array_equal(envs.lanes.dream.predictor[2][lane].numpy(), emulator.ram)
