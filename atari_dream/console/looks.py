"""Which shape of each sprite is shown, and how far behind its place: read off the memory of this step and the last.

What flickers is shown in some steps and not in others, and what moves is drawn a little behind where memory has it:
both are functions of memory, as the rest of the program is.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.console.mechanics import Dense, DenseBlock, bits_of
from atari_dream.console.sprites import JITTER, Shown
from atari_dream.layers import silu


class Looks(nn.Module):
    """Logits of what is shown at S places. An untrained one shows nothing.

    Args:
        lively: Bytes that ever change.
        places: S.
        looks: The most shapes of a place, L.
        width: Units.
        blocks: Residual blocks.
        jitter: Pixels that a shape may be off its usual distance, either way, J.
    """

    bytes: Tensor

    def __init__(
        self,
        lively: Sequence[int],
        places: int,
        looks: int,
        width: int = 256,
        blocks: int = 2,
        jitter: int = JITTER,
    ) -> None:
        super().__init__()
        self.register_buffer("bytes", torch.tensor(lively, dtype=torch.int64), persistent=False)
        self.sizes = [1 + looks, 2 * jitter + 1, 2 * jitter + 1]
        self.places = places
        self.enter = Dense(16 * len(lively), width)
        self.blocks = nn.Sequential(*(DenseBlock(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.leave = Dense(width, places * sum(self.sizes))
        nn.init.zeros_(self.leave.weight)
        with torch.no_grad():
            self.leave.bias.zero_()
            self.leave.bias.view(places, -1)[:, 0] = 1.0

    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the shape, (B, S, 1 + L), and of rows and columns off, (B, S, 1 + 2J) each.

        Args:
            before: Memory a step ago, uint8 (B, 128).
            after: Memory now, uint8 (B, 128).
        """
        seen = torch.cat([bits_of(part.index_select(1, self.bytes)) for part in (before, after)], dim=1)
        told = self.leave(silu(self.norm(self.blocks(self.enter(seen))))).float()
        look, down, across = told.unflatten(1, (self.places, -1)).split(self.sizes, dim=-1)
        return look, down, across

    def shown(self, before: Tensor, after: Tensor) -> Shown:
        """What is likeliest shown."""
        return Shown(*(part.argmax(-1) for part in self(before, after)))

    def nll(self, before: Tensor, after: Tensor, shown: Shown) -> Tensor:
        """Nats of what was shown, (B,); what is not known costs nothing, nor where nothing is."""
        look, *offsets = self(before, after)
        known, there = shown.look >= 0, shown.look > 0
        nats = _cross_entropy(look, shown.look.clamp(min=0)) * known
        for logits, target in zip(offsets, (shown.down, shown.across), strict=True):
            nats = nats + _cross_entropy(logits, target) * there
        return nats.sum(1)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Nats (B, S) of places, int64 (B, S), by logits (B, S, n)."""
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(target.shape)
