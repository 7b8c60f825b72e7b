"""The display: found by when its cells change."""

import pytest
import torch

from atari_dream.canvas.cells import CELLS, ROW
from atari_dream.canvas.display import Display, find_display

SCORE = [580, 581]


def clips(missed: int = 0, late: bool = False) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Six of 50 steps; every tenth earns something. A sprite walks on, and the score changes at once or late."""
    told = []
    for clip in range(6):
        changed, earned = torch.zeros(50, CELLS, dtype=torch.bool), torch.zeros(50, dtype=torch.bool)
        changed[range(50), range(50 * clip, 50 * clip + 50)] = True
        earned[5::10] = True
        for number, step in enumerate(range(5, 50, 10)):
            changed[step + late, SCORE[number % 2]] = 5 * clip + number >= missed
        told.append((changed, earned))
    return told


@pytest.mark.parametrize("late", [False, True])
def test_cells_that_change_when_something_is_earned_are_found(late: bool) -> None:
    assert find_display(clips(late=late)) == SCORE


def test_cells_that_change_at_other_times_too_are_none() -> None:
    busy = [(changed.index_fill(1, torch.tensor(SCORE), True), earned) for changed, earned in clips()]
    assert find_display(busy) == []


def test_cells_that_miss_much_of_what_is_earned_are_none() -> None:
    assert find_display(clips(missed=3)) == SCORE
    assert find_display(clips(missed=7)) == []


def test_without_anything_earned_there_is_none() -> None:
    assert find_display((changed, torch.zeros_like(earned)) for changed, earned in clips()) == []


def test_its_cells_are_hidden_and_come_in_rows() -> None:
    display = Display(SCORE, 3, 4)
    frame, instead = (torch.full((2, CELLS, 56), code, dtype=torch.uint8) for code in (14, 42))
    hidden = display.without(frame, instead)
    assert (hidden == 42).any(-1).nonzero()[:, 1].unique().tolist() == SCORE
    assert display.index(2).shape == (2, ROW) and display.index(2).unique().tolist() == SCORE
    assert Display([], 3, 4).index(2).shape == (2, 0)
