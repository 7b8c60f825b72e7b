"""Multiples of bytes that are added to others: what has a speed moves by it, some times a step.

What is finer than a pixel is then carried over into the place. What turns within a step moves by its old speed for a
while, then by the new one: a multiple of what the speed was, and one of what it becomes. A multiple of a byte may also
be added to itself: so programs draw numbers at random. Or a byte becomes another, and a little more: so what is shot
begins where it is shot from, and lists move up. All are found by counting.
"""

from collections.abc import Iterator, Sequence
from itertools import product
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
_TURNED, _TURNS = 0.0005, 16
"""Share of the steps that a turn explains, at least, and how many there may be."""
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
        turned: A byte of which a multiple is added, too, of what it becomes.
        later: That factor, -128 to 127.
    """

    source: int
    factor: int
    offset: int
    finer: int = 0
    nudge: int = 0
    turned: int = 0
    later: int = 0

    @property
    def amount(self) -> int:
        """All of it in one number."""
        amount = self.later % VALUES
        for part in (self.turned, self.finer, self.source):
            amount = amount * BYTES + part
        for part in (self.factor, self.offset, self.nudge):
            amount = amount * VALUES + part % VALUES
        return amount

    @classmethod
    def of(cls, amount: int) -> "Multiple":
        """The multiple of an amount."""
        later, turned, finer, source = (amount >> bits for bits in (45, 38, 31, 24))
        factor, offset, nudge = (_signed(amount >> bits) for bits in (16, 8, 0))
        return cls(source % BYTES, factor, offset, finer % BYTES, nudge, turned % BYTES, _signed(later))

    def added(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """What is added by memory and what it becomes, uint8 (N, 128): int64 (N,)."""
        now, then = before[:, self.source].astype(np.int64), after[:, self.turned].astype(np.int64)
        return now * self.factor + then * self.later + self.offset

    def carried(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """What is carried, modulo 256, uint8 (N,)."""
        carry = (before[:, self.finer] + self.added(before, after)) // VALUES + self.nudge
        return (carry % VALUES).astype(np.uint8)


class Multiples(nn.Module):
    """Bytes to which multiples are added, or what they carry, or that become them.

    Args:
        into: The bytes, E.
        carry: Whether what is carried is added, E.
        become: Whether the multiple takes the place of what they held, E.
        multiples: Of what, E.

    Attributes:
        turns: Whether any is of what a byte becomes, too.
    """

    held: Tensor
    turned: Tensor
    carry: Tensor
    stays: Tensor
    factor: Tensor
    later: Tensor
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
        source, factor, offset, finer, nudge, turned, later = zip(*multiples, strict=True)
        self.register_buffer("held", torch.tensor([*into, *source, *finer]), persistent=False)
        self.register_buffer("carry", torch.tensor(carry), persistent=False)
        self.register_buffer("stays", 1.0 - torch.tensor(become).float(), persistent=False)
        self.register_buffer("turned", torch.tensor(turned), persistent=False)
        self.turns = any(later)
        numbers = {"factor": factor, "later": later, "offset": offset, "nudge": nudge}
        for name, part in numbers.items():
            self.register_buffer(name, torch.tensor(part, dtype=torch.float32), persistent=False)

    def forward(self, memory: Tensor, after: Tensor) -> Tensor:
        """What the bytes become, uint8 (B, E). Floats hold these numbers exactly.

        Args:
            memory: uint8 (B, 128).
            after: What the others become, uint8 (B, 128).
        """
        byte, source, finer = memory.index_select(1, self.held).float().chunk(3, dim=1)
        added = source * self.factor + self.offset
        if self.turns:
            added = added + after.index_select(1, self.turned).float() * self.later
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
        left = left & (best.added(before, before) % VALUES != moved)
    return found


def find_turns(before: np.ndarray, after: np.ndarray, found: list[list[Multiple]]) -> list[list[Multiple]]:
    """For each byte, multiples of what a speed was and of what it, or another one, becomes.

    Args:
        before: Memory, uint8 (N, 128).
        after: What it became, uint8 (N, 128).
        found: Multiples that are added to each byte.
    """
    moved = {at: each for at, each in enumerate(found) if each}
    speeds = sorted({multiple.source for each in moved.values() for multiple in each} - set(moved))
    turns: list[list[Multiple]] = [[] for _ in found]
    for byte, each in moved.items():
        steps = max((abs(multiple.factor) for multiple in each if multiple.source in speeds), default=0)
        if steps:
            turns[byte] = _turns_of(before, after, byte, each, speeds, steps)
    return turns


def find_carries(
    before: np.ndarray, moved: np.ndarray, found: list[list[Multiple]], turns: list[list[Multiple]]
) -> list[list[Multiple]]:
    """For each byte, the multiples whose carry is added to it.

    Args:
        before: Memory, uint8 (N, 128).
        moved: What was added to it, uint8 (N, 128).
        found: Multiples that are added to each byte.
        turns: Those that speeds that turn add to it; they are carried as the others are.
    """
    carried: list[list[Multiple]] = [[] for _ in range(BYTES)]
    for finer, multiples in enumerate(found):
        for multiple in multiples:
            carry = multiple._replace(finer=finer)
            for byte in _carried_into(carry, before, moved):
                carried[byte].append(carry)
    return [
        carries
        and [
            *carries,
            *_nudged(carries, before, moved, byte),
            *(
                turn._replace(finer=finer)
                for finer in sorted({carry.finer for carry in carries})
                for turn in turns[finer]
            ),
        ]
        for byte, carries in enumerate(carried)
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


def _turns_of(
    before: np.ndarray, after: np.ndarray, byte: int, found: list[Multiple], speeds: list[int], steps: int
) -> list[Multiple]:
    """Turns of speeds that explain what has moved a byte, where no multiple does. Their factors add up to `steps`."""
    moved = after[:, byte] - before[:, byte]
    left = np.all([moved != 0, *(moved != each.added(before, after) % VALUES for each in found)], axis=0)
    fewest = max(_FEWEST // 2, _TURNED * len(left))
    turns: list[Multiple] = []
    while left.sum() >= fewest and len(turns) < _TURNS:
        best, gain = _best_turn(before[left], after[left], moved[left], speeds, steps)
        if gain < fewest:
            break
        turns.append(best)
        left &= moved != best.added(before, after) % VALUES
    return turns


def _best_turn(
    before: np.ndarray, after: np.ndarray, moved: np.ndarray, speeds: list[int], steps: int
) -> tuple[Multiple, int]:
    """The turn that explains most of how one byte moved, uint8 (N,), and how often it does."""
    best, most = Multiple(speeds[0], 0, 0), 0
    for source, turned in product(speeds, speeds):
        was, becomes = before[:, source].astype(np.int64), after[:, turned].astype(np.int64)
        for factor in range(-steps, steps + 1):
            for later in range(abs(factor) - steps, steps - abs(factor) + 1):
                offsets = np.bincount((moved - factor * was - later * becomes) % VALUES, minlength=VALUES)
                if offsets.max() > most:
                    most = int(offsets.max())
                    offset = _signed(int(offsets.argmax()))
                    best = Multiple(source, factor, offset, turned=turned if later else 0, later=later)
    return best, most


def _carried_into(carry: Multiple, before: np.ndarray, moved: np.ndarray) -> Iterator[int]:
    """The bytes to which a carry is added."""
    told = carry.added(before, before) % VALUES == moved[:, carry.finer]
    carried = carry.carried(before[told], before[told])[:, None]
    stirred = ((moved[told] | carried) != 0).sum(0)
    agreed = ((moved[told] == carried) & (carried != 0)).sum(0)
    enough = agreed >= np.maximum(_AGREED * stirred, max(_FEWEST, _SMALL * len(moved)))
    return (int(byte) for byte in np.flatnonzero(enough) if byte != carry.finer)


def _nudged(carries: list[Multiple], before: np.ndarray, moved: np.ndarray, byte: int) -> list[Multiple]:
    """Carries into a byte, and how much more is added to it, often."""
    carried = [carry.carried(before, before) for carry in carries]
    told = [carry.added(before, before) % VALUES == moved[:, carry.finer] for carry in carries]
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
