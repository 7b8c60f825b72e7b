"""Scores of one start: the best of several samples counts, and survival is Kaplan and Meier's."""

import copy
from pathlib import Path

import numpy as np
import pytest

from atari_dream.bundled import bundled_pool
from atari_dream.metrics import pool as pool_sums
from atari_dream.processes import processes
from atari_dream.rollout import Rollout, continued
from atari_dream.scoring import MOVING_STEPS, first_failure, median_steps, score_start, survival_measures
from atari_dream.truth import Script, Truth, load_truth, truths

HORIZON = 12
EVERYTHING = np.ones(256, bool)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What really happens in Pinball after a start, for 50 steps."""
    pool = bundled_pool("pinball")
    script = Script.of(pool, 0, continued(pool, 0, MOVING_STEPS)[None])
    with processes(0, "pinball") as executor:
        return truths([script], tmp_path_factory.mktemp("truth"), executor)[0].path


def real_rollout(real: Truth) -> Rollout:
    frames = np.concatenate([real.first[None], real.frames[0, :HORIZON]])
    scores = np.concatenate([[0], real.rewards[0, :HORIZON].cumsum()])
    return Rollout(
        frames,
        scores,
        np.concatenate([real.lives[0, :1], real.lives[0, :HORIZON]]),
        np.concatenate([[False], real.ended[0, :HORIZON]]),
    )


def test_the_real_game_is_exact_and_the_best_sample_counts(truth: Path) -> None:
    real = load_truth(truth)
    exact = real_rollout(real)
    still = copy.copy(exact)
    object.__setattr__(still, "frames", np.repeat(exact.frames[:1], HORIZON + 1, axis=0))
    lives = int(real.lives[0, 0])
    scored = score_start("pinball", truth, lives, {"one": [still], "two": [still, exact]}, EVERYTHING)
    assert not scored.sums["two"]["moving_wrong"].any() and scored.sums["one"]["moving_wrong"].any()
    assert scored.sums["two"]["reward_right"].all() and not scored.sums["two"]["score_off"].any()
    assert not any(scored.sums["two"][f"failed_{name}"].any() for name in ("ball", "plunger", "flippers"))
    assert scored.sums["one"]["failed_ball"].sum() == 1
    place = int(scored.sums["one"]["failed_ball"].argmax())
    assert scored.sums["one"]["risk_ball"].tolist() == [1.0] * (place + 1) + [0.0] * (HORIZON - place - 1)
    assert scored.reading["ball"]["there"] == HORIZON


def test_a_colour_that_the_game_does_not_show_is_a_violation(truth: Path) -> None:
    real = load_truth(truth)
    strange = real_rollout(real)
    strange.frames[3, :10, :7] = 254
    shown = np.isin(np.arange(256), np.unique(real.frames))
    assert not shown[254]
    sums = score_start("pinball", truth, 3, {"it": [strange]}, shown).sums["it"]
    assert sums["violations"].tolist() == [0, 0, 70] + [0] * (HORIZON - 3)


def failing(steps: list[int | None], length: int = 5, name: str = "it") -> dict[str, np.ndarray]:
    """Sums of starts in which an object fails at a step, or not; all are judged throughout."""
    failed, risk = np.zeros((len(steps), length)), np.ones((len(steps), length))
    for row, step in enumerate(steps):
        if step is not None:
            failed[row, step] = 1
            risk[row, step + 1 :] = 0
    return {f"failed_{name}": failed, f"risk_{name}": risk, "frames": np.ones((len(steps), length))}


def curve(sums: dict[str, np.ndarray], name: str = "it") -> list[float]:
    weights = np.ones((1, len(sums["frames"])))
    all_sums = sums | first_failure(sums, [name])
    return pool_sums(all_sums, weights, survival_measures([name]))[f"survival_{name}"][0].tolist()


def test_without_ends_survival_is_the_share_left() -> None:
    assert curve(failing([0, 2, None, None])) == [0.75, 0.75, 0.5, 0.5, 0.5]
    assert curve(failing([0, 0])) == [0.0] * 5


def test_a_game_that_ends_leaves_the_others() -> None:
    sums = failing([2, None, None, None])
    sums["risk_it"][1:3, 1:] = 0  # their games end after the first step
    assert curve(sums) == [1.0, 1.0, 0.5, 0.5, 0.5]
    sums["risk_it"][3, 3:] = 0
    assert curve(sums)[:3] == [1.0, 1.0, 0.5] and np.isnan(curve(sums)[3:]).all()


def test_the_first_failure_of_several_objects_counts() -> None:
    sums = failing([3, None, 1, None], name="one") | failing([1, None, 2, 4], name="two")
    sums["risk_one"][3] = 0
    sums["frames"][1, 2:] = 0
    every = first_failure(sums, ["one", "two"])
    assert every["failed"].argmax(1).tolist() == [1, 0, 1, 4] and every["failed"].sum(1).tolist() == [
        1,
        0,
        1,
        1,
    ]
    assert every["risk"].sum(1).tolist() == [2, 2, 2, 5]
    assert first_failure(sums, ["one"])["risk"].sum(1).tolist() == [4, 2, 2, 0]


def test_the_median_is_where_half_have_failed() -> None:
    assert median_steps([1.0, 0.6, 0.5, 0.4]) == 3
    assert median_steps([1.0, 0.9, 0.51, None]) is None
