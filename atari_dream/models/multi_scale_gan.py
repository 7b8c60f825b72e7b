"""Multi-Scale GAN: four generators, coarse to fine, against four discriminators.

Source: Mathieu, Couprie and LeCun (2016), "Deep multi-scale video prediction beyond mean square error": four frames
to the next, recursively, squared error and gradient difference and 0.05 adversarial, trained on moving crops of 32x32.
Changed, to make a world of it: it sees actions; each scale predicts what changes in the last frame, so that an
untrained one holds still; an eighth of the widths, or a step would take seconds on a CPU; it goes on from the game's
nearest colours, for a blur that is fed back grows; the adversary is held at a share of the gradient; heads for reward,
end and lives, on a trunk of their own. It learns each step from real frames, as published.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.games import HEIGHT, WIDTH
from atari_dream.layers import GRID, PATCH, ActionEmbedding, FrameEmbedding, OutcomeHead, rgb_of, snap
from atari_dream.losses import gradient_difference
from atari_dream.multi_scale import (
    CROP,
    FRAMES,
    SCALES,
    Generators,
    MultiScaleCritic,
    ReferenceGenerator,
    pyramid,
)
from atari_dream.outcomes import OutcomePredictor, lives_after
from atari_dream.predictor import Domain, Frames, Lesson, Noise, Outcome, Rivals, Start, State, Target
from atari_dream.registry import register_model


@register_model("multi_scale_gan")
class MultiScaleGAN(OutcomePredictor):
    """Multi-Scale GAN of Mathieu et al., recursive, 210x160 RGB.

    State: the last four frames, newest first, uint8 (B, 210, 160); the last as RGB, uint8 (B, 210, 160, 3); lives.

    Args:
        domain: The game and what its data can hold.
        divide: What the published widths are divided by.
        channels: Channels of the trunk of reward, end and lives.
    """

    context = FRAMES
    adversaries = ("image",)
    batch_invariant = True
    colours: Tensor

    def __init__(self, domain: Domain, divide: int = 8, channels: int = 32) -> None:
        super().__init__(domain)
        self.register_buffer("colours", torch.tensor(domain.colours, dtype=torch.uint8))
        self.divide = divide
        self.act = ActionEmbedding(domain.frame_skip, 4)
        self.scales = Generators(extra=4, divide=divide)
        for level in range(SCALES):
            for parameter in self.scales.last(level).parameters():
                nn.init.zeros_(parameter)
        self.embed = FrameEmbedding(2, channels)
        self.steer = ActionEmbedding(domain.frame_skip, channels)
        self.outcome = OutcomeHead(channels, sum(self.outcomes.values()))
        self.practice = {"place": Noise("gumbel", GRID)}

    def init(self, start: Start) -> State:
        """Takes up the last four frames; the first stands for those that are not there."""
        known = start.frames.shape[1]
        frames = tuple(start.frames[:, max(-1 - age, -known)].clone() for age in range(FRAMES))
        return (*frames, _bytes(rgb_of(frames[0])), start.lives.clone())

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Predicts one agent step."""
        frames, lives = state[:FRAMES], state[-1]
        picture = (self._generate(_stack(frames), action)[-1] + 1) / 2
        outcome = self.tell(self._outcome(frames, action), lives, noise)
        after = (snap(picture, self.colours), *frames[:-1], _bytes(picture), outcome.lives.clone())
        return after, outcome

    def decode(self, state: State) -> Frames:
        """The frame shown, and its colours before they were the game's."""
        return Frames(state[0], state[FRAMES])

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        """Predicts a crop where something moves; then goes on from the real frame."""
        frames, lives = state[:FRAMES], state[-1]
        top, left = _moving(frames[0] != target.frame, noise["place"])
        after = rgb_of(target.frame)
        seen, follows = (_crop(part, top, left) for part in (_stack(frames), after * 2 - 1))
        made, real = self._generate(seen, action), pyramid(follows)
        size = CROP * CROP
        terms = {
            "square": size
            * _mean((a - b).square().flatten(1).mean(1) for a, b in zip(made, real, strict=True)),
            "gradient": size * _mean(gradient_difference(a, b) for a, b in zip(made, real, strict=True)),
        }
        terms |= self.outcome_terms(self._outcome(frames, action), lives, target)
        shown = (target.frame, *frames[:-1], _bytes(after), lives_after(lives, target))
        if not compete:
            return Lesson(shown, terms)
        rivals = {"image": Rivals(tuple(pyramid(seen[:, :3])), tuple(real), tuple(made))}
        return Lesson(shown, terms, (made[-1] + 1) / 2, (real[-1] + 1) / 2, rivals)

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), go on from a given frame."""
        raw = torch.where(mask[:, None, None, None], _bytes(rgb_of(frame)), state[FRAMES])
        return (torch.where(mask[:, None, None], frame, state[0]), *state[1:FRAMES], raw, state[-1])

    def critics(self) -> nn.ModuleDict:
        """The discriminators of all scales, as one."""
        return nn.ModuleDict({"image": MultiScaleCritic(self.divide)})

    def contested(self) -> dict[str, Tensor]:
        """The last layer of the finest scale."""
        return {"image": self.scales.last(-1).weight}

    @classmethod
    def reference(cls) -> nn.Module:
        """The published generator."""
        return ReferenceGenerator()

    def _generate(self, seen: Tensor, action: Tensor) -> list[Tensor]:
        """The next frame at every scale, from a stack of four (B, 12, H, W), newest first, in [-1, 1]."""
        acts = self.act(action)
        made: list[Tensor] = []
        change = None
        for network, stack in zip(self.scales, pyramid(seen), strict=True):
            size = stack.shape[2:]
            told = [stack, acts.expand(-1, -1, *size)]
            change = torch.zeros_like(stack[:, :3]) if change is None else F.interpolate(change, size)
            if made:
                told.append(change)
            change = change + network(torch.cat(told, dim=1)).float()
            made.append((stack[:, :3] + change).clamp(-1, 1))
        return made

    def _outcome(self, frames: tuple[Tensor, ...], action: Tensor) -> Tensor:
        return self.outcome(self.embed(*frames[:2]) + self.steer(action))


def _stack(frames: tuple[Tensor, ...]) -> Tensor:
    """Frames as RGB in [-1, 1], (B, 12, 210, 160)."""
    return torch.cat([rgb_of(frame) for frame in frames], dim=1) * 2 - 1


def _bytes(rgb: Tensor) -> Tensor:
    """RGB in [0, 1], (B, 3, H, W), as uint8 (B, H, W, 3)."""
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def _mean(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).mean(0)


def _moving(changed: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Top and left, int64 (B,), of a crop around a random cell that changes, or any if none does."""
    (height, width), (rows, columns) = PATCH, GRID
    busy = changed.view(-1, rows, height, columns, width).any(4).any(2)
    cell = (order + 1e3 * busy).flatten(1).argmax(1)
    top = cell // columns * height + height // 2 - CROP // 2
    left = cell % columns * width + width // 2 - CROP // 2
    return top.clamp(0, HEIGHT - CROP), left.clamp(0, WIDTH - CROP)


def _crop(images: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Crops (B, C, 32, 32) of images (B, C, H, W)."""
    side = torch.arange(CROP, device=images.device)
    lane = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = (top[:, None] + side)[:, :, None], (left[:, None] + side)[:, None, :]
    return images[lane, :, rows, columns].permute(0, 3, 1, 2)
