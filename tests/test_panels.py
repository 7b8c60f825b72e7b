"""Panels: a rack of boxes moves with its place, changes its look as a whole, and each box goes as its bit tells."""

import numpy as np
import pytest
import torch

from atari_dream.console.panels import Panel, find_panels
from atari_dream.console.places import Axis, Place

COUNT = 400
ACROSS, DOWN, BOXES, LOOK = 20, 21, 30, 40
PLACES = [
    Place(Axis(ACROSS, 1, -1), Axis(DOWN, 2, 31), (20,)),
    Place(Axis(50, 1, 0), Axis(0, 0, 185), (196,)),
]
BACKDROP = np.zeros((210, 160), np.uint8)


def scenes(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two rows of three boxes, 16 columns and 18 rows apart, a ship below them, and something still."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    memory[:, ACROSS], memory[:, DOWN] = rng.integers(10, 140, COUNT), rng.integers(0, 60, COUNT)
    memory[:, BOXES] = np.packbits(rng.random((COUNT, 8)) < 0.9, axis=1)[:, 0]
    memory[:, 50] = rng.integers(8, 140, COUNT)
    frames = np.zeros((COUNT, 210, 160), np.uint8)
    frames[:, 5:9, 80:84] = 66
    for frame, held in zip(frames, memory, strict=True):
        frame[185:190, held[50] : held[50] + 7] = 196
        for box in range(6):
            row, column = 31 + 2 * int(held[DOWN]) + box // 3 * 18, int(held[ACROSS]) - 1 + box % 3 * 16
            if held[BOXES] >> box & 1:
                frame[row : row + 8, column : column + 8] = 20
                frame[row + 2 + 3 * (held[LOOK] >> 5 & 1), column + 3 : column + 4] = 0
    return torch.from_numpy(frames), torch.from_numpy(memory)


@pytest.fixture(scope="module")
def panel() -> Panel:
    made = Panel(PLACES[0])
    made.learn(torch.from_numpy(BACKDROP), [tuple(part[:200] for part in scenes()), scenes(seed=1)])
    return made


def test_what_is_larger_than_a_shape_is_found() -> None:
    assert find_panels(PLACES, *scenes(), BACKDROP) == [0]


def test_it_is_drawn_where_and_as_memory_tells(panel: Panel) -> None:
    assert panel.look.tolist() == [LOOK, 5, 1]
    frames, memory = scenes(seed=2)
    bare = torch.where(frames == 20, 0, frames)
    assert (bare != frames).any() and torch.equal(panel.draw(bare, memory), frames)


def test_what_is_off_the_screen_is_not_drawn(panel: Panel) -> None:
    _, memory = scenes(seed=3)
    memory[:, ACROSS] = 200
    blank = torch.zeros(COUNT, 210, 160, dtype=torch.uint8)
    assert torch.equal(panel.draw(blank, memory), blank)


def test_its_cells_speak_against_other_values(panel: Panel) -> None:
    frames, memory = scenes(seed=4)
    believed = memory.clone()
    believed[:, BOXES] = 0
    against = panel.against(torch.from_numpy(BACKDROP), frames, believed)
    inside = (memory[:, ACROSS] > 30) & (memory[:, ACROSS] < 100) & (memory[:, BOXES] & 63 > 0)
    held = against.gather(2, memory.long()[..., None])[..., 0]
    assert not held.any()
    boxes = torch.arange(256)[None] & 63
    wrong = boxes != memory[:, BOXES, None] & 63
    assert torch.equal((against[:, BOXES] > 0)[inside], wrong[inside])


def test_a_lanes_panel_is_its_own(panel: Panel) -> None:
    frames, memory = scenes(seed=5)
    assert torch.equal(panel.draw(frames, memory)[7:9], panel.draw(frames[7:9], memory[7:9]))
