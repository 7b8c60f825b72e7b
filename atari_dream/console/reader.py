"""Reads the console's memory off the frames and actions before a start.

Of each frame it sees how many pixels of each kind of colour differ from the backdrop, column by column and row by
row: where something stands shows there to the pixel. A byte is told as one of 256 values, by its bits and by waves of
several lengths, so that values that are near each other, or share bits, are learnt together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream import noise
from atari_dream.canvas.cells import CELLS, to_cells
from atari_dream.console.anchors import Anchors
from atari_dream.console.margins import MARGINS, margins
from atari_dream.console.mechanics import Dense, DenseBlock, bits_of, weight_of
from atari_dream.console.places import NOTHING
from atari_dream.console.sprites import Sighted
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.layers import ActionEmbedding, silu

KINDS = 12
"""Kinds of colours that are told apart."""
PROFILE = KINDS * MARGINS
"""Numbers that describe a frame."""
_WAVES = (256, 128, 64, 32)
_MANY = 16
_ACTED = 4
_SPOKEN = 8.0
"""Nats by which a value is less likely for each cell that shows another."""
_LEFT_OUT = 0.15
_SKETCHES, _CELLS, _UNITS = range(3)


class Clues(NamedTuple):
    """What memory is read off, beside what a reader remembers of the frames.

    Attributes:
        cells: How many pixels of each cell of the last differ from the backdrop, uint8 (B, 600).
        sighted: Where things are seen in the frames, (B, C, S, ...).
        actions: The last ALE code of each step, uint8 (B, C).
    """

    cells: Tensor
    sighted: Sighted
    actions: Tensor


class Reader(nn.Module):
    """Logits of the values of bytes.

    Args:
        lively: Bytes that ever change.
        axes: Which of them tell places, as `Anchors` takes them.
        places: How many places there are, S.
        context: Frames that are seen, C.
        sketch: Numbers by which a frame is remembered.
        width: Units.
        blocks: Residual blocks.
        idle: Bytes that nothing comes of, which count little.
    """

    bytes: Tensor
    weight: Tensor
    rest: Tensor
    kind: Tensor
    backdrop: Tensor

    def __init__(
        self,
        lively: Sequence[int],
        axes: Sequence[tuple[int, int, int]],
        places: int,
        context: int,
        sketch: int = 80,
        width: int = 304,
        blocks: int = 1,
        idle: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.register_buffer("bytes", torch.tensor(lively, dtype=torch.int64), persistent=False)
        self.register_buffer("weight", weight_of(self.bytes, idle), persistent=False)
        self.register_buffer("rest", torch.zeros(128, dtype=torch.uint8))
        self.register_buffer("kind", torch.full((256,), KINDS - 1, dtype=torch.uint8))
        self.register_buffer("backdrop", torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
        self.sketch = Dense(PROFILE, sketch)
        self.recall = Dense(context * sketch, width)
        self.still = Dense(CELLS, width)
        self.anchors = Anchors(axes, places, context, width)
        self.acted = min(context, _ACTED)
        self.act = ActionEmbedding(self.acted, width)
        self.blocks = nn.Sequential(*(DenseBlock(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        waves = _waves()
        self.leave = Dense(width, len(lively) * waves.shape[1])
        self.tell = Dense(waves.shape[1], 256).requires_grad_(False)
        self.tell.weight.copy_(waves[:, :, None, None])
        self.tell.bias.zero_()

    def learn(self, backdrop: Tensor, frames: Tensor, memory: Tensor) -> None:
        """Takes over what rests.

        Args:
            backdrop: What pixels mostly show, uint8 (210, 160).
            frames: Palette codes, uint8 (N, 210, 160).
            memory: At each of them, uint8 (N, 128).
        """
        self.backdrop.copy_(backdrop)
        self.rest.copy_(memory.mode(0)[0])
        often = torch.bincount(frames[frames != backdrop].int(), minlength=256).argsort(descending=True)
        self.kind[often[: KINDS - 1]] = torch.arange(KINDS - 1, dtype=torch.uint8, device=often.device)

    def profile(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """What describes frames, uint8 (B, 210, 160).

        Returns:
            Pixels of each kind in columns and in rows, uint8 (B, PROFILE), and pixels of each cell that differ from
            the backdrop, uint8 (B, 600).
        """
        differs = frame != self.backdrop
        sorts = self.kind == torch.arange(KINDS, device=frame.device)[:, None]
        sorts = sorts & (torch.arange(256, device=frame.device) != NOTHING)
        counts = margins(torch.where(differs, frame, NOTHING), sorts).flatten(1)
        return counts.to(torch.uint8), to_cells(differs).sum(-1).to(torch.uint8)

    def sketched(self, profiles: Tensor) -> Tensor:
        """What is remembered of frames, (..., n), by what describes them, uint8 (..., PROFILE)."""
        return silu(self.sketch(profiles.clamp(max=_MANY).float().sqrt() / 2))

    def forward(self, sketches: Tensor, clues: Clues, key: Tensor | None = None) -> Tensor:
        """Logits of each byte that ever changes.

        Args:
            sketches: Of the frames, (B, C, n), oldest first.
            clues: What else memory is read off.
            key: When learning, the keys by which something is left out, int64 (B,).

        Returns:
            (B, n, 256).
        """
        lanes = len(clues.cells)
        x = (
            self.recall(_some(sketches.flatten(1), key, _SKETCHES))
            + self.still(_some((clues.cells > 0).float(), key, _CELLS))
            + self.anchors.seen(clues.sighted)
        )
        x = x + self.act(clues.actions[:, -self.acted :])[:, :, 0, 0]
        units = _some(silu(self.norm(self.blocks(x))), key, _UNITS)
        told = self.tell(self.leave(units).view(lanes, len(self.bytes), -1)).float()
        return self.anchors.near(told, units, clues.sighted)

    def nll(self, sketches: Tensor, clues: Clues, memory: Tensor, key: Tensor | None = None) -> Tensor:
        """Nats of memory, uint8 (B, 128), by what `forward` takes: (B,)."""
        logits = self(sketches, clues, key)
        held = memory.index_select(1, self.bytes).long()
        nats = F.cross_entropy(logits.flatten(0, 1), held.flatten(), reduction="none").view(held.shape)
        return (nats * self.weight).sum(1)

    def likeliest(self, logits: Tensor, against: Tensor) -> Tensor:
        """The likeliest memory, uint8 (B, 128).

        Args:
            logits: Of each byte that ever changes, (B, n, 256).
            against: How many cells of the last frame speak against each value of each byte, (B, 128, 256).
        """
        told = (logits - _SPOKEN * against.index_select(1, self.bytes)).argmax(-1).to(torch.uint8)
        return self.rest.expand(len(told), -1).index_copy(1, self.bytes, told)


def _some(x: Tensor, key: Tensor | None, part: int) -> Tensor:
    """Inputs, (B, n), of which each key leaves some out and the others make up for them; without keys, all.

    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
    """
    if key is None:
        return x
    kept = noise.uniform(noise.fold(key, part), x.shape[1:]) >= _LEFT_OUT
    return x * kept / (1 - _LEFT_OUT)


def _waves() -> Tensor:
    """What tells each value of a byte, float32 (256, 16)."""
    value = torch.arange(256)
    angles = value[:, None] * 2 * torch.pi / torch.tensor(_WAVES)
    return torch.cat([angles.sin(), angles.cos(), bits_of(value[:, None].to(torch.uint8))], dim=1)
