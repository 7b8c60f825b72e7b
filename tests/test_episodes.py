"""The store gives back what it was given, splits by episode, and names what is damaged."""

import errno
import json
import multiprocessing
import os
import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from atari_dream import episodes
from atari_dream.episode import Episode
from atari_dream.episode_writer import write_episode
from atari_dream.episodes import EpisodeStore, assign_splits
from atari_dream.errors import UsageError


def make_episode(seed: int, steps: int = 40, lives: bool = True, **meta: Any) -> Episode:
    """Random content: nothing in it is constant or repeats."""
    rng = np.random.default_rng(seed)
    return Episode(
        frames=rng.integers(0, 256, (steps + 1, 210, 160)).astype(np.uint8),
        actions=rng.integers(0, 18, steps).astype(np.uint8),
        rewards=rng.integers(0, 50, steps).astype(np.float32),
        lives=rng.integers(0, 5, steps + 1).astype(np.int16) if lives else None,
        ending="truncated",
        meta={"id": f"made-{seed}", "seed": seed, "split": None, **meta},
        prelude=np.zeros(seed + 1, np.uint8),
    )


def check_equal(one: Episode, other: Episode) -> None:
    for name in ("frames", "actions", "rewards", "lives", "prelude", "state_steps", "states"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is None or theirs is None:
            assert mine is theirs is None, name
        else:
            assert mine.dtype == theirs.dtype, name
            np.testing.assert_array_equal(mine, theirs)
    assert one.ending == other.ending


@pytest.fixture
def made(tmp_path: Path) -> EpisodeStore:
    """A store of two episodes of random content."""
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    for seed in range(2):
        made.add(make_episode(seed))
    made.close()
    return made


@pytest.mark.parametrize("lives", [True, False])
def test_an_episode_comes_back(tmp_path: Path, lives: bool) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    episode = make_episode(0, lives=lives)
    made.add(episode)
    made.close()
    found = EpisodeStore(tmp_path / "made")[0]
    check_equal(found, episode)
    assert len(found) == 40
    assert found.digest() == episode.digest() == found.meta["sha256"]
    expected = {
        "game": "qbert",
        "frame_skip": 1,
        "source": "test",
        "id": "made-0",
        "seed": 0,
        "split": "train",
    }
    assert expected.items() <= found.meta.items()
    assert found.meta["length"] == 40 and found.meta["score"] == episode.rewards.sum()


def test_recorded_episodes_come_back(store: EpisodeStore) -> None:
    again = EpisodeStore(store.path)
    assert len(again) == 4 and again.frames == sum(len(episode.frames) for episode in again)
    for place in (0, 2):
        check_equal(store[place], again[place])
        assert again[place].states is not None and again[place].digest() == again[place].meta["sha256"]


def test_it_is_a_sequence(made: EpisodeStore) -> None:
    assert len(made) == 2
    check_equal(made[-1], made[1])
    assert [episode.meta["id"] for episode in made[::-1]] == ["made-1", "made-0"]
    assert [episode.meta["id"] for episode in made] == ["made-0", "made-1"]
    with pytest.raises(IndexError):
        made[2]


def test_a_stretch_is_read_alone(made: EpisodeStore) -> None:
    whole = made[1]
    for begin, end in ((0, 1), (15, 17), (16, 32), (33, 41)):
        np.testing.assert_array_equal(made.read(1, "frames", begin, end), whole.frames[begin:end])
        np.testing.assert_array_equal(made.read(1, "actions", begin, end), whole.actions[begin:end])
    assert made.read(1, "states") is None


def test_the_digest_tells_any_change() -> None:
    def digest(**changes: Any) -> str:
        return Episode(**{**vars(make_episode(0)), **changes}).digest()

    base = make_episode(0)
    changed = {
        name: digest(**{name: np.roll(getattr(base, name), 1)})
        for name in ("frames", "actions", "rewards", "lives")
    }
    assert digest() == base.digest()
    assert len({*changed.values(), digest(ending="cut"), digest(lives=None), base.digest()}) == 7


@pytest.mark.parametrize("count", [3, 4, 10, 57])
def test_no_split_is_empty_from_three_up(count: int) -> None:
    entries = [{"id": str(seed), "sha256": f"{seed * 7919 % 1009:04}"} for seed in range(count)]
    assign_splits(entries)
    counts = Counter(entry["split"] for entry in entries)
    assert counts["test"] == counts["validation"] == max(1, round(0.1 * count))
    assert counts.total() == count


def test_splits_go_by_the_rank_of_the_hash() -> None:
    entries = [{"id": digit, "sha256": digit} for digit in "8052719436"]
    assign_splits(entries)
    splits = {entry["sha256"]: entry["split"] for entry in entries}
    assert [splits[digit] for digit in "0123456789"] == ["test", "validation", *["train"] * 8]
    again = [{"id": digit, "sha256": digit} for digit in "0123456789"]
    assign_splits(again)
    assert {entry["sha256"]: entry["split"] for entry in again} == splits


def test_a_split_once_given_stays(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    for seed in range(4):
        made.add(make_episode(seed, steps=2))
    made.close()
    first = {entry["id"]: entry["split"] for entry in made.entries}
    assert set(first.values()) == {"train", "validation", "test"}
    again = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    for seed in range(4, 12):
        again.add(make_episode(seed, steps=2))
    again.add(make_episode(12, steps=2, split="validation"))
    again.close()
    after = {entry["id"]: entry["split"] for entry in EpisodeStore(tmp_path / "made").entries}
    assert first.items() <= after.items() and len(after) == 13
    assert after["made-12"] == "validation"
    assert Counter(after.values()) == {"test": 2, "validation": 3, "train": 8}


def test_an_interrupted_store_is_a_smaller_store(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    for seed in range(3):
        made.add(make_episode(seed, steps=3))
    write_episode(made.file_of("made-3"), make_episode(3))
    (made.path / "episodes" / ".made-4.zip.x").mkdir()
    found = EpisodeStore(made.path)
    assert [episode.meta["id"] for episode in found] == ["made-0", "made-1", "made-2"]
    assert {entry["split"] for entry in found.entries} == {"train", "validation", "test"}
    found.add(make_episode(3, steps=3))
    check_equal(EpisodeStore(made.path)[3], make_episode(3, steps=3))


def test_a_damaged_chunk_names_its_episode(made: EpisodeStore) -> None:
    path = made.file_of("made-1")
    with ZipFile(path) as zipped:
        place = zipped.getinfo("frames/c/1/0/0").header_offset + 2000
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 0xFF
    path.write_bytes(damaged)
    store = EpisodeStore(made.path)
    message = r"episode 'made-1' of .*made is damaged \(made-1\.zip\)"
    with pytest.raises(UsageError, match=message):
        store.read(1, "frames", 16, 20)
    with pytest.raises(UsageError, match=message):
        store[1]
    np.testing.assert_array_equal(store.read(1, "frames", 0, 16), make_episode(1).frames[:16])
    check_equal(store[0], make_episode(0))


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:5000])])
def test_a_missing_or_cut_file_names_its_episode(made: EpisodeStore, harm: Any) -> None:
    harm(made.file_of("made-0"))
    with pytest.raises(UsageError, match=r"episode 'made-0' of .* is damaged"):
        EpisodeStore(made.path).read(0, "actions")


def test_a_higher_format_is_refused_with_the_upgrade_command(made: EpisodeStore) -> None:
    path = made.path / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(UsageError, match=r"episode store .* format 2.*pip install --upgrade atari-dream"):
        EpisodeStore(made.path)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("pacman", 1, "test"), "'game': 'qbert'"),
        (("qbert", 4, "test"), "'frame_skip': 1"),
        (("qbert", 1, "ale"), "'source': 'test'"),
    ],
)
def test_a_store_of_something_else_is_refused(
    made: EpisodeStore, wanted: tuple[str, int, str], message: str
) -> None:
    with pytest.raises(UsageError, match=rf"store .* holds .*{message}.*give --out another folder"):
        EpisodeStore.create(made.path, *wanted)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty and not an episode store"):
        EpisodeStore.create(tmp_path, "qbert", 1, "test")
    with pytest.raises(UsageError, match=r"no episode store at .*: index\.json is missing"):
        EpisodeStore(tmp_path)


def test_an_id_is_given_once(made: EpisodeStore) -> None:
    with pytest.raises(UsageError, match="already has an episode 'made-1'"):
        made.add(make_episode(1, steps=3))
    check_equal(EpisodeStore(made.path)[1], make_episode(1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", np.zeros((40, 210, 160), np.uint8)),
        ("rewards", np.zeros(41, np.float32)),
        ("lives", np.zeros(40, np.int16)),
        ("actions", np.full(40, 18, np.uint8)),
    ],
)
def test_what_is_no_episode_is_refused(tmp_path: Path, name: str, value: np.ndarray) -> None:
    episode = make_episode(0)
    setattr(episode, name, value)
    with pytest.raises(UsageError, match="episode has"):
        write_episode(tmp_path / "a.zip", episode)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_clear_line(made: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ZipFile, "writestr", full)
    with pytest.raises(UsageError, match=r"^cannot write .*made-7\.zip: No space left on device$"):
        made.add(make_episode(7))
    monkeypatch.undo()
    assert len(EpisodeStore(made.path)) == 2
    assert sorted(path.name for path in (made.path / "episodes").iterdir()) == ["made-0.zip", "made-1.zip"]


def test_few_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "_OPEN_EPISODES", 3)
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    for seed in range(8):
        made.add(make_episode(seed, steps=2))
    files = Path("/proc/self/fd")
    before = len(list(files.iterdir())) if files.is_dir() else 0
    for _ in range(2):
        for place in range(8):
            np.testing.assert_array_equal(made.read(place, "actions"), make_episode(place, steps=2).actions)
    assert len(made._open) == 3
    if before:
        assert len(list(files.iterdir())) <= before + 3


def test_a_store_moves_with_its_folder_and_into_processes(made: EpisodeStore, tmp_path: Path) -> None:
    made.read(0, "actions")
    shutil.copytree(made.path, tmp_path / "copy")
    check_equal(EpisodeStore(tmp_path / "copy")[1], make_episode(1))
    clone = pickle.loads(pickle.dumps(made))
    check_equal(clone[0], make_episode(0))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_opens_its_own_files(made: EpisodeStore) -> None:
    made.read(0, "frames", 0, 1)
    child = os.fork()
    if not child:
        good = np.array_equal(made.read(0, "frames", 20, 30), make_episode(0).frames[20:30])
        os._exit(0 if good and {pid for pid, _ in made._open} >= {os.getpid()} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_digest_of_a_store_is_of_its_episodes_and_splits(made: EpisodeStore, tmp_path: Path) -> None:
    other = EpisodeStore.create(tmp_path / "other", "qbert", 1, "test")
    for seed in (1, 0):
        other.add(make_episode(seed))
    other.close()
    assert other.digest() == made.digest()
    other.entries[0]["split"] = "test"
    assert other.digest() != made.digest()


def test_the_index_tells_what_an_episode_can_hold(store: EpisodeStore) -> None:
    for place, entry in enumerate(store.entries):
        assert entry["colours"] == np.unique(store.read(place, "frames")).tolist()
        assert entry["rewards"] == np.unique(store.read(place, "rewards")).tolist()
