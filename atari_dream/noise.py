"""Counter-based randomness: a number is a hash of a key and a counter, in tensor operations alone.

A key is an int64 of 62 random bits, one per lane. Nothing here holds a state, so a lane's numbers do not
depend on its neighbours, and copying a key copies its future.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF


def _scramble(x: Any) -> Any:
    """Mixes 32-bit words held in int64 (Wellons, "lowbias32", 2018), or one word that is an int."""
    x = (x ^ (x >> 16)) * 0x7FEB352D & _WORD
    x = (x ^ (x >> 15)) * 0x846CA68B & _WORD
    return x ^ (x >> 16)


def fold(key: Tensor, data: Tensor | int) -> Tensor:
    """Derives new keys, int64 (B,), from keys (B,) and integers (B,) or one integer, which no device waits for."""
    low: Tensor = key & _WORD
    high: Tensor = key >> 32
    low = _scramble(low ^ _scramble((data & _WORD) ^ 0x9E3779B9))
    high = _scramble((high + low + (data >> 32)) & _WORD)
    low = _scramble(low ^ high)
    return ((high & 0x3FFFFFFF) << 32) | low


def key_of(seed: Tensor | int) -> Tensor:
    """Keys, int64 (B,), of seeds (B,), or one key of one seed."""
    seed = torch.as_tensor(seed, dtype=torch.int64)
    return fold(torch.zeros_like(seed), seed)


def uniform(key: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """Uniform numbers in (0, 1), float32 (B, *shape), from keys (B,)."""
    count = 1
    for size in shape:
        count *= size
    index = torch.arange(count, device=key.device)
    low, high = (key & _WORD)[:, None], (key >> 32)[:, None]
    word = _scramble(_scramble(low ^ _scramble(index)) ^ high)
    return (((word >> 9).float() + 0.5) / (1 << 23)).view(
        key.shape[0], *shape
    )  # 23 bits and a half are exact


def normal(key: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """Standard normal numbers, float32 (B, *shape), from keys (B,)."""
    return torch.erfinv(2 * uniform(key, shape) - 1) * 2**0.5


def gumbel(key: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """Standard Gumbel numbers, float32 (B, *shape), from keys (B,); with logits, argmax samples."""
    return -torch.log(-torch.log(uniform(key, shape)))


def integers(key: Tensor, high: int) -> Tensor:
    """Integers from 0 to `high` - 1, int64 (B,), from keys (B,)."""
    return (fold(key, 0x5EED) >> 8) % high
