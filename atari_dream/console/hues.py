"""Colours that bytes of memory hold: where all that has a colour takes on another, a byte of memory is that colour.

A program copies such bytes to the registers of the video chip in each frame; so a screen that flashes is drawn as ever,
in other colours. Which colour goes by which byte is found by counting.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream.games import HEIGHT, WIDTH

_COLOUR = 254
"""What of a byte is a palette code."""
_LOOKED_AT, _FEWEST, _SURE = 64, 8, 0.98


def find_hues(frames: np.ndarray, memory: np.ndarray, backdrop: np.ndarray) -> list[tuple[int, int]]:
    """Palette codes of the backdrop that go by a byte, and that byte.

    Args:
        frames: Palette codes, uint8 (N, 210, 160).
        memory: At each of them, uint8 (N, 128).
        backdrop: What pixels mostly show, uint8 (210, 160).
    """
    found = []
    held = memory & _COLOUR
    for code in np.unique(backdrop).tolist():
        spots = np.flatnonzero(backdrop == code)
        some = spots[np.linspace(0, len(spots) - 1, min(len(spots), _LOOKED_AT)).astype(int)]
        shown = torch.from_numpy(frames.reshape(len(frames), -1)[:, some]).mode(1)[0].numpy()
        if (shown != code).sum() >= _FEWEST:
            right = (held == shown[:, None]).mean(0)
            if right.max() >= _SURE:
                found.append((code, int(right.argmax())))
    return found


class Hues(nn.Module):
    """Paints frames in the colours that memory holds.

    Args:
        told: Palette codes and bytes, as `find_hues` has them.
    """

    code: Tensor
    byte: Tensor
    follows: Tensor

    def __init__(self, told: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        pairs = torch.tensor(list(told), dtype=torch.int64).view(-1, 2)
        for name, part in zip(("code", "byte"), pairs.unbind(1), strict=True):
            self.register_buffer(name, part.clone(), persistent=False)
        if told:
            self.register_buffer("follows", torch.ones(HEIGHT, WIDTH, dtype=torch.bool))

    def learn(self, backdrop: Tensor, frames: Tensor, memory: Tensor) -> None:
        """Finds which pixels of the backdrop take on other colours.

        Args:
            backdrop: What pixels mostly show, uint8 (210, 160).
            frames: Palette codes, uint8 (N, 210, 160).
            memory: At each of them, uint8 (N, 128).
        """
        for code, hue in zip(self.code, self._hues(memory).unbind(1), strict=True):
            other = hue != code
            followed = (frames[other] == hue[other, None, None]).float().mean(0) > 0.5
            self.follows &= followed | (backdrop != code)

    def paint(self, frame: Tensor, memory: Tensor) -> Tensor:
        """Frames, uint8 (B, 210, 160), in the colours that memory, uint8 (B, 128), holds."""
        return self._exchanged(frame, self.code.expand(len(frame), -1), self._hues(memory))

    def plain(self, frame: Tensor, memory: Tensor) -> Tensor:
        """Frames, uint8 (B, 210, 160), as they were before they were painted."""
        return self._exchanged(frame, self._hues(memory), self.code.expand(len(frame), -1))

    def _hues(self, memory: Tensor) -> Tensor:
        """The colours that go by bytes, int64 (B, n), of memory, uint8 (B, 128)."""
        return torch.bitwise_and(memory.index_select(1, self.byte).long(), _COLOUR)

    def _exchanged(self, frame: Tensor, old: Tensor, new: Tensor) -> Tensor:
        if not len(self.code):
            return frame
        every = torch.arange(256, device=frame.device).expand(len(frame), -1)
        become = every.scatter(1, old, new).to(torch.uint8)
        painted = become.gather(1, frame.flatten(1).long()).view(frame.shape)
        return torch.where(self.follows, painted, frame)
