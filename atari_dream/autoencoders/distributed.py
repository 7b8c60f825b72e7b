"""The encoder of C-TD-*: the same strided convolutions over each frame, joined over time."""

import torch
from torch import Tensor

from atari_dream.autoencoders.base import Memory, Seen
from atari_dream.autoencoders.grid import GridAutoencoder
from atari_dream.layers import ActionEmbedding, Conv2d, FrameEmbedding
from atari_dream.predictor import Domain


class Distributed(GridAutoencoder):
    """Each frame is encoded once, on arrival, and joined with the codes of those before.

    State: the frame, the codes of earlier ones, float (B, deep, 15, 10) each, and lives.
    """

    context = 4
    shown = 1

    def __init__(self, domain: Domain, channels: int = 64, deep: int = 96, latent: int = 8) -> None:
        super().__init__(domain, channels, deep, latent)
        self.embed = FrameEmbedding(1, channels)
        self.join = Conv2d(self.context * deep, deep, 3, padding=1)
        self.steer = ActionEmbedding(domain.frame_skip, deep)

    def blank(self, batch: int) -> tuple[Tensor, ...]:
        """Codes of nothing."""
        return (self.act.table.new_zeros(batch, *self.code),) * (self.context - 1)

    def perceive(self, memory: Memory, action: Tensor) -> Seen:
        """Encodes the present frame and joins it with what is carried."""
        aside = self.enter(self.embed(*memory.frames))
        codes = (self.down(aside), *memory.carried)
        code = self.join(torch.cat(codes, dim=1)) + self.steer(action)
        return Seen(codes[:-1], code, aside + self.act(action))
