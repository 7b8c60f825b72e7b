"""FC-*: dense layers on each pixel's colours, then on all of them at once."""

import itertools

import torch
from torch import Tensor, nn

from atari_dream.autoencoders.base import Autoencoder, Drawing, Memory, Seen
from atari_dream.critics import CodeCritic
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.layers import ActionEmbedding, PaletteHead, colour_code, silu
from atari_dream.predictor import Domain

_CELL = 2


class Dense(Autoencoder):
    """Four frames at half the size, 105x80; nothing goes past the code but the present colours.

    State: the frames, uint8 (B, 210, 160) each, and lives.

    Args:
        domain: The game and what its data can hold.
        channels: Numbers for each pixel of the working size.
        width: Numbers of the code.
        latent: Numbers of a variational one's latent.
    """

    context = 4
    shown = 4
    colour: Tensor

    def __init__(self, domain: Domain, channels: int = 8, width: int = 64, latent: int = 16) -> None:
        super().__init__(domain, latent=(latent,), code=(width,))
        self.register_buffer("colour", colour_code())
        self._size = (channels, HEIGHT // _CELL, WIDTH // _CELL)
        pixels = channels * self._size[1] * self._size[2]
        seen = [self.shown * self.colour.shape[1], *[channels] * self.design.per_pixel]
        self.per_pixel = nn.ModuleList(nn.Linear(before, after) for before, after in itertools.pairwise(seen))
        self.enter = nn.Linear(pixels, width)
        self.act = ActionEmbedding(domain.frame_skip, width)
        if self.design.variational:
            self.prior = nn.Linear(width, 2 * latent)
            self.posterior = nn.Linear(2 * width, 2 * latent)
        middle = width * self.design.middle // 30
        self.imagine = nn.Linear(width + latent * self.design.variational, middle)
        self.leave = nn.Linear(middle, pixels)
        self.pixels = PaletteHead(domain.colours, channels, (_CELL, _CELL))
        self.outcome = nn.Linear(middle, sum(self.outcomes.values()))
        self.practice = self._practice()

    def perceive(self, memory: Memory, action: Tensor) -> Seen:
        """Looks at the stack."""
        return Seen((), self._look(memory.frames) + self.act(action)[:, :, 0, 0], None)

    def expect(self, code: Tensor) -> Tensor:
        """Parameters of the prior, (B, 2 * latent)."""
        return self.prior(silu(code))

    def infer(self, code: Tensor, frames: tuple[Tensor, ...]) -> Tensor:
        """Parameters of the posterior, (B, 2 * latent)."""
        return self.posterior(silu(torch.cat([code, self._look(frames)], dim=1)))

    def render(self, seen: Seen, latent: Tensor | None) -> Drawing:
        """Features of the frame, (B, channels, 105, 80), and of the outcome, (B, middle)."""
        told = seen.code if latent is None else torch.cat([seen.code, latent.to(seen.code.dtype)], dim=1)
        middle = silu(self.imagine(silu(told)))
        return Drawing(self.leave(middle).unflatten(1, self._size), middle)

    def code_critic(self) -> nn.Module:
        """A discriminator of codes."""
        return CodeCritic(*self.code)

    def contested(self) -> dict[str, Tensor]:
        """The last layer of the decoder, and of the encoder."""
        return {"image": self.pixels.pixels.weight, "latent": self.enter.weight}

    def _look(self, frames: tuple[Tensor, ...]) -> Tensor:
        small = torch.stack([frame[:, ::_CELL, ::_CELL] for frame in frames], dim=-1)
        pixels = self.colour[small.int()].flatten(3)  # (B, 105, 80, frames * 4)
        for layer in self.per_pixel:
            pixels = silu(layer(pixels))
        return self.enter(pixels.flatten(1))
