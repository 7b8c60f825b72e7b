"""Ways in which the console's bytes change: something is added, bits are flipped, or a value is set.

A program counts, moves and copies; told as single bits that flip, a place that moves by three is a different event at
each place. A handful of ways for each byte explains nearly all that happens to it. They are found in the data.
Where they explain little, what is added may be a multiple of another byte, or be carried as one is added elsewhere, or
the byte may become another one. And a byte may be two: where something heads in its lower half, where it is to head in
the upper one. Then each half is told for itself.
"""

from collections.abc import Sequence

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
    find_turns,
)

ADD, FLIP, SET, TIMES, CARRY, COPY, LOW, HIGH = range(8)
Change = tuple[int, int]
"""`ADD`, `FLIP` or `SET`, and the byte that is added, flipped or set; `TIMES`, `CARRY` or `COPY`, and what is added,
carried or copied, `Multiple.amount`; `LOW` or `HIGH`, and the byte whose half becomes that of this one."""
_HALVES = {LOW: 15, HIGH: 240}
"""The bits of a byte that a change is about, if not all."""
_OF_OTHERS = (TIMES, CARRY, COPY)
_MOST, _PLAIN, _COVERED, _SELDOM = 24, 8, 0.9995, 2e-5
"""Changes of a byte, at most, but for some besides its multiples and carries; the share of steps that is enough; the
share that is too little."""
_FEWEST, _BETTER = 16, 2
"""A byte is believed to become another if that explains so many steps, and so often what the best other change does."""
_TORN = 0.001
"""Share of the steps that may be left unexplained, before a byte is told by halves."""
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
    turns = find_turns(before, after, multiples)
    carries = find_carries(before, moved, multiples, turns)
    for byte in range(BYTES):
        added = [*multiples[byte], *turns[byte]]
        sums = {(TIMES, multiple.amount): multiple.added(before, after) % VALUES for multiple in added}
        sums |= {(CARRY, carry.amount): carry.carried(before, after) for carry in carries[byte]}
        if sums or left[byte].sum() > (1 - _COVERED) * len(before):
            told[byte] = _changes_of(before, after[:, byte], byte, sums)
        if _is_torn(before[:, byte], after[:, byte], told[byte]):
            told[byte] = [(ADD, 0), *_halves_of(before[:, byte], after[:, byte])]
    return told


def turned_by(told: Sequence[Sequence[Change]]) -> dict[int, list[int]]:
    """The bytes that must be told before others, as these have changes by what they become."""
    turns = {
        byte: {multiple.turned for multiple in map(Multiple.of, _amounts(changes)) if multiple.later}
        for byte, changes in enumerate(told)
    }
    return {byte: sorted(turned) for byte, turned in turns.items() if turned}


def _amounts(changes: Sequence[Change]) -> list[int]:
    return [amount for kind, amount in changes if kind in _OF_OTHERS]


def _is_torn(before: np.ndarray, after: np.ndarray, told: list[Change]) -> bool:
    """Whether as many changes of a byte, uint8 (N,), as there may be explain too little, and no other byte tells it."""
    alone = len(told) == _MOST and not any(kind in _OF_OTHERS for kind, _ in told)
    return alone and bool((~_explained(before, after, told)).mean() > _TORN)


def _halves_of(before: np.ndarray, after: np.ndarray) -> list[Change]:
    """What the halves of a byte, uint8 (N,), become when they change."""
    return [
        (kind, int(value))
        for kind, bits in _HALVES.items()
        for value in np.unique(after[(before ^ after) & bits != 0] & bits)
    ]


def _changes_of(
    before: np.ndarray, after: np.ndarray, byte: int, sums: dict[Change, np.ndarray] | None = None
) -> list[Change]:
    """The changes of a byte. The first may be given, by what each adds, uint8 (N,); then copies are looked for."""
    held, become = before[:, byte].astype(int), after.astype(int)
    plain = np.stack([(become - held) % VALUES, VALUES + (held ^ become), 2 * VALUES + become])
    left = np.all([plain[ADD] != added for added in (0, *(sums or {}).values())], axis=0)
    found: list[Change] = [(ADD, 0), *(sums or {})]
    most = max(_MOST, len(found) + _PLAIN)
    while left.sum() > (1 - _COVERED) * len(left) and len(found) < most:
        gain = np.bincount(plain[:, left].ravel(), minlength=3 * VALUES)
        fewest = max(_FEWEST, _BETTER * gain.max())
        copy = None if sums is None else best_copy(before[left], after[left], byte, fewest)
        if copy is not None:
            found.append((COPY, copy.amount))
            left &= copy.added(before, before) % VALUES != after
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

    A row is what is told by one of its changes: a byte, or half of one.

    Args:
        told: The changes of each of the 128 bytes, as `find_changes` has them.

    Attributes:
        lively: The bytes that may change, int64.
        bytes: The byte of each row, int64 (n,).
        counts: How many changes each byte has, those of both of its halves together; of bytes that may change.
        most: The most changes of a row, M.
        total: Changes of all rows together.
        whole: Which rows are of whole bytes, bool (n,).
    """

    bytes: Tensor
    slot: Tensor
    there: Tensor
    values: Tensor
    places: Tensor
    numbers: Tensor
    bits: Tensor
    whole: Tensor
    ends: Tensor
    lively: Tensor

    def __init__(self, told: list[list[Change]]) -> None:
        super().__init__()
        lively = [byte for byte, changes in enumerate(told) if len(changes) > 1] or [0]
        rows = [(byte, *row) for byte in lively for row in _rows_of(told[byte])]
        lists = [changes for _, _, changes in rows]
        self.most = max(map(len, lists))
        self.total = sum(map(len, lists))
        self.counts = {byte: sum(len(row[2]) for row in rows if row[0] == byte) for byte in lively}
        slot = torch.zeros(len(rows), self.most, dtype=torch.int64)
        there = torch.zeros(len(rows), self.most, dtype=torch.bool)
        values = torch.zeros(len(rows), VALUES, self.most, dtype=torch.uint8)
        place = 0
        for row, changes in enumerate(lists):
            count = len(changes)
            slot[row, :count] = torch.arange(place, place + count)
            there[row, :count] = True
            values[row, :, :count] = torch.stack([_changed(*change) for change in changes], dim=1)
            place += count
        of = [byte for byte, *_ in rows]
        bits = torch.tensor([bits for _, bits, _ in rows], dtype=torch.uint8)
        ends = torch.tensor([[of.index(byte), len(of) - 1 - of[::-1].index(byte)] for byte in lively])
        self._halved = len(of) > len(lively)
        parts = {"bytes": torch.tensor(of), "slot": slot, "there": there, "values": values, "bits": bits}
        places, self.multiples = _multiples_of(lists, of, self.most)
        parts |= {
            "whole": bits == VALUES - 1,
            "ends": ends,
            "lively": torch.tensor(lively),
            "places": torch.tensor(places, dtype=torch.int64),
            "numbers": torch.tensor(sorted({place // self.most for place in places}), dtype=torch.int64),
        }
        for name, part in parts.items():
            self.register_buffer(name, part, persistent=False)

    def options(self, memory: Tensor, after: Tensor) -> Tensor:
        """What each byte that may change becomes under each of its changes, uint8 (B, n, M).

        Args:
            memory: uint8 (B, 128).
            after: What it becomes, uint8 (B, 128), of which only speeds that turn are looked at.
        """
        held = memory.index_select(1, self.bytes).int()
        row = torch.arange(len(self.bytes), device=memory.device, dtype=torch.int32) * VALUES + held
        become = self.values.flatten(0, 1).index_select(0, row.flatten()).view(*row.shape, self.most)
        if self.multiples is None:
            return become
        moved = self.multiples(memory, after)
        return become.flatten(1).index_copy(1, self.places, moved).view(become.shape)

    def spread(self, logits: Tensor) -> Tensor:
        """Logits of all changes, (B, total), by byte: (B, n, M), minus infinity where there is none."""
        by_byte = logits.index_select(1, self.slot.flatten()).view(-1, *self.slot.shape)
        return by_byte.masked_fill(~self.there, -torch.inf)

    def change(self, memory: Tensor, options: Tensor, chosen: Tensor) -> Tensor:
        """Memory (B, 128) after a change of each row, int64 (B, n), of its options, (B, n, M)."""
        become = options.gather(2, chosen[..., None])[..., 0]
        if self._halved:
            become = become & self.bits
            become = become.index_select(1, self.ends[:, 0]) | become.index_select(1, self.ends[:, 1])
        return memory.index_copy(1, self.lively, become)

    def nll(self, logits: Tensor, memory: Tensor, after: Tensor) -> Tensor:
        """Nats of what each byte became, (B, n), from logits (B, total).

        What no change explains costs nothing, but where multiples of others are added: there what comes nearest is
        right, as a speed that is a little off does little harm.

        Args:
            logits: (B, total).
            memory: uint8 (B, 128).
            after: What it became, uint8 (B, 128).
        """
        odds = self.spread(logits).log_softmax(-1)
        right = self._nearly_right(self.options(memory, after), after)
        told = odds.masked_fill(~right, _NEVER).logsumexp(-1)
        return -torch.where(right.any(-1), told, 0.0)

    def right(self, memory: Tensor, after: Tensor) -> Tensor:
        """Which changes explain what memory (B, 128) became, bool (B, n, M)."""
        return self._explain(self.options(memory, after), after)

    def _explain(self, options: Tensor, after: Tensor) -> Tensor:
        off = (options ^ after.index_select(1, self.bytes)[..., None]) & self.bits[:, None]
        return (off == 0) & self.there

    def _nearly_right(self, options: Tensor, after: Tensor) -> Tensor:
        """Which options, (B, n, M), are what memory became, and of a number that none is, which come nearest."""
        right = self._explain(options, after)
        if not len(self.numbers):
            return right
        off = options.index_select(1, self.numbers).int()
        off = off - after.index_select(1, self.bytes.index_select(0, self.numbers)).int()[..., None]
        apart = torch.minimum(off % VALUES, -off % VALUES).masked_fill(
            ~self.there.index_select(0, self.numbers), VALUES
        )
        found = right.index_select(1, self.numbers)
        nearest = torch.where(found.any(-1, keepdim=True), found, apart == apart.amin(-1, keepdim=True))
        return right.index_copy(1, self.numbers, nearest)


def _rows_of(told: list[Change]) -> list[tuple[int, list[Change]]]:
    """What is told apart of a byte: which of its bits, and their changes."""
    halves = [(bits, [change for change in told if change[0] == kind]) for kind, bits in _HALVES.items()]
    if not any(changes for _, changes in halves):
        return [(VALUES - 1, told)]
    return [(bits, [told[0], *changes]) for bits, changes in halves]


def _changed(kind: int, amount: int) -> Tensor:
    """What each byte becomes, uint8 (256,): itself, if it takes another byte to tell."""
    value = torch.arange(VALUES)
    if kind in _OF_OTHERS:
        return value.to(torch.uint8)
    if kind in _HALVES:
        return (value & ~_HALVES[kind] | amount).to(torch.uint8)
    become = {ADD: (value + amount) % VALUES, FLIP: value ^ amount, SET: torch.full_like(value, amount)}
    return become[kind].to(torch.uint8)
