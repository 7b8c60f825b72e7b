"""What goes wrong is told with its step and lane, at once or within the patience."""

import pytest
import torch
from conftest import needs_gpu
from fidget import fidget_checkpoint, same

from atari_dream.dream import tree_map
from atari_dream.envs import DreamEnv, DreamVectorEnv
from atari_dream.envs.inputs import take_actions
from atari_dream.envs.watch import PATIENCE, Watch
from atari_dream.errors import UsageError

CPU = torch.device("cpu")
CALM, WRONG = torch.tensor([False, False, False]), torch.tensor([False, True, True])


def test_at_once_the_first_lane_is_told_once() -> None:
    watch = Watch(CPU, at_once=True)
    assert [watch.look(bad) for bad in (CALM, CALM, WRONG, CALM, WRONG)] == [None, None, (3, 1), None, (5, 1)]


class Event:
    """A copy that is done some looks after it was asked for."""

    delay = 3

    def record(self) -> None:
        self.left = self.delay

    def query(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("at", [1, 31, 32, 33, 70, 128])
def test_later_the_first_step_is_told_within_the_patience(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    watch = Watch(CPU, at_once=False)
    for step in range(1, at + PATIENCE + 1):
        found = watch.look(WRONG if step in (at, at + 1, at + 5) else CALM)
        if found is not None:
            assert found == (at, 1) and at < step <= at + PATIENCE
            break
    else:
        pytest.fail("not told")


def test_actions_are_moved_into_the_space_and_marked() -> None:
    action, wrong = take_actions(torch.tensor([0, 9, -1], dtype=torch.int32), 3, 9)
    assert action.tolist() == [0, 8, 0] and wrong.tolist() == [False, True, True]
    for bad in (torch.zeros(2, dtype=torch.int64), torch.zeros(3)):
        with pytest.raises(UsageError, match="takes 3 whole numbers, each from 0 to 8"):
            take_actions(bad, 3, 9)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_predictor_that_breaks_is_named_with_step_and_lane(
    value: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    envs = DreamVectorEnv(
        4, "pacman", checkpoint=fidget_checkpoint(tmp_path_factory.mktemp("f")), device="cpu"
    )
    envs.reset(seed=0)
    envs.step([0] * 4)
    step = envs.world.predictor.step

    def spoil(*arguments: object) -> object:
        state, outcome = step(*arguments)  # type: ignore[arg-type]
        reward = outcome.reward.clone()
        reward[2] = value
        return state, outcome._replace(reward=reward)

    before = envs.clone_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envs.world.predictor, "step", spoil)
        with pytest.raises(RuntimeError, match="gave NaN or Inf in lane 2 at step 2 of this environment"):
            envs.step([0] * 4)
    assert same(envs.clone_state(), before)
    envs.step([0] * 4)


def test_a_state_that_breaks_is_found_too() -> None:
    """Of a dream whose state has numbers that can break: `console`'s has none."""
    env = DreamEnv("pacman", checkpoint="bundled@r3", device="cpu")
    env.reset(seed=0)
    state = env.clone_state()

    def spoil(part: torch.Tensor) -> torch.Tensor:
        return torch.full_like(part, float("nan")) if part.is_floating_point() else part

    spoilt = state._replace(dream=state.dream._replace(predictor=tree_map(spoil, state.dream.predictor)))
    env.restore_state(spoilt)
    with pytest.raises(RuntimeError, match="revision 'r3' gave NaN or Inf in lane 0 at step 1"):
        env.step(0)


@needs_gpu
def test_on_a_gpu_a_wrong_action_is_told_later_or_at_once() -> None:
    for validate, most in ((True, 1), (False, PATIENCE)):
        envs = DreamVectorEnv(2, "pacman", device="cuda", output="torch", validate=validate)
        envs.reset(seed=0)
        wrong = torch.tensor([0, 99], device="cuda")
        with pytest.raises(UsageError):
            for step in range(most + 1):
                envs.step(wrong if step == 0 else torch.zeros(2, dtype=torch.int64, device="cuda"))
