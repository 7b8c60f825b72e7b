"""Files appear whole or not at all, and say in one line why not."""

import errno
from pathlib import Path

import pytest

from atari_dream import files
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, sha256, whole, write_json


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with whole(path) as fresh:
        fresh.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [found.name for found in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with whole(path) as fresh:
            fresh.mkdir()
            (fresh / name).touch()
    assert [found.name for found in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, UsageError])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), whole(path) as fresh:
        fresh.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(UsageError, match=r"^cannot write .*a\.txt: No space left on device$"), whole(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UsageError, match=r"^cannot write .*file/a\.txt: (Not a directory|File exists)$"),
        whole(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_an_unwritable_folder_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(files, "TemporaryDirectory", refuse)
    with pytest.raises(UsageError, match=r"^cannot write .*a\.json: Permission denied$"):
        write_json(tmp_path / "a.json", {})


def test_json_comes_back(tmp_path: Path) -> None:
    data = {"format": FORMAT, "list": [1, 2.5, None, "x"]}
    write_json(tmp_path / "a.json", data)
    assert read_json(tmp_path / "a.json", "thing") == data


def test_a_higher_format_is_refused_with_the_upgrade_command(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"format": FORMAT + 1})
    with pytest.raises(UsageError, match=r"format 2, this release reads up to 1: pip install --upgrade"):
        read_json(tmp_path / "a.json", "thing")


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_what_is_no_json_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match=r"^thing .*a\.json cannot be read: "):
        read_json(tmp_path / "a.json", "thing")


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no thing at .*: a\.json is missing$"):
        read_json(tmp_path / "a.json", "thing")


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
