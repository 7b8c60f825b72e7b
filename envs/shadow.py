"""The real game beside a dream: the same states, the same actions, and how far apart they are at each step."""

from concurrent.futures import Executor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from atari_dream.dream import tree_map
from atari_dream.models.emulator import EmulatorControl
from atari_dream.predictor import Domain, Frames, Predictor, Start, State
from atari_dream.processes import spawn

_PSNR_CAP = 100.0
_EMULATOR_STATE, _LIVES, _MEMORY = 0, 2, 3


class Shadow(NamedTuple):
    """The real games of lanes, in batch-first tensors.

    Attributes:
        game: State of the emulator, as `EmulatorControl` has it.
        frames: Real frames up to now, as many as a start's context holds, uint8 (B, C, 210, 160).
        actions: What led to them, ALE codes, uint8 (B, C, frame_skip).
        reward: Points of the last step, float32 (B,).
        score: Points since power-on, float32 (B,).
        over: Whether the real game has ended, bool (B,).
    """

    game: State
    frames: Tensor
    actions: Tensor
    reward: Tensor
    score: Tensor
    over: Tensor

    def start(self) -> Start:
        """The real states as starts."""
        parts = (self.game[part] for part in (_LIVES, _EMULATOR_STATE, _MEMORY))
        return Start(self.frames, self.actions, *parts)


class Twin:
    """Plays the real games of lanes.

    Args:
        domain: The game and its frame skip.
        workers: Processes that play; 0 plays in this one.
    """

    def __init__(self, domain: Domain, workers: int = 0) -> None:
        self._domain, self._workers = domain, workers
        self._executor: Executor | None = None

    def begin(self, start: Start, score: Tensor) -> Shadow:
        """The real games at starts whose scores are float32 (B,)."""
        game = _emulator(self._domain).init(start)
        calm = torch.zeros_like(score)
        return Shadow(game, start.frames.clone(), start.actions.clone(), calm, score.clone(), calm.bool())

    def step(self, shadow: Shadow, codes: Tensor) -> Shadow:
        """Plays a step with the raw actions of each lane, uint8 (B, frame_skip); a game that is over stays."""
        game, reward, over = self._play(shadow.game, codes)
        return Shadow(
            game,
            torch.cat([shadow.frames[:, 1:], game[1][:, None]], dim=1),
            torch.cat([shadow.actions[:, 1:], codes[:, None]], dim=1),
            reward,
            shadow.score + reward,
            over,
        )

    def close(self) -> None:
        """Ends the processes; they are started again where they are needed."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def _play(self, game: State, codes: Tensor) -> tuple[State, Tensor, Tensor]:
        if not self._workers:
            return play(self._domain, game, codes)
        if self._executor is None:
            self._executor = spawn(self._workers, self._domain.game)
        chunks = np.array_split(np.arange(len(codes)), min(self._workers, len(codes)))
        futures = [
            self._executor.submit(play, self._domain, *_rows((game, codes), rows.tolist())) for rows in chunks
        ]
        parts = [future.result() for future in futures]
        played: tuple[State, Tensor, Tensor] = tree_map(
            lambda *some: torch.cat(some).to(codes.device), *parts
        )
        return played


@torch.no_grad()
def play(domain: Domain, game: State, codes: Tensor) -> tuple[State, Tensor, Tensor]:
    """One step of real games: their states, rewards float32 (B,), and which are over, bool (B,)."""
    after, outcome = _emulator(domain).step(game, codes, {})
    return after, outcome.reward, outcome.terminated


def drift(shadow: Shadow, shown: Frames) -> dict[str, Tensor]:
    """What an agent may want to know of the real games, and how far the dream is from them, by name, (B, ...) each.

    `frame` uint8 (B, 210, 160, 3), `reward` and `score` float32, `terminated` bool, `lives` int64; of the dream's
    frame `wrong_pixels`, the share of pixels of another colour, and `psnr` in dB, at most 100, float32.
    """
    real = Frames(shadow.frames[:, -1])
    colours = real.rgb()
    square = (colours.float() - shown.rgb().float()).square().flatten(1).mean(1)
    return {
        "frame": colours,
        "reward": shadow.reward,
        "score": shadow.score,
        "terminated": shadow.over,
        "lives": shadow.game[_LIVES],
        "wrong_pixels": (real.indices() != shown.indices()).flatten(1).float().mean(1),
        "psnr": (10 * torch.log10(255.0**2 / square)).clamp(max=_PSNR_CAP),
    }


@cache
def _emulator(domain: Domain) -> Predictor:
    return EmulatorControl(Domain(domain.game, domain.frame_skip))


def _rows(tree: Any, rows: list[int]) -> Any:
    return tree_map(lambda part: part[rows].cpu(), tree)
