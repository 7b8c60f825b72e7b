"""C-LSTM-VAE as a world model: two convolutional LSTMs around a Gaussian latent.

Source: the C-LSTM-VAE of azeghost's *Generative Models for Video Prediction* (2020): two ConvLSTM layers, the second
strided, a Gaussian latent, transposed convolutions. Changed, to make a world of it: it sees actions; it predicts one
step at a time and goes on from its own frames; its latent is a small grid with a learnt prior (as in Denton and
Fergus 2018, "SVG-LP"), so that it holds what cannot be known, such as where a ghost turns; it draws palette colours
at 210x160 instead of RGB logits, with the present colour as one more choice, so that nothing blurs; heads for reward,
end and lives.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.layers import (
    GRID,
    ActionEmbedding,
    Conv2d,
    ConvLSTM,
    ConvTranspose2d,
    FrameEmbedding,
    OutcomeHead,
    PaletteHead,
    ResidualBlock,
    SiLU,
    silu,
)
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Predictor, Start, State, Target
from atari_dream.registry import register_model

LIVES_CHANGES = (-1, 0, 1)
_LOG_VARIANCE = 8.0


class _Memory(NamedTuple):
    """The state: frame shown and the one before, uint8 (B, 210, 160); both LSTMs' tensors; lives int64 (B,)."""

    frame: Tensor
    previous: Tensor
    fine: Tensor
    fine_cell: Tensor
    coarse: Tensor
    coarse_cell: Tensor
    lives: Tensor


@register_model("c_lstm_vae")
class CLSTMVAE(Predictor):
    """Convolutional LSTM with a Gaussian latent grid, 210x160 palette colours.

    Args:
        domain: The game and what its data can hold.
        channels: Channels of the fine grid, 30x20.
        deep: Channels of the coarse grid, 15x10.
        latent: Channels of the latent, on the coarse grid.
    """

    context = 8
    batch_invariant = True
    rewards: Tensor

    def __init__(self, domain: Domain, channels: int = 64, deep: int = 96, latent: int = 8) -> None:
        super().__init__(domain)
        rows, columns = GRID[0] // 2, GRID[1] // 2
        self.noise = {
            "latent": Noise("normal", (latent, rows, columns)),
            "reward": Noise("gumbel", (len(domain.rewards),)),
            "terminated": Noise("gumbel", (2,)),
            "lives": Noise("gumbel", (len(LIVES_CHANGES),)),
        }
        self.register_buffer("rewards", torch.tensor(domain.rewards))
        self.embed = FrameEmbedding(2, channels)
        self.act = ActionEmbedding(domain.frame_skip, channels)
        self.enter = ResidualBlock(channels)
        self.fine = ConvLSTM(channels, channels)
        self.down = Conv2d(channels, deep, 3, stride=2, padding=1)
        self.coarse = ConvLSTM(deep, deep)
        self.prior = nn.Sequential(ResidualBlock(deep), SiLU(), Conv2d(deep, 2 * latent, 1))
        self.see = nn.Sequential(SiLU(), Conv2d(channels, deep, 3, stride=2, padding=1))
        self.posterior = nn.Sequential(
            Conv2d(2 * deep, deep, 1), ResidualBlock(deep), SiLU(), Conv2d(deep, 2 * latent, 1)
        )
        self.imagine = nn.Sequential(Conv2d(deep + latent, deep, 3, padding=1), ResidualBlock(deep))
        self.up = ConvTranspose2d(deep, channels, 2, stride=2)
        self.draw = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.pixels = PaletteHead(domain.colours, channels)
        self.outcome = OutcomeHead(channels, len(domain.rewards) + 2 + len(LIVES_CHANGES))

    def init(self, start: Start) -> State:
        """Watches the last `context` steps of a start."""
        frames, actions = start.frames[:, -self.context :], start.actions[:, -self.context :]
        batch, (rows, columns) = len(frames), GRID
        fine = self.act.table.new_zeros(batch, self.fine.gates.out_channels // 4, rows, columns)
        coarse = fine.new_zeros(batch, self.coarse.gates.out_channels // 4, rows // 2, columns // 2)
        memory = _Memory(frames[:, 0], frames[:, 0], fine, fine, coarse, coarse, start.lives)
        for place in range(1, frames.shape[1]):
            memory, _ = self._remember(memory, actions[:, place])
            memory = memory._replace(previous=memory.frame, frame=frames[:, place])
        return tuple(memory)

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Predicts one agent step, the latent drawn from its prior."""
        memory, seen = self._remember(_Memory(*state), action)
        mean, spread = _gaussian(self.prior(memory.coarse))
        features = self._features(memory, seen, mean + spread * noise["latent"])
        frame = self.pixels.choose(self.pixels(features), memory.frame)
        reward, terminated, lives = (
            (logits + noise[name]).argmax(-1) for name, logits in self._outcomes(features).items()
        )
        left = (memory.lives + lives + LIVES_CHANGES[0]).clamp(min=0)
        after = memory._replace(frame=frame, previous=memory.frame, lives=left)
        return tuple(after), Outcome(self.rewards[reward], terminated.bool(), left.clone())

    def decode(self, state: State) -> Frames:
        """The frame shown."""
        return Frames(state[0])

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor]
    ) -> tuple[State, dict[str, Tensor]]:
        """Predicts one step with the latent drawn from its posterior, which sees the target; terms of the bound."""
        memory, seen = self._remember(_Memory(*state), action)
        mean, spread = _gaussian(self.prior(memory.coarse))
        followed = self.see(self.embed(target.frame, memory.frame))
        guess, width = _gaussian(self.posterior(torch.cat([memory.coarse, followed], dim=1)))
        features = self._features(memory, seen, guess + width * noise["latent"])
        logits = self.pixels(features)
        terms = {
            "pixels": self.pixels.nll(logits, memory.frame, target.frame),
            "kl": _divergence(guess, width, mean, spread),
        }
        known = target.lives >= 0
        change = (target.lives - memory.lives).clamp(-1, 1) + 1
        answers = {
            "reward": (target.reward[:, None] - self.rewards).abs().argmin(1),
            "terminated": target.terminated.long(),
            "lives": change,
        }
        for name, scores in self._outcomes(features).items():
            terms[name] = F.cross_entropy(scores, answers[name], reduction="none")
        terms["lives"] = torch.where(known, terms["lives"], 0.0)
        frame = self.pixels.choose(logits.detach(), memory.frame)
        lives = torch.where(known, target.lives, memory.lives)
        return tuple(memory._replace(frame=frame, previous=memory.frame, lives=lives)), terms

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), go on from a given frame instead of their own."""
        memory = _Memory(*state)
        return tuple(memory._replace(frame=torch.where(mask[:, None, None], frame, memory.frame)))

    def _remember(self, memory: _Memory, action: Tensor) -> tuple[_Memory, Tensor]:
        """Takes in the present frame and an action; what was seen goes past the memory, too, or detail is lost."""
        seen = self.enter(self.embed(memory.frame, memory.previous) + self.act(action))
        fine, fine_cell = self.fine(seen, memory.fine, memory.fine_cell)
        coarse, coarse_cell = self.coarse(self.down(fine), memory.coarse, memory.coarse_cell)
        after = memory._replace(fine=fine, fine_cell=fine_cell, coarse=coarse, coarse_cell=coarse_cell)
        return after, seen

    def _features(self, memory: _Memory, seen: Tensor, latent: Tensor) -> Tensor:
        imagined = self.imagine(torch.cat([memory.coarse, latent.to(memory.coarse.dtype)], dim=1))
        return self.draw(seen + memory.fine + self.up(silu(imagined)))

    def _outcomes(self, features: Tensor) -> dict[str, Tensor]:
        sizes = (len(self.domain.rewards), 2, len(LIVES_CHANGES))
        return dict(
            zip(("reward", "terminated", "lives"), self.outcome(features).split(sizes, dim=1), strict=True)
        )


def _gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each (B, latent, 15, 10)."""
    mean, log_variance = parameters.float().chunk(2, dim=1)
    return mean, (0.5 * log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)).exp()


def _divergence(mean: Tensor, spread: Tensor, prior_mean: Tensor, prior_spread: Tensor) -> Tensor:
    """Kullback-Leibler divergence of one Gaussian from another, in nats summed over the latent, (B,)."""
    ratio = (spread / prior_spread).square()
    distance = ((mean - prior_mean) / prior_spread).square()
    return 0.5 * (ratio + distance - 1 - ratio.log()).sum((1, 2, 3))
