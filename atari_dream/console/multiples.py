"""Multiples of bytes that are added to others: what has a speed moves by it, some times a step.

What is finer than a pixel is then carried over into the place. A multiple of a byte may also be added to itself: so
programs draw numbers at random. Or a byte becomes another, and a little more: so what is shot begins where it is shot
from, and lists move up. All are found by counting.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

BYTES = 128
VALUES = 256
_MOST = 8
_FEWEST, _WORTH, _BETTER, _LEFT = 64, 0.02, 2, 0.1
"""A multiple is believed if it explains so many steps, such a share of all, so often what a sum does, and such a share
of what was left."""
_AGREED, _SMALL = 0.5, 0.005
"""Share of what goes on besides a multiple that is its carry, for it to be believed. And the share of all steps that
carries, nudges and a byte's further multiples explain."""
_FACTORS = np.array(sorted(range(-VALUES // 2, VALUES // 2), key=abs)[1:])
"""Plain ones first, of those that do as well."""


class Multiple(NamedTuple):
    """A multiple of a byte that is added to another, or the carry of that.

    Attributes:
        source: The byte.
        factor: -128 to 127.
        offset: Added besides, -128 to 127.
        finer: Where it is added to, if what is carried is meant.
        nudge: Added to what is carried, -128 to 127.
    """

    source: int
    factor: int
    offset: int
    finer: int = 0
    nudge: int = 0

    @property
    def amount(self) -> int:
        """All of it in one number."""
        amount = self.finer * BYTES + self.source
        for part in (self.factor, self.offset, self.nudge):
            amount = amount * VALUES + part % VALUES
        return amount

    @classmethod
    def of(cls, amount: int) -> "Multiple":
        """The multiple of an amount."""
        high, *low = (amount >> bits for bits in (24, 16, 8, 0))
        finer, source = divmod(high, BYTES)
        factor, offset, nudge = (_signed(part % VALUES) for part in low)
        return cls(source, factor, offset, finer, nudge)

    def added(self, memory: np.ndarray) -> np.ndarray:
        """What is added by memory, uint8 (N, 128): int64 (N,)."""
        return memory[:, self.source].astype(np.int64) * self.factor + self.offset

    def carried(self, memory: np.ndarray) -> np.ndarray:
        """What is carried, modulo 256, uint8 (N,)."""
        carry = (memory[:, self.finer] + self.added(memory)) // VALUES + self.nudge
        return (carry % VALUES).astype(np.uint8)


class Multiples(nn.Module):
    """Bytes to which multiples are added, or what they carry, or that become them.

    Args:
        into: The bytes, E.
        carry: Whether what is carried is added, E.
        become: Whether the multiple takes the place of what they held, E.
        multiples: Of what, E.
    """

    held: Tensor
    carry: Tensor
    stays: Tensor
    factor: Tensor
    offset: Tensor
    nudge: Tensor

    def __init__(
        self,
        into: Sequence[int],
        carry: Sequence[bool],
        become: Sequence[bool],
        multiples: Sequence[Multiple],
    ) -> None:
        super().__init__()
        source, factor, offset, finer, nudge = zip(*multiples, strict=True)
        self.register_buffer("held", torch.tensor([*into, *source, *finer]), persistent=False)
        self.register_buffer("carry", torch.tensor(carry), persistent=False)
        self.register_buffer("stays", 1.0 - torch.tensor(become).float(), persistent=False)
        for name, part in (("factor", factor), ("offset", offset), ("nudge", nudge)):
            self.register_buffer(name, torch.tensor(part, dtype=torch.float32), persistent=False)

    def forward(self, memory: Tensor) -> Tensor:
        """What the bytes become, uint8 (B, E), of memory, uint8 (B, 128). Floats hold these numbers exactly."""
        byte, source, finer = memory.index_select(1, self.held).float().chunk(3, dim=1)
        added = source * self.factor + self.offset
        carried = ((finer + added) / VALUES).floor() + self.nudge
        total = byte * self.stays + torch.where(self.carry, carried, added)
        return (total - VALUES * (total / VALUES).floor()).to(torch.uint8)


def find_multiples(before: np.ndarray, moved: np.ndarray, left: np.ndarray) -> list[Multiple]:
    """Multiples that explain what nothing else does.

    Args:
        before: Memory, uint8 (N, 128).
        moved: What was added to one byte, uint8 (N,).
        left: Steps that are not explained, bool (N,).
    """
    found: list[Multiple] = []
    fewest = max(_FEWEST, _WORTH * len(left), _LEFT * left.sum())
    while left.sum() >= fewest and len(found) < _MOST:
        best = _best(np.ascontiguousarray(before[left].T), moved[left], fewest)
        if best is None:
            break
        found.append(best)
        fewest = max(_FEWEST, _SMALL * len(left))
        left = left & (best.added(before) % VALUES != moved)
    return found


def find_carries(before: np.ndarray, moved: np.ndarray, found: list[list[Multiple]]) -> list[list[Multiple]]:
    """For each byte, the multiples whose carry is added to it.

    Args:
        before: Memory, uint8 (N, 128).
        moved: What was added to it, uint8 (N, 128).
        found: Multiples that are added to each byte.
    """
    carried: list[list[Multiple]] = [[] for _ in range(BYTES)]
    for finer, multiples in enumerate(found):
        for multiple in multiples:
            carry = multiple._replace(finer=finer)
            for byte in _carried_into(carry, before, moved):
                carried[byte].append(carry)
    return [
        carries and carries + _nudged(carries, before, moved, byte) for byte, carries in enumerate(carried)
    ]


def best_copy(before: np.ndarray, after: np.ndarray, byte: int, fewest: float) -> Multiple | None:
    """Which other byte a byte becomes most often, and what is added to it.

    Args:
        before: Memory, uint8 (N, 128).
        after: What the byte became, uint8 (N,).
        byte: Which it is.
        fewest: Steps that it must explain, at least.
    """
    others = np.delete(np.arange(BYTES), byte)
    apart = after - before[:, others].T + np.intp(VALUES) * np.arange(len(others))[:, None]
    counts = np.bincount(apart.ravel(), minlength=len(others) * VALUES)
    which, offset = divmod(int(counts.argmax()), VALUES)
    return Multiple(int(others[which]), 1, _signed(offset)) if counts.max() >= fewest else None


def _carried_into(carry: Multiple, before: np.ndarray, moved: np.ndarray) -> Iterator[int]:
    """The bytes to which a carry is added."""
    told = carry.added(before) % VALUES == moved[:, carry.finer]
    carried = carry.carried(before[told])[:, None]
    stirred = ((moved[told] | carried) != 0).sum(0)
    agreed = ((moved[told] == carried) & (carried != 0)).sum(0)
    enough = agreed >= np.maximum(_AGREED * stirred, max(_FEWEST, _SMALL * len(moved)))
    return (int(byte) for byte in np.flatnonzero(enough) if byte != carry.finer)


def _nudged(carries: list[Multiple], before: np.ndarray, moved: np.ndarray, byte: int) -> list[Multiple]:
    """Carries into a byte, and how much more is added to it, often."""
    carried = [carry.carried(before) for carry in carries]
    told = [carry.added(before) % VALUES == moved[:, carry.finer] for carry in carries]
    left = ~np.any([moved[:, byte] == each for each in carried], axis=0)
    found: list[Multiple] = []
    while len(found) < _MOST:
        gains = [
            np.bincount((moved[:, byte] - each)[left & which], minlength=VALUES)
            for each, which in zip(carried, told, strict=True)
        ]
        which, nudge = divmod(int(np.argmax(gains)), VALUES)
        if gains[which][nudge] < max(_FEWEST, _SMALL * len(moved)):
            break
        found.append(carries[which]._replace(nudge=_signed(nudge)))
        left &= moved[:, byte] - carried[which] != nudge
    return found


def _best(memory: np.ndarray, moved: np.ndarray, fewest: float) -> Multiple | None:
    """The multiple that explains most of memory, uint8 (128, N), and how one byte moved, uint8 (N,)."""
    sums = np.bincount(moved, minlength=VALUES)
    most, best = max(fewest, _BETTER * sums.max()), None
    seen = [np.bincount(held * np.intp(VALUES) + moved, minlength=VALUES**2) for held in memory]
    bounds = [counts.reshape(VALUES, VALUES).max(1).sum() for counts in seen]
    for source in np.argsort(bounds)[::-1]:
        if bounds[source] < most:
            break
        gain = _gain(seen[source])
        if gain.max() >= most:
            place, offset = divmod(int(gain.argmax()), VALUES)
            most, best = gain.max() + 1, Multiple(int(source), int(_FACTORS[place]), _signed(offset))
    return best


def _gain(counts: np.ndarray) -> np.ndarray:
    """Steps that each factor and offset explain, float (factors, 256), of counts by held and moved (256 * 256,)."""
    pairs = np.flatnonzero(counts)
    held, moved = np.divmod(pairs, VALUES)
    offset = (moved - _FACTORS[:, None] * held) % VALUES + VALUES * np.arange(len(_FACTORS))[:, None]
    weight = np.broadcast_to(counts[pairs], offset.shape)
    return np.bincount(offset.ravel(), weight.ravel(), len(_FACTORS) * VALUES).reshape(-1, VALUES)


def _signed(byte: int) -> int:
    return (byte + VALUES // 2) % VALUES - VALUES // 2
