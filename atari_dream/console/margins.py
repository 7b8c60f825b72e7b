"""How many pixels of each sort a frame has in its columns and rows: several sorts are counted at once, as digits."""

import torch
from torch import Tensor

from atari_dream.games import HEIGHT, WIDTH

MARGINS = WIDTH + HEIGHT
_BITS, _TOGETHER = 10, 4
"""Bits of a digit, which hold any count of a column, and digits of a number: onnxruntime adds up in float64."""
_FULL = 2**_BITS - 1


def margins(frame: Tensor, sorts: Tensor, within: Tensor | None = None) -> Tensor:
    """Pixels of K sorts in columns, then in rows.

    Args:
        frame: Palette codes, uint8 (B, 210, 160).
        sorts: Which codes each sort has, bool (K, 256).
        within: Where pixels of it count, bool (K, 210, 160); everywhere if it is not given.

    Returns:
        int64 (B, K, 370).
    """
    code, counts = frame.flatten().int(), []
    for first in range(0, len(sorts), _TOGETHER):
        some = slice(first, first + _TOGETHER)
        one = 2 ** (_BITS * torch.arange(len(sorts[some]), device=frame.device))
        held = (sorts[some] * one[:, None]).sum(0).index_select(0, code).view(frame.shape)
        if within is not None:
            held = torch.bitwise_and(held, (within[some] * (_FULL * one)[:, None, None]).sum(0))
        both = torch.cat([held.sum(1), held.sum(2)], dim=1)
        digit = _BITS * torch.arange(len(one), device=frame.device)
        counts.append(torch.bitwise_and(torch.bitwise_right_shift(both[:, None], digit[:, None]), _FULL))
    return torch.cat(counts, dim=1)
