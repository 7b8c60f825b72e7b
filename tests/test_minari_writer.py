"""An export is a Minari data set in the spaces of the real twin, and nothing in it is lossy."""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from atari_dream import minari_writer
from atari_dream.episode import Episode
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import get_game
from atari_dream.minari_writer import to_minari
from atari_dream.palette import to_rgb

pytestmark = pytest.mark.slow

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")


def make_store(folder: Path, **changes: Any) -> EpisodeStore:
    """A store of one short episode of noise in ALE's colours."""
    rng = np.random.default_rng(0)
    episode = Episode(
        frames=rng.integers(0, 128, (4, 210, 160)).astype(np.uint8) * 2,
        actions=np.array([0, 1, 5], np.uint8),
        rewards=np.array([0, 10, 0], np.float32),
        lives=None,
        ending="cut",
        meta={"id": "made", "split": None},
    )
    for name, value in changes.items():
        setattr(episode, name, value)
    made = EpisodeStore.create(folder, "qbert", 1, "made")
    made.add(episode)
    made.close()
    return made


@pytest.fixture(scope="module")
def exported(store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture store, in pieces of 100 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minari_writer, "_PIECE", 100)
        return to_minari(store, "atari/pacman-v0", tmp_path_factory.mktemp("minari"), author="A. Person")


def test_every_step_is_there(store: EpisodeStore, exported: Path) -> None:
    dataset = minari.MinariDataset(exported / "data")
    assert len(dataset) == len(store) == 4
    assert dataset.total_steps == sum(len(episode) for episode in store) > 500
    actions = np.array(get_game("pacman").actions)
    for mine, theirs in zip(store, dataset, strict=True):
        assert np.array_equal(theirs.observations, to_rgb(mine.frames))
        np.testing.assert_array_equal(actions[theirs.actions], mine.actions)
        np.testing.assert_array_equal(theirs.rewards, mine.rewards)
        np.testing.assert_array_equal(theirs.infos["lives"], mine.lives)
        assert not theirs.terminations[:-1].any() and not theirs.truncations[:-1].any()
        ends = {"terminated": (True, False), "truncated": (False, True)}
        assert (theirs.terminations[-1], theirs.truncations[-1]) == ends[mine.ending]


def test_spaces_are_the_twins(exported: Path) -> None:
    dataset = minari.MinariDataset(exported / "data")
    twin = dataset.recover_environment()
    assert dataset.observation_space == twin.observation_space
    assert dataset.action_space == twin.action_space
    assert twin.spec.id == "ALE/MsPacman-v5"
    assert twin.spec.kwargs["frameskip"] == 4 and twin.spec.kwargs["repeat_action_probability"] == 0
    assert gymnasium.spec("ALE/MsPacman-v5").kwargs["repeat_action_probability"] == 0.25, (
        "the registry is as before"
    )
    twin.close()


def test_the_twin_plays_what_was_recorded(store: EpisodeStore, exported: Path) -> None:
    dataset = minari.MinariDataset(exported / "data")
    twin, episode, prelude = dataset.recover_environment(), dataset[0], store[0].prelude
    twin.reset()
    for code in [] if prelude is None else prelude.tolist():
        twin.unwrapped.ale.act(code)
    for step, action in enumerate(episode.actions):
        observation, reward, *_, info = twin.step(action)
        np.testing.assert_array_equal(observation, episode.observations[step + 1])
        assert reward == episode.rewards[step] and info["lives"] == episode.infos["lives"][step + 1]
    twin.close()


def test_minari_finds_it_below_its_root(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(exported.parents[1]))
    assert set(minari.list_local_datasets()) == {"atari/pacman-v0"}
    dataset = minari.load_dataset("atari/pacman-v0")
    metadata = dataset.storage.metadata
    assert metadata["author"] == {"A. Person"} and "author_email" not in metadata
    assert metadata["algorithm_name"].startswith("RandomPlayer")
    assert metadata["jpeg_encoding"] is False
    splits = [episode["split"] for episode in dataset.storage.get_episode_metadata(range(4))]
    assert splits == ["train", "train", "validation", "test"]
    assert len(dataset.filter_episodes(lambda episode: episode.terminations[-1])) == 1


def test_frames_are_compressed(store: EpisodeStore, exported: Path) -> None:
    assert (exported / "data" / "main_data.hdf5").stat().st_size < 5_000 * store.frames


def test_the_home_is_left_alone(store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    to_minari(make_store(tmp_path / "made"), "made-v0", tmp_path / "root")
    assert {path.name for path in tmp_path.iterdir()} == {"made", "root"}


def test_a_cut_episode_is_truncated_and_lives_need_not_be_known(tmp_path: Path) -> None:
    folder = to_minari(make_store(tmp_path / "made"), "made-v0", tmp_path / "root")
    dataset = minari.MinariDataset(folder / "data")
    assert dataset[0].truncations.tolist() == [False, False, True] and not dataset[0].terminations.any()
    assert dataset[0].infos == {}
    assert dataset.storage.metadata["algorithm_name"] == "made"
    assert [told["ending"] for told in dataset.storage.get_episode_metadata([0])] == ["cut"]


def test_an_action_beyond_the_minimal_set_needs_the_full_one(tmp_path: Path) -> None:
    made = make_store(tmp_path / "made", actions=np.array([0, 17, 5], np.uint8))
    with pytest.raises(
        UsageError, match="DOWNLEFTFIRE, which is not in the minimal set of qbert: give full_action_sp"
    ):
        to_minari(made, "made-v0", tmp_path / "root")
    assert not (tmp_path / "root").exists()
    dataset = minari.MinariDataset(
        to_minari(made, "made-v0", tmp_path / "root", full_action_space=True) / "data"
    )
    assert dataset.action_space.n == 18 and dataset[0].actions.tolist() == [0, 17, 5]
    assert dataset.env_spec.kwargs["full_action_space"] is True


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"frames": np.ones((4, 210, 160), np.uint8)}, "odd palette codes"),
        (
            {
                "frames": np.zeros((1, 210, 160), np.uint8),
                "actions": np.zeros(0, np.uint8),
                "rewards": np.zeros(0, np.float32),
            },
            "has no steps",
        ),
    ],
)
def test_what_would_not_come_back_is_refused(changes: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"episode 'made' of .* {line}"):
        to_minari(make_store(tmp_path / "made", **changes), "made-v0", tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("name", ["made", "../made-v0", "/made-v0", "ma de-v0"])
def test_a_malformed_id_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"data set id '{name}' given, allowed is"):
        to_minari(make_store(tmp_path / "made"), name, tmp_path / "root")


def test_an_export_is_never_overwritten(tmp_path: Path) -> None:
    made = make_store(tmp_path / "made")
    to_minari(made, "made-v0", tmp_path / "root")
    with pytest.raises(UsageError, match="made-v0 exists"):
        to_minari(made, "made-v0", tmp_path / "root")


def test_an_interrupted_export_leaves_nothing(store: EpisodeStore, tmp_path: Path) -> None:
    def stop(steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_minari(store, "made-v0", tmp_path, progress=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["minari", "h5py"])
def test_the_extra_is_named(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=rf"need {missing}: pip install 'atari-dream\[minari\]'"):
        to_minari(make_store(tmp_path / "made"), "made-v0", tmp_path / "root")
