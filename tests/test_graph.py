"""A recorded step is played where it gives the plain numbers, and nowhere else; a lazy vector waits for nothing."""

from pathlib import Path

import pytest
import torch
from conftest import needs_gpu
from fidget import fidget_checkpoint, same
from gymnasium.vector import AutoresetMode

from atari_dream.dream import DreamState, tree_map
from atari_dream.envs import DreamVectorEnv, graph
from atari_dream.envs.graph import GraphStep, Step
from atari_dream.predictor import Outcome

LANES = 4


@pytest.fixture
def envs(tmp_path: Path) -> DreamVectorEnv:
    """Lanes that end all the time, at their starts."""
    envs = DreamVectorEnv(
        LANES, "pacman", checkpoint=fidget_checkpoint(tmp_path), device="cpu", output="torch", horizon=5
    )
    envs.reset(seed=3)
    return envs


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "recordable", lambda device: True)


def lanes_of(envs: DreamVectorEnv) -> tuple[DreamState, torch.Tensor]:
    return envs.clone_state().dream, torch.zeros(LANES, 4, dtype=torch.uint8)


@pytest.mark.usefixtures("on_gpu")
def test_a_step_is_recorded_once_for_each_number_of_lanes(
    envs: DreamVectorEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[int] = []

    def record(step: Step, state: DreamState, action: torch.Tensor) -> Step:
        recorded.append(len(action))
        return step

    monkeypatch.setattr(graph, "record", record)
    step, (state, action) = GraphStep(envs.world.predictor, 1.0), lanes_of(envs)
    alone = tree_map(lambda part: part[:1], state)
    for lanes in (state, state, alone, state, alone):
        step(lanes, action[: len(lanes.key)])
    assert recorded == [LANES, 1]


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("trouble", ["operation not permitted when stream is capturing", "other numbers"])
def test_what_cannot_be_recorded_is_played_plainly_and_said_once(
    trouble: str, envs: DreamVectorEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(step: Step, state: DreamState, action: torch.Tensor) -> Step:
        if "other" not in trouble:
            raise RuntimeError(f"{trouble}\nand so on")

        def worse(state: DreamState, action: torch.Tensor) -> tuple[DreamState, Outcome]:
            after, outcome = step(state, action)
            return after, outcome._replace(reward=outcome.reward + 1)

        return worse

    monkeypatch.setattr(graph, "record", record)
    step, (state, action) = GraphStep(envs.world.predictor, 1.0), lanes_of(envs)
    plain = GraphStep(envs.world.predictor, 1.0)._plain(state, action)
    with pytest.warns(RuntimeWarning, match=f"Fidget at batch {LANES} are not played as a CUDA.*{trouble}$"):
        assert same(step(state, action), plain)
    assert same(step(state, action), plain)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_lazy_vector_plays_the_same(mode: AutoresetMode, tmp_path: Path) -> None:
    checkpoint, played = fidget_checkpoint(tmp_path), []
    for lazy in (False, True):
        envs = DreamVectorEnv(
            LANES,
            "pacman",
            checkpoint=checkpoint,
            device="cpu",
            output="torch",
            autoreset_mode=mode,
            horizon=5,
        )
        envs._lazy = lazy
        told = [envs.reset(seed=3)]
        told += [envs.step(torch.arange(LANES)) for _ in range(24)]
        played.append((told, envs.clone_state()))
    assert same(*played)
    assert played[0][1].resets.min() >= 3


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("observation", ["rgb", "dqn"])
def test_a_step_with_torch_output_never_waits_for_the_gpu(mode: AutoresetMode, observation: str) -> None:
    envs = DreamVectorEnv(
        LANES,
        "pacman",
        device="cuda",
        output="torch",
        autoreset_mode=mode,
        observation=observation,
        horizon=None if mode == AutoresetMode.DISABLED else 5,
    )
    envs.reset(seed=0)
    actions = torch.zeros(LANES, dtype=torch.int64, device="cuda")
    for _ in range(8):  # recorded, burned in, tables copied
        envs.step(actions)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(20):
            envs.step(actions)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_a_graph_of_the_bundled_weights_gives_the_same_frames() -> None:
    def frames(recording: bool) -> list[torch.Tensor]:
        with pytest.MonkeyPatch.context() as patch:
            if not recording:
                patch.setattr(graph, "recordable", lambda device: False)
            envs = DreamVectorEnv(LANES, "pacman", device="cuda", output="torch")
            envs.reset(seed=0)
            actions = torch.zeros(LANES, dtype=torch.int64, device="cuda")
            return [envs.step(actions)[0] for _ in range(8)]

    assert same(frames(True), frames(False))
