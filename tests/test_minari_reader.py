"""An export comes back as an equal store; a data set of others comes if it shows ALE's screen exactly."""

import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.spaces import Box, Discrete
from test_episodes import check_equal

from atari_dream.emulator import Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.minari_reader import from_minari
from atari_dream.minari_writer import OBSERVATIONS, to_minari

pytestmark = pytest.mark.slow

minari = pytest.importorskip("minari")
h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def exported(store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_minari(store, "atari/pacman-v0", tmp_path_factory.mktemp("minari"))


@pytest.fixture
def mine(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export, to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "mine"))


def record_foreign(root: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """A data set as others make it: four steps of Q*bert, and nothing that this package adds."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    spec = gymnasium.spec("ALE/Qbert-v5")
    env = gymnasium.make(spec)
    frames = [env.reset(seed=0)[0]]
    frames += [env.step(action)[0] for action in (1, 2, 3, 4)]
    env.close()
    buffer = {
        "observations": frames,
        "actions": [1, 2, 3, 4],
        "rewards": [0.0, 25.0, 0.0, 0.0],
        "terminations": [False] * 4,
        "truncations": [False] * 4,
    }
    options = {
        "env": spec,
        "jpeg_encoding": False,
        "observation_space": OBSERVATIONS,
        "action_space": Discrete(6),
    }
    for name, value in changes.items():
        (buffer if name in buffer or name == "infos" else options)[name] = value
    with pytest.warns(UserWarning):
        minari.create_dataset_from_buffers(
            "qbert/foreign-v0", [minari.data_collector.EpisodeBuffer(**buffer)], **options
        )
    return root / "qbert" / "foreign-v0"


def test_an_export_comes_back(store: EpisodeStore, exported: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    found = from_minari(exported, tmp_path / "found", progress=steps.append)
    assert steps == [len(episode) for episode in store]
    assert found.digest() == store.digest()
    assert (found.path / "index.json").read_text() == (store.path / "index.json").read_text()
    for one, other in zip(found, store, strict=True):
        assert one.states is not None and one.prelude is not None
        check_equal(one, other)
        assert one.meta == other.meta


def test_states_that_come_back_play_on(exported: Path, tmp_path: Path) -> None:
    episode = from_minari(exported, tmp_path / "found")[0]
    emulator = Emulator("pacman")
    emulator.restore(episode.states[1])
    step = episode.state_steps[1]
    emulator.step([episode.actions[step]] * 4)
    np.testing.assert_array_equal(emulator.frame, episode.frames[step + 1])


def test_a_foreign_data_set_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record_foreign(tmp_path / "root", monkeypatch, infos={"lives": [4, 4, 4, 4, 3]})
    found = from_minari(folder, tmp_path / "found")
    assert (found.game, found.frame_skip, found.source) == ("qbert", 4, "minari qbert/foreign-v0")
    episode = found[0]
    assert episode.actions.tolist() == [1, 2, 3, 4] and episode.rewards.tolist() == [0, 25, 0, 0]
    assert episode.lives is not None and episode.lives.tolist() == [4, 4, 4, 4, 3]
    assert episode.ending == "cut" and episode.prelude is None and episode.states is None
    assert episode.meta["id"] == "qbert-foreign-v0-000000" and episode.meta["split"] == "train"
    assert len(np.unique(episode.frames)) > 5


@pytest.mark.parametrize("ending", ["terminated", "truncated"])
def test_flags_tell_the_ending(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"terminated": "terminations", "truncated": "truncations"}[ending]
    folder = record_foreign(tmp_path / "root", monkeypatch, **{name: [False, False, False, True]})
    episode = from_minari(folder, tmp_path / "found")[0]
    assert episode.ending == ending and episode.lives is None


def test_the_full_action_set_is_told_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record_foreign(tmp_path / "root", monkeypatch, action_space=Discrete(18), actions=[17, 2, 3, 4])
    assert from_minari(folder, tmp_path / "found")[0].actions.tolist() == [17, 2, 3, 4]


def test_positions_become_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = gymnasium.spec("ALE/SpaceInvaders-v5")
    folder = record_foreign(tmp_path / "root", monkeypatch, env=spec)
    assert from_minari(folder, tmp_path / "found")[0].actions.tolist() == [1, 3, 4, 11]


def wrapped() -> EnvSpec:
    spec = gymnasium.spec("ALE/Qbert-v5")
    wrapper = WrapperSpec("MaxAndSkipObservation", "gymnasium.wrappers:MaxAndSkipObservation", {"skip": 4})
    return EnvSpec(spec.id, spec.entry_point, kwargs=spec.kwargs, additional_wrappers=(wrapper,))


@pytest.mark.parametrize(
    ("env", "given", "line"),
    [
        (None, {}, "does not tell its game: give game=..."),
        (None, {"game": "qbert"}, "does not tell its frame_skip: give frame_skip=..."),
        (wrapped(), {}, "does not tell its frame_skip: give frame_skip=..."),
        ("ALE/Qbert-v5", {"game": "pacman"}, "has game 'qbert', not 'pacman': leave game out"),
        ("ALE/Qbert-v5", {"frame_skip": 1}, "has frame_skip 4, not 1: leave frame_skip out"),
    ],
)
def test_game_and_frame_skip_must_be_known(
    env: Any, given: dict[str, Any], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = record_foreign(tmp_path / "root", monkeypatch, env=env)
    with pytest.raises(UsageError, match=line):
        from_minari(folder, tmp_path / "found", **given)
    assert not (tmp_path / "found").exists()


def test_game_and_frame_skip_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record_foreign(tmp_path / "root", monkeypatch, env=None)
    found = from_minari(folder, tmp_path / "found", game="AtariDream-Qbert-v0", frame_skip=3)
    assert (found.game, found.frame_skip) == ("qbert", 3)


def test_an_unknown_colour_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.zeros((210, 160, 3), np.uint8) for _ in range(5)]
    frames[3][7, 9] = (1, 2, 3)
    folder = record_foreign(tmp_path / "root", monkeypatch, observations=frames)
    with pytest.raises(
        UsageError, match=r"episode 0 of .* has colour #010203 in frame 3, which is none of ALE's 128"
    ):
        from_minari(folder, tmp_path / "found")
    assert not (tmp_path / "found").exists()


def test_jpeg_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record_foreign(tmp_path / "root", monkeypatch, jpeg_encoding=True)
    with pytest.raises(UsageError, match="has JPEG frames, whose colours are not exact"):
        from_minari(folder, tmp_path / "found")


def test_other_spaces_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = {
        "observation_space": Box(0, 255, (84, 84), np.uint8),
        "observations": [np.zeros((84, 84), np.uint8)] * 5,
    }
    folder = record_foreign(tmp_path / "grey", monkeypatch, **grey)
    with pytest.raises(UsageError, match=r"has observations Box\(0, 255, \(84, 84\), uint8\), allowed are"):
        from_minari(folder, tmp_path / "found")
    folder = record_foreign(tmp_path / "few", monkeypatch, action_space=Discrete(5))
    with pytest.raises(
        UsageError, match=r"has actions Discrete\(5\), allowed are Discrete\(6\), the minimal set"
    ):
        from_minari(folder, tmp_path / "found")


def test_what_is_no_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere cannot be read as a Minari data set"):
        from_minari(tmp_path / "nowhere", tmp_path / "found")


def test_an_existing_store_is_kept(exported: Path, store: EpisodeStore) -> None:
    with pytest.raises(UsageError, match="exists"):
        from_minari(exported, store.path)
    assert len(EpisodeStore(store.path)) == 4


def test_a_damaged_episode_is_named(mine: Path, tmp_path: Path) -> None:
    with h5py.File(mine / "data" / "main_data.hdf5", "a") as file:
        del file["episode_2/actions"]
    with pytest.raises(UsageError, match=r"episode 2 of .*mine is damaged"):
        from_minari(mine, tmp_path / "found")
    assert not (tmp_path / "found").exists()


def test_missing_states_are_named(mine: Path, tmp_path: Path) -> None:
    (mine / "atari_dream" / "pacman-0000000001.npz").unlink()
    with pytest.raises(UsageError, match=r"pacman-0000000001\.npz is missing or damaged"):
        from_minari(mine, tmp_path / "found")


def test_a_changed_export_is_told_and_can_be_read_as_foreign(mine: Path, tmp_path: Path) -> None:
    with h5py.File(mine / "data" / "main_data.hdf5", "a") as file:
        file["episode_1/rewards"][0] = 7
    with pytest.raises(UsageError, match="is not what was exported, it has another episode 1: remove"):
        from_minari(mine, tmp_path / "found")
    shutil.rmtree(mine / "atari_dream")
    found = from_minari(mine, tmp_path / "found")
    assert found[1].rewards[0] == 7 and found[1].states is None
    assert found.source == "minari atari/pacman-v0" and found.frame_skip == 4


def test_an_export_with_more_episodes_is_told(mine: Path, exported: Path, tmp_path: Path) -> None:
    storage = minari.MinariDataset(mine / "data").storage
    storage.update_from_storage(minari.MinariDataset(exported / "data").storage)
    with pytest.raises(UsageError, match="it has 8 episodes, not 4: remove"):
        from_minari(mine, tmp_path / "found")
