"""Worker processes: freshly spawned, deaf to Ctrl-C, and aware of a game that only the parent's script declares."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import cv2

from atari_dream.games import Game, add_game, get_game


class _Inline(Executor):
    """Does everything at once, in this process."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def processes(workers: int, game: str | Game) -> Iterator[Executor]:
    """Gives an executor of that many processes for work on a game; 0 works in this process.

    What is still waiting when the block ends is not begun.
    """
    if workers == 0:
        yield _Inline()
        return
    pool = spawn(workers, game)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def spawn(workers: int, game: str | Game) -> ProcessPoolExecutor:
    """Starts processes for work on a game."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start, initargs=(get_game(game),))


def _start(game: Game) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    add_game(game)
    cv2.setNumThreads(1)
