"""The page is one file that opens anywhere; tables and verdicts say what drift.json says."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from atari_dream.drift import Entry, Protocol, Sums, summarise
from atari_dream.drift_report import TABLE, median_case, rows, save_report, verdicts
from atari_dream.metrics import FRAME_SUMS
from atari_dream.predictor import Domain
from atari_dream.registry import create_model
from atari_dream.starts import StartPool

HORIZON, STARTS = 6, 5


def fake_sums(wrong: list[float]) -> Sums:
    """Sums of starts with a share of wrong moving pixels each, and no frame left at the last step."""
    sums = {name: np.full((STARTS, HORIZON), 1000.0) for name in FRAME_SUMS}
    sums["moving_wrong"] *= np.array(wrong)[:, None]
    sums["square"] = sums["moving_wrong"] * 100
    sums["moving_square"], sums["frames"] = sums["square"] * 2, np.ones((STARTS, HORIZON))
    for name in FRAME_SUMS:
        sums[name][:, -1] = 0
    ones = np.ones((STARTS, HORIZON))
    return sums | {"reward_right": ones * 0.0, "end_right": ones, "starts": ones}


@pytest.fixture(scope="module")
def entries(pool: StartPool) -> list[Entry]:
    controls = [Entry(name, "control", create_model(name)) for name in ("emulator", "copy_last")]
    return [*controls, Entry("background", "control", create_model("copy_last")),
            Entry("<mine>", "checkpoint", create_model("copy_last", Domain()))]  # fmt: skip


@pytest.fixture(scope="module")
def sums() -> dict[str, Sums]:
    return {
        "emulator": fake_sums([0.0] * STARTS),
        "copy_last": fake_sums([0.9, 0.8, 0.7, 0.8, 0.9]),
        "background": fake_sums([0.1, 0.5, 0.9, 0.3, 0.1]),
        "<mine>": fake_sums([0.5, 0.1, 0.4, 0.3, 0.2]),
    }


@pytest.fixture(scope="module")
def summary(entries: list[Entry], sums: dict[str, Sums], pool: StartPool) -> dict[str, Any]:
    protocol = Protocol.of(pool, STARTS, HORIZON)
    return summarise(protocol, [(e.name, e.kind) for e in entries], sums, "atari-dream drift & <more>")


@pytest.fixture(scope="module")
def folder(
    summary: dict[str, Any],
    entries: list[Entry],
    sums: dict[str, Sums],
    pool: StartPool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    made = tmp_path_factory.mktemp("report")
    save_report(made, summary, Protocol.of(pool, STARTS, HORIZON), pool, entries, sums)
    return made


class Page(HTMLParser):
    """Collects what a page refers to, its pictures and the cells of its tables."""

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


def test_the_page_is_self_contained(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.links) == 2 and all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not {"script", "link", "iframe", "object", "mine", "more"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", text))
    for link, name in zip(page.links, ("drift.png", "strip.png"), strict=True):
        assert base64.b64decode(link.partition(",")[2]) == (folder / name).read_bytes()


def test_the_page_tells_names_and_command_as_they_are(folder: Path, summary: dict[str, Any]) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert (
        "atari-dream drift & <more>" in page.text and f"{STARTS} starts, {HORIZON} agent steps" in page.text
    )
    for key in TABLE:
        for name, cells in rows(summary, key):
            assert name in page.text and all(cell in page.text for cell in cells)
    assert page.tags.count("table") == len(TABLE)


@pytest.mark.parametrize("name", ["drift.png", "strip.png"])
def test_the_pictures_open(name: str, folder: Path) -> None:
    with Image.open(io.BytesIO((folder / name).read_bytes())) as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 100
        assert len(set(picture.convert("RGB").resize((40, 40)).get_flattened_data())) > 5


def test_rows_show_the_steps_that_there_are(summary: dict[str, Any]) -> None:
    table = dict(rows(summary, "wrong_moving"))
    assert list(table) == ["emulator", "copy_last", "background", "<mine>"]
    assert all(len(cells) == 2 for cells in table.values())  # of 1, 5, 10, 25, 50 up to a horizon of 6
    assert table["emulator"] == ["0.000 [0.000, 0.000]"] * 2
    value, low, high = map(float, re.findall(r"[\d.]+", table["<mine>"][0]))
    assert value == 0.3 and low < value < high
    assert dict(rows(summary, "psnr"))["emulator"][0] == "100.0 [100.0, 100.0]"


def test_a_step_without_data_says_so(summary: dict[str, Any]) -> None:
    cut = summary | {"protocol": summary["protocol"] | {"horizon": 5}}
    for entry in cut["entries"]:
        assert entry["per_step"]["psnr"][5] is None
    blank = [
        entry | {"per_step": {"psnr": [None] * 6}, "ci95": {"psnr": [None] * 6}} for entry in cut["entries"]
    ]
    assert rows(cut | {"entries": blank}, "psnr")[0] == ("emulator", ["no data", "no data"])


def test_verdicts_are_the_paired_intervals(summary: dict[str, Any]) -> None:
    assert verdicts(summary) == [
        "<mine> better than copy_last: dyn_psnr at 1 5, wrong_moving at 1 5, reward_accuracy at no step",
        "<mine> better than background: dyn_psnr at no step, wrong_moving at no step, "
        "reward_accuracy at no step",
    ]


def test_the_case_shown_is_the_first_checkpoints_median(
    entries: list[Entry], sums: dict[str, Sums], pool: StartPool
) -> None:
    protocol = Protocol.of(pool, STARTS, HORIZON)
    shown, start = median_case(protocol, pool, entries, sums)
    assert shown.name == "<mine>" and start == pool.sample(STARTS)[3]
    shown, _ = median_case(protocol, pool, entries[:3], sums)
    assert shown.name == "copy_last"
