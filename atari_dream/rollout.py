"""One dream or one real game, played from a start under given actions and kept whole."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from atari_dream import dream, noise
from atari_dream.games import get_game
from atari_dream.players import RandomPlayer
from atari_dream.predictor import Predictor
from atari_dream.starts import StartPool


@dataclass(frozen=True)
class Rollout:
    """What was seen from a start on; after the end everything stays as it was.

    Attributes:
        frames: Palette codes, uint8 (T + 1, 210, 160); the first is the start's real frame.
        scores: Points since the start, float64 (T + 1,).
        lives: int64 (T + 1,).
        ended: Whether the game was over, bool (T + 1,).
    """

    frames: np.ndarray
    scores: np.ndarray
    lives: np.ndarray
    ended: np.ndarray

    @property
    def steps(self) -> int:
        """Agent steps, T."""
        return len(self.frames) - 1


@torch.inference_mode()
def roll(
    predictor: Predictor,
    pool: StartPool,
    start: int,
    actions: Iterable[np.ndarray],
    seed: int = 0,
    temperature: float = 1.0,
    device: str | torch.device = "cpu",
) -> Rollout:
    """Dreams from a start; the noise depends on the seed and the start.

    Args:
        predictor: What dreams, or plays the real game.
        pool: The starts.
        start: Position in the pool.
        actions: ALE codes of each of T steps, uint8 (frame_skip,).
        seed: Seed of the noise.
        temperature: Scale of the noise; 0 gives the mode of each distribution.
        device: Where the predictor is.
    """
    begin = dream.tree_map(lambda part: part.to(device), pool.batch(np.array([start])))
    state = dream.init(predictor, begin, noise_keys(np.array([start]), seed).to(device))
    seen = [(begin.frames[0, -1].cpu().numpy(), 0.0, int(begin.lives[0]), False)]
    for codes in actions:
        frame, score, lives, ended = seen[-1]
        if not ended:
            action = torch.from_numpy(codes[None]).to(device)
            state, outcome = dream.step(predictor, state, action, temperature)
            frame = dream.decode(predictor, state).indices()[0].cpu().numpy()
            score += float(outcome.reward[0])
            lives, ended = int(outcome.lives[0]), bool(outcome.terminated[0])
        seen.append((frame, score, lives, ended))
    frames, *numbers = zip(*seen, strict=True)
    return Rollout(np.stack(frames), *map(np.array, numbers))


def noise_keys(starts: np.ndarray, seed: int = 0) -> torch.Tensor:
    """The key of the dream from each start, int64 (B,), for positions in a pool, int64 (B,), and a seed."""
    return noise.fold(noise.key_of(torch.full((len(starts),), seed)), torch.from_numpy(starts))


def continued(pool: StartPool, start: int, steps: int, seed: int = 0) -> np.ndarray:
    """The recorded actions after a start and, past their end, held random ones, uint8 (steps, frame_skip)."""
    recorded = pool.continuation(start)[:steps]
    return np.concatenate([recorded, held(pool, start, steps - len(recorded), seed)])


def held(pool: StartPool, start: int, steps: int, seed: int = 0) -> np.ndarray:
    """Random actions held for random lengths, uint8 (steps, frame_skip), by seed and start."""
    player = RandomPlayer()
    player.begin(get_game(pool.game), pool.frame_skip, np.random.default_rng([seed, start]))
    codes = [player.act(np.empty(0)) for _ in range(steps)]
    return np.repeat(np.array(codes, np.uint8)[:, None], pool.frame_skip, axis=1)
