"""Replays into a store."""

import errno
import os
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from replay_files import ACTIONS, REWARDS, ROWS, codes, lines, write_pictures, write_replay, write_rows
from test_replays_geometry import TRUTH

from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.replays.ingest import Taken, ingest
from atari_dream.replays.layout import ReplayFolder

STEPS = range(1, ROWS - 3)
"""Steps of a whole small replay that have all they need."""


def take(
    path: Path, out: Path, game: str | None = None, shift: int | None = None, **how: Any
) -> tuple[EpisodeStore, list[Taken]]:
    found = ReplayFolder(path, game, action_shift=shift)
    store = EpisodeStore.create(out, found.game, 1, "replays")
    return store, ingest(found, store, **{"workers": 0, **how})


def only(path: Path, **how: Any) -> tuple[EpisodeStore, Taken]:
    store, taken = take(path, path / "store", **how)
    (one,) = taken
    return EpisodeStore(store.path), one


def check_parts(store: EpisodeStore, parts: list[range], begin: int = 0) -> None:
    """Checks that a store holds these steps of a small replay, in these parts."""
    assert [entry["first"] for entry in store.entries] == [part[0] for part in parts]
    for episode, part in zip(store, parts, strict=True):
        assert episode.actions.tolist() == [ACTIONS[step + 2] for step in part]
        assert episode.rewards.tolist() == [REWARDS[step + 3] for step in part]
        expected = [codes(place + begin) for place in [*part, part[-1] + 1]]
        np.testing.assert_array_equal(episode.frames[:, :203], np.stack(expected)[:, :203])


@pytest.mark.parametrize("game", GAMES)
def test_a_real_replay_comes_out_as_the_truth_has_it(game: str, replays: Path, tmp_path: Path) -> None:
    store, (taken,) = take(replays, tmp_path / "store", game)
    episode = store[0]
    first, steps = episode.meta["first"], len(episode)
    stretch = slice(first, first + steps)
    np.testing.assert_array_equal(episode.actions, TRUTH[f"{game}_action_next"][stretch])
    np.testing.assert_array_equal(episode.rewards, np.diff(TRUTH[f"{game}_score"])[stretch])
    for place, frame in zip(TRUTH[f"{game}_places"], TRUTH[f"{game}_frames"], strict=True):
        if first <= place <= first + steps:
            np.testing.assert_array_equal(episode.frames[place - first], frame)
    assert first == 1 and len(TRUTH[f"{game}_score"]) - steps == (3 if game == "pinball" else 4)
    assert episode.lives is None and episode.ending == "cut" and not taken.skipped
    assert not (episode.frames % 2).any(), "no unknown colour is left"


def test_a_whole_replay_gives_one_episode(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17")
    store, taken = only(tmp_path)
    check_parts(store, [STEPS])
    assert not taken.damage.found and not taken.skipped
    assert store.entries[0]["unseen_rows"] == [203, 210] and (store[0].frames[:, 203:] == 0).all()
    assert store.entries[0]["final_score"] == 70 and store[0].meta["source"] == "replays"


def test_pictures_numbered_from_1_give_the_same(tmp_path: Path) -> None:
    write_rows(tmp_path / "v1", "17")
    write_pictures(tmp_path / "v1" / "screens" / "qbert" / "17", first=1)
    store, taken = only(tmp_path)
    check_parts(store, [STEPS])
    assert not taken.damage.found


def test_a_missing_picture_parts_the_episode(tmp_path: Path) -> None:
    screens = write_replay(tmp_path / "v1", "17")
    (screens / "5.png").unlink()
    store, taken = only(tmp_path)
    check_parts(store, [range(1, 4), range(6, ROWS - 3)])
    assert str(taken.damage) == "missing PNG (1, first 5.png)"
    assert [entry["id"] for entry in store.entries] == ["qbert-v1-17", "qbert-v1-17@6"]
    assert [entry["ending"] for entry in store.entries] == ["cut", "cut"]


def test_a_truncated_picture_parts_the_episode(tmp_path: Path) -> None:
    screens = write_replay(tmp_path / "v1", "17")
    (screens / "5.png").write_bytes((screens / "5.png").read_bytes()[:300])
    store, taken = only(tmp_path)
    check_parts(store, [range(1, 4), range(6, ROWS - 3)])
    assert str(taken.damage) == "damaged PNG (1, first 5.png)"


def test_a_part_without_a_step_is_left_out(tmp_path: Path) -> None:
    screens = write_replay(tmp_path / "v1", "17")
    for name in ("3.png", "5.png"):
        (screens / name).unlink()
    store, _ = only(tmp_path)
    check_parts(store, [range(1, 2), range(6, ROWS - 3)])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("8, 50, 60, Fal", "malformed line (1, first 17.txt line 11)"),
        ("8, 50, 60, False, 99", "action outside 0-17 (1, first 17.txt line 11)"),
    ],
)
def test_a_bad_line_parts_the_episode(tmp_path: Path, line: str, told: str) -> None:
    text = lines()
    text[10] = line
    write_replay(tmp_path / "v1", "17", text)
    store, taken = only(tmp_path)
    check_parts(store, [range(1, 5), range(7, ROWS - 3)])
    assert str(taken.damage) == told


def test_pictures_without_rows_are_told(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17", lines()[:-4])
    store, taken = only(tmp_path)
    check_parts(store, [range(1, ROWS - 7)])
    assert str(taken.damage) == "picture without a row (4, first picture 10)"


def test_rows_without_pictures_are_told(tmp_path: Path) -> None:
    screens = write_replay(tmp_path / "v1", "17")
    (screens / "13.png").unlink()
    store, taken = only(tmp_path)
    check_parts(store, [STEPS])
    assert str(taken.damage) == "row without a picture (1, first row 13)"


def test_line_ends_of_windows_lose_nothing(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17", [line + "\r" for line in lines()])
    store, taken = only(tmp_path)
    check_parts(store, [STEPS])
    assert taken.damage.count("line ends of Windows") == 1


def spoil(picture: Path) -> None:
    cv2.imwrite(str(picture), np.full((210, 160, 3), 7, np.uint8))


def test_an_unknown_colour_costs_its_replay_and_no_other(tmp_path: Path) -> None:
    spoil(write_replay(tmp_path / "v1", "17") / "5.png")
    write_replay(tmp_path / "v1", "18", lines(play="78")[:-1])
    store, taken = take(tmp_path, tmp_path / "store")
    assert [entry["replay"] for entry in store.entries] == ["qbert-v1-18"]
    assert "5.png has colour (7, 7, 7) at row 0, column 0" in taken[0].skipped and not taken[1].skipped
    assert [path.name for path in (store.path / "episodes").iterdir()] == ["qbert-v1-18.zip"]


def test_without_strictness_it_costs_its_own_steps(tmp_path: Path) -> None:
    spoil(write_replay(tmp_path / "v1", "17") / "5.png")
    store, taken = only(tmp_path, strict=False)
    check_parts(store, [range(1, 4), range(6, ROWS - 3)])
    assert "5.png has colour (7, 7, 7)" in str(taken.damage)


def test_a_missing_folder_skips_its_replay_and_no_other(tmp_path: Path) -> None:
    write_rows(tmp_path / "v1", "17")
    write_replay(tmp_path / "v1", "18")
    store, taken = take(tmp_path, tmp_path / "store")
    assert [one.number for one in taken] == ["17", "18"] and len(store) == 1
    assert taken[0].skipped.startswith("no pictures in ") and taken[0].skipped.endswith("qbert/17")


def test_rows_that_cannot_be_read_skip_their_replay(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17", ["nothing"])
    store, taken = only(tmp_path)
    assert not len(store) and taken.skipped.endswith(
        "17.txt has no rows frame, reward, score, terminal, action"
    )


def test_pictures_without_a_trajectory_are_told(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17")
    write_pictures(tmp_path / "v1" / "screens" / "qbert" / "9")
    _, taken = take(tmp_path, tmp_path / "store")
    assert {one.number: one.skipped for one in taken} == {"9": "pictures without a trajectory", "17": ""}


def test_the_same_play_twice_is_taken_once(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17")
    write_replay(tmp_path / "v1", "5")
    store, taken = take(tmp_path, tmp_path / "store")
    assert [one.skipped for one in taken] == ["", "the same rows as 5"] and len(store) == 1
    assert [path.name for path in (store.path / "episodes").iterdir()] == ["qbert-v1-5.zip"]


def test_one_number_of_a_play_with_other_rows_is_kept_in_one_split(tmp_path: Path) -> None:
    for number in range(6):
        text = [*lines(play=str(number // 2))[:-1], f"13, 0, 70, False, {number}"]
        write_replay(tmp_path / "v1", str(number), text, begin=number)
    store, _ = take(tmp_path, tmp_path / "store")
    splits = [entry["split"] for entry in store.entries]
    assert len(store) == 6 and splits[::2] == splits[1::2]
    assert sorted(splits[::2]) == ["test", "train", "validation"]


def test_parts_of_a_replay_stay_in_one_split(tmp_path: Path) -> None:
    for number in range(3):
        screens = write_replay(tmp_path / "v1", str(number), lines(play=str(number)), begin=number)
        write_rows(
            tmp_path / "v1", str(number), [*lines(play=str(number))[:-1], f"13, {number}, 70, False, 3"]
        )
        (screens / "6.png").unlink()
    store, _ = take(tmp_path, tmp_path / "store")
    by_replay: dict[str, set[str]] = {}
    for entry in store.entries:
        by_replay.setdefault(entry["replay"], set()).add(entry["split"])
    assert len(store) == 6
    assert sorted(split for splits in by_replay.values() for split in splits) == [
        "test",
        "train",
        "validation",
    ]


def test_a_split_can_be_given(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17")
    store, _ = only(tmp_path, split="test")
    assert store.entries[0]["split"] == "test"


def many(path: Path, count: int) -> Path:
    for number in range(count):
        text = [*lines(play=str(number))[:-1], f"13, 0, 70, False, {number}"]
        write_replay(path, str(number), text, begin=number)
    return path


def index(store: EpisodeStore) -> str:
    return (store.path / "index.json").read_text()


def test_again_adds_nothing_and_later_what_is_new(tmp_path: Path) -> None:
    folder = many(tmp_path / "v1", 4)
    store, _ = take(folder, tmp_path / "store")
    before = index(store)
    assert take(folder, store.path)[1] == [] and index(store) == before
    many(folder, 5)
    again, taken = take(folder, store.path)
    assert [one.number for one in taken] == ["4"] and again.entries[:4] == EpisodeStore(store.path).entries[
        :4
    ]
    assert len(again) == 5


def test_an_interrupted_run_goes_on_to_the_same_store(tmp_path: Path) -> None:
    folder = many(tmp_path / "v1", 6)
    whole, _ = take(folder, tmp_path / "whole")

    def stop(taken: Taken) -> None:
        if taken.number == "3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(folder, tmp_path / "parts", progress=stop)
    assert len(EpisodeStore(tmp_path / "parts")) == 4
    parts, taken = take(folder, tmp_path / "parts")
    assert [one.number for one in taken] == ["4", "5"] and index(parts) == index(whole)


def test_a_full_disk_stops_it_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = many(tmp_path / "v1", 3)
    written = ZipFile.writestr

    def full(zipped: ZipFile, *args: Any, **options: Any) -> None:
        if "-1.zip" in str(zipped.filename):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(zipped, *args, **options)

    monkeypatch.setattr(ZipFile, "writestr", full)
    with pytest.raises(UsageError, match=r"cannot write .*qbert-v1-1\.zip: No space left on device"):
        take(folder, tmp_path / "store")
    monkeypatch.undo()
    assert [entry["id"] for entry in EpisodeStore(tmp_path / "store").entries] == ["qbert-v1-0"]
    assert len(take(folder, tmp_path / "store")[0]) == 3


@pytest.mark.slow
def test_the_number_of_workers_does_not_matter(tmp_path: Path) -> None:
    folder = many(tmp_path / "v1", 5)
    stores = [take(folder, tmp_path / str(workers), workers=workers)[0] for workers in (0, 2)]
    assert index(stores[0]) == index(stores[1])


def test_a_store_of_another_timing_is_refused(tmp_path: Path) -> None:
    write_replay(tmp_path / "v1", "17")
    take(tmp_path, tmp_path / "store")
    with pytest.raises(UsageError, match=r"read with action and reward shift \[2, 3\], not \[1, 3\]"):
        take(tmp_path, tmp_path / "store", shift=1)


def test_actions_are_mapped_to_the_minimal_set_if_asked_for(tmp_path: Path) -> None:
    text = [line.replace("False, 3", "False, 11").replace("False, 4", "False, 6") for line in lines()]
    write_replay(tmp_path / "v1", "17", text)
    plain, _ = take(tmp_path, tmp_path / "plain")
    mapped, _ = take(tmp_path, tmp_path / "mapped", minimal=True)
    assert set(plain[0].actions.tolist()) == {0, 2, 5, 6, 11}
    assert set(mapped[0].actions.tolist()) == {0, 2, 3, 5}
    np.testing.assert_array_equal(mapped[0].actions == 3, plain[0].actions == 11)
