"""Archives arrive whole over bad lines, are what was packed, and never unpack outside their folder."""

import gzip
import hashlib
import io
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atari_dream.cli import run
from atari_dream.cli.download import Bar, archives
from atari_dream.errors import UsageError
from atari_dream.replays import archive as archive_module
from atari_dream.replays.archive import DamagedError, check, unpack, unpacked, verify
from atari_dream.replays.download import PATIENCE, Patience, download
from atari_dream.replays.partial import Partial

HASTY = Patience(tries=3, pause=0.001, timeout=5)
"""Gives up after three tries, without waiting."""


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


NOISE = np.random.default_rng(0).bytes(300_000)
FILES = {f"atari_v1/screens/qbert/7/{index}.png": NOISE[index * 1000 :][:100_000] for index in range(3)}
PACKED = tar_gz(FILES)
OTHER = tar_gz({"atari_v1/trajectories/qbert/7.txt": NOISE[::-1]})
HALF = len(PACKED) // 2


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's next trick says; without one, as a well-behaved server does."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        trick = self.server.tricks.pop(0) if self.server.tricks else well_behaved
        trick(self)

    def log_message(self, *message: Any) -> None:
        """Stays silent."""

    def answer(self, status: int, body: bytes = b"", sent: int | None = None, **headers: Any) -> None:
        """Sends `sent` bytes of a body that is declared whole; a header that is None is left out."""
        told: dict[str, str | None] = {"Content-Length": str(len(body)), "ETag": self.server.tag}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        for name, value in told.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.server.sent += len(body[:sent])


class Server(ThreadingHTTPServer):
    """Has one file; `ranges` are the ranges asked for, `sent` the bytes of all bodies."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.file = PACKED
        self.tag: str | None = '"first"'
        self.tricks: list[Callable[[Handler], None]] = []
        self.ranges: list[str | None] = []
        self.sent = 0
        self.url = f"http://127.0.0.1:{self.server_port}/release"


def rest(handler: Handler, sent: int | None = None, **headers: Any) -> None:
    """Sends what the range asks for, or a part of it."""
    file, start = handler.server.file, int(str(handler.headers["Range"])[6:-1])
    if start >= len(file):
        handler.answer(416, Content_Range=f"bytes */{len(file)}")
        return
    told = {"Content_Range": f"bytes {start}-{len(file) - 1}/{len(file)}", **headers}
    handler.answer(206, file[start:], sent, **told)


def well_behaved(handler: Handler) -> None:
    asked, condition = handler.headers.get("Range"), handler.headers.get("If-Range", handler.server.tag)
    if asked and condition == handler.server.tag:
        rest(handler)
    else:
        handler.answer(200, handler.server.file)


def cut(handler: Handler) -> None:
    """Breaks off in the middle."""
    handler.answer(200, handler.server.file, HALF)


def status(code: int, **headers: Any) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, **headers)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(Server()) as started:
        yield started


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(server: Server, folder: Path, **options: Any) -> bytes:
    """Fetches the archive and gives its bytes."""
    path, digest = download("qbert", folder, server.url, **{"patience": HASTY, **options})
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path == folder / "qbert.tar.gz"
    assert sorted(found.name for found in folder.iterdir()) == ["qbert.tar.gz", "qbert.tar.gz.sha256"]
    return path.read_bytes()


def part(folder: Path) -> Path:
    return folder / "qbert.tar.gz.part"


def cut_short(server: Server, folder: Path, trick: Callable[[Handler], None] = cut) -> None:
    """Leaves a partial file behind."""
    server.tricks = [trick, *[status(500)] * 3]
    with pytest.raises(UsageError, match="500"):
        get(server, folder)
    assert part(folder).read_bytes() == PACKED[: part(folder).stat().st_size]
    server.tricks, server.ranges, server.sent = [], [], 0


def test_an_archive_arrives_with_its_hash_and_nothing_else(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "deep") == PACKED
    record = (tmp_path / "deep" / "qbert.tar.gz.sha256").read_text()
    assert record == f"{hashlib.sha256(PACKED).hexdigest()}  qbert.tar.gz\n"
    if shutil.which("sha256sum"):
        subprocess.run(
            ["sha256sum", "-c", "qbert.tar.gz.sha256"], cwd=tmp_path / "deep", check=True, capture_output=True
        )


def test_the_second_call_asks_for_nothing(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    assert get(server, tmp_path) == PACKED
    assert server.ranges == [None]


def test_a_cut_connection_goes_on_with_the_rest_alone(server: Server, tmp_path: Path) -> None:
    server.tricks = [cut]
    notes: list[str] = []
    assert get(server, tmp_path, note=notes.append) == PACKED
    asked = re.fullmatch(r"bytes=(\d+)-", str(server.ranges[1]))
    assert asked and HALF - (1 << 16) <= int(asked[1]) <= HALF
    assert server.sent == HALF + len(PACKED) - int(asked[1])
    assert len(notes) == 1 and re.search(r"release/qbert.tar.gz: IncompleteRead.*; trying again", notes[0])


def test_a_later_call_goes_on_with_the_rest_alone(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    have = part(tmp_path).stat().st_size
    assert have > 0
    shown: list[tuple[str, int, int | None]] = []
    assert get(server, tmp_path, show=lambda *told: shown.append(told)) == PACKED
    assert server.ranges == [f"bytes={have}-"] and server.sent == len(PACKED) - have
    assert shown[0] == ("fetch", have, len(PACKED))
    assert shown[-1] == ("check", len(PACKED), len(PACKED))


def test_a_line_that_is_cut_more_often_than_the_tries_still_ends(server: Server, tmp_path: Path) -> None:
    def cut_again(handler: Handler) -> None:
        rest(handler, 1 << 16)

    server.file = tar_gz({"screens/qbert/1/0.png": NOISE * 3})
    server.tricks = [lambda handler: handler.answer(200, handler.server.file, 1 << 16), *[cut_again] * 8]
    assert get(server, tmp_path) == server.file
    assert len(server.ranges) == 10


@pytest.mark.parametrize("tag", ['"second"', None, 'W/"second"'])
def test_a_file_that_changes_starts_anew(server: Server, tmp_path: Path, tag: str | None) -> None:
    cut_short(server, tmp_path)
    server.file, server.tag = OTHER, tag
    notes: list[str] = []
    assert get(server, tmp_path, note=notes.append) == OTHER
    assert len(server.ranges) == 1 and "starting anew" in notes[0]


@pytest.mark.parametrize("headers", [{"ETag": '"second"'}, {"Content_Range": f"bytes {HALF}-{HALF}/7"}, {}])
def test_a_changed_file_is_never_mixed_even_if_the_server_ignores_conditions(
    server: Server, tmp_path: Path, headers: dict[str, Any]
) -> None:
    cut_short(server, tmp_path)
    server.file, server.tag = OTHER, '"second"'
    server.tricks = [lambda handler: rest(handler, **headers)]
    assert get(server, tmp_path) == OTHER
    assert len(server.ranges) == 2 and server.ranges[1] is None


def test_an_answer_from_another_place_of_the_file_is_not_appended(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    server.tricks = [lambda handler: rest(handler, Content_Range=f"bytes 1-{len(PACKED) - 1}/{len(PACKED)}")]
    assert get(server, tmp_path) == PACKED
    assert len(server.ranges) == 2 and server.ranges[1] is None


def test_a_part_that_is_too_long_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    part(tmp_path).write_bytes(PACKED + NOISE)
    assert get(server, tmp_path) == PACKED


def test_a_date_takes_the_place_of_a_weak_tag(server: Server, tmp_path: Path) -> None:
    conditions = []

    def look(handler: Handler) -> None:
        conditions.append(handler.headers["If-Range"])
        rest(handler)

    date = "Mon, 01 Jan 2018 00:00:00 GMT"
    weak = {"ETag": 'W/"x"', "Last_Modified": date}
    server.tricks = [lambda handler: handler.answer(200, PACKED, HALF, **weak), look]
    assert get(server, tmp_path) == PACKED
    assert conditions == [date]


def test_without_a_validator_the_rest_is_fetched_and_the_checksum_decides(
    server: Server, tmp_path: Path
) -> None:
    server.tag = None
    cut_short(server, tmp_path)
    server.file = PACKED[:-1] + bytes([PACKED[-1] ^ 1])
    with pytest.raises(UsageError, match="arrived damaged and is deleted"):
        get(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_that_ignores_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    server.tricks = [lambda handler: handler.answer(200, PACKED)]
    assert get(server, tmp_path) == PACKED
    assert len(server.ranges) == 1 and server.sent == len(PACKED)


def test_a_server_that_ignores_ranges_and_always_breaks_off_is_given_up(
    server: Server, tmp_path: Path
) -> None:
    server.tricks = [cut] * 20
    with pytest.raises(UsageError, match=r"gave up on .*qbert\.tar\.gz after 3 tries in a row: Incomplete"):
        get(server, tmp_path)
    assert len(server.ranges) == HASTY.tries


@pytest.mark.parametrize("declared", [len(PACKED) + 1000, len(PACKED) - 1000])
def test_a_wrong_declared_size_is_never_taken_for_the_archive(
    server: Server, tmp_path: Path, declared: int
) -> None:
    def lie(handler: Handler) -> None:
        handler.answer(200, PACKED, Content_Length=str(declared))

    server.tricks = [lie] * 20
    with pytest.raises(UsageError, match=r"gave up|arrived damaged and is deleted .*end-of-stream"):
        get(server, tmp_path)
    assert not (tmp_path / "qbert.tar.gz").exists()
    server.tricks = []
    assert get(server, tmp_path) == PACKED


def test_a_file_that_became_shorter_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.tag = None
    cut_short(server, tmp_path)
    server.file = tar_gz({"screens/qbert/1/0.png": b"short"})
    assert get(server, tmp_path) == server.file
    assert [bool(asked) for asked in server.ranges] == [True, False]  # 416 first


def test_a_complete_part_is_finished_without_the_server(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    part(tmp_path).write_bytes(PACKED)
    assert get(server, tmp_path) == PACKED
    assert server.ranges == []


@pytest.mark.parametrize("leftover", [b"", NOISE])
def test_a_part_of_unknown_origin_is_not_gone_on_with(
    server: Server, tmp_path: Path, leftover: bytes
) -> None:
    part(tmp_path).write_bytes(leftover)
    assert get(server, tmp_path) == PACKED
    assert server.ranges == [None]


def test_an_answer_of_unknown_size_is_taken_whole(server: Server, tmp_path: Path) -> None:
    server.tricks = [lambda handler: handler.answer(200, PACKED, Content_Length=None)]
    assert get(server, tmp_path) == PACKED
    assert server.ranges == [None]


def test_a_part_of_unknown_size_that_is_complete_is_found_so(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    told = part(tmp_path).with_name("qbert.tar.gz.part.json")
    told.write_text(json.dumps({**json.loads(told.read_text()), "size": None}))
    part(tmp_path).write_bytes(PACKED)
    assert get(server, tmp_path) == PACKED
    assert server.ranges == [f"bytes={len(PACKED)}-"] and server.sent == 0


def test_the_bytes_are_stored_as_sent(server: Server, tmp_path: Path) -> None:
    asked = []

    def encode(handler: Handler) -> None:
        asked.append(handler.headers["Accept-Encoding"])
        handler.answer(200, PACKED, Content_Encoding="gzip")

    server.tricks = [encode]
    assert get(server, tmp_path) == PACKED
    assert asked == ["identity"] and len(server.ranges) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_passing_failure_is_tried_again(server: Server, tmp_path: Path, code: int) -> None:
    server.tricks = [status(code)]
    assert get(server, tmp_path) == PACKED
    assert len(server.ranges) == 2


def test_the_server_says_how_long_to_wait(server: Server, tmp_path: Path) -> None:
    server.tricks = [status(429, Retry_After="1")]
    before = time.monotonic()
    assert get(server, tmp_path) == PACKED
    assert 1 <= time.monotonic() - before < 2


def test_pauses_double_up_to_the_longest() -> None:
    retry, pauses = PATIENCE.retry(), []
    for _ in range(PATIENCE.tries - 1):
        retry = retry.increment("GET", "http://x")
        pauses.append(retry.get_backoff_time())
    assert pauses[0] == 0 and pauses[-1] == PATIENCE.longest
    assert all(2 * 2**n <= pauses[n] <= 2 * 2**n + 2 for n in range(1, 6))
    assert len({retry.new(backoff_max=1e9).get_backoff_time() for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("trick", "why"),
    [
        (status(500), "the server says 500 Internal Server Error"),
        (status(503), "the server says 503 Service Unavailable"),
        (status(200, Content_Type="text/html"), "the server sends a web page, not an archive"),
        (status(200), "the answer ended after 0 of 0 bytes"),
        (status(206), "the server's file is not the one begun"),
        (status(416), "the server's file is not the one begun"),
    ],
)
def test_a_lasting_failure_is_given_up_in_one_line(
    server: Server, tmp_path: Path, trick: Callable[[Handler], None], why: str
) -> None:
    server.tricks = [trick] * 9
    with pytest.raises(UsageError) as error:
        get(server, tmp_path)
    assert len(server.ranges) == HASTY.tries
    line = f"gave up on {server.url}/qbert.tar.gz after 3 tries in a row: {why}"
    assert str(error.value).startswith(line)
    assert str(error.value).endswith("what is fetched is kept, the same command goes on from there")


def test_a_web_page_never_takes_the_place_of_what_is_fetched(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    have = part(tmp_path).read_bytes()
    server.tricks = [status(200, Content_Type="text/html")] * 3
    with pytest.raises(UsageError, match="sends a web page"):
        get(server, tmp_path)
    assert part(tmp_path).read_bytes() == have


def test_a_stalled_line_counts_as_cut(server: Server, tmp_path: Path) -> None:
    def stall(handler: Handler) -> None:
        handler.answer(200, PACKED, HALF)
        handler.wfile.flush()
        time.sleep(0.6)

    server.tricks = [stall]
    notes: list[str] = []
    assert get(server, tmp_path, patience=Patience(3, 0.001, timeout=0.2), note=notes.append) == PACKED
    assert len(server.ranges) == 2 and server.ranges[1] and "timed out" in notes[0]


def test_a_slow_line_is_not_a_stalled_one(server: Server, tmp_path: Path) -> None:
    def trickle(handler: Handler) -> None:
        handler.answer(200, PACKED, 0)
        for start in range(0, len(PACKED), 50_000):
            time.sleep(0.1)
            handler.wfile.write(PACKED[start : start + 50_000])

    server.tricks = [trickle]
    assert get(server, tmp_path, patience=Patience(1, 0, timeout=0.3)) == PACKED
    assert server.ranges == [None]


def test_nobody_listening_is_given_up_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    idle = Server()
    idle.server_close()
    with pytest.raises(UsageError, match=r"^gave up on .* after 3 tries in a row: .*[Cc]onnection refused; "):
        get(idle, tmp_path)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            404,
            "no archive at {}/qbert.tar.gz (404 Not Found): the names are spaceinvaders, qbert, mspacman, pinball, ",
        ),
        (410, "no archive at {}/qbert.tar.gz (410 Gone): the names are spaceinvaders, "),
        (403, "the server refuses {}/qbert.tar.gz: 403 Forbidden"),
    ],
)
def test_a_final_refusal_is_not_tried_again(server: Server, tmp_path: Path, code: int, line: str) -> None:
    server.tricks = [status(code)] * 2
    with pytest.raises(UsageError) as error:
        get(server, tmp_path)
    assert str(error.value).startswith(line.format(server.url))
    assert len(server.ranges) == 1 and not list(tmp_path.iterdir())


def test_another_mirror_does_not_go_on_with_the_first_ones_bytes(server: Server, tmp_path: Path) -> None:
    cut_short(server, tmp_path)
    have = part(tmp_path).read_bytes()
    with pytest.raises(
        UsageError, match=f"is the beginning of {server.url}/q.*: go on with --url {server.url}, "
    ):
        download("qbert", tmp_path, "http://127.0.0.1:1/other", HASTY)
    assert part(tmp_path).read_bytes() == have


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full disk")
def test_a_full_disk_is_one_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part(tmp_path).symlink_to("/dev/full")
    monkeypatch.setattr(Partial, "discard", lambda self: None)
    with pytest.raises(UsageError) as error:
        get(server, tmp_path)
    kept = "what is fetched is kept, the same command goes on from there"
    assert str(error.value) == f"cannot write {part(tmp_path)}: No space left on device; {kept}"
    assert len(server.ranges) == 1


def test_too_little_room_is_told_before_anything_is_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage(tmp_path)._replace(free=len(PACKED) - 1)
    monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda folder: room)
    with pytest.raises(
        UsageError, match=r"^the rest of qbert.tar.gz.part takes 0\.3 MB, but .* has 0\.3 MB free$"
    ):
        get(server, tmp_path)
    assert part(tmp_path).exists() is False
    monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda folder: room._replace(free=len(PACKED)))
    assert get(server, tmp_path) == PACKED


def test_a_folder_that_cannot_be_written_to_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^cannot fetch .*Not a directory: .*file/qbert\.tar\.gz\.part"):
        get(server, tmp_path / "file")


@pytest.mark.parametrize("position", [0, HALF, len(PACKED) - 6])
def test_a_damaged_byte_is_found_and_nothing_stays(server: Server, tmp_path: Path, position: int) -> None:
    server.file = PACKED[:position] + bytes([PACKED[position] ^ 1]) + PACKED[position + 1 :]
    with pytest.raises(
        UsageError, match=r"^http.*qbert\.tar\.gz arrived damaged and is deleted \(.+\): the same"
    ):
        get(server, tmp_path)
    assert not list(tmp_path.iterdir())
    server.file = PACKED
    assert get(server, tmp_path) == PACKED


@pytest.mark.parametrize("content", [b"", PACKED[:HALF], PACKED[:-1], b"no gzip", PACKED + b"more"])
def test_what_is_no_whole_gzip_file_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "qbert.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"qbert\.tar\.gz is damaged \(.+\): delete it"):
        verify(path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_that_was_tampered_with_is_refused(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path)
    (tmp_path / "qbert.tar.gz").write_bytes(OTHER)
    with pytest.raises(
        UsageError, match=r"qbert\.tar\.gz has SHA-256 .* records .*: delete qbert\.tar\.gz to"
    ):
        get(server, tmp_path)
    assert len(server.ranges) == 1


def test_a_hash_that_is_there_first_decides_and_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    record = tmp_path / "qbert.tar.gz.sha256"
    record.write_text(f"{hashlib.sha256(OTHER).hexdigest()}  qbert.tar.gz\n")
    with pytest.raises(UsageError, match="has SHA-256"):
        get(server, tmp_path)
    assert not (tmp_path / "qbert.tar.gz").exists()
    record.unlink()
    assert get(server, tmp_path) == PACKED
    assert len(server.ranges) == 1


def test_a_record_without_a_hash_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "qbert.tar.gz").write_bytes(PACKED)
    (tmp_path / "qbert.tar.gz.sha256").write_text("hello\n")
    with pytest.raises(UsageError, match=r"sha256 does not begin with a SHA-256: delete it"):
        verify(tmp_path / "qbert.tar.gz")


def test_an_archive_that_was_brought_by_hand_is_checked_and_recorded(server: Server, tmp_path: Path) -> None:
    (tmp_path / "qbert.tar.gz").write_bytes(PACKED)
    assert get(server, tmp_path) == PACKED
    assert server.ranges == []


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


def packed(folder: Path, content: bytes) -> Path:
    path = folder / "qbert.tar.gz"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("prefix", "place"),
    [
        ("", "atari_v1/"),
        ("./", "atari_v1/"),
        ("atari_v1/", "atari_v1/"),
        ("./atari_v1/", "atari_v1/"),
        ("atari_v1_release/", "atari_v1_release/"),
    ],
)
def test_the_parts_go_where_the_reader_looks(tmp_path: Path, prefix: str, place: str) -> None:
    names = ("screens/qbert/7/0.png", "trajectories/qbert/7.txt")
    path = packed(tmp_path, tar_gz({prefix + name: name.encode() for name in names}))
    assert unpack(path, check(path))
    path.unlink()
    (tmp_path / "qbert.unpacked").unlink()
    assert tree(tmp_path) == {place + name: name.encode() for name in names}


def test_unpacking_is_done_once_for_each_archive(tmp_path: Path) -> None:
    path = packed(tmp_path, PACKED)
    assert unpacked(path) is None
    assert unpack(path, check(path)) and not unpack(path, check(path))
    assert unpacked(path) == check(path)
    packed(tmp_path, OTHER)
    assert unpack(path, check(path))
    assert tree(tmp_path).keys() == {
        *FILES, "atari_v1/trajectories/qbert/7.txt", "qbert.tar.gz", "qbert.unpacked"
    }  # fmt: skip


def test_unpacking_goes_beside_what_is_there_and_over_the_same_names(tmp_path: Path) -> None:
    screens = tmp_path / "atari_v1" / "screens"
    for name in ("qbert/7/0.png", "qbert/8/0.png", "mspacman/7/0.png"):
        (screens / name).parent.mkdir(parents=True, exist_ok=True)
        (screens / name).write_bytes(b"old")
    path = packed(tmp_path, PACKED)
    unpack(path, check(path))
    assert (screens / "qbert/8/0.png").read_bytes() == (screens / "mspacman/7/0.png").read_bytes() == b"old"
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    ("evil", "why"),
    [
        (member("/tmp/evil.png"), "'/tmp/evil.png' would leave the folder"),
        (member("../evil.png"), "'../evil.png' would leave the folder"),
        (member("screens/../../evil.png"), "'screens/../../evil.png' would leave the folder"),
        (member("..", tarfile.DIRTYPE), "'..' would leave the folder"),
        (member("screens/link", tarfile.SYMTYPE, "/etc"), "'screens/link' is a symbolic link"),
        (member("screens/link", tarfile.SYMTYPE, "qbert"), "'screens/link' is a symbolic link"),
        (member("screens/hard", tarfile.LNKTYPE, "screens/qbert/7/0.png"), "'screens/hard' is a hard link"),
        (member("screens/null", tarfile.CHRTYPE), "'screens/null' is a device"),
        (member("screens/disk", tarfile.BLKTYPE), "'screens/disk' is a device"),
        (member("screens/pipe", tarfile.FIFOTYPE), "'screens/pipe' is a named pipe"),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_an_evil_member_is_refused_by_name_and_nothing_is_unpacked(
    tmp_path: Path, evil: tarfile.TarInfo, why: str
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        good = member("screens/qbert/7/0.png")
        good.size = 4
        tar.addfile(good, io.BytesIO(b"good"))
        tar.addfile(evil)
    folder = tmp_path / "inner"
    folder.mkdir()
    path = packed(folder, content.getvalue())
    with pytest.raises(UsageError) as error:
        unpack(path, check(path))
    assert str(error.value) == f"{path} is refused, nothing of it is unpacked: its member {why}"
    assert list(tmp_path.rglob("*")) == [folder, path]


def test_a_link_does_not_lead_a_later_member_outside(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.addfile(member("screens", tarfile.SYMTYPE, str(tmp_path / "outside")))
        tar.addfile(member("screens/evil.png"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "inner").mkdir()
    path = packed(tmp_path / "inner", content.getvalue())
    with pytest.raises(UsageError, match="symbolic link"):
        unpack(path, check(path))
    assert not list((tmp_path / "outside").iterdir())


def test_permissions_of_the_archive_are_tamed(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        wild = member("screens/run")
        wild.mode = 0o6777
        tar.addfile(wild)
    path = packed(tmp_path, content.getvalue())
    unpack(path, check(path))
    assert (tmp_path / "atari_v1/screens/run").stat().st_mode & 0o7022 == 0


def interrupt(*told: object) -> None:
    raise KeyboardInterrupt


def test_unpacking_that_is_interrupted_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    path = packed(tmp_path, PACKED)

    def interrupt_later(*told: object) -> None:
        if list(tmp_path.glob(".qbert.*/atari_v1/screens/qbert/7/1.png")):
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        unpack(path, check(path), interrupt_later)
    assert unpacked(path) is None and not (tmp_path / "atari_v1").exists()
    assert unpack(path, check(path))
    assert tree(tmp_path) == {**FILES, path.name: PACKED, "qbert.unpacked": f"{check(path)}\n".encode()}


@pytest.mark.parametrize("step", ["_merge", "whole"])
def test_unpacking_counts_as_done_only_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = packed(tmp_path, PACKED)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(archive_module, step, interrupt)
        unpack(path, check(path))
    assert unpacked(path) is None
    assert unpack(path, check(path))
    assert tree(tmp_path) == {**FILES, path.name: PACKED, "qbert.unpacked": f"{check(path)}\n".encode()}


def test_a_merge_that_was_interrupted_is_made_up_for(tmp_path: Path) -> None:
    path = packed(tmp_path, PACKED)
    inner = tmp_path / f".qbert.{check(path)[:16]}.unpacking" / "atari_v1/screens/qbert/7"
    inner.mkdir(parents=True)
    (inner / "1.png").write_bytes(FILES["atari_v1/screens/qbert/7/1.png"][:77])
    (tmp_path / "atari_v1/screens/qbert/7").mkdir(parents=True)
    (tmp_path / "atari_v1/screens/qbert/7/0.png").write_bytes(FILES["atari_v1/screens/qbert/7/0.png"])
    assert unpack(path, check(path))
    assert tree(tmp_path) == {**FILES, path.name: PACKED, "qbert.unpacked": f"{check(path)}\n".encode()}


def test_a_tar_that_breaks_off_or_goes_on_is_damaged(tmp_path: Path) -> None:
    tar = gzip.decompress(PACKED)
    header = 512 + 100_352  # of the second member
    for content in (tar[:150_000], tar[:header] + b"?" * 512 + tar[header + 512 :], b"no tar"):
        path = packed(tmp_path, gzip.compress(content))
        with pytest.raises(DamagedError):
            unpack(path, check(path))
        assert unpacked(path) is None and not (tmp_path / "atari_v1").exists()


def test_an_archive_that_is_not_the_one_checked_is_not_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path, PACKED)
    with pytest.raises(DamagedError, match="changed meanwhile"):
        unpack(path, "0" * 64)
    assert unpacked(path) is None and not (tmp_path / "atari_v1").exists()


def test_too_little_room_to_unpack_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, PACKED)
    room = shutil.disk_usage(tmp_path)._replace(free=len(PACKED) - 1)
    monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda folder: room)
    with pytest.raises(
        UsageError, match=r"^unpacking qbert\.tar\.gz takes at least 0\.3 MB, but .* 0\.3 MB free$"
    ):
        unpack(path, check(path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_unpacking_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path, PACKED)

    def full(*told: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UsageError) as error:
        patch.setattr(tarfile.TarFile, "makefile", full)
        unpack(path, check(path))
    assert str(error.value).endswith(
        "qbert.tar.gz: No space left on device; the same command unpacks it anew"
    )
    assert unpack(path, check(path))


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    """A certificate that nobody vouches for, with its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    path = tmp_path / "self-signed.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        + ["-keyout", str(tmp_path / "key.pem"), "-out", str(path)],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + (tmp_path / "key.pem").read_text())
    return path


class Secure(Server):
    """The same behind TLS."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stays silent when a client hangs up."""


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    self_signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(Secure(self_signed)) as server:
        with pytest.raises(
            UsageError, match=r"^the certificate of https://.* is not trusted \(self-signed cert.*RE"
        ):
            get(server, tmp_path / "out", patience=PATIENCE)
        assert server.ranges == [] and not (tmp_path / "out").exists()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed))
        assert get(server, tmp_path / "out") == PACKED


def test_a_missing_authority_file_is_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(UsageError, match=r"^cannot fetch https://.*gone\.pem"):
        download("qbert", tmp_path, server.url.replace("http:", "https:"), HASTY)


def test_a_secure_address_never_leads_to_an_open_one(
    self_signed: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed))
    with serving(Secure(self_signed)) as secure:
        secure.tricks = [status(302, Location=f"{server.url}/qbert.tar.gz")]
        with pytest.raises(
            UsageError, match=f"qbert.tar.gz leads to {server.url}/qbert.tar.gz, past a place"
        ):
            get(secure, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def call(*arguments: str) -> int:
    """Runs the command in this process and gives its exit code."""
    with pytest.raises(SystemExit) as ended:
        run(["download", *arguments])
    return int(ended.value.code or 0)


Captured = pytest.CaptureFixture[str]


def test_the_command_fetches_and_unpacks_once(server: Server, tmp_path: Path, capsys: Captured) -> None:
    arguments = ("--game", "qbert", "--out", str(tmp_path), "--url", server.url)
    assert call(*arguments, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(PACKED).hexdigest()
    assert told == {
        "folder": str(tmp_path),
        "archives": [
            {"archive": str(tmp_path / f"{name}.tar.gz"), "sha256": digest, "fetched": True, "unpacked": True}
            for name in ("trajectories", "qbert")
        ],
    }
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    before = tree(tmp_path)
    assert call(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{tmp_path / 'qbert.tar.gz'}: fetched before, unpacked before; SHA-256 {digest}"
    assert len(lines) == 2 and len(server.ranges) == 2 and tree(tmp_path) == before


def test_archives_alone_or_what_is_in_them_alone(server: Server, tmp_path: Path, capsys: Captured) -> None:
    arguments = ("--trajectories", "--out", str(tmp_path), "--url", server.url)
    assert call(*arguments, "--no-unpack") == 0
    assert "trajectories.tar.gz: fetched; SHA-256 " in capsys.readouterr().out
    assert tree(tmp_path).keys() == {"trajectories.tar.gz", "trajectories.tar.gz.sha256"}
    for _ in range(2):
        assert call(*arguments, "--no-keep") == 0
        assert tree(tmp_path).keys() == {*FILES, "trajectories.tar.gz.sha256", "trajectories.unpacked"}
    assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            (),
            "give either --game, which brings the trajectories with it, or --trajectories: atari-dream download ",
        ),
        (("--game", "qbert", "--trajectories"), "give either --game"),
        (
            ("--game", "qbret"),
            "unknown game 'qbret': allowed are pacman, .*, all; nearest is 'qbert'; try atari-dream",
        ),
        (("--game", "qbert", "--no-unpack", "--no-keep"), "--no-unpack with --no-keep leaves nothing"),
        (
            ("--game", "qbert", "--url", "ftp://host/x"),
            "--url ftp://host/x is no web address: allowed are http and ht",
        ),
        (("--game", "qbert", "--url", "host/x"), "--url host/x is no web address"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...], line: str, tmp_path: Path, capsys: Captured
) -> None:
    assert call(*arguments, "--out", str(tmp_path)) == 2
    told = capsys.readouterr().err
    assert re.match(f"atari-dream: {line}", told) and told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_archives_of_games() -> None:
    assert archives(("qbert", "pacman", "qbert"), False) == ["trajectories", "qbert", "mspacman"]
    every = ["trajectories", "mspacman", "pinball", "qbert", "revenge", "spaceinvaders"]
    assert archives(("all",), False) == archives(("qbert", "all"), False) == every
    assert archives((), True) == ["trajectories"]


def test_the_bar_begins_with_what_was_there(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar("q.tar.gz") as bar:
        bar.show("fetch", 5_000_000, 10_000_000)
        bar.show("fetch", 10_000_000, 10_000_000)
        bar.show("check", 0, 10_000_000)
    told = capsys.readouterr().err
    assert re.search(r"fetch q\.tar\.gz: +50%.*10\.0M/10\.0M.*check q\.tar\.gz: +0%", told, re.DOTALL)


def test_a_failure_is_one_line_after_the_notes(server: Server, tmp_path: Path, capsys: Captured) -> None:
    server.tricks = [status(500), status(404)]
    assert call("--trajectories", "--out", str(tmp_path), "--url", server.url) == 2
    url = f"{server.url}/trajectories.tar.gz"
    assert capsys.readouterr().err.splitlines() == [
        f"atari-dream: {url}: the server says 500 Internal Server Error; trying again",
        f"atari-dream: no archive at {url} (404 Not Found): the names are spaceinvaders, qbert, mspacman, pinball, "
        "revenge, trajectories, full; a mirror is given by --url",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_stopped_goes_on_when_called_again(
    server: Server, tmp_path: Path, end: signal.Signals
) -> None:
    reached = threading.Event()

    def stall(handler: Handler) -> None:
        handler.answer(200, PACKED, HALF)
        handler.wfile.flush()
        reached.wait(20)

    server.tricks = [stall]
    command = [sys.executable, "-m", "atari_dream", "download", "--trajectories", "--out", str(tmp_path)]
    command += ["--url", server.url]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    partial = tmp_path / "trajectories.tar.gz.part"
    deadline = time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size > HALF // 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(end)
    told = process.communicate(timeout=20)[1]
    reached.set()
    have = partial.stat().st_size
    assert PACKED[:have] == partial.read_bytes() and have > HALF // 2
    if end == signal.SIGINT:
        kept = f"{tmp_path} keeps trajectories.tar.gz.part (0.1 MB)"
        assert told == f"atari-dream: interrupted, {kept}; the same command goes on from there\n"
    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    subprocess.run(command, check=True, capture_output=True)
    assert server.ranges == [None, f"bytes={have}-"]
    assert (tmp_path / "trajectories.tar.gz").read_bytes() == PACKED
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
