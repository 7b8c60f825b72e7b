"""The table of a store of replays."""

from pathlib import Path

import numpy as np
import pytest
from replay_files import ACTIONS, ROWS, lines, write_replay
from test_replays_ingest import many, take

from atari_dream.games import ACTION_NAMES
from atari_dream.replays.census import count_store, table, tell_damage


def test_everything_is_counted(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "1", lines(play="1"))
    write_replay(tmp_path / "v1", "2", [*lines(play="2")[:-1], "13, 0, 170, True, 0"])
    (write_replay(tmp_path / "v1", "3", [*lines(play="3")[:-1], "13, 0, 30, False, 0"]) / "6.png").unlink()
    store, _ = take(tmp_path, tmp_path / "store")
    counts = count_store(store)
    assert counts["replays"] == 3 and counts["episodes"] == 4
    assert counts["frames"] == 3 * (ROWS - 3) - 1 and counts["hours"] == counts["frames"] / 216_000
    assert counts["scores"] == {
        "worst": 30,
        "best": 170,
        "mean": 90,
        "median": 70,
        "sd": pytest.approx(72.111),
    }
    assert counts["terminated"] == 1 and counts["cut"] == 3
    played = [ACTIONS[step + 2] for step in range(1, ROWS - 3)]
    played = 3 * played
    for step in (5, 6):
        played.remove(ACTIONS[step + 2])
    assert counts["actions"] == pytest.approx(
        {ACTION_NAMES[code]: np.mean(np.array(played) == code) for code in set(played)}
    )
    assert sum(counts["splits"].values()) == 4


def test_the_table_has_a_column_a_game(tmp_path: Path) -> None:
    stores = [take(many(tmp_path / name / "v1", 2), tmp_path / f"{name}-store")[0] for name in "ab"]
    told = table([count_store(store) for store in stores])
    assert told[0] == "| | qbert | qbert |" and told[1] == "|---|---|---|"
    assert "| replays | 2 | 2 |" in told and "| mean score | 70 | 70 |" in told
    assert all(line.count("|") == 4 for line in told)


def test_damage_is_told_once_a_kind(tmp_path: Path) -> None:
    folder = many(tmp_path / "v1", 6)
    for number in range(5):
        (folder / "screens" / "qbert" / str(number) / "6.png").unlink()
    for picture in (folder / "screens" / "qbert" / "5").iterdir():
        picture.unlink()
    _, taken = take(folder, tmp_path / "store")
    assert tell_damage(taken) == [
        "missing PNG: 0 (1, first 6.png), 1 (1, first 6.png), 2 (1, first 6.png) and 2 more",
        f"skipped 5: no pictures in {folder / 'screens' / 'qbert' / '5'}",
    ]
