"""A rollout is what happens from a start, held after the end."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import open_predictor, save_checkpoint
from atari_dream.cli import run
from atari_dream.emulator import Emulator
from atari_dream.games import ACTION_NAMES, GAMES, get_game
from atari_dream.models.copy_last import CopyLast
from atari_dream.palette import to_rgb
from atari_dream.predictor import Domain, Frames, Noise, Outcome, State
from atari_dream.registry import create_model
from atari_dream.rollout import (
    Rollout,
    constant,
    continued,
    dream_steps,
    held,
    noise_keys,
    planned,
    roll,
    roll_lanes,
)
from atari_dream.starts import StartPool


@pytest.fixture(scope="module")
def pool() -> StartPool:
    return bundled_pool("pacman")


class Fading(CopyLast):
    """Counts steps in the first pixel, draws noise into the second, gains 10 a step and ends at step 3."""

    noise = {"grain": Noise("normal", ())}

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        frame, lives = state[0].clone(), state[1] - 1
        frame[:, 0, 0] += 2
        frame[:, 0, 1] = (noise["grain"] * 32 + 128).to(torch.uint8)
        return (frame, lives), Outcome(torch.full((len(lives),), 10.0), frame[:, 0, 0] == 6, lives)

    def decode(self, state: State) -> Frames:
        return Frames(state[0])


def of_stratum(pool: StartPool, stratum: str) -> int:
    return next(place for place, entry in enumerate(pool.entries) if entry["stratum"] == stratum)


@pytest.mark.parametrize("game", GAMES)
def test_the_emulator_control_plays_the_recipe_onwards(game: str) -> None:
    pool = bundled_pool(game)
    start = of_stratum(pool, "life") if game != "pinball" else 0
    actions = continued(pool, start, 50)
    rollout = roll(open_predictor("emulator", pool).predictor, pool, start, actions)
    console = Emulator(game)
    pool.replay(start, console)
    before = console.score
    assert rollout.steps == 50
    np.testing.assert_array_equal(rollout.frames[0], console.frame)
    for t, codes in enumerate(actions, start=1):
        console.step(codes)
        np.testing.assert_array_equal(rollout.frames[t], console.frame)
        assert rollout.scores[t] == console.score - before
        assert (rollout.lives[t], rollout.ended[t]) == (console.lives, console.over)
    assert (rollout.frames[1:] != rollout.frames[0]).any()


def test_after_the_end_all_stands(pool: StartPool) -> None:
    rollout = roll(Fading(Domain()), pool, 0, held(pool, 0, 6))
    first = int(pool.batch(np.array([0])).frames[0, -1, 0, 0])
    assert first == 0
    assert rollout.frames[:, 0, 0].tolist() == [0, 2, 4, 6, 6, 6, 6]
    assert rollout.scores.tolist() == [0, 10, 20, 30, 30, 30, 30]
    assert rollout.ended.tolist() == [False, False, False, True, True, True, True]
    assert np.diff(rollout.lives).tolist() == [-1, -1, -1, 0, 0, 0]


def test_noise_depends_on_seed_and_start_and_vanishes_at_temperature_0(pool: StartPool) -> None:
    def grain(start: int, seed: int, temperature: float = 1.0) -> int:
        rollout = roll(Fading(Domain()), pool, start, held(pool, 0, 1), seed, temperature)
        return int(rollout.frames[1, 0, 1])

    assert grain(0, 0) == grain(0, 0)
    assert len({grain(start, seed) for start in (0, 1) for seed in (0, 1)}) == 4
    assert grain(0, 0, 0.0) == grain(1, 1, 0.0) == 128


def check_equal(one: Rollout, other: Rollout) -> None:
    for name in ("frames", "scores", "lives", "ended"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_lanes_dream_as_each_would_alone(pool: StartPool) -> None:
    starts = np.array([5, 5, 0, 9])
    actions = np.stack([held(pool, start, 5, seed) for seed, start in enumerate(starts.tolist())], axis=1)
    for predictor in (Fading(Domain()), open_predictor("emulator", pool).predictor):
        lanes = roll_lanes(predictor, pool, starts, actions, noise_keys(starts, seed=7))
        assert len(lanes) == 4
        for lane, (start, rollout) in enumerate(zip(starts.tolist(), lanes, strict=True)):
            check_equal(rollout, roll(predictor, pool, start, actions[:, lane], seed=7))
        assert (lanes[2].frames[1:] != lanes[3].frames[1:]).any()


def test_lanes_end_one_by_one_as_each_would_alone(pool: StartPool) -> None:
    control = open_predictor("emulator", pool).predictor
    order = sorted(range(len(pool)), key=lambda start: len(pool.continuation(start)))
    starts = np.array([order[0], order[-1], order[3]])
    steps = len(pool.continuation(order[3])) + 2
    actions = np.stack([continued(pool, start, steps) for start in starts.tolist()], axis=1)
    lanes = roll_lanes(control, pool, starts, actions, noise_keys(starts))
    ends = [int(rollout.ended.argmax()) for rollout in lanes]
    assert 0 < ends[0] < ends[2] and not lanes[1].ended.any()
    for lane, (start, rollout) in enumerate(zip(starts.tolist(), lanes, strict=True)):
        check_equal(rollout, roll(control, pool, start, actions[:, lane]))


def test_a_lane_that_is_over_stands_while_others_go_on(pool: StartPool) -> None:
    class Uneven(Fading):
        def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
            state, outcome = super().step(state, action, noise)
            return state, outcome._replace(terminated=state[0][:, 0, 0] == 2 * action[:, 0])

    codes, starts = np.array([1, 4, 2], np.uint8), np.array([0, 0, 0])
    actions = np.repeat(np.tile(codes, (5, 1))[..., None], pool.frame_skip, axis=2)
    lanes = roll_lanes(Uneven(Domain()), pool, starts, actions, noise_keys(starts))
    for lane, (last, rollout) in enumerate(zip(codes.tolist(), lanes, strict=True)):
        played = np.minimum(np.arange(6), last)
        assert rollout.ended.tolist() == [step >= last for step in range(6)]
        assert rollout.scores.tolist() == (10 * played).tolist()
        assert rollout.lives.tolist() == (rollout.lives[0] - played).tolist()
        assert rollout.frames[:, 0, 0].tolist() == (2 * played).tolist()
        check_equal(rollout, roll(Uneven(Domain()), pool, 0, actions[:, lane]))


def test_steps_are_dreamt_as_they_are_asked_for_and_not_past_the_last_end(pool: StartPool) -> None:
    class Counting(Fading):
        played = 0

        def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
            self.played += 1
            return super().step(state, action, noise)

    predictor, starts = Counting(Domain()), np.array([0, 0])
    actions = np.stack([held(pool, 0, 6)] * 2, axis=1)
    steps = dream_steps(predictor, pool, starts, actions, noise_keys(starts))
    begun = next(steps)
    assert predictor.played == 0 and begun.scores.tolist() == [0, 0] and not begun.ended.any()
    np.testing.assert_array_equal(begun.frames, pool.batch(starts).frames[:, -1])
    assert next(steps).scores.tolist() == [10, 10] and predictor.played == 1
    assert [step.scores.tolist() for step in steps] == [[20, 20]] + [[30, 30]] * 4
    assert predictor.played == 3


def test_lanes_with_one_key_dream_alike_and_others_do_not(pool: StartPool) -> None:
    starts = np.array([4, 4, 4])
    actions = np.stack([held(pool, 4, 3)] * 3, axis=1)
    first, second, third = roll_lanes(Fading(Domain()), pool, starts, actions, torch.tensor([1, 1, 2]))
    check_equal(first, second)
    assert (first.frames != third.frames).any()


def test_one_action_can_be_held_throughout(pool: StartPool) -> None:
    actions = constant(pool, "UPLEFT", 3)
    assert actions.dtype == np.uint8
    np.testing.assert_array_equal(actions, np.full((3, pool.frame_skip), ACTION_NAMES.index("UPLEFT")))


def test_a_plan_is_the_recording_random_or_one_action(pool: StartPool) -> None:
    start = of_stratum(pool, "end")
    steps = len(pool.continuation(start)) + 10
    expected = {
        "continuation": continued(pool, start, steps, 3),
        "random": held(pool, start, steps, 3),
        "UP": constant(pool, "UP", steps),
    }
    for plan, actions in expected.items():
        np.testing.assert_array_equal(planned(pool, start, steps, 3, plan), actions)
    assert len({actions.tobytes() for actions in expected.values()}) == 3
    np.testing.assert_array_equal(planned(pool, start, steps, 3), expected["continuation"])


def test_the_continuation_comes_first_then_held_random_actions(pool: StartPool) -> None:
    start = of_stratum(pool, "end")
    recorded = pool.continuation(start)
    actions = continued(pool, start, len(recorded) + 40, seed=3)
    assert actions.shape == (len(recorded) + 40, pool.frame_skip) and actions.dtype == np.uint8
    np.testing.assert_array_equal(actions[: len(recorded)], recorded)
    np.testing.assert_array_equal(actions[len(recorded) :], held(pool, start, 40, seed=3))
    np.testing.assert_array_equal(continued(pool, start, 5), recorded[:5])


def test_held_actions_are_of_the_game_held_and_seeded(pool: StartPool) -> None:
    actions = held(pool, 5, 400, seed=1)
    assert (actions == actions[:, :1]).all()
    assert set(actions[:, 0]) == set(get_game("pacman").actions)
    assert 20 < (np.diff(actions[:, 0].astype(int)) != 0).sum() < 200
    np.testing.assert_array_equal(actions, held(pool, 5, 400, seed=1))
    assert (actions != held(pool, 5, 400, seed=2)).any() and (actions != held(pool, 6, 400, seed=1)).any()


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(["dream", *words])
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_the_command_draws_the_start_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = bundled_pool("qbert")
    start = of_stratum(pool, "end")
    words = ["--game", "qbert", "--checkpoint", "emulator", "--steps", "50", "--out", str(tmp_path / "a.gif")]
    words += ["--device", "cpu", "--json"]
    reports = []
    for asked in (str(start), pool.entries[start]["id"]):
        assert call(*words, "--start", asked) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0] == reports[1]
    assert reports[0]["real"] == reports[0]["dream"] and reports[0]["real"]["ended_at"] is not None
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 51
        first = np.array(film.convert("RGB"))[52::2, :320:2]
    np.testing.assert_array_equal(first, to_rgb(pool.batch(np.array([start])).frames[0, -1].numpy()))


def test_options_of_the_command_do_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def picture(*more: str) -> bytes:
        path = tmp_path / "a.png"
        assert (
            call("--game", "pacman", "--checkpoint", "copy_last", "--steps", "50", "--out", str(path), *more)
            == 0
        )
        return path.read_bytes()

    usual = picture("--seed", "1")
    assert usual == picture("--seed", "1")
    assert usual != picture("--seed", "2") and usual != picture("--seed", "1", "--actions", "random")
    assert str(tmp_path / "a.png") == capsys.readouterr().out.splitlines()[0]


def test_the_command_begins_from_memory_where_it_is_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--game", "qbert", "--steps", "20", "--device", "cpu", "--json"]
    reports, pictures = [], []
    for more in ([], ["--memory"]):
        assert call(*words, "--out", str(tmp_path / "a.png"), *more) == 0
        reports.append(json.loads(capsys.readouterr().out))
        pictures.append((tmp_path / "a.png").read_bytes())
    assert [report["checkpoint"] for report in reports] == ["bundled", "bundled:memory"]
    assert reports[0]["start"] == reports[1]["start"] and pictures[0] != pictures[1]
    assert call(*words, "--out", str(tmp_path / "a.png"), "--checkpoint", "copy_last", "--memory") == 2
    assert "keeps no memory" in capsys.readouterr().err


def test_a_learnt_dream_is_sampled_at_the_temperature_asked_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    domain = Domain("pacman", colours=tuple(range(0, 64, 2)), rewards=(0.0, 10.0))
    model = create_model("c_lstm_vae", domain, channels=8, deep=8)
    config = {"channels": 8, "deep": 8}
    save_checkpoint(tmp_path / "untrained", model, "c_lstm_vae", config, {}, "none")

    def picture(*more: str) -> bytes:
        words = [
            "--game",
            "pacman",
            "--checkpoint",
            str(tmp_path / "untrained"),
            "--device",
            "cpu",
            "--steps",
            "2",
        ]
        assert (
            call(*words, "--start", "0", "--actions", "random", "--out", str(tmp_path / "a.gif"), *more) == 0
        )
        return (tmp_path / "a.gif").read_bytes()

    sampled = picture()
    assert sampled == picture() == picture("--temperature", "1")
    assert picture("--deterministic") == picture("--temperature", "0") != sampled


@pytest.mark.slow
def test_measuring_tells_speed_and_the_drift_beside_both_floors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from atari_dream.cli import dream

    monkeypatch.setattr(dream, "MEASURED_SECONDS", 0.02)
    monkeypatch.setattr(dream, "MEASURED_STARTS", 3)
    words = ["--game", "pacman", "--checkpoint", "emulator", "--steps", "1", "--out", str(tmp_path / "a.png")]
    assert call(*words, "--measure", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    speed, *drift = dream._measured(report)
    assert "at batch 1" in speed and "at batch 8" in speed
    assert set(report["steps_per_second"]) == {"1", "8"} and min(report["steps_per_second"].values()) > 0
    for line, step in zip(drift, ("1", "5", "10"), strict=True):
        wrong = report["drift"]["wrong_moving"][step]
        assert list(wrong) == ["emulator", "copy_last", "background"]
        assert wrong["emulator"] == 0 and 0 < wrong["copy_last"] <= 1 and 0 < wrong["background"] <= 1
        assert f"step {step}: emulator 0.0%" in line and "(3 starts)" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "a.gif", "--start", "100000"], "has starts 0 to"),
        (["--out", "a.gif", "--start", "-1"], "has starts 0 to"),
        (["--out", "a.gif", "--start", "pacman"], "unknown start 'pacman'"),
        (["--out", "a.jpeg"], "unknown picture format '.jpeg'"),
        (["--out", "a.gif", "--pool", "nowhere"], "no start pool at nowhere"),
        (["--out", "a.gif", "--steps", "0"], "--steps"),
        (["--out", "a.gif", "--device", "abacus"], "no device 'abacus'"),
    ],
)
def test_bad_usage_is_one_line_and_writes_nothing(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("--game", "pacman", "--checkpoint", "copy_last", *words) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
