"""What callers hand in - seeds, actions, masks, starts - checked and turned into tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from atari_dream.errors import UsageError, brief
from atari_dream.starts import StartPool

SEED_MAX = 2**63 - 1
"""Seeds are kept as int64."""

_WHOLE = (
    torch.uint8,
    torch.int8,
    torch.uint16,
    torch.int16,
    torch.uint32,
    torch.int32,
    torch.uint64,
    torch.int64,
)


def read_actions(actions: Any, shape: tuple[int, ...], count: int) -> Tensor:
    """Checks actions, positions in an action space.

    Args:
        actions: A number, an array, a tensor or a list.
        shape: `(B,)`, or `()` for one action.
        count: Size of the action space.

    Returns:
        The actions, int64 (*shape), on the device where they were.

    Raises:
        UsageError: If they are not that many whole numbers, or outside the action space.
    """
    action = _tensor(actions)
    if _fits(action, shape):
        action = action.long()
        if not bool(outside(action, count).any()):
            return action
    raise UsageError(_wanted(shape, count, actions))


def take_actions(actions: Tensor, lanes: int, count: int) -> tuple[Tensor, Tensor]:
    """What `read_actions` does without waiting for the device.

    Args:
        actions: On the device.
        lanes: Number of lanes, B.
        count: Size of the action space.

    Returns:
        The actions, int64 (B,), those outside the action space moved into it, and which those were, bool (B,).

    Raises:
        UsageError: If they are not that many whole numbers.
    """
    if not _fits(actions, (lanes,)):
        raise UsageError(_wanted((lanes,), count, actions))
    action = actions.long()
    return action.clamp(0, count - 1), outside(action, count)


def outside(action: Tensor, count: int) -> Tensor:
    """Which actions are outside the action space, bool."""
    return (action < 0) | (action >= count)


def _fits(action: Tensor, shape: tuple[int, ...]) -> bool:
    return action.shape == shape and action.dtype in _WHOLE


def _wanted(shape: tuple[int, ...], count: int, actions: Any) -> str:
    wanted = f"{shape[0]} whole numbers, each" if shape else "one whole number"
    return f"step() takes {wanted} from 0 to {count - 1}, got {brief(actions)}"


def read_seeds(seed: Any, lanes: int) -> list[int | None]:
    """The seed of each lane: of one seed, lane i gets seed + i.

    Raises:
        UsageError: If they are not whole numbers from 0 to `SEED_MAX`, or not one a lane.
    """
    if seed is None:
        return [None] * lanes
    seeds = [seed + lane for lane in range(lanes)] if _is_whole(seed) else seed
    if isinstance(seeds, list | tuple | np.ndarray) and len(seeds) == lanes:
        known = [one for one in seeds if one is not None]
        if all(_is_whole(one) and 0 <= one <= SEED_MAX for one in known):
            return [None if one is None else int(one) for one in seeds]
    raise UsageError(
        f"seed must be a whole number from 0 to 2**63 - {lanes}, or a list of {lanes} of them, "
        f"got {brief(seed)}"
    )


def read_mask(mask: Any, lanes: int) -> Tensor:
    """The lanes to reset, bool (B,), on the device where they were; all of them for `None`.

    Raises:
        UsageError: If it is not that many bools, or none of them holds.
    """
    given = torch.ones(lanes, dtype=torch.bool) if mask is None else _tensor(mask)
    if given.shape != (lanes,) or given.dtype != torch.bool or not given.any():
        raise UsageError(
            f"option reset_mask takes {lanes} bools, at least one of them true, got {brief(mask)}"
        )
    return given


def read_starts(start: Any, lanes: int, pool: StartPool) -> Tensor | None:
    """Positions of starts in the pool, int64 (B,); none for `None`.

    Args:
        start: A position or an id for all lanes, or one for each.
        lanes: Number of lanes.
        pool: The starts.

    Raises:
        UsageError: If the pool has no such start.
    """
    if start is None:
        return None
    places = list(start) if isinstance(start, list | tuple | np.ndarray) else [start] * lanes
    found = [pool.find(place) if isinstance(place, str) else place for place in places]
    if len(found) != lanes or not all(_is_whole(place) and 0 <= place < len(pool) for place in found):
        raise UsageError(
            f"option start takes a position from 0 to {len(pool) - 1}, an id or a query, or a list of {lanes} "
            f"positions or ids, got {brief(start)}"
        )
    return torch.tensor([int(place) for place in found], dtype=torch.int64)


def _tensor(values: Any) -> Tensor:
    """What was handed in as a tensor of its own; an empty one where there is none like it."""
    if isinstance(values, Tensor):
        return values
    try:
        return torch.from_numpy(np.array(values, order="C"))
    except (TypeError, ValueError):
        return torch.empty(0)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
