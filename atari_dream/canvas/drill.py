"""Goes over examples again and again.

A rollout shows each frame once, and dearly. What single steps of real frames can teach a small network is read off some
thousand of them once, and gone over dozens of times in a minute.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_RATE, _LAST, _DECAY = 3e-3, 0.05, 0.02


def drill(
    module: nn.Module,
    loss: Callable[..., Tensor],
    examples: Iterable[tuple[Tensor, ...]],
    size: int,
    updates: int,
) -> None:
    """Teaches a module.

    Args:
        module: What learns.
        loss: Of columns of examples.
        examples: Columns, n rows each.
        size: Rows of an update, drawn at random from all.
        updates: How many.
    """
    columns = [torch.cat(column) for column in zip(*examples, strict=True)]
    optimizer = torch.optim.AdamW(module.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, _LAST, updates)
    for _ in range(updates):
        chosen = torch.randint(len(columns[0]), (size,), device=columns[0].device)
        optimizer.zero_grad()
        loss(*(column[chosen] for column in columns)).backward()
        optimizer.step()
        schedule.step()
