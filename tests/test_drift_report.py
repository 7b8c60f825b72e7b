"""The page is one file that opens anywhere; it shows every entry, and cases by their rank."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atari_dream.bundled import bundled_pool
from atari_dream.drift import Measured
from atari_dream.drift_report import cases, ranks, save_report
from atari_dream.drift_tables import TITLES, lines, rows
from atari_dream.protocol import Entry, Protocol

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(
    summary: dict[str, Any],
    drift_entries: list[Entry],
    measured: Measured,
    protocol: Protocol,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    made = tmp_path_factory.mktemp("report")
    save_report(made, summary, protocol, bundled_pool("pinball"), drift_entries, measured)
    return made


class Page(HTMLParser):
    """Collects what a page refers to, its tags and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_self_contained(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert all(re.match(r"data:image/(png|gif|svg\+xml);base64,", link) for link in page.links)
    assert not {"script", "link", "iframe", "object", "more"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", text))
    assert text.count("prefers-color-scheme: dark") > 10 and 'name="viewport"' in text


def test_the_page_tells_names_command_and_protocol_as_they_are(
    page: Page, summary: dict[str, Any], protocol: Protocol
) -> None:
    told = " ".join(page.text.split())
    assert "atari-dream drift & <more>" in told and protocol.digest() in told and protocol.pool in told
    for name, line in lines(summary):
        assert f"{name}: {line}." in told
    assert " ".join(entry["name"] for entry in summary["entries"]) in told  # the legend
    for key in TITLES:
        for _, cells in rows(summary, key):
            assert all(cell in told for cell in cells)
    for name, row in summary["objects"]["reading"].items():
        assert name in told and all(f"{value}" in told for value in row.values() if value is not None)


def test_each_clip_plays_every_step(page: Page, protocol: Protocol) -> None:
    clips = [link for link in page.links if link.startswith("data:image/gif")]
    assert len(clips) == 4  # the median and the worst case of two checkpoints
    for link in clips:
        with Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2]))) as clip:
            assert 2 <= clip.n_frames <= protocol.horizon + 1  # type: ignore[attr-defined]


def test_the_pictures_are_written_beside_it(folder: Path, page: Page) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["drift.png", "report.html", "strip.png"]
    strips = [link for link in page.links if link.startswith("data:image/png")]
    assert base64.b64decode(strips[0].partition(",")[2]) == (folder / "strip.png").read_bytes()
    for name in ("drift.png", "strip.png"):
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 100


def test_cases_are_the_median_and_the_worst(
    drift_entries: list[Entry], measured: Measured, protocol: Protocol
) -> None:
    sums = measured.starts["late"]
    shares = sums["moving_wrong"].sum(1) / sums["moving"].sum(1)
    found = ranks(measured, "late")
    assert shares[found["worst"]] == shares.max()
    assert shares[found["median"]] == np.sort(shares)[len(shares) // 2]
    pool = bundled_pool("pinball")
    shown = cases(protocol, pool, drift_entries, measured)
    assert [(case.entry.name, case.rank) for case in shown] == [
        ("late", "median"),
        ("late", "worst"),
        ("endless", "median"),
        ("endless", "worst"),
    ]
    assert shown[1].start == pool.sample(protocol.starts)[found["worst"]]
    np.testing.assert_array_equal(shown[0].dreamt.frames[2:], shown[0].real.frames[1:-1])
    only_controls = cases(protocol, pool, drift_entries[:3], measured)
    assert {case.entry.name for case in only_controls} == {"copy_last"}
