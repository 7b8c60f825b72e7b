"""How the console's memory goes on: a network on its bits, and which change of each byte comes next.

The game is a program; with all of its memory known, a step is a function of it and the action.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.console.changes import Change, Changes
from atari_dream.console.multiples import BYTES, VALUES
from atari_dream.layers import ActionEmbedding, convolve, silu

BITS = 8
"""Of a byte."""
_UNLIKELY = -0.5
"""Log odds against the likeliest change below which one is never drawn: bytes are many, and a slip lasts."""
_IDLE = 0.1
"""What a byte counts that nothing comes of. Such bytes are worked out from others, and tell which shapes are shown."""
_CLEAN, _JUMBLED, _NEAR, _FAR = 0.4, 0.08, 3, 0.3
"""Share of memory that is left as it is; of the rest, the most of its bytes that are another's. How many steps off that
is, at most, and the share that is of anywhere."""
LANES, _LEAST = 8, 16
"""Lanes side by side in what a 1x1 convolution sees, so that their bits do not depend on how many there are."""


class Dense(nn.Module):
    """A linear layer whose bits, for a lane, do not depend on the others."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        like = nn.Linear(inputs, outputs)
        self.weight = nn.Parameter(like.weight.detach()[:, :, None, None].clone())
        self.bias = nn.Parameter(like.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, ..., inputs) to (B, ..., outputs)."""
        rows = x.flatten(0, -2)
        count = rows.shape[0]
        missing = max(_LEAST - count, -count % LANES)  # a single image would be convolved another way
        padded = torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])
        image = padded.view(-1, LANES, 1, rows.shape[1]).permute(0, 3, 1, 2)
        y = convolve(image, self.weight, self.bias).permute(0, 2, 3, 1).flatten(0, 2)
        return y[:count].view(*x.shape[:-1], y.shape[-1])


class DenseBlock(nn.Module):
    """Two layers around which the input is added; the second starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = Dense(width, 2 * width)
        self.second = Dense(2 * width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Adds the block's change, (B, width); hidden units are scaled by 1 + gain, (B, 2 * width)."""
        hidden = silu(self.first(self.norm(x)))
        return x + self.second(hidden if gain is None else hidden * (1 + gain))


class Mechanics(nn.Module, ABC):
    """Logits of the changes of memory. An untrained one knows as much as how many there are.

    Args:
        told: Changes of each byte, as `find_changes` has them.
        idle: Bytes that nothing comes of: what they hold is not looked at, and what they come to hold counts little.

    Attributes:
        held: Values that bytes were seen to hold, bool (128, 256).
    """

    held: Tensor
    weight: Tensor

    def __init__(self, told: list[list[Change]], idle: Sequence[int] = ()) -> None:
        super().__init__()
        self.changes = Changes(told)
        self.register_buffer("weight", weight_of(self.changes.bytes, idle), persistent=False)
        self.register_buffer("held", torch.zeros(BYTES, VALUES, dtype=torch.bool))

    @abstractmethod
    def forward(self, memory: Tensor, action: Tensor, after: Tensor | None = None) -> Tensor:
        """Logits (B, total) of the changes, by memory, uint8 (B, 128), and action, uint8 (B, frame_skip).

        Some may come of what the rest of memory becomes, uint8 (B, 128), if it is given.
        """

    def nll(self, memory: Tensor, action: Tensor, after: Tensor) -> Tensor:
        """Nats of what memory, uint8 (B, 128), becomes after an action: (B,)."""
        return (self.changes.nll(self(memory, action, after), memory, after) * self.weight).sum(-1)

    def step(self, memory: Tensor, action: Tensor, noise: Tensor) -> Tensor:
        """Memory after an action, uint8 (B, 128): of the changes of a byte that are likely, one is drawn.

        No byte comes to hold what it was never seen to hold, if another change is there: from where a program never
        is, it does not find its way back.

        Args:
            memory: uint8 (B, 128).
            action: uint8 (B, frame_skip).
            noise: Standard Gumbel numbers, (B, M); bytes share them. With zeros the likeliest is drawn.
        """
        return self._drawn(self.changes, self(memory, action), memory, memory, noise)

    def _drawn(
        self, changes: Changes, logits: Tensor, memory: Tensor, after: Tensor, noise: Tensor
    ) -> Tensor:
        """Memory, uint8 (B, 128), after more of its changes are drawn.

        Args:
            changes: Those that are drawn.
            logits: Of them, (B, total).
            memory: Before the step, uint8 (B, 128).
            after: With what is drawn already, uint8 (B, 128).
            noise: (B, M), for at least as many changes as a row has.
        """
        options = changes.options(memory, after)
        logits = changes.spread(logits).masked_fill(self._astray(changes, options), -torch.inf)
        likely = logits >= logits.amax(-1, keepdim=True) + _UNLIKELY
        drawn = logits.masked_fill(~likely, -torch.inf) + noise[:, None, : changes.most]
        return changes.change(after, options, drawn.argmax(-1))

    def witness(self, memory: Tensor) -> None:
        """Remembers what bytes held, by memory, uint8 (N, 128)."""
        value = torch.arange(BYTES, device=memory.device) * VALUES + memory
        self.held.view(-1).index_fill_(0, value.flatten(), True)

    def _astray(self, changes: Changes, options: Tensor) -> Tensor:
        """Which options, uint8 (B, n, M), bytes were never seen to hold, bool; none where all are so, or of halves."""
        value = changes.bytes[:, None] * VALUES + options
        astray = ~self.held.flatten().index_select(0, value.flatten()).view(options.shape)
        astray = astray & changes.whole[:, None]
        return astray & ~(astray | ~changes.there).all(-1, keepdim=True)


class Trunk(Mechanics):
    """Logits of the changes of memory by one network that sees all of it.

    Args:
        told: Changes of each byte, as `find_changes` has them.
        frame_skip: Emulator frames in an action.
        width: Units.
        blocks: Residual blocks.
        idle: Bytes that nothing comes of.
    """

    seen: Tensor

    def __init__(
        self,
        told: list[list[Change]],
        frame_skip: int,
        width: int = 256,
        blocks: int = 3,
        idle: Sequence[int] = (),
    ) -> None:
        super().__init__(told, idle)
        self.register_buffer("seen", self.changes.bytes[self.weight == 1].unique(), persistent=False)
        self.enter = Dense(BITS * len(self.seen), width)
        self.act = ActionEmbedding(frame_skip, width)
        self.blocks = nn.ModuleList(DenseBlock(width) for _ in range(blocks))
        self.gains = nn.ModuleList(ActionEmbedding(frame_skip, 2 * width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.leave = Dense(width, self.changes.total)
        nn.init.zeros_(self.leave.weight)
        for gain in self.gains:
            nn.init.zeros_(cast(ActionEmbedding, gain).table)

    def forward(self, memory: Tensor, action: Tensor, after: Tensor | None = None) -> Tensor:
        """Logits (B, total) of the changes, by memory, uint8 (B, 128), and action, uint8 (B, frame_skip)."""
        x = self.enter(bits_of(memory.index_select(1, self.seen))) + self.act(action)[:, :, 0, 0]
        for block, gain in zip(self.blocks, self.gains, strict=True):
            x = block(x, gain(action)[:, :, 0, 0])
        return self.leave(silu(self.norm(x))).float()


def jumbled(memory: Tensor, place: Tensor, length: int, key: Tensor) -> Tensor:
    """Memory at places, some of whose bytes are of other places: most of a few steps sooner or later, some of anywhere.

    What is read off frames, and what was dreamt, is wrong like that; a network that never saw it lets it get worse.
    Source of the idea: Valevski et al. (2024), "Diffusion models are real-time game engines", noise on the context.

    Args:
        memory: Branches, one after the other, uint8 (N, 128).
        place: Places in it, int64 (B,).
        length: Steps of a branch.
        key: One for each place, int64 (B,).

    Returns:
        uint8 (B, 128).
    """
    rates, hits, fars, shifts, anywhere = (noise.fold(key, part) for part in range(5))
    rate = (noise.uniform(rates, (1,)) - _CLEAN) / (1 - _CLEAN) * _JUMBLED
    hit = noise.uniform(hits, memory.shape[1:]) < rate
    step = place % length
    near = (step + noise.integers(shifts, 2 * _NEAR + 1) - _NEAR).clamp(0, length - 1)
    far = noise.uniform(fars) < _FAR
    other = torch.where(far, noise.integers(anywhere, len(memory)), place - step + near)
    return torch.where(hit, memory[other], memory[place])


def weight_of(known: Tensor, idle: Sequence[int]) -> Tensor:
    """How much bytes, int64 (n,), count, float32 (n,): 1, or next to nothing where nothing comes of them."""
    return torch.where(torch.isin(known, torch.tensor(list(idle), dtype=torch.int64)), _IDLE, 1.0)


def bits_of(memory: Tensor) -> Tensor:
    """Bits of bytes, uint8 (B, n), highest first, as -1 or 1, float32 (B, 8 * n)."""
    mask = torch.arange(7, -1, -1, dtype=torch.float32, device=memory.device).exp2().round().to(torch.uint8)
    bit = torch.bitwise_and(memory[..., None], mask) != 0
    return bit.flatten(1).float() * 2 - 1
