"""What is around a thing: numbers learnt for where it is, and, if it has a speed, for where it will be frame by frame.

What a ball bounces off is where it is, and a program need not tell of it: the console itself tells what touches what.
Where a ghost may turn is told by a maze that is no part of memory, either. So a pair of bytes that are a place is
looked up in tables of several grains, as in Müller et al. (2022), "Instant neural graphics primitives with a
multiresolution hash encoding"; these are small enough to need no hashes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.console.changes import CARRY, Change
from atari_dream.console.multiples import BYTES, VALUES, Multiple
from atari_dream.games import HEIGHT, WIDTH

_GRAINS = ((4, 16), (2, 8), (1, 4))
"""Pixels of a cell, either way, and the numbers learnt for it."""
_FEWEST, _SURE = 64, 0.9
"""Steps that tell which way something moves, at least, and the share of them in which one bit must tell it."""


class Course(NamedTuple):
    """A byte that is a coordinate, and how it moves; with a factor of 0 nothing is known of that.

    Attributes:
        byte: Which it is.
        finer: The byte that is its 256ths.
        speed: The byte that holds how fast it moves.
        factor: 256ths that it moves in each frame for each of the speed's.
        turn: The byte of which a bit tells which way.
        bit: Which bit; where it is set, the coordinate grows.
    """

    byte: int
    finer: int
    speed: int
    factor: int
    turn: int
    bit: int

    def at(self, memory: Tensor, frames: Tensor) -> Tensor:
        """Where it will be, if nothing is in its way, after so many frames, float32 (F,): whole numbers, (B, F)."""
        place, finer, speed = (
            memory[:, byte].float()[:, None] for byte in (self.byte, self.finer, self.speed)
        )
        way = ((memory[:, self.turn] & (1 << self.bit)) != 0).float()[:, None] * 2 - 1
        return ((place * VALUES + finer + way * self.factor * speed * frames) / VALUES).floor()


class Thing(NamedTuple):
    """Something that has a place: its column and its row."""

    across: Course
    down: Course

    @property
    def bytes(self) -> set[int]:
        """What tells where it is and will be."""
        return {byte for course in self for byte in (course.byte, course.finer, course.speed, course.turn)}

    @property
    def moves(self) -> bool:
        """Whether it is known where it will be."""
        return any(course.factor for course in self)


class Around(nn.Module):
    """What is around things. They share what is learnt for a place.

    Args:
        things: The things, M.
        frames: Emulator frames that are looked ahead, if any of them moves.

    Attributes:
        outputs: Numbers for each thing, n.
    """

    frames: Tensor

    def __init__(self, things: Sequence[Thing], frames: int) -> None:
        super().__init__()
        self.things = list(things)
        ahead = torch.arange(frames + 1.0) if any(thing.moves for thing in things) else torch.zeros(1)
        self.register_buffer("frames", ahead, persistent=False)
        self.outputs = len(ahead) * sum(numbers for _, numbers in _GRAINS)
        self.tables = nn.ParameterList(
            torch.randn(_cells(HEIGHT, grain) * _cells(WIDTH, grain), numbers) * 0.3
            for grain, numbers in _GRAINS
            if things
        )

    def forward(self, memory: Tensor) -> Tensor:
        """What is learnt for where they are and will be, (B, M, n), by memory, uint8 (B, 128 or more)."""
        if not self.things:
            return torch.zeros(len(memory), 0, self.outputs, device=memory.device)
        return torch.stack([self._near(thing, memory) for thing in self.things], 1)

    def _near(self, thing: Thing, memory: Tensor) -> Tensor:
        row = thing.down.at(memory, self.frames).clamp(0, HEIGHT - 1)
        column = thing.across.at(memory, self.frames).clamp(0, WIDTH - 1)
        seen = []
        for table, (grain, _) in zip(self.tables, _GRAINS, strict=True):
            cell = (row / grain).floor() * _cells(WIDTH, grain) + (column / grain).floor()
            seen.append(table[cell.long()])
        return torch.cat(seen, 2).flatten(1)


def _cells(pixels: int, grain: int) -> int:
    return -(-pixels // grain)


def find_things(
    told: Sequence[Sequence[Change]],
    before: np.ndarray,
    after: np.ndarray,
    places: Sequence[tuple[int, int]],
    frame_skip: int,
) -> list[Thing]:
    """The things that have a place, and, where a bit tells which way a speed moves them, how they move.

    Args:
        told: Changes of each byte, as `find_changes` has them.
        before: Memory, uint8 (N, 128).
        after: What it became, uint8 (N, 128).
        places: The bytes of the column and of the row of each thing.
        frame_skip: Emulator frames in a step.
    """
    pairs = [pair for pair in dict.fromkeys(places) if all(len(told[byte]) > 1 for byte in pair)]
    courses = {byte: _course(byte, told[byte], before, after, frame_skip) for pair in pairs for byte in pair}
    return [Thing(courses[across], courses[down]) for across, down in pairs]


def _course(
    byte: int, told: Sequence[Change], before: np.ndarray, after: np.ndarray, frame_skip: int
) -> Course:
    carries = [Multiple.of(amount) for kind, amount in told if kind == CARRY]
    plain = [carry for carry in carries if not carry.nudge and not carry.later]
    moved = after[:, byte] - before[:, byte]
    for carry in plain:
        back = carry._replace(factor=-carry.factor)
        if carry.factor > 0 and carry.factor % frame_skip == 0 and back in plain:
            grows, shrinks = (moved == each.carried(before, before) for each in (carry, back))
            turn = _turn(before[grows != shrinks], grows[grows != shrinks])
            if turn is not None:
                return Course(byte, carry.finer, carry.source, carry.factor // frame_skip, *turn)
    return Course(byte, byte, byte, 0, byte, 0)


def _turn(memory: np.ndarray, grows: np.ndarray) -> tuple[int, int] | None:
    """The byte and the bit of memory, uint8 (N, 128), that tell what grows, bool (N,)."""
    if len(grows) < _FEWEST:
        return None
    right = [(((memory >> bit) & 1) == grows[:, None]).mean(0) for bit in range(8)]
    bit, byte = divmod(int(np.argmax(right)), BYTES)
    return (byte, bit) if right[bit][byte] >= _SURE else None
