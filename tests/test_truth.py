"""The truth is the recording, replayed from power-on where nothing of the control's is shared, and kept in a folder."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import platformdirs
import pytest

from atari_dream import truth
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.processes import processes
from atari_dream.rollout import constant, continued, held
from atari_dream.starts import StartPool
from atari_dream.truth import Kept, Script, Truth, default_cache, load_truth, truths

STEPS = 30
STARTS = [15, 0, 7, 2, 9, 4]
"""The first ends after 18 steps."""


def forbidden(*_: object) -> NoReturn:
    raise AssertionError("this must not be used")


def keep(
    scripts: list[Script], cache: Path, progress: Callable[[int], object] = lambda done: None
) -> list[Kept]:
    """Plays in this process what is not in the cache."""
    with processes(0, "pacman") as executor:
        return truths(scripts, cache, executor, progress)


def check_equal(one: Truth, other: Truth) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def scripts(pool: StartPool) -> list[Script]:
    return [Script.of(pool, start, continued(pool, start, STEPS)[None]) for start in STARTS]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "truth"


@pytest.fixture(scope="module")
def kept(scripts: list[Script], cache: Path) -> list[Kept]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StartPool, "batch", forbidden)
        return keep(scripts, cache)


@pytest.fixture
def script(pool: StartPool) -> Script:
    """Two steps from a start."""
    return Script.of(pool, 2, continued(pool, 2, 2)[None])


def test_the_truth_is_the_recordings_continuation(
    kept: list[Kept], pool: StartPool, store: EpisodeStore
) -> None:
    episode = store[3]
    assert episode.ending == "terminated" and len(kept) == len(STARTS)
    assert episode.lives is not None
    gained = 0.0
    for start, real in zip(STARTS, (load_truth(one.path) for one in kept), strict=True):
        step = pool.entries[start]["step"]
        seen = min(STEPS, len(episode) - step)
        assert real.frames.shape == (1, STEPS, 210, 160) and real.ram.shape == (1, STEPS, 128)
        np.testing.assert_array_equal(real.first, episode.frames[step])
        np.testing.assert_array_equal(real.frames[0, :seen], episode.frames[step + 1 :][:STEPS])
        np.testing.assert_array_equal(real.rewards[0, :seen], episode.rewards[step:][:STEPS])
        np.testing.assert_array_equal(real.lives[0, :seen], episode.lives[step + 1 :][:STEPS])
        assert real.ended[0].tolist() == [step + t >= len(episode) for t in range(1, STEPS + 1)]
        gained += real.rewards.sum()
    assert gained > 0


def test_after_the_end_it_stands(kept: list[Kept]) -> None:
    over = load_truth(kept[0].path)
    frames, ram = over.frames[0], over.ram[0]
    assert over.ended[0].tolist() == [False] * 17 + [True] * 13
    assert (frames[17:] == frames[17]).all() and (frames[16] != frames[17]).any()
    assert (ram[17:] == ram[17]).all() and (ram[16] != ram[17]).any()
    assert not over.rewards[0, 18:].any()


def test_it_says_which_colours_it_shows(kept: list[Kept]) -> None:
    for one in kept:
        shown = np.unique(load_truth(one.path).frames)
        assert one.colours.shape == (256,) and np.flatnonzero(one.colours).tolist() == shown.tolist()


@pytest.mark.slow
def test_another_process_plays_the_same(scripts: list[Script], kept: list[Kept], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, processes(1, "pacman") as executor:
        assert isinstance(executor, ProcessPoolExecutor)
        patch.setattr(truth, "Emulator", forbidden)
        patch.setattr(StartPool, "batch", forbidden)
        (there,) = truths(scripts[:1], tmp_path, executor)
    assert there.path.name == kept[0].path.name and there.path != kept[0].path
    check_equal(load_truth(there.path), load_truth(kept[0].path))


@pytest.mark.slow
@pytest.mark.parametrize("start", [7, 15])
def test_several_ways_of_going_on_each_begin_at_the_start(pool: StartPool, start: int) -> None:
    ways = [continued(pool, start, 20), held(pool, start, 20), constant(pool, "LEFT", 20)]
    together = Script.of(pool, start, np.stack([*ways, ways[0]])).play()
    assert together.frames.shape == (4, 20, 210, 160)
    for number, way in enumerate([*ways, ways[0]]):
        alone = Script.of(pool, start, way[None]).play()
        np.testing.assert_array_equal(together.first, alone.first)
        for all_ways, one in zip(together[1:], alone[1:], strict=True):
            np.testing.assert_array_equal(all_ways[number], one[0])
    if start == 7:
        assert (together.frames[0] != together.frames[1]).any()
    else:
        assert together.ended[:, -1].all() and not together.ended[:, 0].any()


def test_what_was_played_is_read_the_second_time(
    scripts: list[Script], kept: list[Kept], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "Emulator", forbidden)
    written = {one.path: one.path.stat().st_mtime_ns for one in kept}
    done: list[int] = []
    again = keep(scripts, cache, done.append)
    assert done == [1] * len(scripts)
    assert [one.path for one in again] == [one.path for one in kept]
    np.testing.assert_array_equal([one.colours for one in again], [one.colours for one in kept])
    assert {path: path.stat().st_mtime_ns for path in written} == written
    with pytest.raises(AssertionError, match="must not be used"):
        keep([replace(scripts[0], actions=scripts[0].actions[:, :5])], cache)


def test_a_file_is_named_by_its_digest_and_nothing_else_is_left(
    scripts: list[Script], kept: list[Kept], cache: Path
) -> None:
    for script, one in zip(scripts, kept, strict=True):
        assert one.path == cache / script.digest()[:2] / f"{script.digest()}.npz"
    files = {path for path in cache.rglob("*") if path.is_file()}
    assert {one.path for one in kept} <= files and all(path.suffix == ".npz" for path in files)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other", "raw"])
def test_a_damaged_file_is_made_again(script: Script, tmp_path: Path, damage: str) -> None:
    (made,) = keep([script], tmp_path)
    whole, expected = made.path.read_bytes(), load_truth(made.path)
    if damage == "other":
        with made.path.open("wb") as file:
            np.savez_compressed(file, first=expected.first)
    elif damage == "raw":
        with made.path.open("wb") as file:
            np.save(file, expected.first)
    else:
        made.path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no zip"}[damage])
    with pytest.raises(UsageError, match="is damaged: delete it, it is made again") as caught:
        load_truth(made.path)
    assert "\n" not in str(caught.value) and str(made.path) in str(caught.value)
    assert [one.path for one in keep([script], tmp_path)] == [made.path]
    check_equal(load_truth(made.path), expected)


def test_a_file_with_wrong_bytes_inside_is_made_again(script: Script, tmp_path: Path) -> None:
    (made,) = keep([script], tmp_path)
    whole, expected = bytearray(made.path.read_bytes()), load_truth(made.path)
    middle = len(whole) // 2
    whole[middle : middle + 16] = bytes(255 - value for value in whole[middle : middle + 16])
    made.path.write_bytes(whole)
    keep([script], tmp_path)
    check_equal(load_truth(made.path), expected)


def test_the_digest_depends_on_everything_that_the_truth_does(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [
        replace(script, game="qbert"),
        replace(script, recipe=script.recipe[:-1]),
        replace(script, frame="0" * 64),
        replace(script, actions=script.actions ^ 1),
        replace(script, actions=script.actions.reshape(2, 1, 4)),
        replace(script, actions=script.actions.reshape(1, 4, 2)),
    ]
    digests = {script.digest(), *(other.digest() for other in others)}
    for name in ("ALE_VERSION", "_LAYOUT"):
        with monkeypatch.context() as patch:
            patch.setattr(truth, name, "another")
            digests.add(script.digest())
    assert len(digests) == len(others) + 3
    assert replace(script, identity="another name").digest() == script.digest()
    assert replace(script, actions=np.asfortranarray(script.actions)).digest() == script.digest()


@pytest.mark.parametrize("wrong", ["frame", "recipe"])
def test_a_start_that_does_not_replay_is_named(script: Script, tmp_path: Path, wrong: str) -> None:
    bad = replace(script, frame="0" * 64) if wrong == "frame" else replace(script, recipe=script.recipe[:-4])
    done: list[int] = []
    with pytest.raises(
        UsageError, match=f"^start '{script.identity}' does not replay from power-on"
    ) as caught:
        keep([script, bad], tmp_path, done.append)
    assert "\n" not in str(caught.value)
    assert done == [1] and [path.stem for path in tmp_path.rglob("*.npz")] == [script.digest()]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATARI_DREAM_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "truth"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("ATARI_DREAM_CACHE")
        else:
            monkeypatch.setenv("ATARI_DREAM_CACHE", unset)
        assert default_cache() == platformdirs.user_cache_path("atari-dream") / "truth"
        assert default_cache() != tmp_path / "truth" and os.fspath(default_cache()).endswith("truth")
