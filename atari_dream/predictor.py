"""What a predictor is: state in, state out, and the frames, rewards, ends and lives it predicts.

A predictor draws no random numbers and keeps nothing on itself between calls. It declares the noise that one
step needs; `atari_dream.dream` hashes it from each lane's key and passes it in.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from atari_dream.errors import UsageError
from atari_dream.games import FRAME_SKIP
from atari_dream.palette import PALETTE

State = tuple[Tensor, ...]
"""Batch-first tensors that hold everything a predictor knows of its lanes."""


class Start(NamedTuple):
    """Where dreams begin: real play up to a real state. `actions[:, i]` led to `frames[:, i]`.

    Attributes:
        frames: Palette codes, uint8 (B, C, 210, 160), oldest first; the last is the frame of the start.
        actions: ALE codes, uint8 (B, C, frame_skip).
        lives: int64 (B,).
        ale: The emulator's state, uint8 (B, S). Learnt predictors never read it.
        memory: The console's memory, uint8 (B, 128). Learnt predictors read it where `from_memory` alone.
    """

    frames: Tensor
    actions: Tensor
    lives: Tensor
    ale: Tensor
    memory: Tensor


class Outcome(NamedTuple):
    """What a step brought: reward float32 (B,) in game points, terminated bool (B,), lives int64 (B,)."""

    reward: Tensor
    terminated: Tensor
    lives: Tensor


class Target(NamedTuple):
    """What really followed a step.

    Attributes:
        frame: Palette codes, uint8 (B, 210, 160).
        reward: Game points, float32 (B,).
        terminated: bool (B,).
        lives: int64 (B,); -1 where they are not known.
    """

    frame: Tensor
    reward: Tensor
    terminated: Tensor
    lives: Tensor


class Batch(NamedTuple):
    """Windows side by side, told by arrival: `actions[:, i]` led to `frames[:, i]` and `rewards[:, i]`.

    Attributes:
        frames: Palette codes, uint8 (B, L, 210, 160).
        actions: ALE codes, uint8 (B, L, frame_skip).
        rewards: Game points, float32 (B, L).
        lives: int64 (B, L); -1 where they are not known.
        ended: Whether the game ended on arrival, bool (B, L).
        valid: Whether the step was played; outside the episode frames repeat, bool (B, L).
        lane: Position in the joint batch of all processes, int64 (B,).
    """

    frames: Tensor
    actions: Tensor
    rewards: Tensor
    lives: Tensor
    ended: Tensor
    valid: Tensor
    lane: Tensor

    def start(self, context: int) -> Start:
        """The first `context` steps as a start; it has no emulator state and no memory."""
        nothing = self.frames.new_zeros(len(self.frames), 0)
        seen = (self.frames[:, :context], self.actions[:, :context], self.lives[:, context - 1])
        return Start(*seen, ale=nothing, memory=nothing)

    def target(self, place: int) -> Target:
        """What a step of the windows led to."""
        return Target(*(part[:, place] for part in (self.frames, self.rewards, self.ended, self.lives)))


class Frames(NamedTuple):
    """Frames of a game at its native size.

    Attributes:
        codes: Palette codes, uint8 (B, 210, 160); of a predictor of RGB, the nearest of the game's colours.
        raw: What a predictor of RGB gave before that, uint8 (B, 210, 160, 3); None for others.
    """

    codes: Tensor
    raw: Tensor | None = None

    def indices(self) -> Tensor:
        """Palette codes, uint8 (B, 210, 160)."""
        return self.codes

    def rgb(self) -> Tensor:
        """Colours, uint8 (B, 210, 160, 3)."""
        if self.raw is not None:
            return self.raw
        device = self.codes.device
        table = torch.from_numpy(PALETTE).to(device) if torch.compiler.is_compiling() else _colours(device)
        return table.index_select(0, self.codes.flatten().int()).view(*self.codes.shape, 3)


@cache
def _colours(device: torch.device) -> Tensor:
    """RGB of each palette code, uint8 (256, 3): copied to a device once, as each copy waits for it."""
    return torch.from_numpy(PALETTE).to(device)


class Rivals(NamedTuple):
    """What a discriminator has to tell apart, (B, ...) each.

    Attributes:
        given: What it is told of both.
        real: What the real game has.
        fake: The same of the predictor.
    """

    given: tuple[Tensor, ...]
    real: tuple[Tensor, ...]
    fake: tuple[Tensor, ...]


class Lesson(NamedTuple):
    """What one step of learning gives.

    Attributes:
        state: The lanes, showing the prediction.
        terms: Terms of the loss by name, each (B,), in nats.
        image: The predicted frame as RGB in [0, 1], (B, 3, H, W), through which gradients flow; None if not asked.
        truth: The real frame, or the same part of it, to be compared with `image`.
        rivals: By adversary; empty if not asked.
    """

    state: State
    terms: dict[str, Tensor]
    image: Tensor | None = None
    truth: Tensor | None = None
    rivals: dict[str, Rivals] = {}


class Noise(NamedTuple):
    """The noise that one step needs: its distribution and its shape without the batch."""

    kind: Literal["normal", "gumbel"]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Domain:
    """What a predictor is built for: a game at a frame skip, and what its data can hold.

    Attributes:
        game: Name of the game.
        frame_skip: Emulator frames per agent step.
        colours: Palette codes that occur.
        rewards: Rewards of one agent step that occur, in game points.
    """

    game: str = "pacman"
    frame_skip: int = FRAME_SKIP
    colours: tuple[int, ...] = (0,)
    rewards: tuple[float, ...] = (0.0,)


class Predictor(nn.Module):
    """Base of everything that predicts a game, learnt models and controls alike.

    Attributes:
        domain: The game it predicts.
        context: Agent steps of context that `init` reads.
        noise: What one step draws, by name.
        practice: What one step of learning draws beyond that.
        adversaries: Names of its discriminators.
        trainable: Whether it learns.
        branches: Whether it learns from play that branches off recordings, not from rollouts over them.
        batch_invariant: Whether a lane's bits depend on that lane alone, whatever the batch.
        exportable: Whether `init`, `step` and `decode` pass `torch.export`.
        keeps_memory: Whether it dreams the console's memory, and so can begin from it.
        from_memory: Whether `init` takes a start's memory instead of reading it off the frames.
    """

    context: int = 1
    noise: dict[str, Noise] = {}
    practice: dict[str, Noise] = {}
    adversaries: tuple[str, ...] = ()
    trainable: ClassVar[bool] = True
    branches: ClassVar[bool] = False
    batch_invariant: ClassVar[bool] = False
    exportable: ClassVar[bool] = True
    keeps_memory: ClassVar[bool] = False
    from_memory: bool = False

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    @abstractmethod
    def init(self, start: Start) -> State:
        """Burns in on the last `context` steps of a start."""

    @abstractmethod
    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Predicts one agent step.

        Args:
            state: The lanes.
            action: ALE codes of each emulator frame, uint8 (B, frame_skip).
            noise: Tensors (B, *shape) for what `self.noise` declares.
        """

    @abstractmethod
    def decode(self, state: State) -> Frames:
        """The frame that each lane shows."""

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        """Predicts one step as `step` does, but knowing the target, for training.

        Args:
            state: The lanes.
            action: ALE codes of each emulator frame, uint8 (B, frame_skip).
            target: What really followed.
            noise: Tensors (B, *shape) for what `noise` and `practice` declare.
            compete: Whether to give the image and the rivals, too.
        """
        raise NotImplementedError(f"{type(self).__name__} does not learn")

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets lanes in `mask`, bool (B,), go on from a given frame, uint8 (B, 210, 160), for training."""
        raise NotImplementedError(f"{type(self).__name__} does not learn")

    def critics(self) -> nn.ModuleDict:
        """Fresh discriminators of its adversaries; training needs them, a dream does not."""
        return nn.ModuleDict()

    def contested(self) -> dict[str, Tensor]:
        """By adversary, the parameter at which its gradient and that of the other terms are compared."""
        return {}

    @classmethod
    def survey(cls, clips: Iterable[Any]) -> dict[str, Any]:
        """What it is to be built with, read off what its course shows: a `Batch` with a window each, or `Play`."""
        return {}

    def prime(self, batches: Iterable[Any]) -> None:
        """Learns, before the first update, what single steps can teach, from what its course shows.

        Raises:
            UsageError: If it learns from rollouts alone.
        """
        raise UsageError(f"{type(self).__name__} learns from rollouts alone: leave out prime")

    @classmethod
    def reference(cls) -> nn.Module:
        """The model as it was published, on its own tensor size, without actions.

        Raises:
            UsageError: If there is no such form.
        """
        raise UsageError(f"{cls.__name__} has no published form: call create_model without reference=True")
