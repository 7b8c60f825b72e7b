"""Ways in which the console's bytes change: something is added, bits are flipped, or a value is set.

A program counts, moves and copies; told as single bits that flip, a place that moves by three is a different event at
each place. A handful of ways for each byte explains nearly all that happens to it. They are found in the data.
Where they explain little, what is added may be a multiple of another byte, or be carried as one is added elsewhere, or
the byte may become another one.
"""

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.console.multiples import (
    BYTES,
    VALUES,
    Multiple,
    Multiples,
    best_copy,
    find_carries,
    find_multiples,
)

ADD, FLIP, SET, TIMES, CARRY, COPY = range(6)
Change = tuple[int, int]
"""`ADD`, `FLIP` or `SET`, and the byte that is added, flipped or set; `TIMES`, `CARRY` or `COPY`, and what is added,
carried or copied, `Multiple.amount`."""
_OF_OTHERS = (TIMES, CARRY, COPY)
_MOST, _COVERED, _SELDOM = 24, 0.9995, 2e-5
_FEWEST, _BETTER = 16, 2
"""A byte is believed to become another if that explains so many steps, and so often what the best other change does."""
_NEVER = -80.0
"""Log odds of what did not happen: next to nothing, and not so little that its exponential is slow."""


def find_changes(before: np.ndarray, after: np.ndarray) -> list[list[Change]]:
    """For each byte, the changes that explain most, one after the other; the first of them is none.

    Multiples and copies are looked for where the others leave much, and come before them.

    Args:
        before: Memory, uint8 (N, 128).
        after: Memory a step later, uint8 (N, 128).

    Returns:
        128 lists; that of a byte that never changes has one entry.
    """
    moved = after - before
    told = [_changes_of(before, after[:, byte], byte) for byte in range(BYTES)]
    left = [~_explained(before[:, byte], after[:, byte], told[byte]) for byte in range(BYTES)]
    multiples = [find_multiples(before, moved[:, byte], left[byte]) for byte in range(BYTES)]
    carries = find_carries(before, moved, multiples)
    for byte in range(BYTES):
        sums = {(TIMES, multiple.amount): multiple.added(before) % VALUES for multiple in multiples[byte]}
        sums |= {(CARRY, carry.amount): carry.carried(before) for carry in carries[byte]}
        if sums or left[byte].sum() > (1 - _COVERED) * len(before):
            told[byte] = _changes_of(before, after[:, byte], byte, sums)
    return told


def _changes_of(
    before: np.ndarray, after: np.ndarray, byte: int, sums: dict[Change, np.ndarray] | None = None
) -> list[Change]:
    """The changes of a byte. The first may be given, by what each adds, uint8 (N,); then copies are looked for."""
    held, become = before[:, byte].astype(int), after.astype(int)
    plain = np.stack([(become - held) % VALUES, VALUES + (held ^ become), 2 * VALUES + become])
    left = np.all([plain[ADD] != added for added in (0, *(sums or {}).values())], axis=0)
    found: list[Change] = [(ADD, 0), *(sums or {})]
    while left.sum() > (1 - _COVERED) * len(left) and len(found) < _MOST:
        gain = np.bincount(plain[:, left].ravel(), minlength=3 * VALUES)
        fewest = max(_FEWEST, _BETTER * gain.max())
        copy = None if sums is None else best_copy(before[left], after[left], byte, fewest)
        if copy is not None:
            found.append((COPY, copy.amount))
            left &= copy.added(before) % VALUES != after
            continue
        if gain.max() <= _SELDOM * len(left):
            break
        kind, amount = divmod(int(gain.argmax()), VALUES)
        found.append((kind, amount))
        left &= plain[kind] != gain.argmax()
    return found


def _explained(before: np.ndarray, after: np.ndarray, told: list[Change]) -> np.ndarray:
    """The steps of a byte, uint8 (N,), that changes explain which need no other byte, bool (N,)."""
    become = torch.stack([_changed(*change) for change in told]).numpy()
    right = np.zeros((VALUES, VALUES), bool)
    right[np.arange(VALUES), become] = True
    return right[before, after]


def _multiples_of(
    told: list[list[Change]], lively: list[int], most: int
) -> tuple[list[int], Multiples | None]:
    """The changes of bytes that take another byte to tell, and their places among all, if each byte has so many."""
    found = [
        (row * most + place, lively[row], kind == CARRY, kind == COPY, Multiple.of(amount))
        for row, changes in enumerate(told)
        for place, (kind, amount) in enumerate(changes)
        if kind in _OF_OTHERS
    ]
    if not found:
        return [], None
    places, *told_by = zip(*found, strict=True)
    return list(places), Multiples(*told_by)


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
    places: Tensor

    def __init__(self, told: list[list[Change]]) -> None:
        super().__init__()
        lively = [byte for byte, changes in enumerate(told) if len(changes) > 1] or [0]
        self.most = max(len(told[byte]) for byte in lively)
        self.total = sum(len(told[byte]) for byte in lively)
        slot = torch.zeros(len(lively), self.most, dtype=torch.int64)
        there = torch.zeros(len(lively), self.most, dtype=torch.bool)
        values = torch.zeros(len(lively), VALUES, self.most, dtype=torch.uint8)
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
        places, self.multiples = _multiples_of([told[byte] for byte in lively], lively, self.most)
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)

    def options(self, memory: Tensor) -> Tensor:
        """What each byte that may change becomes under each of its changes, uint8 (B, n, M), of memory (B, 128)."""
        held = memory.index_select(1, self.bytes).int()
        row = torch.arange(len(self.bytes), device=memory.device, dtype=torch.int32) * VALUES + held
        become = self.values.flatten(0, 1).index_select(0, row.flatten()).view(*row.shape, self.most)
        if self.multiples is None:
            return become
        moved = self.multiples(memory)
        return become.flatten(1).index_copy(1, self.places, moved).view(become.shape)

    def spread(self, logits: Tensor) -> Tensor:
        """Logits of all changes, (B, total), by byte: (B, n, M), minus infinity where there is none."""
        by_byte = logits.index_select(1, self.slot.flatten()).view(-1, *self.slot.shape)
        return by_byte.masked_fill(~self.there, -torch.inf)

    def change(self, memory: Tensor, options: Tensor, chosen: Tensor) -> Tensor:
        """Memory (B, 128) after a change of each byte that may, int64 (B, n), of its options, (B, n, M)."""
        return memory.index_copy(1, self.bytes, options.gather(2, chosen[..., None])[..., 0])

    def nll(self, logits: Tensor, memory: Tensor, after: Tensor) -> Tensor:
        """Nats of what each byte became, (B, n), from logits (B, total). What no change explains costs nothing.

        Args:
            logits: (B, total).
            memory: uint8 (B, 128).
            after: What it became, uint8 (B, 128).
        """
        odds = self.spread(logits).log_softmax(-1)
        right = self.right(memory, after)
        told = odds.masked_fill(~right, _NEVER).logsumexp(-1)
        return -torch.where(right.any(-1), told, 0.0)

    def right(self, memory: Tensor, after: Tensor) -> Tensor:
        """Which changes explain what memory (B, 128) became, bool (B, n, M)."""
        return (self.options(memory) == after.index_select(1, self.bytes)[..., None]) & self.there


def _changed(kind: int, amount: int) -> Tensor:
    """What each byte becomes, uint8 (256,): itself, if it takes another byte to tell."""
    value = torch.arange(VALUES)
    if kind in _OF_OTHERS:
        return value.to(torch.uint8)
    become = {ADD: (value + amount) % VALUES, FLIP: value ^ amount, SET: torch.full_like(value, amount)}
    return become[kind].to(torch.uint8)
