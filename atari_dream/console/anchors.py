"""Where things were seen last, as something to hold on to when their bytes are read.

A sprite that flickers is seen in some frames and not in others. Its byte is near what the last sighting says, and how
near is the same wherever it stands: told as a distance, it is learnt for all places at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atari_dream.console.mechanics import Dense, bits_of
from atari_dream.console.sprites import Sighted

_REACH = 16
_STEP = 16.0


class Anchors(nn.Module):
    """The last sightings of S places within a context of C frames.

    Args:
        axes: Which bytes tell a place: the place, 0 for its row or 1 for its column, and the place of the byte among
            those that are read.
        places: S.
        context: C.
        width: Units that tell the distances.
    """

    place: Tensor
    side: Tensor
    row: Tensor

    def __init__(self, axes: Sequence[tuple[int, int, int]], places: int, context: int, width: int) -> None:
        super().__init__()
        told = torch.tensor(list(axes), dtype=torch.int64).view(-1, 3)
        for name, part in zip(("place", "side", "row"), told.unbind(1), strict=True):
            self.register_buffer(name, part.clone(), persistent=False)
        self.enter = Dense(max(1, places * (5 * context + 14)), width)
        self.leave = Dense(width, max(1, len(told)) * (2 * _REACH + 1))

    def last(self, sighted: Sighted) -> Tensor:
        """What the last sightings tell, uint8 (B, S, 2); 0 where there was none."""
        context = sighted.there.shape[1]
        order = torch.arange(1, context + 1, device=sighted.there.device)
        newest = (sighted.there * order[:, None]).argmax(1)
        return sighted.value.gather(1, newest[:, None, :, None].expand(-1, -1, -1, 2))[:, 0]

    def seen(self, sighted: Sighted) -> Tensor:
        """What the sightings, (B, C, S, ...), mean to the units, (B, width)."""
        last = self.last(sighted)
        there = sighted.there[..., None]
        path = (sighted.value.float() - last[:, None].float()).clamp(-2 * _STEP, 2 * _STEP) / _STEP * there
        parts = path, sighted.there.float(), bits_of(last.flatten(1)), _since(sighted)
        features = torch.cat([part.flatten(1) for part in parts], dim=1)
        return self.enter(features if features.shape[1] else features.new_zeros(len(features), 1))

    def near(self, logits: Tensor, units: Tensor, sighted: Sighted) -> Tensor:
        """Logits of bytes, (B, n, 256), to which those of distances to the last sightings are added.

        Args:
            logits: (B, n, 256).
            units: (B, width).
            sighted: (B, C, S, ...).
        """
        if not len(self.row):
            return logits
        last = self.last(sighted).long()[:, self.place, self.side]
        ever = sighted.there.any(1).index_select(1, self.place)
        told = self.leave(units).view(len(units), len(self.row), -1).float()
        away = torch.arange(256, device=last.device) - last[..., None] + _REACH
        within = (away >= 0) & (away <= 2 * _REACH) & ever[..., None]
        extra = told.gather(2, away.clamp(0, 2 * _REACH)) * within
        return logits.index_add(1, self.row, extra)


def _since(sighted: Sighted) -> Tensor:
    """At which step sightings, (B, C, S, ...), last moved, one of C - 1 or none, float32 (B, C - 1, S, 2).

    Much waits for its turn; how long it has waited is in no single frame.
    """
    value, there = sighted.value, sighted.there[..., None]
    moved = (value[:, 1:] != value[:, :-1]) & there[:, 1:] & there[:, :-1]
    later = moved.flip(1).cumsum(1).flip(1)
    return (moved & (later == 1)).float()
