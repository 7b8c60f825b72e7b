"""Reads the console's memory off the frames and actions before a start.

Of each frame it sees how many pixels of each kind of colour differ from the backdrop, column by column and row by
row: where something stands shows there to the pixel. A byte is told as one of 256 values, by its bits and by waves of
several lengths, so that values that are near each other, or share bits, are learnt together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, to_cells
from atari_dream.console.mechanics import Dense, DenseBlock, bits_of
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.layers import ActionEmbedding, silu

KINDS = 12
"""Kinds of colours that are told apart."""
PROFILE = KINDS * (HEIGHT + WIDTH)
"""Numbers that describe a frame."""
_WAVES = (256, 128, 64, 32)
_MANY = 16
_ACTED = 4


class Reader(nn.Module):
    """Logits of the values of bytes.

    Args:
        lively: Bytes that ever change.
        context: Frames that are seen, C.
        sketch: Numbers by which a frame is remembered.
        width: Units.
        blocks: Residual blocks.
    """

    bytes: Tensor
    rest: Tensor
    kind: Tensor
    backdrop: Tensor

    def __init__(
        self, lively: Sequence[int], context: int, sketch: int = 80, width: int = 304, blocks: int = 1
    ) -> None:
        super().__init__()
        self.register_buffer("bytes", torch.tensor(lively, dtype=torch.int64), persistent=False)
        self.register_buffer("rest", torch.zeros(128, dtype=torch.uint8))
        self.register_buffer("kind", torch.full((256,), KINDS - 1, dtype=torch.uint8))
        self.register_buffer("backdrop", torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8))
        self.sketch = Dense(PROFILE, sketch)
        self.recall = Dense(context * sketch, width)
        self.still = Dense(CELLS, width)
        self.act = ActionEmbedding(_ACTED, width)
        self.blocks = nn.Sequential(*(DenseBlock(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        waves = _waves()
        self.leave = Dense(width, len(lively) * waves.shape[1])
        self.tell = Dense(waves.shape[1], 256).requires_grad_(False)
        self.tell.layer.weight.copy_(waves[:, :, None, None])
        self.tell.layer.bias.zero_()  # type: ignore[union-attr]

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
        kind = self.kind.index_select(0, frame.flatten().int()).view(frame.shape)
        differs = frame != self.backdrop
        kind = torch.where(differs, kind, KINDS)
        counts = []
        for each in range(KINDS):
            own = kind == each
            counts += [own.sum(1), own.sum(2)]
        return torch.cat(counts, dim=1).to(torch.uint8), to_cells(differs).sum(-1).to(torch.uint8)

    def forward(self, profiles: Tensor, cells: Tensor, actions: Tensor) -> Tensor:
        """Logits of each byte that ever changes, (B, n, 256).

        Args:
            profiles: What describes the frames, uint8 (B, C, PROFILE), oldest first.
            cells: How many pixels of each cell of the last differ from the backdrop, uint8 (B, 600).
            actions: The last ALE code of each step, uint8 (B, C).
        """
        lanes = len(profiles)
        seen = (profiles.clamp(max=_MANY).float().sqrt() / 2).flatten(0, 1)
        sketches = silu(self.sketch(seen)).view(lanes, -1)
        x = self.recall(sketches) + self.still((cells > 0).float()) + self.act(actions[:, -_ACTED:])[:, :, 0, 0]
        told = self.leave(silu(self.norm(self.blocks(x)))).view(lanes * len(self.bytes), -1)
        return self.tell(told).view(lanes, len(self.bytes), 256).float()

    def nll(self, profiles: Tensor, cells: Tensor, actions: Tensor, memory: Tensor) -> Tensor:
        """Nats of memory, uint8 (B, 128): (B,)."""
        logits = self(profiles, cells, actions)
        held = memory.index_select(1, self.bytes).long()
        return F.cross_entropy(logits.flatten(0, 1), held.flatten(), reduction="none").view(held.shape).sum(1)

    def read(self, frames: Tensor, actions: Tensor) -> Tensor:
        """The likeliest memory, uint8 (B, 128).

        Args:
            frames: Palette codes, uint8 (B, C, 210, 160), oldest first.
            actions: ALE codes, uint8 (B, C, frame_skip).
        """
        profiles, cells = self.profile(frames.flatten(0, 1))
        logits = self(
            profiles.unflatten(0, frames.shape[:2]),
            cells.unflatten(0, frames.shape[:2])[:, -1],
            actions[..., -1],
        )
        told = logits.argmax(-1).to(torch.uint8)
        return self.rest.expand(len(frames), -1).index_copy(1, self.bytes, told)


def _waves() -> Tensor:
    """What tells each value of a byte, float32 (256, 16)."""
    value = torch.arange(256)
    angles = value[:, None] * 2 * torch.pi / torch.tensor(_WAVES)
    return torch.cat([angles.sin(), angles.cos(), bits_of(value[:, None].to(torch.uint8))], dim=1)
