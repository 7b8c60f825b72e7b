"""Score, lives and the end of the game, as memory tells them.

The program keeps the score in decimal digits, half a byte each: what a step earns is a sum of how the digits change,
and least squares finds which they are and what they are worth. Lives and ends are functions of few values, found by
counting.
"""

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.console.changes import BYTES
from atari_dream.console.tables import (
    VALUE_COST,
    Part,
    every_part,
    every_value,
    part_of,
    told_right,
    value_of,
)

_HALVES = 2 * BYTES
_RIDGE, _WORTHLESS, _NEAR = 1e-4, 0.5, 0.3
_UNTOLD = -1


class Tally(nn.Module):
    """What memory tells of score, lives and end. An untaught one tells of no points, no end and unchanged lives."""

    worth: Tensor
    part: Tensor
    lives: Tensor
    signs: Tensor
    over: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("worth", torch.zeros(_HALVES))
        self.register_buffer("part", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("lives", torch.full((256,), _UNTOLD, dtype=torch.int64))
        self.register_buffer("signs", torch.zeros(2, 3, dtype=torch.int64))
        self.register_buffer("over", torch.zeros(2, 256, dtype=torch.bool))

    def learn(self, memory: Tensor, rewards: Tensor, lives: Tensor, ended: Tensor, valid: Tensor) -> None:
        """Finds what tells.

        Args:
            memory: At the end of each step of branches, uint8 (B, L, 128).
            rewards: Game points, float32 (B, L).
            lives: int64 (B, L).
            ended: Whether the game was over on arrival, bool (B, L).
            valid: Whether the step was played, bool (B, L).
        """
        played = valid[:, 1:]
        digits = halves(memory)
        self.worth.copy_(_worth((digits[:, 1:] - digits[:, :-1])[played], rewards[:, 1:][played]))
        told, known = memory[valid].numpy(), lives[valid].numpy()
        self.part[:], self.lives[:] = (torch.as_tensor(found) for found in _telling(told, known))
        signs, over = _signs(told, ended[valid].numpy())
        self.signs.copy_(torch.as_tensor(signs))
        self.over.copy_(torch.as_tensor(over))

    def counts(self) -> Tensor:
        """Which bytes hold digits of the score, bool (128,)."""
        return (self.worth != 0).view(BYTES, 2).any(1)

    def against(self, lives: Tensor) -> Tensor:
        """Which values of bytes tell other lives, 1 or 0, float32 (B, 128, 256), when there are so many, int64 (B,)."""
        told = self.lives[every_value(self.part[:, None])[:, 0]]
        other = (
            (told != lives[:, None]) & (told >= 0) & (told == lives[:, None]).any(1, keepdim=True)
        ).float()
        return other.new_zeros(len(lives), BYTES, 256).index_copy(1, self.part[:1], other[:, None])

    def told(self, before: Tensor, after: Tensor, lives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a step brings. A game that is over has no lives left, as ALE counts them, whatever memory still says.

        Args:
            before: Memory before it, uint8 (B, 128).
            after: Memory after it, uint8 (B, 128).
            lives: Before it, int64 (B,).

        Returns:
            Game points, float32 (B,); whether the game is over, bool (B,); lives, int64 (B,).
        """
        earned = ((halves(after) - halves(before)) * self.worth).sum(-1)
        left = self.lives[value_of(after, self.part)]
        over = torch.stack(
            [told[value_of(after, sign)] for sign, told in zip(self.signs, self.over, strict=True)]
        ).all(0)
        return earned, over, torch.where(over, 0, torch.where(left >= 0, left, lives))


def halves(memory: Tensor) -> Tensor:
    """Halves of bytes, uint8 (..., 128), the higher first, float32 (..., 256)."""
    high, low = torch.div(memory, 16, rounding_mode="floor"), torch.remainder(memory, 16)
    return torch.stack([high, low], -1).flatten(-2).float()


def _worth(change: Tensor, reward: Tensor) -> Tensor:
    """What a change by 1 of each half byte is worth, float32 (256,), 0 for nearly all."""
    change, reward = change.double(), reward.double()
    used = (change != 0).any(0)
    worth = torch.zeros(_HALVES, dtype=torch.float64)
    while used.any():
        moved = change[:, used]
        gram = moved.T @ moved + _RIDGE * torch.eye(moved.shape[1], dtype=torch.float64)
        worth.zero_()
        worth[used] = torch.linalg.solve(gram, moved.T @ reward)
        kept = used & (worth >= _WORTHLESS)
        if (kept == used).all():
            break
        used = kept
    power = 10.0 ** worth.clamp(min=_WORTHLESS).log10().round()
    return torch.where((worth / power - 1).abs() < _NEAR, power, worth).float()


def _telling(memory: np.ndarray, lives: np.ndarray) -> tuple[Part, np.ndarray]:
    """The part of a byte that tells lives best, and what each of its values tells, int64 (256,)."""
    most = int(lives.max()) + 1
    best, found = -np.inf, ((0, 0, 0), np.full(256, _UNTOLD))
    for part in every_part():
        value = part_of(memory, *part).astype(np.int64)
        table = np.bincount(value * most + lives, minlength=256 * most).reshape(256, most)
        right = told_right(table)
        if right > best:
            best, found = right, (part, np.where(table.any(1), table.argmax(1), _UNTOLD))
    return found


def _signs(memory: np.ndarray, ended: np.ndarray) -> tuple[list[Part], np.ndarray]:
    """Two parts of bytes whose values, together, are those of ends, and which values, bool (2, 256)."""
    signs, over = [(0, 0, 0)] * 2, np.zeros((2, 256), bool)
    left = np.ones(len(memory), bool)
    for place in range(2 if ended.any() else 0):
        best = np.inf
        for part in every_part():
            value = part_of(memory, *part)
            told = np.bincount(value[ended], minlength=256) > 0
            cost = (told[value[left]] & ~ended[left]).sum() + VALUE_COST * told.sum()
            if cost < best:
                best, signs[place], over[place] = cost, part, told
        left &= over[place][part_of(memory, *signs[place])]
    return signs, over
