"""What all autoencoders share as world models: memory of frames, a latent, colours, rewards, ends and lives.

The published ones predict a frame, or ten, five places ahead, in RGB, from frames alone. Changed in all, to make a
world of them: they see actions; they predict one step and go on from their own frames; they draw palette colours at
210x160, with the present colour as one more choice, so that nothing blurs and an untrained one holds still; they tell
reward, end and lives; SiLU for ReLU, and no dropout, which a step-by-step rollout would feel as noise.

An encoder turns what was seen, and an action, into a code. A plain autoencoder predicts from the code alone. A
variational one adds a Gaussian latent whose prior is learnt from the code and whose posterior sees what followed (as
in Denton and Fergus 2018, "SVG-LP"), so that it holds what cannot be known, such as where a ghost turns.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from atari_dream.critics import ImageCritic
from atari_dream.design import Design
from atari_dream.layers import PaletteHead, rgb_of
from atari_dream.losses import gaussian_divergence
from atari_dream.outcomes import OutcomePredictor, lives_after
from atari_dream.predictor import Domain, Frames, Lesson, Noise, Outcome, Rivals, Start, State, Target
from atari_dream.reference import Reference

_LOG_VARIANCE = 8.0


class Memory(NamedTuple):
    """What an autoencoder knows of its lanes; its state is the same in one row.

    Attributes:
        frames: Frames shown, the newest first, uint8 (B, 210, 160) each.
        carried: What the encoder carries from step to step.
        lives: int64 (B,).
    """

    frames: tuple[Tensor, ...]
    carried: tuple[Tensor, ...]
    lives: Tensor


class Seen(NamedTuple):
    """What an encoder makes of its memory and an action.

    Attributes:
        carried: What it carries on.
        code: What it knows, (B, ...).
        aside: What goes past the code to the decoder; None where nothing does.
    """

    carried: tuple[Tensor, ...]
    code: Tensor
    aside: Tensor | None


class Drawing(NamedTuple):
    """What a decoder makes: features of the frame and features of reward, end and lives."""

    frame: Tensor
    outcome: Tensor


class Autoencoder(OutcomePredictor):
    """Base of the dream forms; a model is a subclass that declares its design.

    Attributes:
        design: What both forms are built from.
        shown: Frames that the memory holds.
        code: Shape of the code without the batch.
    """

    design: ClassVar[Design]
    shown: ClassVar[int]
    pixels: PaletteHead
    outcome: nn.Module

    def __init__(self, domain: Domain, latent: tuple[int, ...], code: tuple[int, ...]) -> None:
        super().__init__(domain)
        self.code = code
        self.adversaries = self.design.adversaries
        if self.design.variational:
            self.noise = {"latent": Noise("normal", latent), **self.noise}

    def blank(self, batch: int) -> tuple[Tensor, ...]:
        """What the encoder carries before it has seen anything; nothing unless it says so."""
        return ()

    @abstractmethod
    def perceive(self, memory: Memory, action: Tensor) -> Seen:
        """Takes in the present frames and an action."""

    @abstractmethod
    def expect(self, code: Tensor) -> Tensor:
        """Parameters of the latent's prior."""

    @abstractmethod
    def infer(self, code: Tensor, frames: tuple[Tensor, ...]) -> Tensor:
        """Parameters of the latent's posterior, told what followed: frames, the newest first."""

    @abstractmethod
    def code_critic(self) -> nn.Module:
        """A discriminator of codes."""

    @abstractmethod
    def render(self, seen: Seen, latent: Tensor | None) -> Drawing:
        """What is shown and told next."""

    def init(self, start: Start) -> State:
        """Watches the last `context` steps of a start."""
        frames, actions = start.frames[:, -self.context :], start.actions[:, -self.context :]
        memory = Memory((frames[:, 0],) * self.shown, self.blank(len(frames)), start.lives)
        for place in range(1, frames.shape[1]):
            carried = self.perceive(memory, actions[:, place]).carried if memory.carried else ()
            memory = Memory(_newest(frames[:, place], memory.frames), carried, start.lives)
        return _flat(memory)

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Predicts one agent step, the latent drawn from its prior."""
        memory = self._memory(state)
        seen = self.perceive(memory, action)
        latent = None
        if self.design.variational:
            mean, spread = _gaussian(self.expect(seen.code))
            latent = mean + spread * noise["latent"]
        drawing = self.render(seen, latent)
        frame = self.pixels.choose(self.pixels(drawing.frame), memory.frames[0])
        outcome = self.tell(self.outcome(drawing.outcome), memory.lives, noise)
        after = Memory(_newest(frame, memory.frames), seen.carried, outcome.lives.clone())
        return _flat(after), outcome

    def decode(self, state: State) -> Frames:
        """The frame shown."""
        return Frames(state[0])

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        """Predicts one step with the latent drawn from its posterior, which sees the target; terms of the bound."""
        memory = self._memory(state)
        seen = self.perceive(memory, action)
        terms, latent = {}, None
        if self.design.variational:
            prior = _gaussian(self.expect(seen.code))
            posterior = _gaussian(self.infer(seen.code, _newest(target.frame, memory.frames)))
            terms["kl"] = gaussian_divergence(*posterior, *prior)
            latent = posterior[0] + posterior[1] * noise["latent"]
        drawing, present = self.render(seen, latent), memory.frames[0]
        with torch.no_grad():
            frame = self.pixels.choose(self.pixels(drawing.frame), present)
        terms["pixels"] = self.pixels.sampled_nll(drawing.frame, present, target.frame, frame, noise["cells"])
        terms |= self.outcome_terms(self.outcome(drawing.outcome), memory.lives, target)
        lives = lives_after(memory.lives, target)
        after = _flat(Memory(_newest(frame, memory.frames), seen.carried, lives))
        if not compete:
            return Lesson(after, terms)
        image = self.pixels.paint(self.pixels(drawing.frame), present)
        truth, now = rgb_of(target.frame), rgb_of(present)
        rivals = {"image": Rivals((now,), (truth,), (image,))}
        if "latent" in self.adversaries:
            rivals["latent"] = Rivals((), (noise["code"],), (seen.code,))
        return Lesson(after, terms, image, truth, {name: rivals[name] for name in self.adversaries})

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), go on from a given frame instead of their own."""
        return (torch.where(mask[:, None, None], frame, state[0]), *state[1:])

    def critics(self) -> nn.ModuleDict:
        """A discriminator for each adversary of the design."""
        made = {"image": ImageCritic, "latent": self.code_critic}
        return nn.ModuleDict({name: made[name]() for name in self.adversaries})

    @classmethod
    def reference(cls) -> nn.Module:
        """The published stack of the design."""
        return Reference(cls.design)

    def _practice(self) -> dict[str, Noise]:
        """The order in which cells are scored and, against a discriminator of codes, samples of their prior."""
        drawn = {"cells": Noise("gumbel", (self.pixels.cells,))}
        if "latent" in self.adversaries:
            drawn["code"] = Noise("normal", self.code)
        return drawn

    def _memory(self, state: State) -> Memory:
        return Memory(state[: self.shown], state[self.shown : -1], state[-1])


def _flat(memory: Memory) -> State:
    return (*memory.frames, *memory.carried, memory.lives)


def _newest(frame: Tensor, frames: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A frame before others, of which the oldest goes."""
    return (frame, *frames[:-1])


def _gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each (B, latent, ...)."""
    mean, log_variance = parameters.float().chunk(2, dim=1)
    return mean, (0.5 * log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)).exp()
