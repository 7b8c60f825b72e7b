"""Work is done here or in fresh processes, with the same results and the same errors."""

import os
import signal
import threading
import time
from concurrent.futures import Executor
from pathlib import Path

import cv2
import pytest
from test_games import BREAKOUT

from atari_dream.errors import UsageError
from atari_dream.games import GAMES, Game, get_game
from atari_dream.processes import processes


def whereabouts() -> tuple[int, int, bool, int]:
    """Process, thread, whether Ctrl-C is ignored, threads of OpenCV."""
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return os.getpid(), threading.get_ident(), deaf, cv2.getNumThreads()


def look_up(name: str) -> Game:
    return get_game(name)


def wait(folder: Path, number: int) -> None:
    (folder / str(number)).touch()
    time.sleep(0.2)


def leave_early(executor: Executor, folder: Path) -> None:
    for number in range(20):
        executor.submit(wait, folder, number)
    while not list(folder.iterdir()):
        time.sleep(0.01)


def test_0_works_at_once_in_this_thread() -> None:
    with processes(0, "pacman") as executor:
        done = executor.submit(whereabouts)
        assert done.done()
        assert done.result()[:3] == (os.getpid(), threading.get_ident(), False)
        assert executor.submit(int, "12", base=8).result() == 10


def test_0_passes_errors_on_with_the_result() -> None:
    with processes(0, "pacman") as executor:
        done = executor.submit(look_up, "packman")
        assert isinstance(done.exception(), UsageError)
        with pytest.raises(UsageError, match="packman"):
            done.result()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unknown_game_is_one_clear_line_or_left_to_the_work(workers: int) -> None:
    if workers:
        with pytest.raises(UsageError, match="packman"), processes(workers, "packman"):
            pass
    else:
        with processes(workers, "packman") as executor:
            assert executor.submit(look_up, "pacman").result().name == "pacman"


def test_a_process_knows_a_game_of_ones_own_ignores_ctrl_c_and_passes_errors_on() -> None:
    GAMES["breakout"] = BREAKOUT
    try:
        with processes(1, "breakout") as executor:
            assert executor.submit(look_up, "breakout").result() == BREAKOUT
            process, _, deaf, threads = executor.submit(whereabouts).result()
            assert process != os.getpid() and deaf and threads == 1
            with pytest.raises(UsageError, match="breakfast"):
                executor.submit(look_up, "breakfast").result()
    finally:
        del GAMES["breakout"]


def test_what_waits_when_the_block_ends_is_not_begun(tmp_path: Path) -> None:
    with processes(1, "pacman") as executor:
        leave_early(executor, tmp_path)
    begun = len(list(tmp_path.iterdir()))
    assert 1 <= begun < 10
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == begun


def test_an_error_in_the_block_cancels_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), processes(1, "pacman") as executor:
        leave_early(executor, tmp_path)
        raise KeyboardInterrupt
    assert len(list(tmp_path.iterdir())) < 10
