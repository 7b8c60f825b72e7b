"""Windows of episodes to learn from: a context and what followed, cut out of a store at random."""

import numpy as np
import torch
from torch.utils.data import Dataset

from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.predictor import Batch, Domain

UNKNOWN_LIVES = -1


class Windows(Dataset[Batch]):
    """Random windows of one split; item k is a whole batch that depends on (seed, k) alone.

    A window is laid around a random step of a random episode, in any phase of the stride; longer episodes
    come more often. Where it reaches out of the episode, frames repeat and the steps are not valid.

    Args:
        store: The episodes.
        split: Split to draw from.
        context: Steps of context, C.
        horizon: Steps to predict, H; a window has C + H.
        size: Windows in the joint batch.
        frame_skip: Emulator frames per step of the windows, a multiple of the store's.
        seed: Seed of the draw.
        rank: This process among `world`, which share the joint batch row by row.
        world: Number of processes.

    Raises:
        UsageError: If the split is empty, or the frame skip does not fit the store's.
    """

    def __init__(
        self,
        store: EpisodeStore,
        split: str,
        context: int,
        horizon: int,
        size: int,
        frame_skip: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if frame_skip % store.frame_skip:
            raise UsageError(
                f"frame skip {frame_skip} asked of store {store.path}, "
                f"allowed are multiples of {store.frame_skip}"
            )
        self._episodes = np.array(store.of_split(split))
        self._lengths = np.array([store.entries[index]["length"] for index in self._episodes])
        if not self._lengths.sum():
            raise UsageError(f"store {store.path} has no episodes in split {split!r}: record at least three")
        self._store, self._seed, self._size = store, seed, size
        self._context, self._length = context, context + horizon
        self._stride, self._repeat = frame_skip // store.frame_skip, store.frame_skip
        self._rank, self._world = rank, world

    def __len__(self) -> int:
        """As many as are asked for."""
        return 2**31

    def __getitem__(self, k: int) -> Batch:
        """This process's rows of joint batch k."""
        rng = np.random.default_rng([self._seed, k])
        share = self._lengths / self._lengths.sum()
        chosen = rng.choice(len(self._episodes), self._size, p=share)
        steps = rng.integers(self._lengths[chosen])
        lanes = np.arange(self._rank, self._size, self._world)
        windows = [self.window(int(self._episodes[chosen[lane]]), int(steps[lane])) for lane in lanes]
        columns = [torch.from_numpy(np.stack(column)) for column in zip(*windows, strict=True)]
        return Batch._make([*columns, torch.from_numpy(lanes)])

    def window(self, episode: int, step: int) -> tuple[np.ndarray, ...]:
        """The window whose context ends at a step of an episode: a `Batch` without lane and first axis."""
        end = self._store.entries[episode]["length"]
        arrive = step + (np.arange(self._length) - self._context + 1) * self._stride
        low, high = max(0, arrive[0] - self._stride), min(end, arrive[-1])
        place = np.clip(arrive, 0, end)
        frames = self._store.read(episode, "frames", max(0, int(place[0])), int(place[-1]) + 1)[
            place - place[0]
        ]
        played = self._store.read(episode, "actions", low, high)
        gained = self._store.read(episode, "rewards", low, high)
        lives = self._store.read(episode, "lives")
        flow = arrive[:, None] - self._stride + np.arange(self._stride) - low
        inside = (flow >= 0) & (flow < len(played))
        flow = flow.clip(0, max(0, len(played) - 1))
        over = self._store.entries[episode]["ending"] == "terminated"
        return (
            frames,
            np.where(inside, played[flow], 0).repeat(self._repeat, axis=1).astype(np.uint8),
            np.where(inside, gained[flow], 0).sum(1).astype(np.float32),
            np.full(self._length, UNKNOWN_LIVES) if lives is None else lives[place].astype(np.int64),
            over & (arrive >= end) & (arrive - self._stride < end),
            inside[:, 0] & (inside[:, -1] | over),
        )


def domain_of(store: EpisodeStore, frame_skip: int) -> Domain:
    """What the training split of a store can hold."""
    entries = [store.entries[index] for index in store.of_split("train")]
    colours = sorted({code for entry in entries for code in entry["colours"]})
    rewards = sorted({0.0, *(reward for entry in entries for reward in entry["rewards"])})
    return Domain(store.game, frame_skip, tuple(colours), tuple(rewards))
