"""Cells: a frame comes back as it was, and features of cells lie as the grid of the convolutions."""

import torch
import torch.nn.functional as F

from atari_dream.canvas.cells import CELLS, PIXELS, from_grid, pick, put, to_cells, to_frame, to_grid
from atari_dream.layers import PATCH


def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 210, 160), generator=generator, dtype=torch.uint8)


def test_a_frame_comes_back() -> None:
    cells = to_cells(frames())
    assert cells.shape == (3, CELLS, PIXELS)
    assert torch.equal(to_frame(cells), frames())
    assert torch.equal(cells[1, 21], frames()[1, 7:14, 8:16].flatten())


def test_the_grid_is_that_of_a_strided_convolution() -> None:
    weight = torch.randn(5, 1, *PATCH)
    strided = F.conv2d(frames()[:, None].float(), weight, stride=PATCH)
    by_cell = F.conv2d(to_grid(to_cells(frames()).float()), weight.view(5, PIXELS, 1, 1))
    torch.testing.assert_close(by_cell, strided, rtol=1e-4, atol=1e-2)
    assert torch.equal(from_grid(to_grid(to_cells(frames()))), to_cells(frames()))


def test_cells_are_picked_and_put_back() -> None:
    cells = to_cells(frames())
    index = torch.tensor([[0, 599], [7, 3], [20, 21]])
    drawn = pick(cells, index)
    assert torch.equal(drawn[1, 0], cells[1, 7])
    changed = put(cells, index, drawn + 1)
    assert torch.equal(pick(changed, index), drawn + 1)
    assert ((changed != cells).any(-1)).sum() == 6
