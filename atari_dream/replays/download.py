"""Fetches the archives of the Atari Grand Challenge over slow and broken lines.

`NAME.tar.gz.part` grows, through cut connections and calls, until it has the size that the server declares, and becomes
`NAME.tar.gz` once its checksums are right. Certificates are always checked.
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from urllib3 import Retry
from urllib3.exceptions import HTTPError, MaxRetryError

from atari_dream.errors import UsageError
from atari_dream.replays.archive import DamagedError, Progress, check, check_room, quiet, record, verify
from atari_dream.replays.partial import Partial, Version

RELEASE = "https://omnomnom.vision.rwth-aachen.de/data/atari_v1_release"
ARCHIVES = ("spaceinvaders", "qbert", "mspacman", "pinball", "revenge", "trajectories", "full")
Note = Callable[[str], None]
"""Told, in a line, what is tried again and why."""

_BLOCK = 1 << 16
"""Bytes received at once, and lost when a connection is cut."""
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_KEPT = "what is fetched is kept, the same command goes on from there"


@dataclass(frozen=True)
class Patience:
    """How long a bad line is borne with.

    Attributes:
        tries: Requests in a row that may bring nothing new.
        pause: Seconds; after the n-th of them, n > 1, come `pause` * 2**(n - 1), and up to `pause` more at random.
        longest: Most seconds of a pause, unless the server asks for more.
        timeout: Seconds without a byte after which a connection counts as cut.
    """

    tries: int = 12
    pause: float = 2.0
    longest: float = 120.0
    timeout: float = 60.0

    def retry(self) -> Retry:
        """The same for urllib3, which heeds a server's `Retry-After` as well."""
        return Retry(
            self.tries - 1, backoff_factor=self.pause, backoff_jitter=self.pause, backoff_max=self.longest
        )


PATIENCE = Patience()


class _AgainError(Exception):
    """An answer that another request may better."""

    def __init__(self, why: str, response: requests.Response | None = None) -> None:
        super().__init__(why)
        self.raw = None if response is None else response.raw


def download(
    name: str,
    folder: Path,
    base: str = RELEASE,
    patience: Patience = PATIENCE,
    show: Progress = quiet,
    note: Note = quiet,
) -> tuple[Path, str]:
    """Fetches an archive, or what is missing of it, and checks it.

    Args:
        name: One of `ARCHIVES`.
        folder: Where it goes.
        base: URL of the folder that has `NAME.tar.gz`.
        patience: How often and how long to try.
        show: Told the bytes.
        note: Told what is tried again.

    Returns:
        Its path and its SHA-256, in hex.

    Raises:
        UsageError: If it cannot be had, is damaged, or is not the one whose hash is recorded.
    """
    archive = folder / f"{name}.tar.gz"
    if archive.exists():
        return archive, verify(archive, show)
    partial = Partial(folder / f"{archive.name}.part", f"{base.rstrip('/')}/{archive.name}")
    fetch(partial, patience, show, note)
    try:
        digest = check(partial.path, show)
    except DamagedError as error:
        partial.discard()
        why = f"{partial.url} arrived damaged and is deleted ({error.__cause__})"
        raise UsageError(f"{why}: the same command fetches it anew") from error
    record(archive, digest)
    partial.finish(archive)
    return archive, digest


def fetch(
    partial: Partial, patience: Patience = PATIENCE, show: Progress = quiet, note: Note = quiet
) -> None:
    """Makes a partial file complete.

    Raises:
        UsageError: If the server has no such file, its certificate is not trusted, the disk is full, or `patience` is
            at its end.
    """
    fresh = patience.retry()
    retry, furthest = fresh, partial.size
    with requests.Session() as session:
        while not partial.complete:
            try:
                _go_on(session, partial, patience.timeout, show, note)
            except (_AgainError, HTTPError, requests.ConnectionError, requests.Timeout) as error:
                if partial.size > furthest:
                    retry, furthest = fresh, partial.size
                retry = _count(retry, error, partial.url, patience.tries)
                note(f"{partial.url}: {_cause(error)}; trying again")
                retry.sleep(error.raw if isinstance(error, _AgainError) else None)
            except OSError as error:
                raise UsageError(f"cannot fetch {partial.url}: {error}") from error


def _go_on(session: requests.Session, partial: Partial, timeout: float, show: Progress, note: Note) -> None:
    """Makes one request for what is missing."""
    begun = partial.version()
    headers = {"Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={partial.size}-"
        if begun.validator:
            headers["If-Range"] = begun.validator
    with session.get(partial.url, headers=headers, stream=True, timeout=timeout) as response:
        _check_answer(response, partial.url)
        version = _version(response, partial.url)
        if response.status_code == 200:
            if partial.size:
                note(f"{partial.url}: the server has another file or cannot send the rest; starting anew")
            partial.begin(version)
        elif begun and version.agrees(begun) and _continues(response, partial.size):
            version = replace(begun, size=version.size if begun.size is None else begun.size)
            partial.tell(version)
        else:
            partial.discard()
            raise _AgainError("the server's file is not the one begun, whose bytes are discarded")
        if response.status_code != 416:
            _receive(response, partial, version.size, show)
    if version.size is None:
        partial.tell(replace(version, size=partial.size))


def _receive(response: requests.Response, partial: Partial, size: int | None, show: Progress) -> None:
    """Appends what an answer brings, as it was sent: never decompressed on the way."""
    have = partial.size
    if size is not None:
        check_room(partial.path.parent, size - have, f"the rest of {partial.path.name} takes")
    show("fetch", have, size)
    try:
        with partial.path.open("ab") as file:
            for block in response.raw.stream(_BLOCK, decode_content=False):
                file.write(block)
                have += len(block)
                show("fetch", have, size)
    except OSError as error:
        raise UsageError(f"cannot write {partial.path}: {error.strerror}; {_KEPT}") from error
    if not have or have != (size or have):
        raise _AgainError(f"the answer ended after {have} of {size} bytes")


def _check_answer(response: requests.Response, url: str) -> None:
    status = f"{response.status_code} {response.reason}"
    steps = [step.url for step in (*response.history, response)]
    if url.startswith("https:") and not all(step.startswith("https:") for step in steps):
        raise UsageError(f"{url} leads to {steps[-1]}, past a place where nothing proves whose file it is")
    if response.status_code in (404, 410):
        raise UsageError(
            f"no archive at {url} ({status}): the names are {', '.join(ARCHIVES)}; a mirror is given by --url"
        )
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _AgainError(f"the server says {status}", response)
    if response.status_code not in (200, 206, 416):
        raise UsageError(f"the server refuses {url}: {status}")
    if response.status_code == 200 and response.headers.get("Content-Type", "").startswith("text/html"):
        raise _AgainError("the server sends a web page, not an archive", response)


def _version(response: requests.Response, url: str) -> Version:
    tag = response.headers.get("ETag", "")
    size = response.headers.get("Content-Length") if response.status_code == 200 else None
    if span := _RANGE.fullmatch(response.headers.get("Content-Range", "")):
        size = None if span[2] == "*" else span[2]
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    return Version(url, None if size is None else int(size), validator)


def _continues(response: requests.Response, have: int) -> bool:
    """Whether the answer begins after the bytes that are there, or says that there are no more."""
    span = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return span is not None and span[2 if response.status_code == 416 else 1] == str(have)


def _count(retry: Retry, error: Exception, url: str, tries: int) -> Retry:
    """Counts a request that failed."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        raise UsageError(
            f"the certificate of {url} is not trusted ({cause.verify_message}), and nothing is fetched unchecked: if "
            "only its authority is unknown here, name the file of that one in the variable REQUESTS_CA_BUNDLE"
        ) from error
    try:
        return retry.increment("GET", url)
    except MaxRetryError:
        raise UsageError(f"gave up on {url} after {tries} tries in a row: {cause}; {_KEPT}") from error


def _cause(error: BaseException) -> BaseException:
    """The error at the root, which says it without the words of the layers above."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
