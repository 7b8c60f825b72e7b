"""Files that appear whole or not at all, and the hashes that tell whether they still are."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atari_dream.errors import UsageError

FORMAT = 1
"""Version of the stores, pools, checkpoints and drift files that this release reads and writes."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` and moves it there when the block ends without an error.

    What is written may be a file or a folder; an existing one is replaced.

    Raises:
        UsageError: If the disk is full, the folder cannot be written to, or the like.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True
        ) as scratch:
            fresh = Path(scratch) / path.name
            yield fresh
            if path.is_dir():
                path.rename(Path(scratch) / "old")
            fresh.replace(path)
    except OSError as error:
        if not error.strerror:
            raise
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, data: Any) -> None:
    """Writes JSON, whole or not at all; a list without objects stands on one line."""
    with whole(path) as fresh:
        fresh.write_text(_render(data) + "\n")


def _render(data: Any, margin: str = "\n") -> str:
    if isinstance(data, dict) and data:
        rows = [f"{json.dumps(str(key))}: {_render(value, margin + ' ')}" for key, value in data.items()]
        return "{" + ",".join(f"{margin} {row}" for row in rows) + margin + "}"
    if isinstance(data, list) and any(isinstance(item, dict) for item in data):
        return "[" + ",".join(f"{margin} {_render(item, margin + ' ')}" for item in data) + margin + "]"
    return json.dumps(data)


def read_json(path: Path, what: str) -> Any:
    """Reads JSON of a `format` this release knows.

    Args:
        path: The file.
        what: What it belongs to, for the error.

    Raises:
        UsageError: If it is missing, malformed or of a later format.
    """
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"no {what} at {path.parent}: {path.name} is missing") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{what} {path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{what} {path} cannot be read: it holds no object")
    if data.get("format", FORMAT) > FORMAT:
        raise UsageError(
            f"{what} {path} has format {data['format']}, this release reads up to {FORMAT}: "
            "pip install --upgrade atari-dream"
        )
    return data


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
