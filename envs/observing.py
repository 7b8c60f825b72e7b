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
    levels, rows, columns = _tables(codes.device)
    return (rows @ levels[codes.int()] @ columns.T).round().to(torch.uint8)


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Grey level of each palette code, and the weights of rows and columns: copied to a device once."""
    return torch.from_numpy(GREY).float().to(device), _area(HEIGHT).to(device), _area(WIDTH).to(device)


def _area(size: int) -> Tensor:
    """Weights (84, size) of averaging by area: the share of each pixel inside each new one."""
    edges = torch.arange(SIZE + 1, dtype=torch.float64) * size / SIZE
    pixels = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp(min=0) * SIZE / size).float()
