"""Margins: what is counted at once is what is counted one by one."""

import pytest
import torch

from atari_dream.console.margins import MARGINS, margins


def a_frame(lanes: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (lanes, 210, 160), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("count", [1, 6, 13])
def test_each_sort_is_counted_in_columns_and_rows(count: int) -> None:
    frame = a_frame()
    sorts = torch.rand(count, 256, generator=torch.Generator().manual_seed(1)) < 0.4
    counts = margins(frame, sorts)
    assert counts.shape == (3, count, MARGINS)
    for place, sort in enumerate(sorts):
        shown = sort[frame.int()]
        assert torch.equal(counts[:, place], torch.cat([shown.sum(1), shown.sum(2)], 1))


def test_a_frame_of_one_colour_is_counted_whole() -> None:
    frame = torch.zeros(1, 210, 160, dtype=torch.uint8)
    counts = margins(frame, torch.ones(6, 256, dtype=torch.bool))
    assert (counts[..., :160] == 210).all() and (counts[..., 160:] == 160).all()


def test_only_what_is_within_counts() -> None:
    frame = a_frame()
    within = torch.zeros(2, 210, 160, dtype=torch.bool)
    within[0, 10:20, 30:60], within[1] = True, True
    every = torch.ones(2, 256, dtype=torch.bool)
    counts = margins(frame, every, within)
    assert (counts[:, 0, 30:60] == 10).all() and (counts[:, 0, 160 + 10 : 160 + 20] == 30).all()
    assert (counts[:, 0].sum(-1) == 2 * 300).all() and torch.equal(counts[:, 1], margins(frame, every)[:, 1])
