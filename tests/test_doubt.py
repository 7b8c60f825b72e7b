"""Doubt keeps its promise, grows with evidence, cuts dreams short when asked to, and is of the weights it is for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fidget import doubtful_checkpoint, fidget_checkpoint, same
from gymnasium.vector import AutoresetMode

from atari_dream.doubt import FILE, STILL, Doubt, evidence, load_doubt
from atari_dream.envs import DreamEnv, DreamVecEnv, DreamVectorEnv
from atari_dream.envs.states import state_from_bytes, state_to_bytes
from atari_dream.errors import UsageError
from atari_dream.files import read_json

STEPS = 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return doubtful_checkpoint(tmp_path_factory.mktemp("doubtful"))


def played(env: Any, actions: list[int]) -> list[float]:
    return [env.reset(seed=3)[1]["doubt"]] + [env.step(action)[4]["doubt"] for action in actions]


@pytest.mark.parametrize("ties", [False, True])
def test_of_exchangeable_starts_few_enough_are_missed(ties: bool) -> None:
    found = torch.from_numpy(np.random.default_rng(0).integers(0, 8 if ties else 10**9, 40))
    of_each = []
    for place in range(len(found)):
        others = torch.cat([found[:place], found[place + 1 :]]).sort().values
        of_each.append(Doubt(0.1, 50, len(others), others).of(found[place : place + 1]).item())
    for level in (0.025, 0.05, 0.1, 0.31, 0.5, 0.99):
        missed = np.mean(np.array(of_each) <= level + 1e-6)
        assert missed <= level + 1e-6
        assert ties or missed > level - 1 / 40


def test_starts_that_never_passed_count() -> None:
    doubt = Doubt(0.1, 50, 9, torch.tensor([10, 20]))
    assert doubt.of(torch.tensor([0, 9, 10, 19, 20, 2**60])).tolist() == pytest.approx(
        [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    )
    assert doubt.least == 0.1


def test_evidence_is_what_changes_and_a_little_more() -> None:
    before = torch.zeros(3, 210, 160, dtype=torch.uint8)
    after = before.clone()
    after[1, :2, :5], after[2] = 14, 14
    assert evidence(before, after).tolist() == [STILL, STILL + 10, STILL + 210 * 160]


def test_it_is_read_back_and_only_for_its_weights(tmp_path: Path) -> None:
    assert load_doubt(tmp_path, "abc") is None
    kept = Doubt(0.25, 30, 7, torch.tensor([1, 5]))
    kept.save(tmp_path, "abc", {"test": {"coverage": 0.95}})
    assert same(load_doubt(tmp_path, "abc"), kept)
    assert read_json(tmp_path / FILE, "calibration")["test"] == {"coverage": 0.95}
    with pytest.raises(
        UsageError, match="was made for other weights: remove it, or make it anew with `atari-dream d"
    ):
        load_doubt(tmp_path, "abd")


def test_it_grows_and_is_told_everywhere(checkpoint: str) -> None:
    actions = [2] * STEPS
    told = played(DreamEnv("pacman", checkpoint=checkpoint, device="cpu"), actions)
    assert told[0] == pytest.approx(0.01) and told[-1] == 1.0
    assert sorted(told) == told and len(set(told)) > 3 and type(told[0]) is float
    envs = DreamVectorEnv(
        3, "pacman", checkpoint=checkpoint, device="cpu", autoreset_mode=AutoresetMode.DISABLED
    )
    _, infos = envs.reset(seed=2)
    assert infos["doubt"].dtype == np.float64 and infos["_doubt"].all()
    assert [infos["doubt"][1], *(envs.step([2] * 3)[4]["doubt"][1] for _ in range(3))] == told[:4]
    dense = DreamVectorEnv(3, "pacman", checkpoint=checkpoint, device="cpu", output="torch")
    dense.reset(seed=2)
    assert dense.step([2] * 3)[4]["doubt"].dtype == torch.float32
    lanes = DreamVecEnv("pacman", 2, checkpoint=checkpoint, device="cpu")
    lanes.seed(2)
    lanes.reset()
    assert lanes.reset_infos[1]["doubt"] == told[0] and lanes.step(np.array([2, 2]))[3][1]["doubt"] == told[1]


def test_a_dream_is_cut_when_it_no_longer_knows(checkpoint: str) -> None:
    def run(**options: Any) -> list[tuple[Any, ...]]:
        env = DreamEnv("pacman", checkpoint=checkpoint, device="cpu", **options)
        env.reset(seed=3)
        steps = []
        while not steps or not (steps[-1][2] or steps[-1][3] or len(steps) == STEPS):
            steps.append(env.step(2))
        return steps

    free, cut = run(), run(max_doubt=0.3)
    told = [step[4]["doubt"] for step in free]
    place = next(place for place, doubt in enumerate(told) if doubt > 0.3)
    assert len(cut) == place + 1 < len(free)
    assert cut[-1][3] and not any(step[3] for step in free[: place + 1])
    assert same([step[:3] for step in cut], [step[:3] for step in free[: place + 1]])


def test_a_vector_begins_such_lanes_anew(checkpoint: str) -> None:
    envs = DreamVectorEnv(
        4, "pacman", checkpoint=checkpoint, device="cpu", max_doubt=0.3, autoreset_mode="SameStep"
    )
    envs.reset(seed=0)
    doubted = 0
    for _ in range(STEPS):
        *_, truncated, infos = envs.step([2] * 4)
        doubted += int(truncated.sum())
        assert (infos["doubt"] <= 0.3).all()
        if truncated.any():
            assert (infos["final_info"]["doubt"][truncated] > 0.3).all()
            assert infos["doubt"][truncated] == pytest.approx(0.01)
    assert doubted >= 4


def test_it_is_part_of_the_state(checkpoint: str) -> None:
    env = DreamEnv("pacman", checkpoint=checkpoint, device="cpu")
    told = played(env, [2, 2])
    other = DreamEnv("pacman", checkpoint=checkpoint, device="cpu")
    other.restore_state(state_from_bytes(state_to_bytes(env.clone_state())))
    assert other.observe()[1]["doubt"] == told[-1]
    assert other.step(2)[4]["doubt"] == env.step(2)[4]["doubt"]


def test_it_is_gone_when_the_dream_wakes_up(checkpoint: str) -> None:
    env = DreamEnv("pacman", checkpoint=checkpoint, device="cpu", shadow=True)
    told = played(env, [2, 2])
    assert told[-1] > told[0] == env.resync()[1]["doubt"]


def test_a_limit_finer_than_the_calibration_is_refused(checkpoint: str) -> None:
    told = "max_doubt=0.001 is less than 99 calibration starts can tell: allowed are 0.01 and more"
    with pytest.raises(UsageError, match=told):
        DreamEnv("pacman", checkpoint=checkpoint, max_doubt=0.001)


def test_a_limit_needs_a_calibration(tmp_path: Path) -> None:
    for name in ("emulator", fidget_checkpoint(tmp_path / "plain")):
        with pytest.raises(
            UsageError, match=r"max_doubt=0.05 needs a calibration, and .* has none: .*`atari-dream doubt"
        ):
            DreamEnv("pacman", checkpoint=name, max_doubt=0.05)
        env = DreamEnv("pacman", checkpoint=name, device="cpu")
        assert "doubt" not in env.reset(seed=0)[1]


def test_what_was_calibrated_for_reading_does_not_limit_what_is_told_its_memory() -> None:
    with pytest.raises(UsageError, match=r"max_doubt=0.05 was calibrated for dreams that read .* leave out"):
        DreamEnv("pacman", memory=True, max_doubt=0.05)
    env = DreamEnv("pacman", memory=True, device="cpu")
    assert "doubt" not in env.reset(seed=0)[1]
