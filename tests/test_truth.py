"""The truth is the recording, replayed from power-on where nothing of the control's is shared."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from atari_dream import truth
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.rollout import continued
from atari_dream.starts import StartPool
from atari_dream.truth import Truth, truths

STEPS = 30
STARTS = np.array([15, 0, 7, 2, 9, 4])
"""The first ends after 18 steps."""


def forbidden(*_: object) -> NoReturn:
    raise AssertionError("the truth must not be played in this process")


@pytest.fixture(scope="module")
def replayed(pool: StartPool) -> list[Truth]:
    actions = [continued(pool, start, STEPS) for start in STARTS.tolist()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(truth, "Emulator", forbidden)
        patch.setattr(StartPool, "batch", forbidden)
        return list(truths(pool, STARTS, actions, workers=1))


def test_the_truth_is_the_recordings_continuation(
    replayed: list[Truth], pool: StartPool, store: EpisodeStore
) -> None:
    episode = store[3]
    assert episode.ending == "terminated" and len(replayed) == len(STARTS)
    for start, real in zip(STARTS, replayed, strict=True):
        step = pool.entries[start]["step"]
        seen = min(STEPS, len(episode) - step)
        np.testing.assert_array_equal(real.first, episode.frames[step])
        np.testing.assert_array_equal(real.frames[:seen], episode.frames[step + 1 :][:STEPS])
        np.testing.assert_array_equal(real.rewards[:seen], episode.rewards[step:][:STEPS])
        assert real.ended.tolist() == [step + t >= len(episode) for t in range(1, STEPS + 1)]
    assert sum(real.rewards.sum() for real in replayed) > 0


def test_after_the_end_it_stands(replayed: list[Truth]) -> None:
    over = replayed[0]
    assert over.ended.tolist() == [False] * 17 + [True] * 13
    assert (over.frames[17:] == over.frames[17]).all() and (over.frames[16] != over.frames[17]).any()
    assert not over.rewards[18:].any()


def damaged(pool: StartPool, folder: Path, **change: object) -> StartPool:
    """A copy of a pool with another fact about start 2."""
    shutil.copytree(pool.name, folder)
    header = json.loads((folder / "pool.json").read_text())
    header["starts"][2] |= change
    (folder / "pool.json").write_text(json.dumps(header))
    return StartPool.load(folder)


@pytest.mark.parametrize("wrong", ["frame", "recipe"])
def test_a_start_that_does_not_replay_is_named(
    wrong: str, pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "ProcessPoolExecutor", lambda workers, mp_context: ThreadPoolExecutor(1))
    entry = pool.entries[2]
    change = {"frame": "0" * 64} if wrong == "frame" else {"played": entry["played"] - 4}
    bad = damaged(pool, tmp_path / "bad", **change)
    actions = [np.zeros((1, 4), np.uint8)] * 2
    told = truths(bad, np.array([0, 2]), actions, workers=1)
    np.testing.assert_array_equal(next(told).first, pool.batch(np.array([0])).frames[0, -1])
    with pytest.raises(UsageError, match=f"^start '{entry['id']}' does not replay from power-on") as caught:
        next(told)
    assert "\n" not in str(caught.value)
