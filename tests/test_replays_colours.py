"""The colours of the replays."""

import json
from pathlib import Path

import numpy as np
import pytest

from atari_dream.replays.colours import PALETTES, UNKNOWN, Palette, to_codes, to_picture

PAIRS = json.loads((Path(__file__).parent / "data" / "colour_pairs.json").read_text())


def test_the_table_agrees_with_every_pair_that_was_seen() -> None:
    assert len(PAIRS) == 126
    for code, javatari, ale in PAIRS:
        assert PALETTES["agc"][code].tolist() == javatari and PALETTES["ale"][code].tolist() == ale


@pytest.mark.parametrize("palette", ["agc", "ale"])
def test_no_two_codes_have_one_colour(palette: Palette) -> None:
    assert len(np.unique(PALETTES[palette][::2], axis=0)) == 128


@pytest.mark.parametrize("palette", ["agc", "ale"])
def test_every_code_comes_back(palette: Palette) -> None:
    codes = np.arange(0, 256, 2, dtype=np.uint8).reshape(8, 16)
    np.testing.assert_array_equal(to_codes(to_picture(codes, palette), palette), codes)


def test_a_colour_of_neither_palette_is_told() -> None:
    picture = to_picture(np.zeros((2, 3), np.uint8), "agc").copy()
    picture[1, 2] = (1, 2, 3)
    assert to_codes(picture).tolist() == [[0, 0, 0], [0, 0, UNKNOWN]]
    assert UNKNOWN % 2, "ALE's codes are even"


def test_the_palettes_differ_where_people_mistook_them() -> None:
    assert (PALETTES["agc"] != PALETTES["ale"]).any(1)[::2].mean() > 0.9
