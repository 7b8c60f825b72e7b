"""A store as replays, and back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_episodes import check_equal, make_episode
from test_replays_ingest import take

from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.players import RandomPlayer
from atari_dream.recorder import Recording, record
from atari_dream.replays.colours import Palette
from atari_dream.replays.export import export

pytestmark = pytest.mark.slow


@pytest.fixture
def recorded(tmp_path: Path) -> EpisodeStore:
    """Three short games of every emulator frame."""
    made = EpisodeStore.create(tmp_path / "recorded", "pinball", 1, "ale")
    record(Recording("pinball", RandomPlayer(), 1, longest=90), made, 270, seed=5)
    return made


def back(root: Path, out: Path) -> EpisodeStore:
    _, taken = take(root, out)
    assert not any(str(one.damage) or one.skipped for one in taken)
    return EpisodeStore(out)


def check_same(found: EpisodeStore, expected: EpisodeStore) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        np.testing.assert_array_equal(ours.actions, theirs.actions)
        np.testing.assert_array_equal(ours.rewards, theirs.rewards)
        assert theirs.lives is not None and ours.lives is not None
        np.testing.assert_array_equal(ours.lives, theirs.lives)
        assert ours.ending == theirs.ending and ours.digest() == theirs.digest()
        for name in ("id", "seed", "player", "split", "score", "sha256"):
            assert ours.meta[name] == theirs.meta[name]
        assert ours.meta["final_score"] == theirs.meta["score"]


@pytest.mark.parametrize("palette", ["ale", "agc"])
def test_what_is_exported_comes_back_the_same(
    recorded: EpisodeStore, tmp_path: Path, palette: Palette
) -> None:
    root = export(recorded, tmp_path / "out", palette, workers=0)
    assert root == tmp_path / "out" / "atari_v1"
    check_same(back(tmp_path / "out", tmp_path / "again"), recorded)


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_a_whole_game_comes_back_with_its_end(game: str, tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", game, 1, "ale")
    record(Recording(game, RandomPlayer(), 1, longest=2400), made, 1, seed=11)
    export(made, tmp_path / "out", "agc", workers=0)
    check_same(back(tmp_path / "out", tmp_path / "again"), made)


def test_every_colour_has_its_pair(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    episode = make_episode(0)
    episode.frames &= 254
    episode.frames[0, 0, :128] = np.arange(0, 256, 2)
    made.add(episode)
    made.close()
    export(made, tmp_path / "out", "agc", workers=0)
    check_equal(back(tmp_path / "out", tmp_path / "again")[0], made[0])


def test_codes_that_are_no_colours_are_refused(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    made.add(make_episode(0))
    with pytest.raises(UsageError, match="has odd palette codes such as 1"):
        export(made, tmp_path / "out", workers=0)


def test_the_rows_are_those_of_the_data_set(recorded: EpisodeStore, tmp_path: Path) -> None:
    root = export(recorded, tmp_path / "out", workers=0)
    lines = (root / "trajectories" / "pinball" / "0.txt").read_text().splitlines()
    episode = recorded[0]
    assert lines[:3] == ["db traj id : 0", "frame,reward,score,terminal,action", "0, 0, 0, False, 0"]
    rows = np.array([[int(part) for part in line.replace("False", "0").split(",")] for line in lines[2:]])
    steps = len(episode)
    assert len(rows) == steps + 3 and rows[:, 0].tolist() == list(range(steps + 3))
    np.testing.assert_array_equal(rows[2 : steps + 2, 4], episode.actions)
    np.testing.assert_array_equal(rows[3:, 1], episode.rewards)
    np.testing.assert_array_equal(rows[:, 2], np.cumsum(rows[:, 1]))
    names = sorted((root / "screens" / "pinball" / "0").iterdir(), key=lambda path: int(path.stem))
    assert [path.name for path in names] == [f"{place}.png" for place in range(steps + 1)]
    picture = cv2.imread(str(names[0]), cv2.IMREAD_UNCHANGED)
    assert picture is not None and picture.shape == (210, 160, 3)


def test_it_goes_on_where_it_stopped(recorded: EpisodeStore, tmp_path: Path) -> None:
    def stop(frames: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(recorded, tmp_path / "out", workers=0, progress=stop)
    done: list[int] = []
    export(recorded, tmp_path / "out", workers=0, progress=done.append)
    assert len(done) < len(recorded)
    check_same(back(tmp_path / "out", tmp_path / "again"), recorded)


def test_a_store_that_leaves_frames_out_is_refused(store: EpisodeStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"keeps every 4th frame, .* record it with --frame-skip 1"):
        export(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_replays_from_elsewhere_are_not_added_to(recorded: EpisodeStore, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", workers=0)
    with pytest.raises(UsageError, match="holds replays from elsewhere: give --out another folder"):
        export(recorded, tmp_path / "out", "agc", workers=0)
    (tmp_path / "human" / "atari_v1" / "trajectories" / "pinball").mkdir(parents=True)
    (tmp_path / "human" / "atari_v1" / "trajectories" / "pinball" / "3.txt").write_text("rows")
    with pytest.raises(UsageError, match="holds replays from elsewhere"):
        export(recorded, tmp_path / "human", workers=0)


def test_what_was_recorded_since_is_added(recorded: EpisodeStore, tmp_path: Path) -> None:
    export(recorded, tmp_path / "out", workers=0)
    record(Recording("pinball", RandomPlayer(), 1, longest=90), recorded, 90, seed=50)
    export(recorded, tmp_path / "out", workers=0)
    check_same(back(tmp_path / "out", tmp_path / "again"), recorded)
