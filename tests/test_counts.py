"""Colour counts: what a cell shows, wherever in the cell, of the pixels asked for."""

import torch

from atari_dream.canvas.counts import NUMBERS, ColourCounts

EVERY = torch.ones(1, 600, 56, dtype=torch.bool)


def sprite(pixel: int) -> torch.Tensor:
    cells = torch.zeros(1, 600, 56, dtype=torch.uint8)
    cells[0, 3, pixel : pixel + 4] = 42
    return cells


def test_a_sprite_counts_the_same_wherever_it_is_in_a_cell() -> None:
    counts = ColourCounts()
    here, there = counts(sprite(0), EVERY), counts(sprite(30), EVERY)
    assert here.shape == (1, 600, NUMBERS)
    torch.testing.assert_close(here, there)
    assert not torch.allclose(here[0, 3], here[0, 4])


def test_only_the_pixels_of_the_mask_count() -> None:
    counts = ColourCounts()
    some = sprite(0) == 42
    torch.testing.assert_close(counts(sprite(0), some)[0, 3], 4 * counts.code[42])
    assert not counts(sprite(0), ~EVERY).any()
