"""Calibration parts starts by episode, follows dreams beside the real game, and judges what it promised."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fidget import fidget_checkpoint

from atari_dream.bundled import ROOT, bundled_pool
from atari_dream.calibration import Course, calibrate, episodes_of, follow, halves, judge, passing, stopping
from atari_dream.checkpoint import open_predictor
from atari_dream.cli import run
from atari_dream.doubt import PIXELS, STILL, Doubt
from atari_dream.envs import DreamEnv
from atari_dream.errors import UsageError
from atari_dream.files import read_json
from atari_dream.registry import create_model

HORIZON = 8


def course(
    wrong: list[list[float]], evidence: list[list[int]], over: list[list[int]] | None = None
) -> Course:
    """Wrong pixels are given in frames."""
    drift = np.array(wrong)
    ended = np.zeros(drift.shape, bool) if over is None else np.array(over, bool)
    return Course((drift * PIXELS).astype(np.int64), np.array(evidence), ended)


def test_no_episode_is_in_both_halves() -> None:
    pool = bundled_pool("pacman")
    mine, other = halves(pool, 100)
    episodes = episodes_of(pool)
    assert sorted([*mine, *other]) == list(range(len(pool)))
    assert not set(episodes[mine]) & set(episodes[other])
    assert not np.array_equal(mine, halves(pool, 100, seed=1)[0])
    with pytest.raises(
        UsageError, match=r"parted in two, have 1\d\d and \d+ starts, 300 each are needed.*--starts 900"
    ):
        halves(pool, 300)


def test_the_real_game_never_drifts() -> None:
    pool = bundled_pool("pacman")
    emulator = open_predictor("emulator", pool).predictor
    found = follow(emulator, pool, np.arange(6), HORIZON)
    assert (found.wrong == 0).all() and (found.evidence >= STILL * np.arange(1, HORIZON + 1)).all()
    assert (passing(found, 0.001) == HORIZON + 1).all()
    doubt = calibrate(found, 0.001)
    assert doubt.starts == 6 and not len(doubt.passed)
    assert (stopping(found, doubt, 0.2) == HORIZON + 1).all()


def test_a_still_picture_drifts_as_the_shadow_says() -> None:
    pool = bundled_pool("pacman")
    still = create_model("copy_last", open_predictor("emulator", pool).predictor.domain)
    found = follow(still, pool, np.array([5]), HORIZON)
    env = DreamEnv("pacman", checkpoint="copy_last", device="cpu", shadow=True)
    env.reset(options={"start": 5})
    code_of = {code: place for place, code in enumerate(env._vector.options.codes)}
    actions = pool.continuation(5)[:HORIZON, 0]
    shares = [env.step(code_of[int(code)])[4]["shadow"]["wrong_pixels"] for code in actions]
    assert found.wrong[0] / PIXELS == pytest.approx(np.cumsum(shares))
    assert found.evidence[0].tolist() == [STILL * step for step in range(1, HORIZON + 1)]


def test_steps_at_which_drift_and_doubt_pass() -> None:
    found = course(
        [[0.0, 0.2, 0.4], [0.0, 0.0, 0.0], [0.05, 0.2, 0.2], [0.3, 0.3, 0.3]],
        [[5, 10, 15], [1, 2, 3], [4, 8, 9], [7, 9, 11]],
        [[0, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 0]],
    )
    assert passing(found, 0.1).tolist() == [2, 4, 4, 1]
    doubt = calibrate(found, 0.1)
    assert doubt.passed.tolist() == [7, 10] and (doubt.starts, doubt.bound, doubt.horizon) == (4, 0.1, 3)
    assert stopping(found, doubt, 0.2).tolist() == [2, 4, 2, 1]
    assert stopping(found, doubt, 0.1).tolist() == [1, 1, 1, 1]


def test_it_judges_coverage_tightness_and_rank() -> None:
    count = 40
    step = (
        np.arange(count) // 4 + 2
    )  # drift passes then; evidence is told a step early, but of one start too late
    wrong = np.arange(1, 16)[None] >= step[:, None]
    seen = (np.arange(1, 16)[None] >= step[:, None] - 1) * 10
    seen[7] = 0
    found = course(wrong.astype(float).tolist(), seen.tolist())
    doubt = Doubt(0.1, 15, 99, torch.tensor([5] * 6))
    told = judge(doubt, found, np.arange(count) // 2)
    assert told["starts"] == 40 and told["episodes"] == 20 and told["passed"] == 1.0
    assert (
        told["coverage"] == pytest.approx(39 / 40)
        and told["median_step"] == 6.5
        and told["median_bound"] == 6.0
    )
    assert told["tightness"] == pytest.approx(6.0 / 6.5) and told["rank_correlation"] > 0.8
    low, high = told["coverage_ci95"]
    assert low < 39 / 40 <= high == 1.0
    coverage = {row["level"]: row["coverage"] for row in told["levels"]}
    assert coverage[0.05] == 39 / 40 and coverage[0.1] == 0.0  # which doubt never passes


@pytest.mark.slow
def test_the_command_makes_doubt_for_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, out = fidget_checkpoint(tmp_path / "fidget"), tmp_path / "out"
    words = f"doubt --game pacman --checkpoint {checkpoint} --starts {ROOT / 'pacman' / 'starts'} --out {out}"
    with pytest.raises(SystemExit, match="0"):
        run([*words.split(), "--least", "100", "--horizon", "4", "--bound", "0.9"])
    told = capsys.readouterr().out
    assert (
        "doubt.json: a drift of 0.9 frames is passed in 100% of" in told
        and "max_doubt=0.05 stops in time" in told
    )
    kept = read_json(Path(checkpoint) / "doubt.json", "calibration")
    assert kept["starts"] + kept["test"]["starts"] == 384 and kept["test"]["coverage"] > 0.8
    assert cv2.imread(str(out / "reliability.png")).shape[1] > 600
    env = DreamEnv("pacman", checkpoint=checkpoint, device="cpu", max_doubt=0.05)
    assert env.reset(seed=0)[1]["doubt"] == pytest.approx(1 / (kept["starts"] + 1))
    with pytest.raises(SystemExit, match="2"):
        run(words.split())
    assert "500 each are needed" in capsys.readouterr().err
