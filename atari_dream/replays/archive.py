"""Checks an archive of the Atari Grand Challenge and unpacks it: whole or not at all, and never outside its folder.

Beside `NAME.tar.gz`, `NAME.tar.gz.sha256` records its hash as `sha256sum -c` reads it. `NAME.unpacked` holds that hash
too and is written last: what is unpacked without it is not complete.
"""

import gzip
import hashlib
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from atari_dream.errors import UsageError
from atari_dream.files import whole

Progress = Callable[[str, int, int | None], None]
"""Told what is done (`"fetch"`, `"check"` or `"unpack"`), the bytes so far, and all bytes where they are known."""
TOP = PurePosixPath("atari_v1")
"""Folder of the data set; the parts below go there if the archive does not say where."""
PARTS = ("screens", "trajectories")

_BLOCK = 1 << 20
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.ReadError)
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}


class DamagedError(UsageError):
    """The bytes of an archive are not what was packed."""


class _RefusedError(tarfile.FilterError):
    """A member that must not be unpacked."""


def quiet(*told: object) -> None:
    """Takes what is told and shows nothing."""


def check(archive: Path, show: Progress = quiet) -> str:
    """Decompresses an archive against the checksums in it.

    Returns:
        Its SHA-256, in hex.

    Raises:
        DamagedError: If it is cut short or a checksum is wrong.
    """
    with _watched(archive, "check", show) as watched, gzip.GzipFile(fileobj=watched) as stream:
        if not stream.read(1):
            raise EOFError("it holds nothing")
        while stream.read(_BLOCK):
            pass
    return watched.sha256.hexdigest()


def record(archive: Path, digest: str) -> None:
    """Writes the hash of an archive beside it, or compares it with the one that is there.

    Raises:
        UsageError: If another hash is recorded.
    """
    known = _record_of(archive)
    if not known.exists():
        with whole(known) as fresh:
            fresh.write_text(f"{digest}  {archive.name}\n")
    elif (wanted := _recorded(known)) != digest:
        raise UsageError(
            f"{archive.name} has SHA-256 {digest}, but {known} records {wanted}: delete {archive.name} to fetch it "
            f"again, or {known.name} to take it as it is"
        )


def verify(archive: Path, show: Progress = quiet) -> str:
    """Compares an archive with its recorded hash; without one, it is checked and its hash recorded.

    Returns:
        Its SHA-256, in hex.

    Raises:
        UsageError: If another hash is recorded.
        DamagedError: If none is recorded and the archive is damaged.
    """
    if not _record_of(archive).exists():
        digest = check(archive, show)
    else:
        with _watched(archive, "check", show) as watched:
            while watched.read(_BLOCK):
                pass
        digest = watched.sha256.hexdigest()
    record(archive, digest)
    return digest


def unpacked(archive: Path) -> str | None:
    """The SHA-256 of the archive whose unpacking was completed, or None."""
    marker = _marker(archive)
    return marker.read_text().strip() if marker.exists() else None


def unpack(archive: Path, digest: str, show: Progress = quiet) -> bool:
    """Unpacks a checked archive into its folder, over files of the same name.

    Args:
        archive: The file, `NAME.tar.gz`.
        digest: Its SHA-256, in hex.
        show: Told the bytes that are read.

    Returns:
        False if this very archive was unpacked before.

    Raises:
        UsageError: If a member is no file or folder or lies outside, and then nothing is unpacked, or if the disk is
            full.
        DamagedError: If the archive cannot be read to its end.
    """
    if unpacked(archive) == digest:
        return False
    scratch = archive.with_name(f".{_name(archive)}.{digest[:16]}.unpacking")
    if not scratch.exists():
        check_room(archive.parent, archive.stat().st_size, f"unpacking {archive.name} takes at least")
    try:
        scratch.mkdir(exist_ok=True)
        _unpack_into(scratch, archive, digest, show)
        _merge(scratch, archive.parent)
    except OSError as error:
        raise UsageError(
            f"cannot unpack {archive}: {error.strerror}; the same command unpacks it anew"
        ) from error
    with whole(_marker(archive)) as fresh:
        fresh.write_text(f"{digest}\n")
    return True


def check_room(folder: Path, size: int, purpose: str) -> None:
    """Checks the free space of a folder's disk.

    Raises:
        UsageError: If fewer than `size` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UsageError(f"{purpose} {megabytes(size)}, but {folder} has {megabytes(free)} free")


def megabytes(size: int) -> str:
    """A number of bytes, to be read."""
    return f"{size / 1e6:,.1f} MB"


class _Watched(io.RawIOBase):
    """A file that is read once: hashes and shows what goes by."""

    def __init__(self, file: BinaryIO, task: str, size: int, show: Progress) -> None:
        self.sha256 = hashlib.sha256()
        self._file, self._task, self._size, self._show = file, task, size, show
        self._done = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.sha256.update(block)
        self._done += len(block)
        self._show(self._task, self._done, self._size)
        return block


@contextmanager
def _watched(archive: Path, task: str, show: Progress) -> Iterator[_Watched]:
    """Opens an archive; what is wrong with its bytes is told in one line."""
    try:
        with archive.open("rb") as file:
            yield _Watched(file, task, archive.stat().st_size, show)
    except _DAMAGE as error:
        raise DamagedError(f"{archive} is damaged ({error}): delete it to fetch it anew") from error


def _unpack_into(scratch: Path, archive: Path, digest: str, show: Progress) -> None:
    try:
        with _watched(archive, "unpack", show) as watched, gzip.GzipFile(fileobj=watched) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                while member := tar.next():
                    tar.extract(_placed(member), scratch, filter="data")
                    tar.members = []  # type: ignore[attr-defined]  # millions of them, otherwise
            while block := stream.read(_BLOCK):
                if block.strip(b"\0"):
                    raise tarfile.ReadError("something follows its last member")
        if watched.sha256.hexdigest() != digest:
            raise DamagedError(f"{archive} changed meanwhile: call again")
    except tarfile.FilterError as error:
        shutil.rmtree(scratch)
        raise UsageError(f"{archive} is refused, nothing of it is unpacked: {error}") from error


def _placed(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member with the name that it gets below the folder."""
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise _RefusedError(f"its member {member.name!r} is {_KINDS.get(member.type, 'of an unknown kind')}")
    if path.is_absolute() or ".." in path.parts:
        raise _RefusedError(f"its member {member.name!r} would leave the folder")
    if path.parts and path.parts[0] in PARTS:
        path = TOP / path
    return member.replace(name=str(path), deep=False)


def _merge(source: Path, target: Path) -> None:
    """Moves a folder to its place; where there is one already, file by file, over those of the same name."""
    if not target.is_dir():
        source.replace(target)
        return
    for inner in source.iterdir():
        if inner.is_dir():
            _merge(inner, target / inner.name)
        else:
            inner.replace(target / inner.name)
    source.rmdir()


def _name(archive: Path) -> str:
    return archive.name.removesuffix(".tar.gz")


def _marker(archive: Path) -> Path:
    return archive.with_name(f"{_name(archive)}.unpacked")


def _record_of(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _recorded(known: Path) -> str:
    found = re.match(r"[0-9a-f]{64}\b", known.read_text())
    if not found:
        raise UsageError(f"{known} does not begin with a SHA-256: delete it to record the archive's anew")
    return found[0]
