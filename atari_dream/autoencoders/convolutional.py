"""The encoder of C-*: strided convolutions over a stack of frames."""

from torch import Tensor

from atari_dream.autoencoders.base import Memory, Seen
from atari_dream.autoencoders.grid import GridAutoencoder
from atari_dream.layers import FrameEmbedding, ResidualBlock
from atari_dream.predictor import Domain


class Convolutional(GridAutoencoder):
    """Four frames side by side, two strided convolutions. State: the frames and lives."""

    context = 4
    shown = 4

    def __init__(self, domain: Domain, channels: int = 64, deep: int = 96, latent: int = 8) -> None:
        super().__init__(domain, channels, deep, latent)
        self.embed = FrameEmbedding(self.shown, channels)
        self.narrow = ResidualBlock(deep)

    def perceive(self, memory: Memory, action: Tensor) -> Seen:
        """Looks at the stack."""
        aside = self.enter(self.embed(*memory.frames) + self.act(action))
        return Seen((), self.narrow(self.down(aside)), aside)
