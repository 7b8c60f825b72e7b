"""What an agent is handed, from what the game draws, on the device where the dream is."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from atari_dream.games import HEIGHT, WIDTH
from atari_dream.observation import SIZE, shrink
from atari_dream.palette import GREY


def shrink_frames(codes: Tensor) -> Tensor:
    """Turns frames of palette codes, uint8 (B, 210, 160), into grey, uint8 (B, 84, 84), by area.

    On the CPU OpenCV does it; elsewhere `average_frames`, which may differ by one grey level.
    """
    if codes.device.type == "cpu":
        return torch.from_numpy(np.stack([shrink(frame) for frame in codes.numpy()]))
    return average_frames(codes)


def average_frames(codes: Tensor) -> Tensor:
    """Does so on any device, by two matrix products."""
    grey = torch.from_numpy(GREY).to(codes.device)[codes.int()].float()
    rows, columns = _area(HEIGHT).to(codes.device), _area(WIDTH).to(codes.device)
    return (rows @ grey @ columns.T).round().to(torch.uint8)


@cache
def _area(size: int) -> Tensor:
    """Weights (84, size) of averaging by area: the share of each pixel inside each new one."""
    edges = torch.arange(SIZE + 1, dtype=torch.float64) * size / SIZE
    pixels = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp(min=0) * SIZE / size).float()
