"""Recordings are real play: whole games, the same for any number of workers, kept when interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_games import BREAKOUT

import atari_dream.recorder
from atari_dream.emulator import BOOT_FRAMES, NOOP_MAX, Emulator
from atari_dream.episode import Episode
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.players import RandomPlayer
from atari_dream.recorder import Recording, game_id, record

SHORT = Recording("space_invaders", RandomPlayer(), longest=120, state_every=32)


def new_store(path: Path, game: str = "space_invaders", frame_skip: int = 4) -> EpisodeStore:
    return EpisodeStore.create(path, game, frame_skip, "ale")


def check_replays(episode: Episode, game: str) -> None:
    """Plays an episode's prelude and actions, and compares everything."""
    emulator, skip = Emulator(game), episode.meta["frame_skip"]
    assert episode.prelude is not None and episode.lives is not None
    emulator.reset(len(episode.prelude) - BOOT_FRAMES)
    np.testing.assert_array_equal(episode.frames[0], emulator.frame)
    for step, action in enumerate(episode.actions):
        assert emulator.step([int(action)] * skip) == episode.rewards[step]
        np.testing.assert_array_equal(episode.frames[step + 1], emulator.frame)
        assert episode.lives[step + 1] == emulator.lives
    assert (episode.ending == "terminated") == emulator.over


@pytest.mark.parametrize("game", GAMES)
def test_an_episode_is_real_play(tmp_path: Path, game: str) -> None:
    episode = Recording(game, RandomPlayer(), longest=400, state_every=40).play(seed=5)
    episode.meta["frame_skip"] = 4
    assert len(episode) == 100 and episode.ending == "truncated"
    check_replays(episode, game)
    assert episode.state_steps is not None and episode.states is not None
    assert episode.state_steps.tolist() == list(range(0, 101, 10))
    emulator = Emulator(game)
    for step, state in zip(episode.state_steps[:-1], episode.states[:-1], strict=True):
        emulator.restore(state)
        emulator.step([int(episode.actions[step])] * 4)
        np.testing.assert_array_equal(emulator.frame, episode.frames[step + 1])


def test_a_whole_game_ends(store: EpisodeStore) -> None:
    episode = store[3]
    check_replays(episode, "pacman")
    assert store.entries[3]["ending"] == episode.ending == "terminated"
    assert episode.lives is not None and episode.lives[0] == 3 and episode.lives[-1] == 0


@pytest.mark.parametrize("frame_skip", [1, 3, 8])
def test_any_frame_skip(tmp_path: Path, frame_skip: int) -> None:
    made = new_store(tmp_path / "made", "qbert", frame_skip)
    made.add(Recording("qbert", RandomPlayer(), frame_skip, longest=240).play(seed=0))
    assert len(made[0]) == 240 // frame_skip
    check_replays(made[0], "qbert")


def test_starts_vary_and_play_depends_on_the_seed_alone() -> None:
    games = [SHORT.play(seed) for seed in range(8)]
    preludes = [len(game.prelude) for game in games if game.prelude is not None]
    assert len(set(preludes)) >= 5
    assert min(preludes) >= BOOT_FRAMES and max(preludes) <= BOOT_FRAMES + NOOP_MAX
    assert len({game.digest() for game in games}) == 8
    assert SHORT.play(3).digest() == games[3].digest()


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    stores = []
    for workers in (1, 2):
        stores.append(new_store(tmp_path / f"{workers}"))
        reported: list[int] = []
        done = record(SHORT, stores[-1], 100, seed=7, workers=workers, progress=reported.append)
        assert done == sum(reported) == 120
    one, two = (EpisodeStore(made.path) for made in stores)
    assert one.entries == two.entries and one.digest() == two.digest()
    assert [entry["id"] for entry in one.entries] == [
        game_id("space_invaders", seed) for seed in range(7, 11)
    ]
    for made in (one, two):
        assert len(list((made.path / "episodes").iterdir())) == 4
        assert made[0].digest() == SHORT.play(7).digest()


@pytest.mark.slow
def test_a_game_of_ones_own_goes_on_after_the_games_there_are(tmp_path: Path) -> None:
    made = new_store(tmp_path / "made", "breakout")
    GAMES["breakout"] = BREAKOUT
    try:
        recording = Recording("breakout", RandomPlayer(), longest=120, split="test")
        made.add(recording.play(1))
        assert record(recording, made, 50) == 60
        check_replays(made[2], "breakout")
    finally:
        del GAMES["breakout"]
    assert [entry["seed"] for entry in made.entries] == [1, 0, 2]
    assert [entry["split"] for entry in made.entries] == ["test"] * 3


def test_what_fails_in_a_worker_ends_in_one_clear_line(tmp_path: Path) -> None:
    made = new_store(tmp_path / "made")
    (made.path / "episodes").touch()
    with pytest.raises(UsageError, match=r"cannot write .*space_invaders-0000000000"):
        record(SHORT, made, 60)
    assert not EpisodeStore(made.path).entries


@pytest.mark.slow
def test_an_interrupt_keeps_the_games_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_store(tmp_path / "made")

    def interrupt(steps: int) -> None:
        if len(made) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(SHORT, made, 10**6, progress=interrupt)
    found = EpisodeStore(made.path)
    assert 2 <= len(found) <= 4
    assert [entry["seed"] for entry in found.entries] == list(range(len(found)))
    for place, episode in enumerate(found):
        assert episode.digest() == SHORT.play(place).digest()
    assert {path.stem for path in (made.path / "episodes").iterdir()} == {e["id"] for e in found.entries}


@pytest.mark.slow
def test_ctrl_c_leaves_a_readable_store(tmp_path: Path) -> None:
    out = tmp_path / "made"
    command = [sys.executable, "-m", "atari_dream", "record", "--game", "qbert", "--steps", "1000000"]
    command += ["--out", str(out), "--longest", "200", "--workers", "2"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(atari_dream.recorder.__file__).parents[1],
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (out / "index.json").exists() or len(EpisodeStore(out)) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    found = EpisodeStore(out)
    assert process.returncode == 130 and told == ""
    assert errors == f"atari-dream: interrupted, {out} keeps its {len(found)} finished episodes\n"
    assert len(found) >= 3
    for episode in found:
        assert len(episode) == 50 and episode.digest() == episode.meta["sha256"]
