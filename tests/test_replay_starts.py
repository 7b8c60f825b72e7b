"""Starts out of a store's episodes."""

from pathlib import Path

import numpy as np
import pytest
from test_episodes import make_episode

from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.replay_starts import replay_starts
from atari_dream.starts import CONTEXT, StartPool
from atari_dream.truth import Script

EVERY = 10_000


@pytest.mark.slow
def test_they_are_what_the_emulator_does(store: EpisodeStore, pool: StartPool) -> None:
    starts, codes, truths = replay_starts(store, "test", EVERY, 6, 4)
    places = {entry["id"]: place for place, entry in enumerate(starts.entries)}
    found = 0
    for index, entry in enumerate(pool.entries):
        if entry["id"] not in places:
            continue
        place = places[entry["id"]]
        begin = pool.batch(np.array([index]))
        mine = starts.batch(np.array([place]))
        np.testing.assert_array_equal(mine.frames, begin.frames)
        np.testing.assert_array_equal(mine.actions, begin.actions)
        assert mine.lives.tolist() == begin.lives.tolist() and mine.ale.shape == mine.memory.shape == (1, 0)
        real = Script.of(pool, index, codes[place][None]).play()
        np.testing.assert_array_equal(truths[place].first, real.first)
        for name in ("frames", "rewards", "lives", "ended"):
            np.testing.assert_array_equal(getattr(truths[place], name), getattr(real, name), err_msg=name)
        found += 1
    assert found >= 10


@pytest.mark.slow
def test_they_have_a_whole_context_and_horizon(store: EpisodeStore) -> None:
    starts, codes, truths = replay_starts(store, "train", EVERY, 6, 4)
    steps = [int(entry["id"].partition("@")[2]) for entry in starts.entries]
    assert min(steps) == CONTEXT and max(steps) == 150 - 6
    assert codes.shape == (len(truths), 6, 4) and truths[0].frames.shape == (1, 6, 210, 160)
    assert {entry["episode"] for entry in starts.entries} == {store.entries[index]["id"] for index in (0, 1)}


@pytest.mark.slow
def test_a_game_that_ends_is_followed_to_its_end(store: EpisodeStore) -> None:
    truths = replay_starts(store, "test", EVERY, 6, 4)[2]
    last = truths[-1]
    assert last.ended.tolist() == [[True] * 6] and last.steps(6) == 1
    assert sum(truth.ended[0, -1] for truth in truths) == 6
    assert (last.frames == last.frames[:, :1]).all() and not last.rewards[0, 1:].any()


@pytest.mark.slow
def test_replays_of_every_frame_are_cut_in_any_phase(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "replays")
    episode = make_episode(0, lives=False, steps=100)
    episode.meta["split"] = "test"
    made.add(episode)
    starts, codes, truths = replay_starts(made, "test", EVERY, 5, 4)
    assert [entry["id"] for entry in starts.entries] == [f"made-0@{step}" for step in range(64, 81)]
    begin = starts.batch(np.array([3]))
    np.testing.assert_array_equal(begin.frames[0], episode.frames[7:68:4])
    np.testing.assert_array_equal(begin.actions[0].ravel(), episode.actions[3:67])
    np.testing.assert_array_equal(codes[3].ravel(), episode.actions[67:87])
    np.testing.assert_array_equal(truths[3].frames[0], episode.frames[71:88:4])
    np.testing.assert_array_equal(truths[3].rewards[0], episode.rewards[67:87].reshape(5, 4).sum(1))
    assert begin.lives.tolist() == [-1]


def test_the_draw_depends_on_the_seed(store: EpisodeStore) -> None:
    draws = [replay_starts(store, "test", 5, 6, 4, seed)[0] for seed in (0, 0, 1)]
    ids = [[entry["id"] for entry in starts.entries] for starts in draws]
    assert ids[0] == ids[1] != ids[2] and len(ids[0]) == 5


def test_too_short_a_replay_is_one_clear_line(store: EpisodeStore) -> None:
    with pytest.raises(UsageError, match="has no step with 16 agent steps before it and 200 after it"):
        replay_starts(store, "train", 5, 200, 4)
