"""Plots draw what is there, in both themes, and the same each time."""

import copy
import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from atari_dream.bundled import bundled_pool
from atari_dream.drift_plots import THEMES, curve_svg, find_tracks, looks, overview_png, tracks_svg
from atari_dream.objects.scene import scene_reader
from atari_dream.protocol import Entry
from atari_dream.rollout import continued, roll

pytestmark = pytest.mark.slow


def words(svg: bytes) -> list[str]:
    return [text for node in ElementTree.fromstring(svg).iter() if (text := (node.text or "").strip())]


@pytest.mark.parametrize("theme", THEMES)
def test_a_curve_is_a_picture_with_its_title(theme: str, summary: dict[str, Any]) -> None:
    svg = curve_svg(summary, "wrong_moving", theme)
    assert svg == curve_svg(summary, "wrong_moving", theme)
    assert "Share of wrong moving pixels" in words(svg) and "agent steps" in words(svg)
    assert THEMES[theme]["text"] in svg.decode() and b"http://www.w3.org/1999/xlink" in svg
    for colour, _ in (looks(summary)[name] for name in ("late", "copy_last", "emulator")):
        assert colour in svg.decode()


def test_a_hundred_decibels_flatten_nothing(summary: dict[str, Any]) -> None:
    green = looks(summary)["emulator"][0]
    assert green in curve_svg(summary, "ssim", "light").decode()
    assert green not in curve_svg(summary, "psnr", "light").decode()


def test_few_events_are_not_drawn(summary: dict[str, Any]) -> None:
    assert "too few events (1)" in words(curve_svg(few(summary, 1), "life_f1", "light"))
    assert not any(
        text.startswith("too few") for text in words(curve_svg(few(summary, 20), "life_f1", "light"))
    )


def few(summary: dict[str, Any], count: int) -> dict[str, Any]:
    told = copy.deepcopy(summary)
    told["events"]["life"] = [count] * 12
    return told


def test_every_entry_looks_different(summary: dict[str, Any]) -> None:
    assert len(set(looks(summary).values())) == len(summary["entries"])


def test_the_overview_opens(summary: dict[str, Any]) -> None:
    with Image.open(io.BytesIO(overview_png(summary))) as picture:
        assert picture.format == "PNG" and min(picture.size) > 500
        pixels = np.asarray(picture.convert("RGB").resize((40, 40))).reshape(-1, 3)
        assert len(np.unique(pixels, axis=0)) > 20


def test_tracks_show_both_worlds(drift_entries: list[Entry]) -> None:
    pool, reader = bundled_pool("pinball"), scene_reader("pinball")
    assert reader is not None
    codes = continued(pool, 0, 8)
    real, still = (roll(entry.predictor, pool, 0, codes) for entry in drift_entries[:2])
    ways = [find_tracks(reader, rollout, ["ball", "plunger"]) for rollout in (real, still)]
    svg = tracks_svg(real.frames[0], ways[0], ways[1], "light")
    assert {"real game", "dream", "ball", "plunger"} <= set(words(svg))
    assert svg != tracks_svg(real.frames[0], ways[0], ways[0], "light")
    for (gone, places), rollout in zip((side["ball"] for side in ways), (real, still), strict=True):
        for share, place in zip(gone, places, strict=True):
            points = reader.of_frame(rollout.frames[round(share * rollout.steps)]).points["ball"]
            assert points is not None and place.tolist() in points.tolist()
