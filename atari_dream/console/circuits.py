"""How the console's memory goes on, part by part: small networks, each of which sees what its bytes come of.

A game is many small programs side by side. A ghost's place comes of where it is, where it heads, and a clock, not of
which dots are eaten. What each byte comes of shows when bytes are changed (`console/causes.py`); a network that sees
nothing else has nothing else to get wrong, and learns from a fraction of the play.
Some are worked out anew from what others become: points from the dots that are gone, idle bytes, which nothing comes
of, from nearly all. So they are told later, and agree with what was drawn.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atari_dream.console.around import Around, Thing
from atari_dream.console.causes import Circuit
from atari_dream.console.changes import Change, Changes, turned_by
from atari_dream.console.mechanics import BITS, Mechanics, bits_of
from atari_dream.console.multiples import BYTES
from atari_dream.errors import UsageError
from atari_dream.layers import ActionEmbedding, silu

_SIZES, WIDTHS, _ACTED = (12, 28, 56), (40, 160, 160, 160), 16
"""Causes up to which circuits are side by side, and the units of these and of larger ones; numbers that tell of the
action."""
_AT_ONCE = 32
"""Lanes in each product of matrices on a CPU, so that their bits do not depend on how many there are."""


class Circuits(Mechanics):
    """Logits of the changes of memory, by networks side by side.

    Args:
        told: Changes of each byte, as `find_changes` has them.
        frame_skip: Emulator frames in an action.
        circuits: Which bytes are told together, and by what: each byte that may change is in one. Causes past 127 are
            of what memory becomes: such a circuit is told once those are drawn, so no byte may come of itself so. What
            speeds move that turn is told after these.
        widths: Units of a circuit of up to 12, 28, 56 and more causes.
        blocks: Its residual blocks; those of the smallest have one.
        idle: Bytes that nothing comes of, which count little.
        things: What has a place: a circuit that comes of where one is, and heads, sees what is around it.
    """

    order: Tensor

    def __init__(
        self,
        told: list[list[Change]],
        frame_skip: int,
        circuits: Sequence[Circuit],
        widths: Sequence[int] = WIDTHS,
        blocks: int = 2,
        idle: Sequence[int] = (),
        things: Sequence[Thing] = (),
    ) -> None:
        super().__init__(told, idle)
        self.around = Around(things, frame_skip)
        stage = _stages(circuits, turned_by(told))
        self.stages, self.drawn = nn.ModuleList(), nn.ModuleList()
        for now in sorted(set(stage.values())):
            kinds: dict[tuple[int, tuple[int, ...]], list[Circuit]] = {}
            for circuit in circuits:
                if stage[circuit[0][0]] == now:
                    kinds.setdefault(_kind(circuit, things, idle), []).append(circuit)
            alike = sorted(kinds.items())
            banks = [
                Bank(
                    each,
                    self.changes.counts,
                    frame_skip,
                    widths[size],
                    blocks if size else 1,
                    sees,
                    self.around.outputs,
                )
                for (size, sees), each in alike
            ]
            drawn = [each if stage.get(byte) == now else each[:1] for byte, each in enumerate(told)]
            self.stages.append(nn.ModuleList(banks))
            self.drawn.append(_Drawn(drawn, banks, [each for _, each in alike]))
        self.register_buffer("order", self._order(), persistent=False)

    def forward(self, memory: Tensor, action: Tensor, after: Tensor | None = None) -> Tensor:
        """Logits (B, total) of the changes.

        Args:
            memory: uint8 (B, 128).
            action: uint8 (B, frame_skip).
            after: What memory becomes, uint8 (B, 128). Of what is told later nothing is known without it.
        """
        held, known = (memory, 1) if after is None else (torch.cat([memory, after], 1), len(self.stages))
        parts = zip(self.stages[:known], self.drawn[:known], strict=True)
        around = self.around(memory)
        every = torch.cat([drawn(self._told(banks, held, action, around)) for banks, drawn in parts], 1)
        return functional.pad(every, (0, len(self.order) - every.shape[1])).index_select(1, self.order)

    def step(self, memory: Tensor, action: Tensor, noise: Tensor) -> Tensor:
        """Memory after an action, uint8 (B, 128), as `Mechanics.step` has it, drawn stage by stage."""
        after, around = memory, self.around(memory)
        for banks, drawn in zip(self.stages, self.drawn, strict=True):
            logits = drawn(self._told(banks, torch.cat([memory, after], 1), action, around))
            after = self._drawn(cast(_Drawn, drawn).changes, logits, memory, after, noise)
        return after

    def _order(self) -> Tensor:
        """Where the changes of each byte are among those of one stage after the other, int64 (total,)."""
        first: dict[int, int] = {}
        begun = 0
        for drawn in self.drawn:
            for byte, count in cast(_Drawn, drawn).changes.counts.items():
                if count > 1:
                    first[byte] = begun
                begun += count
        counts = self.changes.counts.items()
        return torch.tensor([first.get(byte, 0) + place for byte, count in counts for place in range(count)])

    def _told(self, banks: nn.Module, *given: Tensor) -> Tensor:
        """What banks tell, (B, n), by what each of them takes, (B, ...)."""
        memory = given[0]
        if torch.is_grad_enabled() or memory.is_cuda:
            return _told_by(banks, *given)
        lanes = len(memory)
        missing = -lanes % _AT_ONCE
        padded = (torch.cat([part, part.new_zeros(missing, *part.shape[1:])]) for part in given)
        pieces = zip(*(part.split(_AT_ONCE) for part in padded), strict=True)
        return torch.cat([_told_by(banks, *piece) for piece in pieces])[:lanes]


def _kind(circuit: Circuit, things: Sequence[Thing], idle: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Which size a circuit has, and around which things it sees; one of idle bytes sees around none."""
    tells, causes = circuit
    near = [] if {*tells} <= {*idle} else things
    return bisect_left(_SIZES, len(causes)), tuple(
        which for which, thing in enumerate(near) if thing.bytes <= {*causes}
    )


def _stages(circuits: Sequence[Circuit], turned: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """When each byte is told: at first, or after all that it comes of, or is moved by, once they are told."""
    stage = {byte: 0 for tells, _ in circuits for byte in tells}
    for _ in range(len(circuits) + 1):
        known = dict(stage)
        for tells, causes in circuits:
            awaited = [cause - BYTES for cause in causes if cause >= BYTES]
            awaited += [speed for byte in tells for speed in turned.get(byte, ())]
            last = max((known.get(byte, 0) for byte in awaited), default=-1)
            stage.update(dict.fromkeys(tells, last + 1))
        if stage == known:
            return stage
    ring = sorted(byte for byte in stage if stage[byte] != known[byte])
    raise UsageError(f"circuits of bytes {ring} come of what each other become: none can be told first")


def _told_by(banks: nn.Module, *given: Tensor) -> Tensor:
    told = [bank(*given).transpose(0, 1).flatten(1) for bank in banks.children()]
    return torch.cat(told, 1)


class _Drawn(nn.Module):
    """What is told and drawn at once.

    Args:
        told: Changes of each byte, one of what is told at other times.
        banks: What tells them.
        circuits: Those of each bank.
    """

    place: Tensor

    def __init__(self, told: list[list[Change]], banks: list["Bank"], circuits: list[list[Circuit]]) -> None:
        super().__init__()
        self.changes = Changes(told)
        first: dict[int, int] = {}
        begun = 0
        for bank, alike in zip(banks, circuits, strict=True):
            for tells, _ in alike:
                at = begun
                for byte in tells:
                    first[byte], at = at, at + self.changes.counts[byte]
                begun += bank.outputs
        counts = self.changes.counts.items()
        place = [first.get(byte, 0) + place for byte, count in counts for place in range(count)]
        self.register_buffer("place", torch.tensor(place), persistent=False)

    def forward(self, told: Tensor) -> Tensor:
        """Logits of the changes, (B, total), of what banks tell, (B, n)."""
        return told.index_select(1, self.place).float()


class Bank(nn.Module):
    """Circuits of one size, side by side.

    Args:
        circuits: Which bytes each tells, and by what.
        counts: How many changes each byte has.
        frame_skip: Emulator frames in an action.
        width: Units of each.
        blocks: Residual blocks.
        sees: Of which things they see what is around them.
        around: Numbers that tell what is around one.

    Attributes:
        outputs: Numbers that each circuit tells.
    """

    causes: Tensor

    def __init__(
        self,
        circuits: Sequence[Circuit],
        counts: dict[int, int],
        frame_skip: int,
        width: int,
        blocks: int,
        sees: Sequence[int],
        around: int,
    ) -> None:
        super().__init__()
        self.sees = list(sees)
        most = max(len(causes) for _, causes in circuits)
        self.outputs = max(sum(counts[byte] for byte in tells) for tells, _ in circuits)
        padded = [[*causes, *[-1] * (most - len(causes))] for _, causes in circuits]
        self.register_buffer("causes", torch.tensor(padded), persistent=False)
        self.act = ActionEmbedding(frame_skip, _ACTED)
        told = _ACTED + len(sees) * around
        self.enter = Abreast(len(circuits), BITS * most + told, width)
        self.blocks = nn.ModuleList(Abreast(len(circuits), width, width) for _ in range(blocks))
        self.leave = Abreast(len(circuits), width, self.outputs)
        with torch.no_grad():
            for part, (_, causes) in zip(self.enter.parts(), circuits, strict=True):
                part[:, BITS * len(causes) : -told] = 0
            self.leave.weight.zero_()

    def forward(self, memory: Tensor, action: Tensor, around: Tensor) -> Tensor:
        """What each circuit tells, (n, B, outputs).

        Args:
            memory: uint8 (B, m).
            action: uint8 (B, frame_skip).
            around: What is around each thing, (B, M, n).
        """
        circuits, most = self.causes.shape
        lanes = len(memory)
        held = torch.cat([memory, memory.new_zeros(lanes, 1)], 1).t()[self.causes.flatten()]
        bits = bits_of(held.view(circuits, most, lanes).transpose(1, 2).reshape(-1, most))
        acted = torch.cat([self.act(action)[:, :, 0, 0], *(around[:, which] for which in self.sees)], 1)
        units = silu(
            self.enter(torch.cat([bits.view(circuits, lanes, -1), acted.expand(circuits, -1, -1)], 2))
        )
        for block in self.blocks:
            units = units + silu(block(units))
        return self.leave(units)


class Abreast(nn.Module):
    """Linear layers side by side, each with inputs of its own.

    Args:
        count: How many, n.
        inputs: Of each.
        outputs: Of each.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.count = count
        self.weight = nn.Parameter(torch.randn(count * outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(count, 1, outputs))

    def parts(self) -> Tensor:
        """The weights of each, (n, outputs, inputs)."""
        return self.weight.view(self.count, -1, self.weight.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, B, inputs) to (n, B, outputs)."""
        return torch.baddbmm(self.bias, x, self.parts().transpose(1, 2))
