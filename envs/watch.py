"""Whether anything went wrong, without waiting for the device at each step."""

import torch
from torch import Tensor

PATIENCE = 64
"""Most steps after which what went wrong on a GPU is told."""

_NEVER = 2**62


class Watch:
    """Keeps, on the device, the first step and lane at which something was wrong, and reads it now and then.

    Args:
        device: Where the lanes are.
        at_once: Whether to wait for the device at each step.
    """

    def __init__(self, device: torch.device, at_once: bool) -> None:
        self._at_once = at_once
        self._first = torch.full((), _NEVER, dtype=torch.int64, device=device)
        self._told = self._first.cpu().pin_memory() if device.type == "cuda" else self._first.cpu()
        self._copied: torch.cuda.Event | None = None
        self._steps = 0

    def look(self, bad: Tensor) -> tuple[int, int] | None:
        """Takes in whether each lane went wrong in this step, bool (B,).

        Returns:
            The first step since the watch began, from 1, and lane that went wrong, if that is known by now; it is
            told once.
        """
        self._steps += 1
        here = self._steps * len(bad) + bad.long().argmax()
        self._first = torch.where(bad.any() & (self._first == _NEVER), here, self._first)
        first = self._read()
        if first == _NEVER:
            return None
        self._first = torch.full_like(self._first, _NEVER)
        return first // len(bad), first % len(bad)

    def _read(self) -> int:
        """What is known by now."""
        if self._at_once:
            return int(self._first)
        if self._copied is not None and self._copied.query():
            self._copied = None
            return int(self._told)
        if self._copied is None and self._steps % (PATIENCE // 2) == 0:
            self._told.copy_(self._first, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()
        return _NEVER
