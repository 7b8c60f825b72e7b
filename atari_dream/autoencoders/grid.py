"""Autoencoders whose code is a grid: convolutions all the way, so that a lane's bits depend on it alone."""

import torch
from torch import Tensor, nn

from atari_dream.autoencoders.base import Autoencoder, Drawing, Seen
from atari_dream.critics import GridCritic
from atari_dream.layers import (
    GRID,
    ActionEmbedding,
    Conv2d,
    ConvTranspose2d,
    FrameEmbedding,
    OutcomeHead,
    PaletteHead,
    ResidualBlock,
    SiLU,
    silu,
)
from atari_dream.predictor import Domain


class GridAutoencoder(Autoencoder):
    """Base of the encoders with a code of 15x10; what is seen goes past the code, too, or detail is lost.

    Args:
        domain: The game and what its data can hold.
        channels: Channels of the fine grid, 30x20.
        deep: Channels of the coarse grid, 15x10.
        latent: Channels of a variational one's latent, on the coarse grid.
    """

    batch_invariant = True
    embed: FrameEmbedding

    def __init__(self, domain: Domain, channels: int = 64, deep: int = 96, latent: int = 8) -> None:
        rows, columns = GRID[0] // 2, GRID[1] // 2
        super().__init__(domain, latent=(latent, rows, columns), code=(deep, rows, columns))
        self.channels, self.deep = channels, deep
        self.act = ActionEmbedding(domain.frame_skip, channels)
        self.enter = ResidualBlock(channels)
        self.down = Conv2d(channels, deep, 3, stride=2, padding=1)
        if self.design.variational:
            self.prior = nn.Sequential(ResidualBlock(deep), SiLU(), Conv2d(deep, 2 * latent, 1))
            self.see = nn.Sequential(SiLU(), Conv2d(channels, deep, 3, stride=2, padding=1))
            self.posterior = nn.Sequential(
                Conv2d(2 * deep, deep, 1), ResidualBlock(deep), SiLU(), Conv2d(deep, 2 * latent, 1)
            )
        told = deep + latent * self.design.variational
        self.imagine = nn.Sequential(Conv2d(told, deep, 3, padding=1), ResidualBlock(deep))
        self.up = ConvTranspose2d(deep, channels, 2, stride=2)
        self.draw = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.pixels = PaletteHead(domain.colours, channels)
        self.outcome = OutcomeHead(channels, sum(self.outcomes.values()))
        self.practice = self._practice()

    def expect(self, code: Tensor) -> Tensor:
        """Parameters of the prior, (B, 2 * latent, 15, 10)."""
        return self.prior(code)

    def infer(self, code: Tensor, frames: tuple[Tensor, ...]) -> Tensor:
        """Parameters of the posterior, (B, 2 * latent, 15, 10)."""
        followed = self.see(self.embed(*frames[: len(self.embed.patches)]))
        return self.posterior(torch.cat([code, followed], dim=1))

    def render(self, seen: Seen, latent: Tensor | None) -> Drawing:
        """Features (B, channels, 30, 20), for all."""
        told = seen.code if latent is None else torch.cat([seen.code, latent.to(seen.code.dtype)], dim=1)
        features = self.draw(seen.aside + self.up(silu(self.imagine(told))))
        return Drawing(features, features)

    def code_critic(self) -> nn.Module:
        """A discriminator of codes."""
        return GridCritic(self.deep)

    def contested(self) -> dict[str, Tensor]:
        """The last layer of the decoder, and the last strided one of the encoder."""
        return {"image": self.pixels.pixels.weight, "latent": self.down.weight}
