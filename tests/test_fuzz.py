"""Whatever is handed to an environment: it does what it should, or tells in one line and goes on as it was."""

from typing import Any

import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint, same
from gymnasium.error import ResetNeeded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from atari_dream.envs import DreamEnv, DreamVectorEnv, state_from_bytes, state_to_bytes
from atari_dream.errors import UsageError

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TOLD = (UsageError, ResetNeeded)

numbers = st.integers(-3, 12) | st.integers() | st.floats() | st.booleans() | st.none()
anything = st.recursive(
    numbers | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
some_arrays = arrays.arrays(
    st.sampled_from([np.int64, np.uint8, np.float32, np.bool_]), arrays.array_shapes(max_dims=2, max_side=4)
)


@pytest.fixture(scope="module")
def fidget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fidget_checkpoint(tmp_path_factory.mktemp("fidget"))


@pytest.fixture(scope="module")
def envs(fidget: str) -> DreamVectorEnv:
    made = DreamVectorEnv(3, "pacman", checkpoint=fidget, device="cpu")
    made.reset(seed=0)
    return made


def one_line(error: BaseException) -> None:
    assert "\n" not in str(error) and str(error)


@QUICK
@given(actions=anything | some_arrays | st.lists(st.integers(0, 8), min_size=3, max_size=3))
def test_actions(envs: DreamVectorEnv, actions: Any) -> None:
    before = envs.clone_state()
    try:
        _, rewards, *_ = envs.step(actions)
    except TOLD as error:
        one_line(error)
        assert same(envs.clone_state(), before)
    else:
        given_now = np.asarray(actions)
        assert given_now.shape == (3,) and given_now.dtype.kind in "iu" and np.isfinite(rewards).all()
        assert given_now.min() >= 0 and given_now.max() < 9


@QUICK
@given(seed=anything, name=st.sampled_from(["start", "reset_mask", "begin"]), value=anything | some_arrays)
def test_resets(envs: DreamVectorEnv, seed: Any, name: str, value: Any) -> None:
    before = envs.clone_state()
    try:
        observation, infos = envs.reset(seed=seed, options={name: value})
    except TOLD as error:
        one_line(error)
        assert same(envs.clone_state(), before)
    else:
        assert observation.shape == (3, 210, 160, 3) and len(infos["start"]) == 3 and name != "begin"


NAMES = ["checkpoint", "device", "observation", "horizon", "starts", "sticky", "full_action_space"]
NAMES += [
    "terminal_on_life_loss",
    "deterministic",
    "temperature",
    "shadow",
    "max_doubt",
    "render_mode",
    "validate",
]


@QUICK
@given(name=st.sampled_from(NAMES), value=anything)
def test_keywords(fidget: str, name: str, value: Any) -> None:
    try:
        env = DreamEnv("pacman", **{"checkpoint": fidget, "device": "cpu", name: value})
    except TOLD as error:
        one_line(error)
    else:
        env.reset(seed=0)
        env.step(0)


@QUICK
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255), cut=st.integers(0, 3))
def test_states(envs: DreamVectorEnv, place: int, flip: int, cut: int) -> None:
    data = bytearray(state_to_bytes(envs.clone_state()))
    assert same(state_from_bytes(bytes(data)), envs.clone_state())
    data[place % len(data)] ^= flip
    with pytest.raises(UsageError) as caught:
        state_from_bytes(bytes(data[: len(data) - cut]))
    one_line(caught.value)


@QUICK
@given(lanes=st.integers(1, 4), extra=st.integers(0, 3))
def test_states_of_other_forms(envs: DreamVectorEnv, lanes: int, extra: int) -> None:
    state = envs.clone_state()
    wrong = state._replace(lives=torch.zeros(lanes, extra + 1, dtype=torch.int64))
    with pytest.raises(UsageError) as caught:
        envs.restore_state(wrong)
    one_line(caught.value)
    assert same(envs.clone_state(), state)
