"""Where replays lie."""

from pathlib import Path

import pytest
from replay_files import write_replay, write_rows

from atari_dream.errors import UsageError
from atari_dream.files import write_json
from atari_dream.replays.geometry import ALE, GEOMETRIES
from atari_dream.replays.layout import ReplayFolder, Timing


@pytest.mark.parametrize("given", ["", "atari_v1"])
def test_the_data_set_is_found_by_itself_or_by_the_folder_that_holds_it(tmp_path: Path, given: str) -> None:
    write_replay(tmp_path / "atari_v1", "17")
    found = ReplayFolder(tmp_path / given)
    assert found.root == tmp_path / "atari_v1" and found.game == "qbert"
    assert [replay.identity for replay in found.replays()] == ["qbert-atari_v1-17"]
    assert found.source.timing == Timing(2, 3, 3) and found.source.geometry == GEOMETRIES["qbert"]


def test_replays_and_pictures_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    for number in ("10", "9", "100"):
        screens = write_replay(tmp_path, number)
    (screens / "notes.txt").write_text("nothing")
    (screens / "12 (copy).png").write_bytes(b"nothing")
    replays = list(ReplayFolder(tmp_path).replays())
    assert [replay.number for replay in replays] == ["9", "10", "100"]
    assert list(replays[-1].pictures()) == list(range(14))


def test_the_replays_are_those_of_the_first_call(tmp_path: Path) -> None:
    write_replay(tmp_path, "17")
    found = ReplayFolder(tmp_path)
    assert [replay.number for replay in found.replays()] == ["17"]
    write_replay(tmp_path, "18")
    assert [replay.number for replay in found.replays()] == ["17"]


def test_pictures_are_numbered_from_1_where_none_is_0(tmp_path: Path) -> None:
    screens = write_replay(tmp_path, "17")
    assert ReplayFolder(tmp_path).first_picture == 0
    (screens / "0.png").unlink()
    assert ReplayFolder(tmp_path).first_picture == 1
    write_replay(tmp_path, "18")
    assert ReplayFolder(tmp_path).first_picture == 0, "17 has lost its first picture"


def test_of_several_games_one_must_be_chosen(tmp_path: Path) -> None:
    write_rows(tmp_path, "1", game="qbert")
    write_rows(tmp_path, "1", game="pacman")
    assert ReplayFolder(tmp_path, "pacman").folder == "mspacman"
    with pytest.raises(UsageError, match=r"holds 2 games, choose with --game: pacman, qbert"):
        ReplayFolder(tmp_path)
    with pytest.raises(UsageError, match=r"unknown game .*'revenge': allowed are pacman, qbert"):
        ReplayFolder(tmp_path, "revenge")


def test_what_is_no_data_set_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no replays at .* it should hold trajectories"):
        ReplayFolder(tmp_path, "qbert")
    for name in ("v1", "v2"):
        write_rows(tmp_path / name, "1")
    with pytest.raises(UsageError, match=r"holds 2 data sets: give one of .*v1, .*v2"):
        ReplayFolder(tmp_path)


def test_a_source_is_honoured_and_options_go_before_it(tmp_path: Path) -> None:
    write_rows(tmp_path, "0")
    told = {"palette": "ale", "geometry": "ale", "action_shift": 0, "reward_shift": 1, "first_row": 0}
    about = {"0": {"id": "mine", "ending": "truncated"}}
    write_json(tmp_path / "trajectories" / "qbert" / "source.json", {"format": 1, **told, "episodes": about})
    found = ReplayFolder(tmp_path)
    assert found.source.palette == "ale" and found.source.geometry is ALE
    assert found.source.timing == Timing(0, 1, 0)
    (replay,) = found.replays()
    assert replay.identity == "mine" and replay.about["ending"] == "truncated"
    other = ReplayFolder(tmp_path, palette="agc", action_shift=4).source
    assert other.palette == "agc" and other.timing == Timing(4, 1, 0)


@pytest.mark.parametrize("change", [{"palette": "pal"}, {"geometry": "agc"}])
def test_a_source_of_something_else_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    write_rows(tmp_path, "0")
    told = {"palette": "ale", "geometry": "ale", "action_shift": 0, "reward_shift": 1, "first_row": 0}
    path = tmp_path / "trajectories" / "qbert" / "source.json"
    write_json(path, {"format": 1, **told, "episodes": {}, **change})
    with pytest.raises(UsageError, match=r"source\.json has"):
        ReplayFolder(tmp_path)


def test_folders_without_rows_are_told(tmp_path: Path) -> None:
    write_replay(tmp_path, "17")
    (tmp_path / "screens" / "qbert" / "9").mkdir()
    assert ReplayFolder(tmp_path).silent() == ["9"]
