"""The palette and the grey levels are ALE's and OpenCV's."""

import cv2
import numpy as np
import pytest

from atari_dream.emulator import Emulator
from atari_dream.games import GAMES
from atari_dream.observation import SIZE, shrink
from atari_dream.palette import GREY, PALETTE, to_rgb


@pytest.mark.parametrize("game", GAMES)
def test_the_palette_is_ales(game: str) -> None:
    emulator, rng, seen = Emulator(game), np.random.default_rng(0), set[int]()
    for _ in range(60):
        emulator.step(rng.integers(0, 18, 1).repeat(8))
        if emulator.over:
            emulator.reset()
        codes = emulator.frame
        np.testing.assert_array_equal(to_rgb(codes), emulator._ale.getScreenRGB())
        seen |= set(np.unique(codes).tolist())
    assert len(seen) >= 5 and all(code % 2 == 0 for code in seen)


def test_colours_are_distinct_and_odd_codes_read_as_even_ones() -> None:
    assert PALETTE.shape == (256, 3) and PALETTE.dtype == np.uint8
    assert len({tuple(colour) for colour in PALETTE[::2].tolist()}) == 128
    np.testing.assert_array_equal(PALETTE[1::2], PALETTE[::2])


def test_grey_is_opencvs() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(GREY[codes], cv2.cvtColor(to_rgb(codes), cv2.COLOR_RGB2GRAY))


def test_an_observation_is_the_grey_screen_by_area() -> None:
    emulator = Emulator("qbert")
    emulator.step([0] * 200)
    grey = cv2.cvtColor(emulator._ale.getScreenRGB(), cv2.COLOR_RGB2GRAY)
    expected = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(shrink(emulator.frame), expected)
    assert len(np.unique(expected)) > 5
