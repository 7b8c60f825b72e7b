"""Starts are real states: the recipe leads there, and the stored state goes on as the recording did."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_episodes import make_episode

from atari_dream.bundled import bundled_pool
from atari_dream.emulator import ALE_VERSION, BOOT_FRAMES, NOOP_MAX, Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.players import RandomPlayer
from atari_dream.pool_building import STRATA, STRATUM_STEPS, build_pool, choose_starts
from atari_dream.recorder import Recording
from atari_dream.starts import CONTEXT, CONTINUATION, StartPool


@pytest.fixture(scope="module")
def console() -> Emulator:
    return Emulator("pacman")


def follow(pool: StartPool, index: int, console: Emulator, restored: Emulator) -> str:
    """Plays a start's recipe, then 50 steps of its continuation beside its stored state; gives its stratum."""
    entry, start = pool.entries[index], pool.batch(np.array([index]))
    pool.replay(index, console)
    restored.restore(start.ale[0].numpy())
    np.testing.assert_array_equal(console.frame, start.frames[0, -1])
    np.testing.assert_array_equal(console.ram, pool._arrays["ram"][index])
    assert (console.lives, console.score) == (entry["lives"], entry["score"])
    assert (start.lives[0], pool.scores[index]) == (entry["lives"], entry["score"])
    lives, lost, gained = console.lives, False, 0.0
    for codes in pool.continuation(index)[:STRATUM_STEPS]:
        reward = console.step(codes)
        assert reward == restored.step(codes)
        np.testing.assert_array_equal(console.frame, restored.frame)
        assert (console.lives, console.over) == (restored.lives, restored.over)
        lost, lives, gained = lost or console.lives < lives, console.lives, gained + reward
    return "end" if console.over else "life" if lost else "score" if gained else "quiet"


def edited(pool: StartPool, **header: Any) -> StartPool:
    return StartPool({**pool._header, **header}, pool._arrays, pool.name)


@pytest.mark.slow
def test_recipe_and_stored_state_lead_to_the_same_game(pool: StartPool, console: Emulator) -> None:
    restored = Emulator("pacman")
    found = [follow(pool, index, console, restored) for index in range(0, len(pool), 2)]
    assert found == [entry["stratum"] for entry in pool.entries[::2]] and len(set(found)) >= 3
    frames = pool.batch(np.arange(len(pool))).frames[:, -1]
    assert (frames[1:] != frames[:-1]).any((1, 2)).all()


def test_context_and_continuation_are_the_recording(pool: StartPool, store: EpisodeStore) -> None:
    starts = pool.batch(np.arange(len(pool)))
    episodes = {episode.meta["id"]: episode for episode in store}
    for index, entry in enumerate(pool.entries):
        episode, step = episodes[entry["episode"]], entry["step"]
        assert episode.meta["split"] == "test" and entry["id"] == f"{entry['episode']}@{step}"
        np.testing.assert_array_equal(starts.frames[index], episode.frames[step - CONTEXT + 1 : step + 1])
        before, after = episode.actions[step - CONTEXT : step], episode.actions[step : step + CONTINUATION]
        np.testing.assert_array_equal(starts.actions[index], before[:, None].repeat(4, 1))
        np.testing.assert_array_equal(pool.continuation(index), after[:, None].repeat(4, 1))
        assert episode.prelude is not None
        recipe = [*episode.prelude, *episode.actions[:step].repeat(4)]
        np.testing.assert_array_equal(pool.recipe(index), recipe)


@pytest.mark.parametrize("game", GAMES)
def test_bundled_starts_are_real(game: str) -> None:
    pool, console, restored = bundled_pool(game), Emulator(game), Emulator(game)
    for index in pool.sample(2):
        assert follow(pool, index, console, restored) == pool.entries[index]["stratum"]


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_every_bundled_start_is_real(game: str) -> None:
    pool, console, restored = bundled_pool(game), Emulator(game), Emulator(game)
    for index in range(0, len(pool), 4):
        assert follow(pool, index, console, restored) == pool.entries[index]["stratum"]


@pytest.mark.parametrize("game", GAMES)
def test_bundled_pools_are_as_large_and_as_small_as_promised(game: str) -> None:
    pool = bundled_pool(game)
    strata = Counter(entry["stratum"] for entry in pool.entries)
    assert len(pool) >= 256 and pool.frame_skip == 4
    assert len({entry["episode"] for entry in pool.entries}) >= 64
    assert sum(file.stat().st_size for file in Path(pool.name).iterdir()) <= 3 * 2**20
    assert strata["life"] >= len(pool) // 4 and strata["end"] >= 20
    assert strata["score"] >= len(pool) // 4 or game == "revenge"  # where random play never scores


def test_frames_per_step_are_the_stores(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 2, "ale")
    made.add(Recording("qbert", RandomPlayer(), 2, longest=400, split="test").play(0))
    pool = build_pool(made, tmp_path / "pool", count=3)
    assert pool.frame_skip == 2 and pool.continuation(0).shape[1] == 2
    pool.replay(2, Emulator("qbert"))


def candidates(counts: dict[str, int], episodes: int = 10) -> list[tuple[str, int, int]]:
    return [
        (stratum, place % episodes, 100 * number + place)
        for number, (stratum, count) in enumerate(counts.items())
        for place in range(count)
    ]


def test_every_stratum_gets_its_share() -> None:
    chosen = choose_starts(candidates(dict.fromkeys(STRATA, 500)), 100, seed=0)
    assert Counter(stratum for stratum, _, _ in chosen) == {"end": 10, "life": 25, "score": 25, "quiet": 40}
    assert len(set(chosen)) == 100
    assert max(Counter(episode for _, episode, _ in chosen).values()) == 10


def test_what_a_stratum_lacks_comes_from_the_others() -> None:
    chosen = choose_starts(candidates({"end": 3, "life": 0, "score": 500, "quiet": 20}), 100, seed=0)
    assert Counter(stratum for stratum, _, _ in chosen) == {"end": 3, "score": 77, "quiet": 20}


@pytest.mark.slow
def test_a_pool_depends_on_the_seed_alone(store: EpisodeStore, tmp_path: Path) -> None:
    pools = [build_pool(store, tmp_path / f"{n}", 4, seed=seed) for n, seed in enumerate((0, 0, 1))]
    assert pools[0].entries == pools[1].entries != pools[2].entries
    np.testing.assert_array_equal(pools[0].usual, pools[1].usual)


def test_samples_are_without_replacement_and_stratified(pool: StartPool) -> None:
    counts = Counter(entry["stratum"] for entry in pool.entries)
    for size in (1, 5, 8, len(pool)):
        for seed in range(10):
            drawn = pool.sample(size, seed)
            assert drawn.shape == (size,) and len(set(drawn.tolist())) == size
            np.testing.assert_array_equal(pool.sample(size, seed), drawn)
            taken = Counter(pool.entries[index]["stratum"] for index in drawn)
            unfinished = [taken[stratum] for stratum in counts if taken[stratum] < counts[stratum]]
            if unfinished:  # equally many of each, but of those that are used up
                assert max(taken.values()) - min(unfinished) <= 1
    assert len({tuple(pool.sample(5, seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize("count", [0, 17, 1000])
def test_more_than_the_pool_holds_is_refused_with_its_size(pool: StartPool, count: int) -> None:
    with pytest.raises(UsageError, match=rf"{count} starts asked of pool .*, allowed are 1 to 16"):
        pool.sample(count)


def test_the_usual_frame_holds_each_pixels_most_frequent_code(pool: StartPool) -> None:
    frames = pool.batch(np.arange(len(pool))).frames.numpy().reshape(-1, 210, 160)
    assert pool.usual.shape == (210, 160) and pool.usual.dtype == np.uint8
    for row, column in np.random.default_rng(0).integers((210, 160), size=(50, 2)):
        counts = np.bincount(frames[:, row, column], minlength=256)
        assert counts[pool.usual[row, column]] == counts.max()


def test_a_start_is_found_by_its_id(pool: StartPool) -> None:
    assert pool.find(pool.entries[5]["id"]) == 5
    with pytest.raises(UsageError, match="unknown start 'nowhere@3'"):
        pool.find("nowhere@3")


def test_after_a_change_of_ale_states_are_rebuilt_from_the_recipe(pool: StartPool) -> None:
    other = edited(pool, ale_py="0.0.1")
    for index in (0, 7):
        rebuilt, stored = (made.batch(np.array([index])) for made in (other, pool))
        np.testing.assert_array_equal(rebuilt.frames, stored.frames)
        one, two = Emulator("pacman"), Emulator("pacman")
        one.restore(rebuilt.ale[0].numpy())
        two.restore(stored.ale[0].numpy())
        for codes in pool.continuation(index)[:30]:
            assert one.step(codes) == two.step(codes)
            np.testing.assert_array_equal(one.frame, two.frame)


def test_a_recipe_that_no_longer_leads_there_fails_by_name(pool: StartPool) -> None:
    entries = [dict(entry) for entry in pool.entries]
    entries[7]["frame"] = "0" * 64
    other = edited(pool, ale_py="0.0.1", starts=entries)
    other.batch(np.array([6]))
    with pytest.raises(UsageError, match=rf"start '{entries[7]['id']}' of .* does not replay with ale-py"):
        other.batch(np.array([7]))
    assert pool._header["ale_py"] == ALE_VERSION


def copy_pool(pool: StartPool, path: Path, **header: Any) -> Path:
    path.mkdir()
    (path / "pool.zip").write_bytes(Path(pool.name, "pool.zip").read_bytes())
    told = json.loads(Path(pool.name, "pool.json").read_text())
    (path / "pool.json").write_text(json.dumps({**told, **header}))
    return path


def test_a_pool_moves_with_its_folder(pool: StartPool, tmp_path: Path) -> None:
    moved = StartPool.load(copy_pool(pool, tmp_path / "moved"), "pacman")
    (tmp_path / "moved" / "pool.zip").unlink()
    indices = np.array([3, 1, 3])
    for one, other in zip(moved.batch(indices), pool.batch(indices), strict=True):
        assert (one == other).all() and one.dtype == other.dtype


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": 2}, r"start pool .* format 2.*pip install --upgrade atari-dream"),
        ({"rom": "0" * 64}, "was made with another ROM of 'pacman'"),
        ({"sha256": "0" * 64}, r"is damaged: pool\.zip is missing or has another hash"),
    ],
)
def test_a_pool_that_does_not_fit_is_refused(
    pool: StartPool, tmp_path: Path, header: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        StartPool.load(copy_pool(pool, tmp_path / "pool", **header))


@pytest.mark.parametrize("keep", [0, 3000, None])
def test_a_tampered_pool_is_refused(pool: StartPool, tmp_path: Path, keep: int | None) -> None:
    file = copy_pool(pool, tmp_path / "pool") / "pool.zip"
    data = bytearray(file.read_bytes())
    data[3000] ^= 1
    file.write_bytes(data[:keep])
    with pytest.raises(UsageError, match=r"start pool .* is damaged"):
        StartPool.load(tmp_path / "pool")


def test_a_pool_of_another_game_is_refused(pool: StartPool) -> None:
    with pytest.raises(UsageError, match="is of game 'pacman', not 'qbert'"):
        StartPool.load(pool.name, "qbert")


def test_a_missing_pool_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no start pool at .*: pool\.json is missing"):
        StartPool.load(tmp_path)


def test_too_few_states_are_told(store: EpisodeStore, tmp_path: Path) -> None:
    steps = store.read(3, "state_steps")
    there = ((steps >= CONTEXT) & (steps < store.entries[3]["length"])).sum()
    with pytest.raises(UsageError, match=rf"500 starts asked, but the test split .* has {there} emulator st"):
        build_pool(store, tmp_path / "pool", 500)
    assert not list(tmp_path.iterdir())


def test_a_store_without_states_is_told(tmp_path: Path) -> None:
    made = EpisodeStore.create(tmp_path / "made", "qbert", 1, "test")
    made.add(make_episode(0, split="test"))
    with pytest.raises(UsageError, match="no emulator states: record it with `atari-dream record`"):
        build_pool(made, tmp_path / "pool", 1)


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_power_on_starts_are_resets_with_no_ops(frame_skip: int) -> None:
    pool, emulator = StartPool.power_on("qbert", frame_skip), Emulator("qbert")
    assert len(pool) == NOOP_MAX + 1
    starts = pool.batch(np.arange(len(pool)))
    assert starts.actions.shape == (31, CONTEXT, frame_skip) and not starts.actions.any()
    for index in (0, 13, 30):
        np.testing.assert_array_equal(pool.recipe(index), np.zeros(BOOT_FRAMES + index, np.uint8))
        assert len(pool.continuation(index)) == 0
        pool.replay(index, emulator)
        assert (starts.frames[index].numpy() == emulator.frame).all()
        restored = Emulator("qbert")
        restored.restore(starts.ale[index].numpy())
        for action in (0, 2, 5) * 20:
            assert emulator.step([action] * 4) == restored.step([action] * 4)
        np.testing.assert_array_equal(emulator.ram, restored.ram)
