"""A file that is not all there yet, and which file of a server it is the beginning of."""

from dataclasses import asdict, dataclass
from pathlib import Path

from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, write_json


@dataclass(frozen=True)
class Version:
    """One state of a file on a server.

    Attributes:
        url: Where it is.
        size: Its bytes, None where the server does not tell.
        validator: Its strong ETag, or else its date of modification, None where the server tells neither.
    """

    url: str
    size: int | None
    validator: str | None

    def agrees(self, other: "Version") -> bool:
        """Whether nothing that both tell differs."""
        told = ((self.size, other.size), (self.validator, other.validator))
        return all(None in pair or pair[0] == pair[1] for pair in told)


@dataclass(frozen=True)
class Partial:
    """The first bytes of a file, at `path`, and beside them `<path>.json` with their version.

    Attributes:
        path: The file.
        url: Where the rest is.
    """

    path: Path
    url: str

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def complete(self) -> bool:
        """Whether all bytes are there."""
        version = self.version()
        return version is not None and version.size == self.size

    def version(self) -> Version | None:
        """What it is the beginning of, None if there is nothing to go on from.

        Raises:
            UsageError: If it was begun from another URL.
        """
        if not self.size or not self._told.exists():
            return None
        told = read_json(self._told, "partial file")
        version = Version(str(told.get("url")), told.get("size"), told.get("validator"))
        if version.url != self.url:
            raise UsageError(
                f"{self.path} is the beginning of {version.url}, not of {self.url}: go on with "
                f"--url {version.url.rpartition('/')[0]}, or delete it"
            )
        return version

    def begin(self, version: Version) -> None:
        """Starts from nothing; the old bytes go before the new version is told, so they are never mixed."""
        self.discard()
        self.tell(version)

    def tell(self, version: Version) -> None:
        """Says what it is the beginning of."""
        write_json(self._told, {"format": FORMAT, **asdict(version)})

    def discard(self) -> None:
        """Deletes both files."""
        self.path.unlink(missing_ok=True)
        self._told.unlink(missing_ok=True)

    def finish(self, place: Path) -> None:
        """Moves the complete file to its place."""
        self.path.replace(place)
        self._told.unlink(missing_ok=True)

    @property
    def _told(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")
