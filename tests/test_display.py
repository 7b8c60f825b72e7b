"""The display: found by when its cells change."""

import torch

from atari_dream.canvas.cells import CELLS, ROW
from atari_dream.canvas.display import Display, find_display

SCORE = [580, 581]


def steps(missed: int = 0) -> list[tuple[torch.Tensor, bool]]:
    """Of 200 steps every tenth earns something; a sprite walks on, and a dot goes somewhere else each time."""
    told = []
    for step in range(200):
        changed = torch.zeros(CELLS, dtype=torch.bool)
        changed[step] = True
        earned = step % 10 == 0
        if earned and step >= 10 * missed:
            changed[SCORE[step // 10 % 2]] = True
        told.append((changed, earned))
    return told


def test_cells_that_change_when_something_is_earned_are_found() -> None:
    assert find_display(steps()) == SCORE


def test_cells_that_change_at_other_times_too_are_none() -> None:
    busy = [(changed.index_fill(0, torch.tensor(SCORE), True), earned) for changed, earned in steps()]
    assert find_display(busy) == []


def test_cells_that_miss_much_of_what_is_earned_are_none() -> None:
    assert find_display(steps(missed=3)) == SCORE
    assert find_display(steps(missed=6)) == []


def test_without_anything_earned_there_is_none() -> None:
    assert find_display((changed, False) for changed, _ in steps()) == []


def test_its_cells_are_hidden_and_come_in_rows() -> None:
    display = Display(SCORE, 3, 4)
    frame, instead = (torch.full((2, CELLS, 56), code, dtype=torch.uint8) for code in (14, 42))
    hidden = display.without(frame, instead)
    assert (hidden == 42).any(-1).nonzero()[:, 1].unique().tolist() == SCORE
    assert display.index(2).shape == (2, ROW) and display.index(2).unique().tolist() == SCORE
    assert Display([], 3, 4).index(2).shape == (2, 0)
