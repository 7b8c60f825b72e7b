"""Whether a dream obeys: by hand on made-up frames, exactly 1 on the emulator, low for one that disobeys or is late."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream.alignment import LAGS
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import open_predictor
from atari_dream.control import (
    CONTROL_MEASURES,
    STEPS,
    _agreement,
    _inverse,
    effect_lag,
    measure_control,
    obedience,
)
from atari_dream.job import Job
from atari_dream.metrics import Sums, pool
from atari_dream.models.emulator import EmulatorControl
from atari_dream.predictor import Frames, Outcome, Predictor, Start, State
from atari_dream.processes import processes
from atari_dream.protocol import Entry, Protocol
from atari_dream.rollout import noise_keys, roll_lanes
from atari_dream.truth import Script

DOMAIN = open_predictor("emulator", bundled_pool("space_invaders")).predictor.domain


def pictures(*changes: list[int]) -> np.ndarray:
    """Frames of zeros, each with its values in the first pixels, uint8 (A, 210, 160)."""
    frames = np.zeros((len(changes), 210, 160), np.uint8)
    for frame, values in zip(frames, changes, strict=True):
        frame[0, : len(values)] = values
    return frames


def test_agreement_counts_pixels_that_an_action_changes_alike_by_hand() -> None:
    real = pictures([1, 1, 1, 1], [2, 2, 1, 1], [1, 1, 1, 4])
    dreamt = pictures([9, 1, 1, 1], [2, 4, 6, 1], [1, 1, 1, 1])
    # the first action: changed alike, changed otherwise, changed in the dream alone, not changed;
    # the second: the first pixel changed in the dream alone, the last in reality alone
    assert _agreement(real, dreamt) == (1, 5)
    assert _agreement(real, real) == (3, 3)
    assert _agreement(real[:1].repeat(3, 0), real[:1].repeat(3, 0)) == (0, 0)


def test_inverse_dynamics_by_hand() -> None:
    real = pictures([0, 0, 0], [2, 2, 0], [4, 4, 4])
    assert _inverse(real, real) == (3.0, 3)
    assert _inverse(real, real[[0, 2, 1]]) == (1.0, 3)
    assert _inverse(real, pictures([0, 0, 6], [2, 2, 6], [4, 4, 0])) == (3.0, 3)
    assert _inverse(real[:1].repeat(3, 0), real) == (0.0, 0)


def test_only_pixels_in_which_real_outcomes_differ_are_compared() -> None:
    real = pictures([0], [2], [4])
    wrong = real.copy()
    wrong[1, 100:] = 8
    assert _inverse(real, wrong) == (3.0, 3)


def test_outcomes_that_do_not_differ_are_one_answer_and_a_tie_is_a_guess() -> None:
    real = pictures([0, 0], [0, 0], [2, 2])
    assert _inverse(real, real) == (3.0, 3)
    # half of the pixels are those of the first two and half those of the third
    assert _inverse(real, pictures([0, 2], [0, 2], [0, 2])) == pytest.approx((2 * 2 / 3 + 1 / 3, 3))


def shifts(late: int = 0, actions: tuple[int, ...] = (0, 1, 2, 3)) -> np.ndarray:
    """Outcomes of actions, each of which turns another pixel on at every step, uint8 (A, 8, 210, 160)."""
    frames = np.zeros((len(actions), STEPS, 210, 160), np.uint8)
    for place, action in enumerate(actions):
        for step in range(STEPS):
            if action and step >= late:
                frames[place, step, action, step - late] = 2
    return frames


@pytest.mark.parametrize("late", [0, 1, 2])
def test_the_lag_is_where_the_effects_agree(late: int) -> None:
    sums = {name: rows[None].repeat(3, 0) for name, rows in obedience(shifts(), shifts(late)).items()}
    found = effect_lag(sums)
    assert found["steps"] == late and found["confidence"] == 1.0
    assert found["agreement"] == [float(lag == late) for lag in LAGS]


def test_a_dream_that_is_early_has_a_negative_lag() -> None:
    sums = {name: rows[None] for name, rows in obedience(shifts(1), shifts(0)).items()}
    assert effect_lag(sums)["steps"] == -1


def test_starts_that_disagree_make_a_lag_less_sure() -> None:
    rows = [obedience(shifts(), shifts(late)) for late in (0, 0, 1)]
    found = effect_lag({name: np.stack([row[name] for row in rows]) for name in rows[0]})
    assert found["steps"] == 0 and 0.6 < float(str(found["confidence"])) < 0.9


def test_without_effects_there_is_no_lag() -> None:
    still = np.zeros_like(shifts())
    sums = {name: rows[None] for name, rows in obedience(shifts(), still).items()}
    assert effect_lag(sums) == {"steps": None, "confidence": None, "agreement": [0.0] * len(LAGS)}
    assert (sums["effect_any"] == 3).all() and not sums["effect_both"].any()


def test_every_step_has_sums_of_its_own() -> None:
    sums = obedience(
        shifts(), np.where(np.arange(STEPS)[None, :, None, None] < 5, shifts(), 0).astype(np.uint8)
    )
    assert sums["effect_both"].tolist() == [3.0] * 5 + [0.0] * 3
    assert sums["effect_any"].tolist() == [3.0] * STEPS
    assert sums["inverse_right"].tolist() == [4.0] * 5 + [1.0] * 3
    assert sums["inverse_asked"].tolist() == [4.0] * STEPS


class Late(EmulatorControl):
    """Shows everything a step late."""

    def init(self, start: Start) -> State:
        return super().init(start), start.frames[:, -1].clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        real, outcome = super().step(state[0], action, noise)
        return (real, super().decode(state[0]).indices()), outcome

    def decode(self, state: State) -> Frames:
        return Frames(state[1])


class Wrong(EmulatorControl):
    """Plays right for left and the other way round, and fires for nothing."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        turned = torch.tensor(
            [1, 0, 2, 4, 3, 5, 6, 7, 8, 9, 10, 12, 11, 13, 14, 15, 16, 17], dtype=torch.uint8
        )
        return super().step(state, turned[action.long()], noise)


def measure(cache: Path, game: str, count: int, *predictors: Predictor) -> list[Sums]:
    starts = bundled_pool(game)
    protocol = Protocol.of(starts, count, 10, control_starts=count)
    done: list[int] = []
    entries = [Entry(f"{place}", "checkpoint", predictor) for place, predictor in enumerate(predictors)]
    with processes(0, game) as executor:
        job = Job(protocol, starts, starts.sample(count), executor, cache, done.append)
        found = measure_control(job, entries)
    assert done == [1] * 2 * count and list(found) == [entry.name for entry in entries]
    return [found[entry.name] for entry in entries]


def values(sums: Sums) -> dict[str, np.ndarray]:
    found = pool(sums, np.ones((1, len(sums["effect_any"]))), CONTROL_MEASURES)
    return {name: value[0] for name, value in found.items()}


@pytest.mark.slow
def test_the_emulator_obeys_and_a_late_or_wrong_one_does_not(tmp_path: Path) -> None:
    real, late, wrong = measure(
        tmp_path, "space_invaders", 8, EmulatorControl(DOMAIN), Late(DOMAIN), Wrong(DOMAIN)
    )
    assert real["effect_any"].shape == (8, STEPS) and (real["effect_any"].sum(0) > 0).all()
    for value in values(real).values():
        np.testing.assert_array_equal(value, np.ones(STEPS))
    exact = effect_lag(real)
    assert exact["steps"] == 0 and float(str(exact["confidence"])) > 0.95
    late_lag = effect_lag(late)
    assert late_lag["steps"] == 1 and float(str(late_lag["confidence"])) > 0.95
    assert late["effect_both"][:, 0].sum() == 0 and (values(late)["effect_agreement"] < 0.9).all()
    assert values(late)["inverse_accuracy"][0] < 0.5
    assert values(wrong)["inverse_accuracy"].max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("game", ["pacman", "pinball", "revenge", "qbert"])
def test_the_emulator_obeys_in_every_game(tmp_path: Path, game: str) -> None:
    control = open_predictor("emulator", bundled_pool(game)).predictor
    (sums,) = measure(tmp_path, game, 12 if game == "qbert" else 4, control)
    for name, value in values(sums).items():
        known = value[~np.isnan(value)]
        assert len(known) and (known == 1).all(), name
    assert effect_lag(sums)["steps"] == 0


def test_a_lane_that_ends_shows_nothing_of_another() -> None:
    starts, lanes = bundled_pool("qbert"), np.array([281, 281])
    held = np.array([2, 1], np.uint8)
    plans = np.broadcast_to(held[:, None, None], (2, STEPS, starts.frame_skip)).copy()
    real = Script.of(starts, 281, plans).play()
    assert real.ended[:, -1].any()
    control = open_predictor("emulator", starts).predictor
    rollouts = roll_lanes(control, starts, lanes, plans.swapaxes(0, 1), noise_keys(lanes))
    for lane, rollout in enumerate(rollouts):
        np.testing.assert_array_equal(rollout.ended[1:], real.ended[lane])
        np.testing.assert_array_equal(rollout.frames[1:], real.frames[lane])
