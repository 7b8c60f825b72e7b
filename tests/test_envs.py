"""The single environment: what Gymnasium, stable-baselines3 and a user may ask, beside the real games."""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import ale_py
import cv2
import gymnasium as gym
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from atari_dream.bundled import bundled_pool
from atari_dream.emulator import Emulator
from atari_dream.envs import DreamEnv
from atari_dream.errors import UsageError
from atari_dream.games import GAMES, Game
from atari_dream.palette import to_rgb

gym.register_envs(ale_py)
FIVE = [GAMES[name] for name in ("pacman", "pinball", "qbert", "revenge", "space_invaders")]
CONTROLS = ("emulator", "copy_last", "background")
games = pytest.mark.parametrize("game", FIVE, ids=lambda game: game.name)


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget") / "checkpoint")


def make(checkpoint: str = "copy_last", game: str = "pacman", **options: Any) -> DreamEnv:
    return DreamEnv(game, checkpoint=checkpoint, device="cpu", **options)


def play(env: gym.Env, steps: int, seed: int | None = 0, actions: int = 6) -> list[Any]:
    """The reset and what follows, a few games long."""
    out: list[Any] = [env.reset(seed=seed)]
    for step in range(steps):
        out.append(env.step(step % actions))
        if out[-1][2] or out[-1][3]:
            out.append(env.reset())
    return out


@games
@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_passes_the_checks_of_gymnasium_and_stable_baselines3(game: Game, observation: str) -> None:
    env = gym.make(game.env_id, checkpoint="copy_last", device="cpu", observation=observation).unwrapped
    check_env(env)
    check_env_of_sb3(env)


@pytest.mark.parametrize("observation", ["rgb", "dqn"])
@pytest.mark.parametrize("checkpoint", ["emulator", "fidget"])
def test_passes_them_whatever_dreams(checkpoint: str, observation: str, fidget: str) -> None:
    name = fidget if checkpoint == "fidget" else checkpoint
    options = {"checkpoint": name, "render_mode": "rgb_array", "sticky": 0.25, "device": "cpu"}
    env = gym.make("AtariDream-Pacman-v0", observation=observation, **options).unwrapped
    check_env(env)
    check_env_of_sb3(env)


@games
@pytest.mark.parametrize("full", [False, True])
def test_spaces_are_the_twins(game: Game, full: bool) -> None:
    env = gym.make(game.env_id, checkpoint="copy_last", full_action_space=full, device="cpu")
    twin = gym.make(game.twin, full_action_space=full)
    assert env.action_space == twin.action_space and env.observation_space == twin.observation_space
    assert env.metadata["render_fps"] == 60 / 4 and type(env.metadata["render_fps"]) is int
    keys = {tuple(sorted(keys)): action for keys, action in twin.unwrapped.get_keys_to_action().items()}
    assert env.unwrapped.get_keys_to_action() == keys
    twin.close()


@pytest.mark.filterwarnings("ignore:.*matplotlib is not installed")  # as it says where there is no screen
def test_gymnasium_can_play_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame
    from gymnasium.utils.play import play

    actions: list[int] = []

    def press(*step: Any) -> None:
        actions.append(step[2])
        key = {2: ord("w"), 5: pygame.K_ESCAPE}.get(len(actions))
        if key is not None:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode="", mod=0))

    env = gym.make("AtariDream-Pacman-v0", checkpoint="emulator", device="cpu", render_mode="rgb_array")
    play(env, callback=press, seed=0)
    assert actions[0] == 0 and actions[-1] == 1


@games
def test_the_real_game_is_the_twins(game: Game, noops: int = 7) -> None:
    """From power-on, under the same actions, `checkpoint="emulator"` shows what ALE's environment does."""
    twin = gym.make(game.twin, frameskip=1, repeat_action_probability=0.0)
    twin.reset(seed=0)
    for _ in range(2 + noops):
        real = twin.step(0)[0]
    env = make("emulator", game.name, starts="power-on")
    observation, info = env.reset(options={"start": f"power-on+{noops}"})
    assert np.array_equal(observation, real) and info["score"] == 0
    rng = np.random.default_rng(0)
    for action in rng.integers(0, env.action_space.n, 25):
        observation, reward, terminated, _, info = env.step(action)
        steps = [twin.step(action) for _ in range(4)]
        assert np.array_equal(observation, steps[-1][0])
        assert reward == sum(step[1] for step in steps)
        assert terminated == any(step[2] for step in steps) and info["lives"] == steps[-1][-1]["lives"]
    twin.close()


@games
def test_reset_returns_the_real_frame_whatever_dreams(game: Game) -> None:
    pool, console = bundled_pool(game.name), Emulator(game)
    seen = []
    for checkpoint in CONTROLS:
        env = make(checkpoint, game.name)
        seen.append([env.reset(seed=seed) for seed in (3, 4)])
    for reset in zip(*seen, strict=True):
        observation, info = reset[0]
        pool.replay(pool.find(info["start"]), console)
        assert np.array_equal(observation, to_rgb(console.frame))
        for other, facts in reset[1:]:
            assert np.array_equal(other, observation)
            assert {**facts, "revision": ""} == {**info, "revision": ""}


def test_reset_of_a_learnt_dream_returns_the_real_frame(fidget: str) -> None:
    real, dreamt = make("emulator"), make(fidget)
    for seed in range(5):
        (frame, info), (other, facts) = real.reset(seed=seed), dreamt.reset(seed=seed)
        assert np.array_equal(frame, other) and info["start"] == facts["start"]
        assert (info["lives"], info["score"]) == (facts["lives"], facts["score"])
        assert not np.array_equal(real.step(0)[0], dreamt.step(0)[0])


def test_same_seed_and_actions_give_the_same_game(fidget: str) -> None:
    one, other, third = (play(make(fidget, sticky=0.2), 60, seed) for seed in (1, 1, 2))
    assert same(one, other) and not same(one, third)
    assert sum(len(out) == 2 for out in one) > 3


def test_resets_are_counted_from_the_seed_not_by_the_steps(fidget: str) -> None:
    played, idle = make(fidget), make(fidget)
    for env in (played, idle):
        env.reset(seed=9)
    for _ in range(3):
        played.step(1)
        assert same(played.reset(), idle.reset())
    assert same(played.step(2), idle.step(2))


def test_without_a_seed_games_differ() -> None:
    keys = {int(env.clone_state().dream.key) for env in (make(), make()) if env.reset()}
    assert len(keys) == 2


def test_a_seeded_generator_draws_the_first_start() -> None:
    env = make()
    with pytest.raises(gym.error.Error, match=r"[Ss]eed"):
        env.reset(seed=-1)
    env.reset(seed=4)
    assert env.np_random_seed == 4 and env.clone_state().seed.tolist() == [4]


def stratum(game: str, name: str, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Starts of a stratum with their continuations, one action a step, int64 (T,)."""
    pool = bundled_pool(game)
    places = [place for place, entry in enumerate(pool.entries) if entry["stratum"] == name][:count]
    assert places
    for place in places:
        raw = pool.continuation(place)
        assert (raw == raw[:, :1]).all()
        yield place, raw[:, 0].astype(np.int64)


@pytest.mark.parametrize("name", ["end", "life", "score"])
def test_the_real_game_follows_each_starts_recorded_continuation(name: str) -> None:
    """Rewards are points, lives are ALE's, a lost life ends nothing and the game's end terminates."""
    pool, console = bundled_pool("space_invaders"), Emulator("space_invaders")
    env = make("emulator", "space_invaders", full_action_space=True)
    lost = gained = ends = 0
    for place, actions in stratum("space_invaders", name, 2):
        _, info = env.reset(options={"start": place})
        pool.replay(place, console)
        assert info["score"] == console.score and info["lives"] == console.lives
        for action in actions[:50]:
            lives = info["lives"]
            observation, reward, terminated, truncated, info = env.step(action)
            assert reward == console.step([action] * 4)
            assert np.array_equal(observation, to_rgb(console.frame))
            assert (terminated, truncated) == (console.over, False)
            assert (info["lives"], info["score"]) == (console.lives, console.score)
            lost, gained, ends = lost + (info["lives"] < lives), gained + reward, ends + terminated
            if terminated:
                break
    assert {"end": ends, "life": lost - ends, "score": gained}[name] > 0


def test_a_lost_life_terminates_where_asked() -> None:
    env = make("emulator", "space_invaders", full_action_space=True, terminal_on_life_loss=True)
    place, actions = next(stratum("space_invaders", "life", 1))
    _, info = env.reset(options={"start": place})
    for action in actions[:50]:
        lives = info["lives"]
        *_, terminated, _, info = env.step(action)
        assert terminated == (info["lives"] < lives)
        if terminated:
            break
    assert terminated
    with pytest.raises(ResetNeeded, match="has ended"):
        env.step(0)


def test_steps_and_infos_are_plain_python(fidget: str) -> None:
    env = make(fidget)
    kinds = {"start": str, "lives": int, "score": float, "revision": str}
    observation, info = env.reset(seed=0)
    infos, score = [info], info["score"]
    for step in range(5):
        observation, *numbers, info = env.step(step)
        assert [type(number) for number in numbers] == [float, bool, bool]
        assert observation in env.observation_space
        score += numbers[0]
        assert info["score"] == score
        infos.append(info)
    for info in infos:
        assert {name: type(value) for name, value in info.items()} == kinds
    assert {info["start"] for info in infos} == {infos[0]["start"]}


def test_horizon_truncates() -> None:
    env = make(horizon=3)
    for _ in range(2):
        env.reset(seed=0)
        assert [env.step(0)[3] for _ in range(3)] == [False, False, True]
        with pytest.raises(ResetNeeded):
            env.step(0)


@pytest.mark.parametrize(("limit", "horizon", "end"), [(2, 4, 2), (4, 2, 2), (None, 3, 3), (3, None, 3)])
def test_max_episode_steps_of_gymnasium_can_only_shorten(
    limit: int | None, horizon: int | None, end: int
) -> None:
    env = gym.make("AtariDream-Pacman-v0", limit, checkpoint="copy_last", device="cpu", horizon=horizon)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(end)] == [False] * (end - 1) + [True]


def test_power_on_starts_are_the_emulators_after_no_ops() -> None:
    env, console = make("emulator", "qbert", starts="power-on", observation="dqn"), Emulator("qbert")
    rgb, drawn = make("emulator", "qbert", starts="power-on"), set()
    for seed in range(12):
        (stack, info), (frame, _) = env.reset(seed=seed), rgb.reset(seed=seed)
        noops = int(info["start"].removeprefix("power-on+"))
        drawn.add(noops)
        assert 0 <= noops <= 30 and info["score"] == 0
        console.reset(noops)
        assert np.array_equal(frame, to_rgb(console.frame))
        assert (stack == stack[-1]).all()
    assert len(drawn) > 5


def grey(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("checkpoint", ["emulator", "fidget"])
def test_dqn_observation_is_the_last_four_frames_oldest_first(checkpoint: str, fidget: str) -> None:
    name = fidget if checkpoint == "fidget" else checkpoint
    env, rgb, pool = make(name, observation="dqn"), make(name), bundled_pool("pacman")
    compared = 0
    for seed in range(4):
        observation, info = env.reset(seed=seed)
        frames = list(to_rgb(pool.batch(np.array([pool.find(info["start"])])).frames[0, -4:].numpy()))
        assert np.array_equal(frames[-1], rgb.reset(seed=seed)[0])
        for step in range(7):
            assert np.array_equal(observation, [grey(frame) for frame in frames[-4:]])
            compared += 1
            (observation, *numbers, _), (frame, *others, _) = env.step(step), rgb.step(step)
            frames.append(frame)
            assert numbers == others
            if numbers[1]:
                break
    assert compared > 10


@pytest.mark.parametrize("checkpoint", ["emulator", "fidget"])
def test_a_restored_state_has_the_same_future(checkpoint: str, fidget: str) -> None:
    name = fidget if checkpoint == "fidget" else checkpoint
    env = make(name, observation="dqn", sticky=0.5, horizon=12)
    env.reset(seed=0)
    env.step(1)
    state = pickle.loads(pickle.dumps(env.clone_state()))
    futures = []
    for _ in range(2):
        futures.append([env.step(action) for action in (2, 3, 4)] + [env.reset(), env.step(1)])
        env.restore_state(state)
    other = make(name, observation="dqn", sticky=0.5, horizon=12)
    other.restore_state(state)
    futures.append([other.step(action) for action in (2, 3, 4)] + [other.reset(), other.step(1)])
    assert same(futures[0], futures[1]) and same(futures[0], futures[2])


def test_the_end_is_part_of_the_state() -> None:
    env = make(horizon=2)
    env.reset(seed=0)
    running = env.clone_state()
    env.step(0)
    env.step(0)
    ended = env.clone_state()
    env.restore_state(running)
    env.step(0)
    env.restore_state(ended)
    with pytest.raises(ResetNeeded, match="has ended: call reset"):
        env.step(0)


def test_nothing_before_the_first_reset() -> None:
    env = gym.make("AtariDream-Pacman-v0", checkpoint="copy_last", device="cpu", render_mode="rgb_array")
    for call in (lambda: env.step(0), env.unwrapped.clone_state, env.unwrapped.render):
        with pytest.raises(ResetNeeded, match="before reset"):
            call()
    assert not env.spec.order_enforce


ACTIONS = [9, -1, 2**70, 1.0, float("nan"), True, "UP", None, [1], (1, 2)]
ACTIONS += [np.float32(2), np.True_, np.array([1]), torch.tensor(1.0), torch.tensor(True), torch.tensor([1])]


@pytest.mark.parametrize("action", ACTIONS, ids=repr)
def test_wrong_action(action: Any) -> None:
    env = make()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="takes one whole number from 0 to 8, got ") as caught:
        env.step(action)
    assert "\n" not in str(caught.value)
    assert env.clone_state().elapsed.tolist() == [0]


@pytest.mark.parametrize("action", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)], ids=repr)
def test_right_action(action: Any) -> None:
    env = make("emulator")
    env.reset(seed=0)
    env.step(action)
    assert env.clone_state().held.tolist() == [GAMES["pacman"].actions[3]]


def test_a_start_can_be_chosen() -> None:
    env, pool = make(), bundled_pool("pacman")
    entry = pool.entries[5]
    for start in (5, entry["id"]):
        _, info = env.reset(seed=1, options={"start": start})
        assert (info["start"], info["lives"], info["score"]) == (entry["id"], entry["lives"], entry["score"])
    wrong = [(len(pool), "start takes"), ("none", "unknown start"), ({"lifes": 1}, "unknown field")]
    for start, hint in wrong:
        with pytest.raises(UsageError, match=hint):
            env.reset(options={"start": start})
    with pytest.raises(UsageError, match="unknown option 'begin': allowed are"):
        env.reset(options={"begin": 1})


def test_starts_of_a_folder_and_a_pool_of_another_game() -> None:
    folder = bundled_pool("qbert").name
    assert same(make(game="qbert", starts=folder).reset(seed=0), make(game="qbert").reset(seed=0))
    with pytest.raises(UsageError, match="is of game 'qbert', not 'pacman'"):
        make(starts=folder)
    with pytest.raises(UsageError, match="no start pool at"):
        make(starts="nowhere")


def test_a_checkpoint_must_fit_the_game_and_its_starts(fidget: str, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match=r"is of game 'pacman' at frame skip 4.*of 'qbert' at 4"):
        make(fidget, "qbert")
    other = fidget_checkpoint(tmp_path / "skip", frame_skip=2)
    with pytest.raises(UsageError, match=r"at frame skip 2.*of 'pacman' at 4"):
        make(other)
    env = make(other, starts="power-on")
    env.reset(seed=0)
    env.step(0)
    assert env.metadata["render_fps"] == 30
    with pytest.raises(
        UsageError, match=r"unknown checkpoint 'emulatr': allowed are .*nearest is 'emulator'"
    ):
        make("emulatr")


def test_render(fidget: str) -> None:
    env, rgb = make(fidget, observation="dqn", render_mode="rgb_array"), make(fidget)
    assert np.array_equal(rgb.reset(seed=0)[0], (env.reset(seed=0), env.render())[1])
    assert np.array_equal(rgb.step(4)[0], (env.step(4), env.render())[1])
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert rgb.render() is None


@pytest.mark.slow
def test_make_imports_the_package_by_name() -> None:
    """As a user would: Gymnasium alone is imported, and warnings are errors."""
    script = (
        "import gymnasium as gym\n"
        "env = gym.make('atari_dream:AtariDream-Pacman-v0', checkpoint='emulator', device='cpu')\n"
        "observation, info = env.reset(seed=0)\n"
        "print(env.step(1)[0].shape, env.spec.id)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.stdout == "(210, 160, 3) AtariDream-Pacman-v0\n", done.stderr
    assert done.stderr.count("\n") < 3 and "nanobind" not in done.stderr


def test_the_spec_makes_it_again(fidget: str) -> None:
    options = {"checkpoint": fidget, "device": "cpu", "observation": "dqn", "sticky": 0.25}
    env = gym.make("AtariDream-Pacman-v0", **options)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec
    assert same(play(env, 10), play(again, 10))


def test_a_pickled_environment_goes_on(fidget: str) -> None:
    env = make(fidget, sticky=0.5)
    play(env, 5)
    again = pickle.loads(pickle.dumps(env))
    assert same([env.step(1) for _ in range(2)], [again.step(1) for _ in range(2)])
    assert same(env.reset(), again.reset())


def test_wrappers_of_gymnasium(fidget: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.wrappers.ResizeObservation(gym.wrappers.GrayscaleObservation(make(fidget)), (84, 84))
        env = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.FrameStackObservation(env, 4))
        observation, _ = env.reset(seed=0)
    assert observation.shape == (4, 84, 84)
    rewards, terminated = [], False
    while not terminated:
        _, reward, terminated, _, info = env.step(0)
        rewards.append(float(reward))
    assert info["episode"]["r"] == sum(rewards) and info["episode"]["l"] == len(rewards)


def test_instances_do_not_share_metadata() -> None:
    one, other = make(), make()
    one.metadata["render_modes"].append("human")
    assert other.metadata["render_modes"] == DreamEnv.metadata["render_modes"] == ["rgb_array"]
