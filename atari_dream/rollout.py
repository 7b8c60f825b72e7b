"""Dreams or real games, played from starts under given actions and kept whole."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from atari_dream import dream, noise
from atari_dream.games import ACTION_NAMES, get_game
from atari_dream.players import RandomPlayer
from atari_dream.predictor import Frames, Predictor
from atari_dream.starts import StartPool


@dataclass(frozen=True)
class Rollout:
    """What was seen from a start on; after the end everything stays as it was.

    Attributes:
        frames: Palette codes, uint8 (T + 1, 210, 160); the first is the start's real frame.
        scores: Points since the start, float64 (T + 1,).
        lives: int64 (T + 1,).
        ended: Whether the game was over, bool (T + 1,).
        raw: Colours before they were the game's, uint8 (T + 1, 210, 160, 3), of a predictor of RGB.
    """

    frames: np.ndarray
    scores: np.ndarray
    lives: np.ndarray
    ended: np.ndarray
    raw: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Agent steps, T."""
        return len(self.frames) - 1


def roll(
    predictor: Predictor,
    pool: StartPool,
    start: int,
    actions: Iterable[np.ndarray],
    seed: int = 0,
    temperature: float = 1.0,
) -> Rollout:
    """Dreams from a start; the noise depends on the seed and the start.

    Args:
        predictor: What dreams, or plays the real game.
        pool: The starts.
        start: Position in the pool.
        actions: ALE codes of each of T steps, uint8 (frame_skip,).
        seed: Seed of the noise.
        temperature: Scale of the noise; 0 gives the mode of each distribution.
    """
    starts = np.array([start])
    lanes = (codes[None] for codes in actions)
    (rollout,) = roll_lanes(predictor, pool, starts, lanes, noise_keys(starts, seed), temperature)
    return rollout


def roll_lanes(
    predictor: Predictor,
    pool: StartPool,
    starts: np.ndarray,
    actions: Iterable[np.ndarray],
    keys: torch.Tensor,
    temperature: float = 1.0,
) -> list[Rollout]:
    """Dreams from several starts at once: a rollout for each; arguments as of `dream_steps`."""
    seen = list(dream_steps(predictor, pool, starts, actions, keys, temperature))
    parts = [np.stack(rows, axis=1) for rows in zip(*seen, strict=True) if rows[0] is not None]
    return [Rollout(*lane) for lane in zip(*parts, strict=True)]


class Step(NamedTuple):
    """What lanes show after a step, (B, ...) each, as in `Rollout`."""

    frames: np.ndarray
    scores: np.ndarray
    lives: np.ndarray
    ended: np.ndarray
    raw: np.ndarray | None


@torch.no_grad()
def dream_steps(
    predictor: Predictor,
    pool: StartPool,
    starts: np.ndarray,
    actions: Iterable[np.ndarray],
    keys: torch.Tensor,
    temperature: float = 1.0,
) -> Iterator[Step]:
    """Dreams from several starts at once, step by step; a lane whose game is over stays as it was.

    Args:
        predictor: What dreams.
        pool: The starts.
        starts: Positions in the pool, int (B,).
        actions: ALE codes of each of T steps, uint8 (B, frame_skip).
        keys: Random key of each lane, int64 (B,).
        temperature: Scale of the noise.

    Yields:
        The starts themselves and T steps.
    """
    device = next((tensor.device for tensor in predictor.state_dict().values()), torch.device("cpu"))
    begin = dream.tree_map(lambda part: part.to(device), pool.batch(starts))
    state = dream.init(predictor, begin, keys.to(device))
    over, raw = np.zeros(len(starts), bool), _raw(dream.decode(predictor, state))
    now = Step(begin.frames[:, -1].cpu().numpy(), np.zeros(len(starts)), begin.lives.cpu().numpy(), over, raw)
    yield now
    for codes in actions:
        if not now.ended.all():
            state, outcome = dream.step(predictor, state, torch.from_numpy(codes).to(device), temperature)
            shown = dream.decode(predictor, state)
            parts = (part.cpu().numpy() for part in (shown.indices(), *outcome))
            now = _after(now, _raw(shown), *parts)
        yield now


@contextmanager
def one_thread() -> Iterator[None]:
    """Dreams on one thread, and leaves the other cores to the processes that score: contended threads would wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _raw(shown: Frames) -> np.ndarray | None:
    return None if shown.raw is None else shown.raw.cpu().numpy()


def _after(
    now: Step,
    raw: np.ndarray | None,
    frames: np.ndarray,
    rewards: np.ndarray,
    ended: np.ndarray,
    lives: np.ndarray,
) -> Step:
    over = now.ended
    return Step(
        np.where(over[:, None, None], now.frames, frames),
        now.scores + np.where(over, 0.0, rewards),
        np.where(over, now.lives, lives),
        over | ended,
        None if raw is None or now.raw is None else np.where(over[:, None, None, None], now.raw, raw),
    )


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


def constant(pool: StartPool, action: str, steps: int) -> np.ndarray:
    """One action throughout, by its name in ALE, uint8 (steps, frame_skip)."""
    return np.full((steps, pool.frame_skip), ACTION_NAMES.index(action), np.uint8)


def planned(pool: StartPool, start: int, steps: int, seed: int = 0, plan: str = "continuation") -> np.ndarray:
    """The actions of a plan: `"continuation"`, `"random"`, or the name of one that is held."""
    if plan in PLANS:
        return PLANS[plan](pool, start, steps, seed)
    return constant(pool, plan, steps)


PLANS = {"continuation": continued, "random": held}
