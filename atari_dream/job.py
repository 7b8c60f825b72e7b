"""A drift measurement under way: what is played, from where, and who works on it."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from atari_dream import noise
from atari_dream.protocol import Protocol
from atari_dream.rollout import noise_keys
from atari_dream.starts import StartPool
from atari_dream.truth import Kept, Script, truths


@dataclass(frozen=True)
class Job:
    """What the parts of a measurement share.

    Attributes:
        protocol: What is played.
        pool: The starts it was made for.
        starts: Positions in the pool, int64 (N,).
        executor: Processes that replay the truth and score.
        cache: Folder of the truth.
        progress: Called with the number of starts done.
    """

    protocol: Protocol
    pool: StartPool
    starts: np.ndarray
    executor: Executor
    cache: Path
    progress: Callable[[int], object]

    def truths(self, scripts: Iterable[Script]) -> list[Kept]:
        """Plays what is not in the cache yet."""
        return truths(scripts, self.cache, self.executor, self.progress)

    def keys(self, starts: np.ndarray, sample: int = 0) -> torch.Tensor:
        """Random keys of one of several samples from starts, int64 (B,)."""
        keys = noise_keys(starts, self.protocol.seed)
        return noise.fold(keys, sample) if sample else keys
