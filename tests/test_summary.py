"""What is told of a measurement: the contract's keys, intervals around values, objects that cannot be trusted named."""

import copy
from pathlib import Path
from typing import Any

from conftest import DRIFT_HORIZON as HORIZON
from conftest import DRIFT_NAMES
from conftest import DRIFT_STARTS as STARTS

from atari_dream.drift import Measured
from atari_dream.files import write_json
from atari_dream.metrics import FRAME_MEASURES, OUTCOME_MEASURES
from atari_dream.objects.scene import scene_reader
from atari_dream.protocol import Protocol
from atari_dream.scoring import median_steps
from atari_dream.summary import summarise, trusted


def test_it_has_the_keys_of_the_contract(summary: dict[str, Any], protocol: Protocol) -> None:
    contract = {"format", "game", "protocol", "entries", "command", "commit", "versions"}
    assert set(summary) == contract | {"objects", "events"}
    assert summary["format"] == 1 and summary["game"] == "pinball"
    asked = {"name", "starts", "horizon", "context", "frame_skip", "actions", "sampling", "seed"}
    assert set(summary["protocol"]) > asked and summary["protocol"]["sha256"] == protocol.digest()
    assert [entry["name"] for entry in summary["entries"]] == DRIFT_NAMES
    measures = {
        *FRAME_MEASURES,
        *OUTCOME_MEASURES,
        "object_survival",
        "survival_ball",
        "life_f1",
        "end_recall",
    }
    for entry in summary["entries"]:
        assert set(entry["per_step"]) == set(entry["ci95"]) > measures | {"n"}
        assert set(entry["better_than"]) == set(DRIFT_NAMES) - {entry["name"]}
        for table in (entry["per_step"], entry["ci95"], *entry["better_than"].values()):
            assert all(len(row) == HORIZON for row in table.values())
        assert {len(row) for row in entry["control"]["per_step"].values()} == {8}
        assert {len(row) for row in entry["long"]["per_stretch"].values()} == {2}


def test_values_lie_in_their_intervals(summary: dict[str, Any]) -> None:
    told = 0
    for entry in summary["entries"]:
        for key, values in entry["per_step"].items():
            for value, band in zip(values, entry["ci95"][key], strict=True):
                assert band is None or band[0] <= value <= band[1]
                told += band is not None
    assert told > 1000


def test_numbers_are_short_and_plain(summary: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "drift.json", summary)
    assert "NaN" not in (tmp_path / "drift.json").read_text()
    for value in summary["entries"][1]["per_step"]["psnr"]:
        assert value == float(f"{value:.7g}")


def test_an_object_in_which_the_emulator_fails_is_left_out_by_name(
    measured: Measured, protocol: Protocol, listed: list[tuple[str, str]], summary: dict[str, Any]
) -> None:
    assert (
        summary["objects"]["kept"] == ["ball", "plunger", "flippers"] and not summary["objects"]["left_out"]
    )
    spoilt = copy.deepcopy(measured)
    spoilt.starts["emulator"]["failed_ball"][2, 5] = 1
    spoilt.starts["emulator"]["risk_plunger"][:] = 0
    told = summarise(protocol, listed, spoilt, "a test")
    assert told["objects"]["kept"] == ["flippers"]
    assert told["objects"]["left_out"] == {
        "ball": f"the emulator itself fails in 1 of {STARTS} starts",
        "plunger": "it is there in none of the starts",
    }
    for entry in told["entries"]:
        assert "survival_ball" not in entry["per_step"] and set(entry["objects"]) == {"flippers"}
        assert entry["per_step"]["object_survival"] == entry["per_step"]["survival_flippers"]


def test_a_game_without_a_reader_has_no_objects(measured: Measured) -> None:
    assert scene_reader("breakout") is None and trusted("breakout", measured) == ([], {})


def test_what_became_of_an_object_is_counted(summary: dict[str, Any]) -> None:
    still = next(entry for entry in summary["entries"] if entry["name"] == "copy_last")
    ball = still["objects"]["ball"]
    assert ball["judged"] == STARTS and sum(ball["causes"].values()) > 0
    assert set(ball["causes"]) <= {"off", "lost", "extra", "doubled", "teleported", "wrong"}
    exact = summary["entries"][0]["objects"]["ball"]
    assert exact == {"judged": STARTS, "median": None, "causes": {}}
    assert summary["entries"][0]["median_survival"] is None
    assert still["median_survival"] == median_steps(still["per_step"]["object_survival"])


def test_the_control_part_tells_a_lag(summary: dict[str, Any]) -> None:
    lags = {entry["name"]: entry["control"]["lag"]["steps"] for entry in summary["entries"]}
    assert lags == {"emulator": 0, "copy_last": None, "background": None, "late": 1, "endless": 0}
