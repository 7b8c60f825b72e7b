"""Burned-in starts: the states of a predictor that has watched the real frames before a dream begins."""

import torch
from torch import Tensor

from atari_dream.dream import tree_map
from atari_dream.envs.observing import shrink_frames
from atari_dream.observation import STACK
from atari_dream.predictor import Predictor, Start, State
from atari_dream.starts import StartPool

BURN_IN_CHUNK = 8
"""Starts burned in together, always padded to this number: bits must not depend on what else was drawn."""


class BurnIn:
    """Burned-in starts of a pool: each is computed when first drawn and kept; a restart is a gather.

    Args:
        predictor: Who burns in.
        pool: The starts.
        device: Where the states are kept.
        grey: Whether the last four context frames are kept as an agent sees them.
    """

    def __init__(self, predictor: Predictor, pool: StartPool, device: torch.device, grey: bool) -> None:
        self._predictor, self._pool, self._device, self._grey = predictor, pool, device, grey
        self._row = torch.full((len(pool),), -1, dtype=torch.int64)
        self._place: Tensor | None = None
        self._table: tuple[State, Tensor, Tensor, Tensor] | None = None

    def complete(self) -> None:
        """Burns in the whole pool, unless that is done: `gather` no longer waits for the device then."""
        if self._place is None:
            self._add(torch.arange(len(self._pool)))
            self._place = self._row.to(self._device)

    def gather(self, start: Tensor) -> tuple[State, Tensor, Tensor, Tensor]:
        """States, lives int64 (B,), last raw actions uint8 (B,) and grey stacks of starts, int64 (B,)."""
        if self._place is None:
            wanted = start.cpu()
            self._add(wanted.unique())
            rows = self._row[wanted].to(self._device)
        else:
            rows = self._place[start]
        assert self._table is not None
        return tree_map(lambda part: part[rows], self._table)

    def _add(self, starts: Tensor) -> None:
        """Burns in those of some starts, int64 (N,), that are not yet."""
        missing = starts[self._row[starts] < 0]
        for chunk in missing.split(BURN_IN_CHUNK) if len(missing) else ():
            fresh, known = self._burn(chunk), int((self._row >= 0).sum())
            table = self._table
            self._table = fresh if table is None else tree_map(lambda a, b: torch.cat([a, b]), table, fresh)
            self._row[chunk] = torch.arange(known, known + len(chunk))

    def _burn(self, chunk: Tensor) -> tuple[State, Tensor, Tensor, Tensor]:
        start, count = self._pool.batch(chunk.numpy()), len(chunk)
        stack = stack_of(start.frames) if self._grey else torch.zeros(count, 0, dtype=torch.uint8)
        facts = (start.lives, start.actions[:, -1, -1], stack)
        lives, held, grey = (part.to(self._device) for part in facts)
        return burn_in(self._predictor, start, self._device), lives, held, grey


def burn_in(predictor: Predictor, start: Start, device: torch.device) -> State:
    """A predictor's state at starts, on a device, computed in chunks of one size."""
    states = []
    for rows in torch.arange(len(start.lives)).split(BURN_IN_CHUNK):
        padded = rows[torch.arange(BURN_IN_CHUNK).clamp(max=len(rows) - 1)]
        state = predictor.init(tree_map(lambda part, padded=padded: part[padded].to(device), start))
        count = len(rows)
        states.append(tree_map(lambda part, count=count: part[:count], state))
    joined: State = tree_map(lambda *parts: torch.cat(parts), *states)
    return joined


def stack_of(frames: Tensor) -> Tensor:
    """The last frames of contexts, uint8 (B, C, 210, 160), as an agent sees them, uint8 (B, 4, 84, 84)."""
    return shrink_frames(frames[:, -STACK:].flatten(0, 1)).unflatten(0, (len(frames), STACK))
