"""`ingest` and `export` on the command line."""

import json
import re
from pathlib import Path

import pytest
from replay_files import lines, write_replay
from test_cli import Captured, call, check_one_line
from test_replays_ingest import many, spoil

from atari_dream.episodes import EpisodeStore
from atari_dream.replays import ingest as replays_ingest
from atari_dream.replays.ingest import Taken


def test_real_replays_are_read_into_a_table(replays: Path, tmp_path: Path, capsys: Captured) -> None:
    asked = ["ingest", "--agc", str(replays.parent), "--game", "pinball", "--out", str(tmp_path / "store")]
    assert call(*asked, "--workers", "1") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "row without a picture: 131 (1, first row 539)"
    assert (
        told[1] == "| | pinball |"
        and "| frames at 60 Hz | 537 |" in told
        and "| best score | 1,000 |" in told
    )
    assert told[-1] == f"{tmp_path / 'store'}: 1 more replays, 0 skipped; 1 replays, 537 frames in all"
    assert call(*asked, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["replays"] == 1 and again["frames"] == 537 and again["damage"] == {} == again["alignment"]


def test_damage_is_told_and_costs_nothing_else(tmp_path: Path, capsys: Captured) -> None:
    spoil(write_replay(tmp_path / "v1", "17", lines(play="17")) / "5.png")
    (write_replay(tmp_path / "v1", "18", lines(play="18")[:-1]) / "6.png").unlink()
    write_replay(tmp_path / "v1", "19", lines(play="19")[:-2])
    asked = ["ingest", "--agc", str(tmp_path), "--out", str(tmp_path / "store"), "--workers", "1"]
    assert call(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["skipped"]) == ["17"] and "5.png has colour (7, 7, 7)" in told["skipped"]["17"]
    assert told["damage"]["18"] == "picture without a row (1, first picture 13); missing PNG (1, first 6.png)"
    assert told["replays"] == 2 and told["episodes"] == 3
    assert call(*asked) == 0
    assert "1 skipped; 2 replays" in capsys.readouterr().out.splitlines()[-1]


def test_if_nothing_can_be_read_it_says_why(tmp_path: Path, capsys: Captured) -> None:
    spoil(write_replay(tmp_path / "v1", "17") / "5.png")
    assert call("ingest", "--agc", str(tmp_path), "--out", str(tmp_path / "store"), "--workers", "1") == 2
    assert "skipped 17: " in check_one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --agc DIR or --minari DIR"),
        (("--agc", "a", "--minari", "b"), "give either --agc DIR or --minari DIR"),
        (("--agc", "a"), "no replays at a: it should hold trajectories"),
        (("--minari", "b", "--split", "test"), "--split does not go with --minari"),
        (("--agc", "a", "--frame-skip", "4"), "--frame-skip does not go with --agc"),
        (("--agc", "a", "--game", "pacmen"), "unknown game 'pacmen': .*nearest is 'pacman'"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    monkeypatch.chdir(tmp_path)
    assert call("ingest", "--out", "store", *arguments) == 2
    assert re.search(message, check_one_line(capsys.readouterr().err))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = many(tmp_path / "v1", 4)
    admit = replays_ingest._admit

    def stop(store: EpisodeStore, taken: Taken, rows: dict[str, str]) -> Taken:
        if taken.number == "2":
            raise KeyboardInterrupt
        return admit(store, taken, rows)

    monkeypatch.setattr(replays_ingest, "_admit", stop)
    asked = ["ingest", "--agc", str(folder), "--out", str(tmp_path / "store"), "--workers", "1"]
    assert call(*asked) == 130
    assert f"interrupted, {tmp_path / 'store'} keeps its 2 episodes" in capsys.readouterr().err
    monkeypatch.undo()
    assert call(*asked) == 0
    assert "2 more replays, 0 skipped; 4 replays" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "writer", "told"),
    [
        ("agc", "write_all", "keeps what is finished"),
        ("minari", "to_minari", "keeps nothing of it: a data set is whole or not there"),
    ],
)
def test_a_stopped_export_says_what_is_kept(
    form: str,
    writer: str,
    told: str,
    store: EpisodeStore,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"atari_dream.cli.export.{writer}", stop)
    assert call("export", "--store", str(store.path), "--to", form, "--out", str(tmp_path / "out")) == 130
    assert f"interrupted, {tmp_path / 'out'} {told}\n" in capsys.readouterr().err


@pytest.mark.slow
def test_export_and_ingest_give_the_same(tmp_path: Path, capsys: Captured) -> None:
    store, out, back = (str(tmp_path / name) for name in ("store", "out", "back"))
    recording = ["record", "--game", "qbert", "--frame-skip", "1", "--longest", "90", "--steps", "150"]
    assert call(*recording, "--out", store) == 0
    assert call("export", "--store", store, "--out", out, "--palette", "agc", "--workers", "1") == 0
    assert capsys.readouterr().out.endswith(f"{out}/atari_v1: 2 episodes of qbert, 182 frames\n")
    assert call("ingest", "--agc", out, "--out", back, "--workers", "1") == 0
    mine, theirs = EpisodeStore(back), EpisodeStore(store)
    assert [entry["sha256"] for entry in mine.entries] == [entry["sha256"] for entry in theirs.entries]
    assert mine.digest() == theirs.digest()


@pytest.mark.slow
def test_minari_and_back_give_the_same(store: EpisodeStore, tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("minari")
    out, back = tmp_path / "out", tmp_path / "back"
    asked = ["export", "--store", str(store.path), "--to", "minari", "--out", str(out)]
    assert call(*asked, "--id", "pacman/random-v1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(out / "pacman" / "random-v1") and told["episodes"] == len(store)
    assert call("ingest", "--minari", told["folder"], "--out", str(back)) == 0
    assert EpisodeStore(back).digest() == store.digest()
    assert call(*asked, "--palette", "agc") == 2
    assert "--palette does not go with --to minari" in check_one_line(capsys.readouterr().err)
    assert call("export", "--store", str(store.path), "--id", "x-v0", "--out", str(out)) == 2
    assert "--id does not go with --to agc" in check_one_line(capsys.readouterr().err)


def test_a_store_of_every_fourth_frame_is_one_line(
    store: EpisodeStore, tmp_path: Path, capsys: Captured
) -> None:
    assert call("export", "--store", str(store.path), "--out", str(tmp_path / "out")) == 2
    assert "record it with --frame-skip 1" in check_one_line(capsys.readouterr().err)
