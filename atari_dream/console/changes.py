"""Ways in which the console's bytes change: something is added, bits are flipped, or a value is set.

A program counts, moves and copies; told as single bits that flip, a place that moves by three is a different event at
each place. A handful of ways for each byte explains nearly all that happens to it. They are found in the data.
"""

import numpy as np
import torch
from torch import Tensor, nn

ADD, FLIP, SET = range(3)
Change = tuple[int, int]
"""`ADD`, `FLIP` or `SET`, and the byte that is added, flipped or set."""
BYTES = 128
_VALUES = 256
_MOST, _COVERED, _SELDOM = 24, 0.9995, 2e-5
_NEVER = -80.0
"""Log odds of what did not happen: next to nothing, and not so little that its exponential is slow."""


def find_changes(before: np.ndarray, after: np.ndarray) -> list[list[Change]]:
    """For each byte, the changes that explain most, one after the other; the first of them is none.

    Args:
        before: Memory, uint8 (N, 128).
        after: Memory a step later, uint8 (N, 128).

    Returns:
        128 lists; that of a byte that never changes has one entry.
    """
    return [_changes_of(before[:, byte], after[:, byte]) for byte in range(BYTES)]


def _changes_of(before: np.ndarray, after: np.ndarray) -> list[Change]:
    old, new = np.divmod(np.arange(_VALUES**2), _VALUES)
    left = np.bincount(before.astype(int) * _VALUES + after, minlength=_VALUES**2)
    steps = left.sum()
    left[old == new] = 0
    kinds = ((new - old) % _VALUES, _VALUES + (old ^ new), 2 * _VALUES + new)
    found: list[Change] = [(ADD, 0)]
    while left.sum() > (1 - _COVERED) * steps and len(found) < _MOST:
        gain = sum(np.bincount(kind, left, 3 * _VALUES) for kind in kinds)
        best = int(np.argmax(gain))
        if np.max(gain) <= _SELDOM * steps:
            break
        found.append((best // _VALUES, best % _VALUES))
        left[kinds[best // _VALUES] == best] = 0
    return found


class Changes(nn.Module):
    """What becomes of bytes under each of their changes.

    Args:
        told: The changes of each of the 128 bytes, as `find_changes` has them.

    Attributes:
        bytes: The bytes that may change, int64 (n,).
        most: The most changes of a byte, M.
        total: Changes of all bytes together.
    """

    bytes: Tensor
    slot: Tensor
    there: Tensor
    values: Tensor

    def __init__(self, told: list[list[Change]]) -> None:
        super().__init__()
        lively = [byte for byte, changes in enumerate(told) if len(changes) > 1] or [0]
        self.most = max(len(told[byte]) for byte in lively)
        self.total = sum(len(told[byte]) for byte in lively)
        slot = torch.zeros(len(lively), self.most, dtype=torch.int64)
        there = torch.zeros(len(lively), self.most, dtype=torch.bool)
        values = torch.zeros(len(lively), _VALUES, self.most, dtype=torch.uint8)
        place = 0
        for row, byte in enumerate(lively):
            count = len(told[byte])
            slot[row, :count] = torch.arange(place, place + count)
            there[row, :count] = True
            values[row, :, :count] = torch.stack([_changed(*change) for change in told[byte]], dim=1)
            place += count
        for name, part in (("bytes", torch.tensor(lively)), ("slot", slot), ("there", there)):
            self.register_buffer(name, part, persistent=False)
        self.register_buffer("values", values, persistent=False)

    def options(self, memory: Tensor) -> Tensor:
        """What each byte that may change becomes under each of its changes, uint8 (B, n, M), of memory (B, 128)."""
        held = memory.index_select(1, self.bytes).int()
        row = torch.arange(len(self.bytes), device=memory.device, dtype=torch.int32) * _VALUES + held
        return self.values.flatten(0, 1).index_select(0, row.flatten()).view(*row.shape, self.most)

    def spread(self, logits: Tensor) -> Tensor:
        """Logits of all changes, (B, total), by byte: (B, n, M), minus infinity where there is none."""
        by_byte = logits.index_select(1, self.slot.flatten()).view(-1, *self.slot.shape)
        return by_byte.masked_fill(~self.there, -torch.inf)

    def change(self, memory: Tensor, chosen: Tensor) -> Tensor:
        """Memory (B, 128) after a change of each byte that may, int64 (B, n)."""
        become = self.options(memory).gather(2, chosen[..., None])[..., 0]
        return memory.index_copy(1, self.bytes, become)

    def nll(self, logits: Tensor, memory: Tensor, after: Tensor) -> Tensor:
        """Nats of what memory (B, 128) became, from logits (B, total): (B,). What no change explains costs nothing."""
        odds = self.spread(logits).log_softmax(-1)
        right = self.right(memory, after)
        told = odds.masked_fill(~right, _NEVER).logsumexp(-1)
        return -torch.where(right.any(-1), told, 0.0).sum(-1)

    def right(self, memory: Tensor, after: Tensor) -> Tensor:
        """Which changes explain what memory (B, 128) became, bool (B, n, M)."""
        return (self.options(memory) == after.index_select(1, self.bytes)[..., None]) & self.there


def _changed(kind: int, amount: int) -> Tensor:
    """What each byte becomes, uint8 (256,)."""
    value = torch.arange(_VALUES)
    become = {ADD: (value + amount) % _VALUES, FLIP: value ^ amount, SET: torch.full_like(value, amount)}
    return become[kind].to(torch.uint8)
