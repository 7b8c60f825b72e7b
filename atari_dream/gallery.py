"""Many dreams beside the real game, at the game's own size: a grid of frames, and films of real game and dream."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from atari_dream.errors import UsageError
from atari_dream.files import whole
from atari_dream.games import HEIGHT, WIDTH
from atari_dream.pictures import (
    BLACK,
    GAP,
    STRIP_STEPS,
    TEXT,
    WHITE,
    as_image,
    beside,
    columns,
    frame_ms,
    save_gif,
    text,
)
from atari_dream.rollout import Rollout

REAL = "real game"
_LABEL = 100
"""Width of the names before the rows; the longest of the predictors, of 15 letters, fits."""


def grid(real: Rollout, dreams: dict[str, Rollout], steps: Sequence[int] = STRIP_STEPS) -> np.ndarray:
    """Rows of the real game and of each dream, a column for each of some steps.

    Args:
        real: What the game did.
        dreams: What was dreamt from the same start under the same actions, by name, in the order of the rows.
        steps: Agent steps; 0 is the start, those past the end of the rollouts are left out.

    Returns:
        Positions in `pictures.COLOURS`, uint8 (H, W).

    Raises:
        UsageError: If a dream is not as long as the real game, or there is none of the steps.
    """
    for name, dream in dreams.items():
        if dream.steps != real.steps:
            raise UsageError(f"dream {name!r} has {dream.steps} steps, the real game {real.steps}")
    shown = [step for step in steps if 0 <= step <= real.steps]
    if not shown:
        raise UsageError(f"no step of {', '.join(map(str, steps))} is in a rollout of {real.steps}")
    heads = [text([], _LABEL, len(_head(0))), *map(_head, shown)]
    rows = [_row(name, rollout, shown) for name, rollout in {REAL: real, **dreams}.items()]
    return _below([beside(heads), *rows])


def save_grid(path: Path, real: Rollout, dreams: dict[str, Rollout]) -> None:
    """Writes a grid as a PNG that keeps every pixel, whole or not at all."""
    picture = grid(real, dreams)
    with whole(path) as fresh:
        as_image(picture).save(fresh, "PNG", optimize=True)


def pair(real: Rollout, dream: Rollout, name: str) -> Iterator[np.ndarray]:
    """A picture of the start and of each step: the real game and the dream, below a legend each.

    Yields:
        Positions in `pictures.COLOURS`, uint8 (H, W).
    """
    for t in range(real.steps + 1):
        yield beside(columns(real, dream, name, t)[:2])


def save_pair(path: Path, real: Rollout, dream: Rollout, name: str, frame_skip: int) -> None:
    """Writes a film of both as a GIF that keeps every pixel, whole or not at all.

    Args:
        path: The file.
        real: What the game did.
        dream: What was dreamt from the same start under the same actions.
        name: Name of the dreamer.
        frame_skip: Emulator frames per agent step.
    """
    with whole(path) as fresh:
        save_gif(fresh, pair(real, dream, name), frame_ms(frame_skip))


def _head(step: int) -> np.ndarray:
    return text([[(f"step {step}", TEXT)]], WIDTH)


def _row(name: str, rollout: Rollout, steps: list[int]) -> np.ndarray:
    label = text([[(name, WHITE)]], _LABEL, HEIGHT)
    return beside([label, *(rollout.frames[step] // 2 for step in steps)])


def _below(rows: list[np.ndarray]) -> np.ndarray:
    gap = np.full((GAP, rows[0].shape[1]), BLACK, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])
