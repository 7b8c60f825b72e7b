"""Timings are taken by turns and say what they are of; how large they are is not tested."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atari_dream import speed
from atari_dream.bundled import bundled_pool
from atari_dream.cli import run
from atari_dream.games import get_game
from atari_dream.models.copy_last import CopyLast
from atari_dream.predictor import Domain, Frames, Start, State
from atari_dream.speed import DREAMS, EMULATORS, REPEATS, Contender, predictor_contender, take_turns


class Clock:
    """Time that passes only while a contender plays."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns: list[tuple[str, int]] = []

    def contender(self, name: str, lanes: int, cost: float, first: float = 0.0) -> Contender:
        def play(steps: int) -> None:
            warm = any(known == name for known, _ in self.turns)
            self.turns.append((name, steps))
            self.now += steps * cost + (0.0 if warm else first)

        return Contender(lanes, play)


def test_rates_are_summed_over_lanes_and_leave_the_warm_up_out() -> None:
    clock = Clock()
    contenders = {"a": clock.contender("a", 8, 0.01, first=100.0), "b": clock.contender("b", 1, 0.002)}
    rates = take_turns(contenders, seconds=2.0, repeats=4, clock=lambda: clock.now)
    assert rates["a"] == pytest.approx([800.0] * 4)
    assert rates["b"] == pytest.approx([500.0] * 4)


def test_contenders_take_turns_and_fill_their_time() -> None:
    clock, rounds = Clock(), []
    contenders = {"a": clock.contender("a", 8, 0.01), "b": clock.contender("b", 1, 0.002)}
    take_turns(contenders, seconds=2.0, repeats=4, progress=rounds.append, clock=lambda: clock.now)
    timed = clock.turns[-8:]
    assert [name for name, _ in timed] == ["a", "b"] * 4
    assert timed[:2] == [("a", 50), ("b", 250)] and timed[:2] * 4 == timed
    assert rounds == [1] * 4


def test_a_contender_slower_than_its_turn_plays_one_step() -> None:
    clock = Clock()
    rates = take_turns({"a": clock.contender("a", 2, 9.0)}, seconds=1.0, repeats=2, clock=lambda: clock.now)
    assert rates["a"] == pytest.approx([2 / 9] * 2)
    assert clock.turns[-2:] == [("a", 1), ("a", 1)]


def test_the_bare_predictor_steps_and_decodes_every_lane() -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(CopyLast):
        def step(self, state: State, action: torch.Tensor, noise: dict[str, torch.Tensor]) -> tuple:
            seen.append(tuple(action.shape))
            return super().step(state, action, noise)

        def decode(self, state: State) -> Frames:
            seen.append(tuple(state[0].shape))
            return super().decode(state)

    contender = predictor_contender(Watched(Domain()), bundled_pool("pacman"), torch.device("cpu"), 3)
    contender.run(5)
    assert contender.lanes == 3
    assert seen == [(3, 4), (3, 210, 160)] * 5


def test_the_report_ratios_are_of_equal_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {
        "predictor": [10.0, 20.0],
        "environment": [5.0, 5.0],
        "emulator": [10.0, 10.0],
        "emulator_vector": [20.0, 40.0],
    }
    monkeypatch.setattr(speed, "take_turns", lambda *given, **named: rates)
    report = speed.measure("pacman", "copy_last", "cpu", (2,))
    (row,) = report["batches"]
    assert row["batch"] == 2 and row["predictor"] == {"median": 15.0, "min": 10.0, "max": 20.0}
    assert row["ratio"]["predictor"]["emulator"] == {"median": 1.5, "min": 1.0, "max": 2.0}
    assert row["ratio"]["predictor"]["emulator_vector"] == {"median": 0.5, "min": 0.5, "max": 0.5}
    assert "1.5" in speed.table(report).splitlines()[1]


def test_all_environments_show_the_games_own_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def watched(make: Any) -> Any:
        return lambda *given, **named: made.append(make(*given, **named)) or made[-1]

    for name in ("make", "make_vec"):
        monkeypatch.setattr(speed.gymnasium, name, watched(getattr(speed.gymnasium, name)))
    with ExitStack() as stack:
        found = speed._environments(get_game("qbert"), "copy_last", "cpu", 2, 4, stack)
        for each in found.values():
            each.run(3)
        frames = [env.step(env.action_space.sample())[0] for env in made]
    lanes = {name: each.lanes for name, each in found.items()}
    assert lanes == {"environment": 2, "emulator": 1, "emulator_vector": 2}
    assert [frame.shape for frame in frames] == [(2, 210, 160, 3), (210, 160, 3), (2, 1, 210, 160, 3)]


def test_emulators_beyond_twice_the_cores_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_EMULATORS", 1)
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 1)
    with ExitStack() as stack:
        found = speed._environments(get_game("qbert"), "copy_last", "cpu", 5, 4, stack)
        found["emulator_vector"].run(3)
    assert {name: each.lanes for name, each in found.items()} == {
        "environment": 5,
        "emulator": 1,
        "emulator_vector": 2,
    }


def test_a_bare_predictors_lanes_begin_at_a_few_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_STARTS", 2)
    begun: list[torch.Tensor] = []

    class Watched(CopyLast):
        def init(self, start: Start) -> State:
            begun.append(start.frames)
            return super().init(start)

    predictor_contender(Watched(Domain()), bundled_pool("pacman"), torch.device("cpu"), 5)
    (frames,) = begun
    assert len(frames) == 5 and torch.equal(frames[0], frames[4]) and not torch.equal(frames[0], frames[1])


@pytest.mark.slow
def test_the_command_writes_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["speed", "--checkpoint", "copy_last", "--device", "cpu", "--batch", "1,2", "--seconds", "0.02"]
    words += ["--out", str(tmp_path / "out"), "--json"]
    monkeypatch.setattr(sys, "argv", ["atari-dream", *words])
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert ended.value.code == 0
    report = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert report == json.loads(capsys.readouterr().out)
    assert report["command"] == " ".join(["atari-dream", *words])
    assert (report["game"], report["checkpoint"], report["threads"]) == (
        "pacman",
        "copy_last",
        torch.get_num_threads(),
    )
    assert report["device"]["type"] == "cpu" and report["device"]["name"] and report["repeats"] == REPEATS
    assert [row["batch"] for row in report["batches"]] == [1, 2]
    for row in report["batches"]:
        for name in DREAMS + EMULATORS:
            assert 0 < row[name]["min"] <= row[name]["median"] <= row[name]["max"]
        assert np.isfinite([row["ratio"][name][to]["median"] for name in DREAMS for to in EMULATORS]).all()


@pytest.mark.parametrize("batch", ["", "0", "1,x", "1,,2", "-3", "1.5"])
def test_a_bad_batch_is_one_line(batch: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["speed", "--batch", batch, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--batch 1,8,64" in error
    assert not list(tmp_path.iterdir())
