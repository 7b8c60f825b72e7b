"""Windows are told by arrival: `actions[:, i]` led to `frames[:, i]` and `rewards[:, i]`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_episodes import make_episode

from atari_dream.dream import tree_map
from atari_dream.emulator import Emulator
from atari_dream.episode import Episode
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.predictor import Batch, Domain
from atari_dream.windows import UNKNOWN_LIVES, Windows, domain_of


def make_store(path: Path, *episodes: Episode, frame_skip: int = 1) -> EpisodeStore:
    made = EpisodeStore.create(path, "pinball", frame_skip, "test")
    for episode in episodes:
        episode.meta["split"] = "train"
        made.add(episode)
    return made


def over(episode: Episode) -> Episode:
    episode.ending = "terminated"
    return episode


def one_window(
    store: EpisodeStore, step: int, context: int = 3, horizon: int = 4, frame_skip: int = 1
) -> dict[str, np.ndarray]:
    windows = Windows(store, "train", context, horizon, 1, frame_skip)
    return dict(zip(Batch._fields, windows.window(0, step), strict=False))


def test_a_window_inside_an_episode(tmp_path: Path) -> None:
    episode = make_episode(0)
    window = one_window(make_store(tmp_path, episode), step=20)
    np.testing.assert_array_equal(window["frames"], episode.frames[18:25])
    np.testing.assert_array_equal(window["actions"][:, 0], episode.actions[17:24])
    np.testing.assert_array_equal(window["rewards"], episode.rewards[17:24])
    assert episode.lives is not None
    np.testing.assert_array_equal(window["lives"], episode.lives[18:25])
    assert window["valid"].all() and not window["ended"].any()


def test_a_window_at_the_beginning_repeats_the_first_frame(tmp_path: Path) -> None:
    episode = over(make_episode(0))
    window = one_window(make_store(tmp_path, episode), step=0)
    np.testing.assert_array_equal(window["frames"], episode.frames[[0, 0, 0, 1, 2, 3, 4]])
    np.testing.assert_array_equal(window["actions"][:, 0], [0, 0, 0, *episode.actions[:4]])
    np.testing.assert_array_equal(window["rewards"], [0, 0, 0, *episode.rewards[:4]])
    assert window["valid"].tolist() == [False] * 3 + [True] * 4
    assert not window["ended"].any()


@pytest.mark.parametrize("terminated", [True, False])
def test_a_window_at_the_end_repeats_the_last_frame(tmp_path: Path, terminated: bool) -> None:
    episode = make_episode(0)
    window = one_window(make_store(tmp_path, over(episode) if terminated else episode), step=38)
    np.testing.assert_array_equal(window["frames"], episode.frames[[36, 37, 38, 39, 40, 40, 40]])
    np.testing.assert_array_equal(window["rewards"], [*episode.rewards[35:40], 0, 0])
    assert window["valid"].tolist() == [True] * 5 + [False] * 2
    assert window["ended"].tolist() == [False] * 4 + [terminated] + [False] * 2


def test_strided_windows_add_rewards_and_keep_every_action(tmp_path: Path) -> None:
    episode = make_episode(0)
    window = one_window(make_store(tmp_path, episode), step=18, frame_skip=4)
    arrivals = [10, 14, 18, 22, 26, 30, 34]
    np.testing.assert_array_equal(window["frames"], episode.frames[arrivals])
    for row, arrival in enumerate(arrivals):
        np.testing.assert_array_equal(window["actions"][row], episode.actions[arrival - 4 : arrival])
        assert window["rewards"][row] == episode.rewards[arrival - 4 : arrival].sum()
    assert window["valid"].all()


def test_a_strided_window_at_both_ends(tmp_path: Path) -> None:
    early = one_window(make_store(tmp_path / "a", over(make_episode(0))), step=6, frame_skip=4)
    assert early["valid"].tolist() == [False, False, True, True, True, True, True]
    np.testing.assert_array_equal(early["actions"][1], [0, 0, *make_episode(0).actions[:2]])
    for episode, known in ((over(make_episode(0)), True), (make_episode(0), False)):
        late = one_window(make_store(tmp_path / f"{known}", episode), step=34, frame_skip=4)
        # arrivals 26 30 34 38 42 46 50: the game ends at 40, inside the step to 42
        np.testing.assert_array_equal(late["frames"][4:], episode.frames[[40, 40, 40]])
        assert late["rewards"][4] == episode.rewards[38:].sum()
        np.testing.assert_array_equal(late["actions"][4], [*episode.actions[38:], 0, 0])
        assert late["valid"].tolist() == [True] * 4 + [known, False, False]
        assert late["ended"].tolist() == [False] * 4 + [known, False, False]


def test_an_episode_shorter_than_a_window(tmp_path: Path) -> None:
    window = one_window(make_store(tmp_path, over(make_episode(0, steps=2))), step=1, context=4)
    np.testing.assert_array_equal(window["frames"], make_episode(0, steps=2).frames[[0, 0, 0, 1, 2, 2, 2, 2]])
    assert window["valid"].tolist() == [False] * 3 + [True] * 2 + [False] * 3
    assert window["ended"].tolist() == [False] * 4 + [True] + [False] * 3


def test_unknown_lives_are_told(tmp_path: Path) -> None:
    window = one_window(make_store(tmp_path, make_episode(0, lives=False)), step=20)
    assert (window["lives"] == UNKNOWN_LIVES).all() and window["lives"].dtype == np.int64


@pytest.mark.parametrize("phase", [0, 1, 3])
def test_strides_read_what_a_recording_at_that_frame_skip_holds(tmp_path: Path, phase: int) -> None:
    held = np.random.default_rng(0).choice([0, 1, 2, 3, 4, 5], 75).astype(np.uint8)
    raw = _played(np.concatenate([np.zeros(phase, np.uint8), held.repeat(4)]), 1)
    by_four = _played(held, 4, before=phase)
    fine = make_store(tmp_path / "fine", raw, frame_skip=1)
    coarse = make_store(tmp_path / "coarse", by_four, frame_skip=4)
    for step in range(5, 70, 7):
        one = one_window(fine, phase + 4 * step, frame_skip=4)
        other = one_window(coarse, step, frame_skip=4)
        for name, part in other.items():
            np.testing.assert_array_equal(one[name], part, err_msg=name)
    assert by_four.rewards.any() and (by_four.frames[-1] != by_four.frames[0]).any()


def _played(actions: np.ndarray, frame_skip: int, before: int = 0) -> Episode:
    """Video Pinball from power-on, after `before` no-ops."""
    emulator = Emulator("pinball")
    emulator.reset(before)
    frames, rewards, lives = [emulator.frame], [], [emulator.lives]
    for action in actions:
        rewards.append(emulator.step([action] * frame_skip))
        frames.append(emulator.frame)
        lives.append(emulator.lives)
    meta = {"id": "played", "split": None}
    counts = np.array(lives, np.int16)
    return Episode(np.stack(frames), actions, np.array(rewards, np.float32), counts, "truncated", meta)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_a_batch_depends_on_seed_and_number_alone(store: EpisodeStore) -> None:
    windows = Windows(store, "train", 3, 5, 4, 4, seed=1)
    third = windows[3]
    again = Windows(EpisodeStore(store.path), "train", 3, 5, 4, 4, seed=1)
    assert equal(again[3], third)
    assert not equal(windows[4], third)
    assert not equal(Windows(store, "train", 3, 5, 4, 4, seed=2)[3], third)


@pytest.mark.parametrize("world", [2, 3])
def test_the_rows_of_all_processes_make_the_joint_batch(store: EpisodeStore, world: int) -> None:
    joint = Windows(store, "train", 3, 5, 7, 4)[2]
    parts = [Windows(store, "train", 3, 5, 7, 4, rank=rank, world=world)[2] for rank in range(world)]
    merged = Batch(*(torch.cat(column) for column in zip(*parts, strict=True)))
    order = merged.lane.argsort()
    assert equal(tree_map(lambda part: part[order], merged), joint)
    assert joint.lane.tolist() == list(range(7))


def test_shapes_and_types(store: EpisodeStore) -> None:
    batch = Windows(store, "validation", 3, 5, 2, 4)[0]
    form = {name: (tuple(part.shape), part.dtype) for name, part in batch._asdict().items()}
    assert form == {
        "frames": ((2, 8, 210, 160), torch.uint8),
        "actions": ((2, 8, 4), torch.uint8),
        "rewards": ((2, 8), torch.float32),
        "lives": ((2, 8), torch.int64),
        "ended": ((2, 8), torch.bool),
        "valid": ((2, 8), torch.bool),
        "lane": ((2,), torch.int64),
    }


def test_the_context_is_a_start(store: EpisodeStore) -> None:
    batch = Windows(store, "train", 3, 5, 4, 4)[0]
    start = batch.start(3)
    assert torch.equal(start.frames, batch.frames[:, :3]) and torch.equal(start.actions, batch.actions[:, :3])
    assert torch.equal(start.lives, batch.lives[:, 2]) and start.ale.shape == (4, 0)


def test_windows_come_from_their_split_in_every_phase(tmp_path: Path) -> None:
    made = make_store(tmp_path, make_episode(0, steps=30), make_episode(1, steps=10))
    made.add(make_episode(2, steps=30, split="test"))
    frames = [episode.frames for episode in made]
    windows = Windows(made, "train", 1, 1, 256, 4)
    found = {
        (number, step)
        for frame in windows[0].frames[:, 0].numpy()
        for number, known in enumerate(frames)
        for step in np.flatnonzero((known == frame).all((1, 2)))
    }
    assert {number for number, _ in found} == {0, 1}
    assert {step for number, step in found if number == 0} == set(range(30))
    assert {step for number, step in found if number == 1} == set(range(10))


def test_longer_episodes_come_more_often(tmp_path: Path) -> None:
    made = make_store(tmp_path, make_episode(0, steps=30), make_episode(1, steps=10, lives=False))
    shares = [(batch.lives[:, 0] >= 0).float().mean() for batch in (Windows(made, "train", 1, 1, 400, 1)[0],)]
    assert abs(shares[0] - 0.75) < 0.07


def test_a_frame_skip_that_does_not_fit_is_refused(store: EpisodeStore) -> None:
    with pytest.raises(UsageError, match=r"frame skip 6 asked of store .*, allowed are multiples of 4"):
        Windows(store, "train", 1, 1, 1, 6)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no episodes in split 'test': record at least three"):
        Windows(make_store(tmp_path, make_episode(0, steps=3)), "test", 1, 1, 1, 1)


def test_the_domain_is_what_training_can_hold(tmp_path: Path) -> None:
    made = make_store(tmp_path, make_episode(0, steps=3), make_episode(1, steps=3))
    hidden = make_episode(2, steps=3, split="test")
    hidden.rewards[0] = 999
    made.add(hidden)
    domain = domain_of(made, 2)
    seen = [episode for episode in made if episode.meta["split"] == "train"]
    assert (domain.game, domain.frame_skip) == ("pinball", 2)
    assert domain.colours == tuple(np.unique([episode.frames for episode in seen]).tolist())
    assert domain.rewards == tuple(sorted({0.0, *(r for e in seen for r in e.rewards.tolist())}))
    assert 999 not in domain.rewards and isinstance(domain, Domain)
