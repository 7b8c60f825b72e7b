"""What really happens after a start: its recipe replayed from power-on in another process, then the actions.

The `emulator` control restores the stored state instead, so the ruler and what it measures share no path.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from atari_dream.emulator import BOOT_FRAMES, Emulator
from atari_dream.errors import UsageError
from atari_dream.starts import StartPool, frame_digest


class Truth(NamedTuple):
    """Real play from a start; after the end everything stays as it was.

    Attributes:
        first: Frame of the start, uint8 (210, 160).
        frames: uint8 (T, 210, 160).
        rewards: Game points, float64 (T,).
        ended: Whether the game was over, bool (T,).
    """

    first: np.ndarray
    frames: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray


class _Task(NamedTuple):
    game: str
    identity: str
    recipe: np.ndarray
    frame: str
    actions: np.ndarray


def replay(task: _Task) -> Truth:
    """Plays a recipe on a fresh console and then actions, uint8 (T, frame_skip).

    Raises:
        UsageError: If the recipe no longer leads to the start's frame.
    """
    emulator = Emulator(task.game)
    emulator.reset()
    emulator.step(task.recipe[BOOT_FRAMES:])
    first = emulator.frame
    if frame_digest(first) != task.frame:
        raise UsageError(
            f"start {task.identity!r} does not replay from power-on: its pool fits another ale-py"
        )
    rows = [(emulator.step(codes), emulator.frame, emulator.over) for codes in task.actions]
    rewards, frames, ended = zip(*rows, strict=True)
    return Truth(first, np.stack(frames), np.array(rewards), np.array(ended))


def truths(pool: StartPool, starts: np.ndarray, actions: list[np.ndarray], workers: int) -> Iterator[Truth]:
    """The truth after each start, in order, from freshly spawned processes; few are held in memory at a time.

    Args:
        pool: The starts.
        starts: Positions in the pool, (N,).
        actions: ALE codes after each start, uint8 (T, frame_skip).
        workers: Processes.
    """
    tasks = [
        _Task(pool.game, pool.entries[start]["id"], pool.recipe(start), pool.entries[start]["frame"], codes)
        for start, codes in zip(starts.tolist(), actions, strict=True)
    ]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        ahead = 4 * workers
        waiting = [processes.submit(replay, task) for task in tasks[:ahead]]
        for place in range(len(tasks)):
            truth = waiting.pop(0).result()
            if place + ahead < len(tasks):
                waiting.append(processes.submit(replay, tasks[place + ahead]))
            yield truth
