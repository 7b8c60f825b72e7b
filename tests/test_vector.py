"""The vector environment: lanes equal single environments, the three autoreset modes, torch output, state."""

import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from atari_dream.bundled import ROOT, bundled_checkpoint
from atari_dream.envs import DreamEnv, DreamVectorEnv
from atari_dream.errors import UsageError
from atari_dream.games import GAMES

MODES = list(AutoresetMode)
PACMAN = "AtariDream-Pacman-v0"


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget") / "checkpoint")


def make(num_envs: int, checkpoint: str = "copy_last", **options: Any) -> DreamVectorEnv:
    return DreamVectorEnv(num_envs, "pacman", checkpoint=checkpoint, device="cpu", **options)


def plan(lanes: int, steps: int) -> np.ndarray:
    """Actions, int64 (steps, lanes)."""
    return np.random.default_rng(0).integers(0, 9, (steps, lanes))


def stream(envs: Any, actions: np.ndarray, seed: Any = 0) -> list[Any]:
    """All that comes out of an environment; in disabled mode lanes that ended are reset by mask."""
    out: list[Any] = [envs.reset(seed=seed)]
    for action in actions:
        step = envs.step(action)
        out.append(step)
        ended = np.asarray(step[2]) | np.asarray(step[3])
        if envs.metadata["autoreset_mode"] == AutoresetMode.DISABLED and ended.any():
            out.append(envs.reset(options={"reset_mask": ended}))
    return out


def as_ours(out: Any) -> Any:
    """Rewards of `SyncVectorEnv` are float64, ours float32."""
    return (out[0], out[1].astype(np.float32), *out[2:]) if len(out) == 5 else out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("lanes", "observation"), [(1, "rgb"), (3, "rgb"), (8, "dqn")])
def test_equals_gymnasiums_vector_of_single_environments(
    mode: AutoresetMode, lanes: int, observation: str, fidget: str
) -> None:
    """Lane i is the single environment with its seed, bit for bit, its autoresets and infos included."""
    options = {"checkpoint": fidget, "observation": observation, "horizon": 9, "device": "cpu"}
    singles = SyncVectorEnv([lambda: DreamEnv("pacman", **options)] * lanes, autoreset_mode=mode)
    envs = DreamVectorEnv(lanes, "pacman", autoreset_mode=mode, **options)
    assert envs.metadata["autoreset_mode"] == singles.metadata["autoreset_mode"]
    actions, seeds = plan(lanes, 26), [7 + 3 * lane % 5 for lane in range(lanes)]
    ours, theirs = (stream(each, actions, seeds) for each in (envs, singles))
    assert len(ours) == len(theirs)
    assert all(same(one, as_ours(other)) for one, other in zip(ours, theirs, strict=True))
    steps = [out for out in ours if len(out) == 5]
    assert sum(out[2].sum() for out in steps) > lanes / 2 and sum(out[3].sum() for out in steps) >= lanes / 2


@pytest.mark.parametrize("mode", MODES)
def test_equals_it_with_the_real_game(mode: AutoresetMode) -> None:
    options = {"checkpoint": "emulator", "terminal_on_life_loss": True, "horizon": 25, "device": "cpu"}
    singles = SyncVectorEnv([lambda: DreamEnv("space_invaders", **options)] * 3, autoreset_mode=mode)
    envs = DreamVectorEnv(3, "space_invaders", autoreset_mode=mode.value, **options)
    actions = plan(3, 60) % 6
    ours, theirs = (stream(each, actions, 5) for each in (envs, singles))
    assert all(same(one, as_ours(other)) for one, other in zip(ours, theirs, strict=True))


def test_a_lane_does_not_depend_on_position_or_number(fidget: str) -> None:
    actions = plan(8, 25)
    many = stream(make(8, fidget, autoreset_mode="SameStep"), actions, [5, 1, 9, 3, 7, 0, 2, 4])
    few = stream(make(2, fidget, autoreset_mode="SameStep"), actions[:, [6, 2]], [2, 9])
    for one, other in zip(many, few, strict=True):
        for a, b in zip(one[:-1], other[:-1], strict=True):
            assert np.array_equal(a[[6, 2]], b)
        for name in ("start", "lives", "score"):
            assert np.array_equal(one[-1][name][[6, 2]], other[-1][name])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_torch_output_equals_numpy_output(mode: AutoresetMode, observation: str, fidget: str) -> None:
    options = {"autoreset_mode": mode, "observation": observation, "horizon": 9}
    arrays, tensors = make(3, fidget, **options), make(3, fidget, output="torch", **options)
    ours, theirs = (stream(envs, plan(3, 30)) for envs in (tensors, arrays))
    finals = 0
    for one, other in zip(ours, theirs, strict=True):
        assert all(isinstance(part, torch.Tensor) for part in one[:-1])
        assert all(same(part.numpy(), wanted) for part, wanted in zip(one[:-1], other[:-1], strict=True))
        mask = other[-1]["_start"]
        check_infos(one[-1], other[-1], mask, tensors)
        if len(one) == 5 and mode == AutoresetMode.SAME_STEP:
            finals += check_finals(one, other, tensors)
    assert finals > 5 or mode != AutoresetMode.SAME_STEP


def check_infos(
    infos: dict[str, Any], wanted: dict[str, Any], mask: np.ndarray, envs: DreamVectorEnv
) -> None:
    ids = np.array([entry["id"] for entry in envs.world.pool.entries], dtype=object)
    assert infos["start"].dtype == torch.int64 and infos["revision"] == envs.world.revision
    assert np.array_equal(ids[infos["start"]][mask], wanted["start"][mask])
    for name in ("lives", "score"):
        assert np.array_equal(infos[name].numpy()[mask], wanted[name][mask])


def check_finals(one: Any, other: Any, envs: DreamVectorEnv) -> int:
    """Dense finals and their masks are there at every step; returns how many lanes ended."""
    infos, ended = one[-1], one[2] | one[3]
    assert torch.equal(infos["_final_obs"], ended) and torch.equal(infos["_final_info"], ended)
    assert infos["final_obs"].shape == one[0].shape and infos["final_obs"].dtype == torch.uint8
    assert {"start", "lives", "score", "revision"} <= set(infos["final_info"])
    for lane in ended.nonzero()[:, 0].tolist():
        assert np.array_equal(infos["final_obs"][lane], other[-1]["final_obs"][lane])
    if ended.any():
        check_infos(infos["final_info"], other[-1]["final_info"], ended.numpy(), envs)
    assert ("final_obs" in other[-1]) == bool(ended.any())
    return int(ended.sum())


@pytest.mark.slow
@pytest.mark.parametrize("weights", sorted(ROOT.glob("*/weights/r*")), ids=str)
def test_bundled_weights_dream_the_same_at_any_batch_size(weights: Path) -> None:
    options = {"checkpoint": f"bundled@{weights.name}", "horizon": 3, "device": "cpu"}
    actions = plan(8, 7) % 6
    many = stream(DreamVectorEnv(8, weights.parts[-3], **options), actions, [3, 1, 4, 15, 9, 2, 6, 5])
    for lanes in ([4], [7, 0, 2]):
        seeds = [[3, 1, 4, 15, 9, 2, 6, 5][lane] for lane in lanes]
        few = stream(DreamVectorEnv(len(lanes), weights.parts[-3], **options), actions[:, lanes], seeds)
        for one, other in zip(many, few, strict=True):
            assert all(np.array_equal(a[lanes], b) for a, b in zip(one[:-1], other[:-1], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "lanes", "threads", "steps"),
    [(weights, 64, 2, 2) for weights in sorted(ROOT.glob("*/weights/r*"))]
    + [(bundled_checkpoint(game), 1024, 1, 1) for game in GAMES],
    ids=str,
)
def test_bundled_weights_dream_the_same_in_a_crowd(
    weights: Path, lanes: int, threads: int, steps: int
) -> None:
    """Starts are few, as burning them in takes longer than the dream."""
    options = {"checkpoint": f"bundled@{weights.name}", "device": "cpu"}
    chosen, count = [0, lanes // 2 + 3, lanes - 1], torch.get_num_threads()

    def play(seeds: list[int], threads: int) -> np.ndarray:
        torch.set_num_threads(threads)
        envs = DreamVectorEnv(len(seeds), weights.parts[-3], **options)
        envs.reset(seed=list(seeds), options={"start": [seed % 8 for seed in seeds]})
        return np.stack([envs.step(np.array(seeds) % 6)[0] for _ in range(steps)])

    try:
        crowd = play(list(range(lanes)), threads)
        for seed in chosen:
            assert np.array_equal(play([seed], 1)[:, 0], crowd[:, seed])
    finally:
        torch.set_num_threads(count)


def test_what_is_handed_out_is_the_callers_own(fidget: str) -> None:
    actions = plan(3, 25)
    for output in ("numpy", "torch"):
        clean = stream(make(3, fidget, output=output, observation="dqn", autoreset_mode="SameStep"), actions)
        envs = make(3, fidget, output=output, observation="dqn", autoreset_mode="SameStep")
        out: Any = envs.reset(seed=0)
        for action, wanted in zip([*actions, None], clean, strict=True):
            assert same(out, wanted)
            for part in (*out[:-1], *(part for part in out[-1].values() if not isinstance(part, dict | str))):
                part[:] = 0
            if action is not None:
                out = envs.step(action)


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_reset_mask(kind: Any, fidget: str) -> None:
    envs = make(3, fidget, autoreset_mode=AutoresetMode.DISABLED)
    observation, _ = envs.reset(seed=0)
    before = envs.clone_state()
    after, infos = envs.reset(options={"reset_mask": kind([False, True, False])})
    assert np.array_equal(after[[0, 2]], observation[[0, 2]])
    assert infos["_start"].tolist() == [False, True, False]
    assert envs.clone_state().resets.tolist() == [0, 1, 0]
    assert same(envs.clone_state().dream.key[[0, 2]], before.dream.key[[0, 2]])
    single = DreamEnv("pacman", checkpoint=fidget, device="cpu")
    single.reset(seed=1)
    assert np.array_equal(after[1], single.reset()[0])


def test_masked_reset_with_seeds_leaves_the_others(fidget: str) -> None:
    envs = make(3, fidget)
    observation, _ = envs.reset(seed=0)
    mask = np.array([True, False, True])
    after, _ = envs.reset(seed=[4, 5, None], options={"reset_mask": mask})
    assert envs.clone_state().seed.tolist() == [4, 1, 2] and envs.clone_state().resets.tolist() == [0, 0, 1]
    assert np.array_equal(after[1], observation[1])
    assert np.array_equal(after[0], make(1, fidget).reset(seed=4)[0][0])


def test_ended_lanes_must_be_reset_in_disabled_mode() -> None:
    envs = make(3, horizon=2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step([0, 0, 0])
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    assert envs.step([0, 0, 0])[3].tolist() == [True, False, True]
    with pytest.raises(ResetNeeded, match=r"lanes \[0, 2\] have ended"):
        envs.step([0, 0, 0])
    envs.reset(options={"reset_mask": np.array([True, False, True])})
    assert envs.step([0, 0, 0])[3].tolist() == [False, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_a_restored_state_has_the_same_future(mode: AutoresetMode, fidget: str) -> None:
    """Pending resets, step counts, frame stacks and random keys are part of the state."""
    envs = make(3, fidget, observation="dqn", horizon=6, autoreset_mode=mode)
    actions = plan(3, 24)
    envs.reset(seed=0)
    for place, action in enumerate(actions):
        state = envs.clone_state()
        if mode == AutoresetMode.DISABLED and state.over.any():
            envs.reset(options={"reset_mask": state.over})
            state = envs.clone_state()
        if place % 5 == 0:
            other = make(3, fidget, observation="dqn", horizon=6, autoreset_mode=mode)
            other.restore_state(pickle.loads(pickle.dumps(state)))
            first, again = continued(envs, actions[place:][:8]), continued(other, actions[place:][:8])
            assert same(first, again)
            envs.restore_state(state)
            assert same(continued(envs, actions[place:][:8]), first)
            envs.restore_state(state)
        envs.step(action)


def continued(envs: DreamVectorEnv, actions: np.ndarray) -> list[Any]:
    out = []
    for action in actions:
        out.append(envs.step(action))
        ended = out[-1][2] | out[-1][3]
        if envs.autoreset_mode == AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    return out


def test_a_state_is_a_copy(fidget: str) -> None:
    envs = make(2, fidget)
    envs.reset(seed=0)
    kept, given = envs.clone_state(), envs.clone_state()
    envs.restore_state(given)
    for part in (given.score, given.dream.key, given.dream.predictor[0]):
        part[:] = 1
    assert same(envs.clone_state(), kept)


def test_a_state_of_another_kind_is_refused(fidget: str) -> None:
    envs = make(2, fidget)
    envs.reset(seed=0)
    state = envs.clone_state()
    for other in (make(3, fidget), make(2, fidget, observation="dqn"), make(2)):
        with pytest.raises(UsageError, match=r"got 2 lanes of another kind.*this one has \d lanes"):
            other.restore_state(state)
        assert other.lanes is None
    with pytest.raises(UsageError, match="takes what clone_state"):
        envs.restore_state(b"state")  # type: ignore[arg-type]


def test_horizon_and_max_episode_steps_are_one() -> None:
    def ends(**options: Any) -> int:
        envs = gym.make_vec(PACMAN, num_envs=2, checkpoint="copy_last", device="cpu", **options)
        envs.reset(seed=0)
        return 1 + [bool(envs.step([0, 0])[3].all()) for _ in range(6)].index(True)

    assert ends(horizon=3) == ends(max_episode_steps=3) == ends(horizon=3, max_episode_steps=3) == 3
    with pytest.raises(UsageError, match="horizon=3 and max_episode_steps=4"):
        ends(horizon=3, max_episode_steps=4)
    with pytest.raises(UsageError, match="horizon=None and max_episode_steps=4"):
        ends(horizon=None, max_episode_steps=4)
    with pytest.raises(UsageError, match="horizon must be a whole number"):
        ends(max_episode_steps=0)


@pytest.mark.parametrize("mode", MODES)
def test_make_vec(mode: AutoresetMode) -> None:
    envs = gym.make_vec(
        PACMAN, num_envs=3, checkpoint="copy_last", device="cpu", observation="dqn", autoreset_mode=mode.value
    )
    assert type(envs) is DreamVectorEnv and envs.num_envs == 3
    assert envs.metadata["autoreset_mode"] is mode and envs.metadata["render_fps"] == 15
    assert DreamVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.single_observation_space == gym.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    assert envs.observation_space.shape == (3, 4, 84, 84) and envs.action_space.shape == (3,)
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    out = envs.step(envs.action_space.sample())
    assert out[0] in envs.observation_space and out[1].dtype == np.float32
    assert out[2].dtype == out[3].dtype == bool
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert again.num_envs == 3 and again.metadata["autoreset_mode"] is mode
    envs.close()
    envs.close()


def test_metadata_is_each_instances_own() -> None:
    one, other = make(1), make(1)
    one.metadata["render_modes"].append("human")
    assert other.metadata["render_modes"] == DreamVectorEnv.metadata["render_modes"] == ["rgb_array"]


@pytest.mark.parametrize("mode", ["sync", pytest.param("async", marks=pytest.mark.slow)])
def test_gymnasiums_own_vectors(mode: Any) -> None:
    """Forked workers must not wait for OpenMP threads that only their parent has."""
    options = {"checkpoint": "emulator", "device": "cpu", "observation": "dqn", "horizon": 4}
    envs = gym.make_vec(PACMAN, num_envs=2, **options)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        envs.reset(seed=3)
        torch.ones(600, 600) @ torch.ones(600, 600)
        others = gym.make_vec(PACMAN, num_envs=2, vectorization_mode=mode, **options)
        ours, theirs = stream(envs, plan(2, 8), 3), stream(others, plan(2, 8), 3)
        others.close()
    finally:
        torch.set_num_threads(threads)
    assert all(same(one, as_ours(other)) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_wrappers_of_gymnasium(mode: AutoresetMode, fidget: str) -> None:
    envs: Any = make(3, fidget, horizon=5, autoreset_mode=mode)
    if mode == AutoresetMode.NEXT_STEP:  # Gymnasium's observation wrappers take no other
        envs = gym.wrappers.vector.GrayscaleObservation(envs)
        assert envs.reset(seed=0)[0].shape == (3, 210, 160)
    seen = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    seen.reset(seed=0)
    steps = [seen.step(action) for action in plan(3, 12)]
    rewards, ended = np.array([step[1] for step in steps]), [step[2] | step[3] for step in steps]
    assert sum(ends.sum() for ends in ended) > 5
    first = [[bool(ends[lane]) for ends in ended].index(True) for lane in range(3)]
    for lane, end in enumerate(first):
        episode = steps[end][-1]["episode"]
        assert episode["l"][lane] == end + 1 <= 5
        assert episode["r"][lane] == rewards[: end + 1, lane].sum()


def test_a_pickled_environment_goes_on(fidget: str) -> None:
    envs = make(2, fidget, sticky=0.3)
    stream(envs, plan(2, 5))
    again = pickle.loads(pickle.dumps(envs))
    assert same(continued(envs, plan(2, 5)), continued(again, plan(2, 5)))


def test_seeds() -> None:
    envs = make(3)
    envs.reset(seed=5)
    assert envs.clone_state().seed.tolist() == [5, 6, 7] and envs.np_random_seed == 5
    envs.reset(seed=np.int64(8))  # type: ignore[arg-type]
    assert envs.clone_state().seed.tolist() == [8, 9, 10] and envs.np_random_seed == 8
    envs.reset()
    state = envs.clone_state()
    assert state.seed.tolist() == [8, 9, 10] and state.resets.tolist() == [1, 1, 1]
    envs.reset(seed=2**63 - 3)
    assert envs.clone_state().seed.tolist() == [2**63 - 3, 2**63 - 2, 2**63 - 1]


def test_without_a_seed_lanes_differ() -> None:
    one, other = make(4), make(4)
    for envs in (one, other):
        envs.reset(seed=[1, None, None, None])
    keys = one.clone_state().dream.key.tolist() + other.clone_state().dream.key.tolist()
    assert keys[0] == keys[4] and len(set(keys)) == 7


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, [1, 2], [1, 2, -3], [1, 2, 3.0], 2**63 - 2, {1, 2, 3}])
def test_wrong_seed(seed: Any) -> None:
    envs = make(3)
    with pytest.raises(
        UsageError, match=r"seed must be a whole number from 0 to 2\*\*63 - 3, or a list of 3"
    ):
        envs.reset(seed=seed)
    assert envs.lanes is None


ACTIONS = [
    [0, 1],
    [0, 1, 2, 3],
    [[0], [1], [2]],
    [[0], [1, 2], [3]],
    [0.0, 1.0, 2.0],
    [0, 1, float("nan")],
    [True, False, True],
    [0, 1, 9],
    [0, -1, 2],
    [0, 1, 2**70],
    ["0", "1", "2"],
    [0, None, 2],
    None,
    3,
    np.array([1j, 0, 0]),
    np.array([2**64 - 1, 0, 0], np.uint64),
    torch.tensor([0.0, 1.0, 2.0]),
    torch.tensor([1j, 0, 0]),
    torch.tensor([True, False, True]),
]


@pytest.mark.parametrize("actions", ACTIONS, ids=repr)
def test_wrong_actions(actions: Any) -> None:
    envs = make(3)
    envs.reset(seed=0)
    before = envs.clone_state()
    with pytest.raises(
        UsageError, match="step\\(\\) takes 3 whole numbers, each from 0 to 8, got "
    ) as caught:
        envs.step(actions)
    assert "\n" not in str(caught.value)
    assert same(envs.clone_state(), before)


def test_actions_come_in_many_forms() -> None:
    read_only = np.array([1, 2, 3])
    read_only.flags.writeable = False
    forms = [
        [1, 2, 3],
        (1, 2, 3),
        read_only,
        np.array([3, 2, 1])[::-1],
        np.array([1, 0, 2, 0, 3, 0])[::2],
        np.array([1, 2, 3], np.uint8),
        torch.tensor([1, 2, 3], dtype=torch.int32),
    ]
    played = []
    for actions in forms:
        envs = make(3, "emulator")
        envs.reset(seed=0)
        envs.step(actions)
        played.append(envs.clone_state().held.tolist())
    assert played == [[envs.options.codes[place] for place in (1, 2, 3)]] * len(forms)


def test_nothing_before_the_first_reset() -> None:
    envs = make(3, render_mode="rgb_array")
    for call in (lambda: envs.step([0, 0, 0]), envs.clone_state, envs.render):
        with pytest.raises(ResetNeeded, match=r"before reset\(\): call reset\(\) first"):
            call()
    with pytest.raises(ResetNeeded, match="without reset_mask"):
        envs.reset(options={"reset_mask": np.array([True, False, True])})


OPTIONS = [
    ({"reset_mask": [True, False]}, "reset_mask takes 3 bools"),
    ({"reset_mask": [1, 0, 1]}, "reset_mask takes 3 bools"),
    ({"reset_mask": np.zeros(3, bool)}, "at least one"),
    ({"reset_mask": "all"}, "reset_mask takes 3 bools"),
    ({"reset_masks": [True, True, True]}, "unknown option 'reset_masks'.*nearest is 'reset_mask'"),
    ({"start": -1}, "start takes a position from 0"),
    ({"start": 10**6}, "start takes a position from 0"),
    ({"start": 1.5}, "start takes a position from 0"),
    ({"start": True}, "start takes a position from 0"),
    ({"start": [0, 1]}, "a list of 3"),
    ({"start": "nowhere"}, "unknown start 'nowhere'"),
    ({"start": {"lives": 99}}, "no start of"),
]


@pytest.mark.parametrize(("options", "hint"), OPTIONS, ids=repr)
def test_wrong_reset_options(options: dict[str, Any], hint: str) -> None:
    envs = make(3)
    envs.reset(seed=0)
    with pytest.raises(UsageError, match=hint):
        envs.reset(options=options)


def test_starts_can_be_chosen() -> None:
    envs = make(3)
    entries = envs.world.pool.entries
    for start in (4, entries[4]["id"], np.int64(4)):
        assert envs.reset(options={"start": start})[1]["start"].tolist() == [entries[4]["id"]] * 3
    for starts in ([2, entries[5]["id"], 0], np.array([2, 5, 0])):
        _, infos = envs.reset(seed=1, options={"start": starts})
        assert infos["start"].tolist() == [entries[place]["id"] for place in (2, 5, 0)]
    assert infos["score"].tolist() == [entries[place]["score"] for place in (2, 5, 0)]


@pytest.mark.parametrize(
    ("keywords", "hint"),
    [
        ({"num_envs": 0}, "num_envs must be a whole number from 1, got 0"),
        ({"num_envs": 2.0}, "num_envs must be"),
        ({"num_envs": True}, "num_envs must be"),
        ({"num_envs": 1, "output": "jax"}, "unknown output 'jax': allowed are numpy, torch"),
        ({"num_envs": 1, "autoreset_mode": "NexStep"}, "nearest is 'NextStep'"),
        ({"num_envs": 1, "autoreset_mode": None}, "allowed are NextStep, SameStep, Disabled"),
    ],
)
def test_wrong_keywords(keywords: dict[str, Any], hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        gym.make_vec(PACMAN, checkpoint="copy_last", **keywords)


def test_render(fidget: str) -> None:
    envs = make(2, fidget, render_mode="rgb_array", observation="dqn")
    rgb = make(2, fidget)
    for each in (envs, rgb):
        each.reset(seed=0)
    frames, wanted = envs.render(), rgb.step([1, 2])[0]
    assert frames is not None and len(frames) == 2
    envs.step([1, 2])
    assert same(envs.render(), tuple(wanted)) and not same(frames, tuple(wanted))
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert rgb.render() is None
