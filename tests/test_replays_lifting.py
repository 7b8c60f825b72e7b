"""What is lifted is real: by its recipe alone the emulator shows the replay, to the last pixel and point."""

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from test_emulator import random_actions

from atari_dream.cli.lift import lift as lift_command
from atari_dream.emulator import INJECT, Emulator, injections_in
from atari_dream.episodes import Episode, EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.replays.lifted_pool import Verified, lift_pool, summary
from atari_dream.replays.lifting import EXACT, Found, Lifted, Passage, Proposer, lift, lifted_parts, verify
from atari_dream.replays.ram_reader import RamReader
from atari_dream.replays.search import Beside, Donors, Run, follow, mend, refine, run
from atari_dream.starts import CONTEXT, StartPool
from atari_dream.truth import Script

pytestmark = pytest.mark.slow

SEEN = 200
"""Rows that the made-up replays have."""
BEGIN = 300
"""Frames from power-on to their first."""
FRAME_COUNTER, LIVES = 30, 123
"""Bytes of Ms. Pac-Man's memory; the first does not show at once."""


class Played(NamedTuple):
    passage: Passage
    ram: np.ndarray
    frames: np.ndarray


def play(length: int, seed: int = 0, begin: int = BEGIN) -> Played:
    """Play of the emulator as a replay has it: without the last rows."""
    emulator = Emulator("pacman")
    emulator.reset(begin)
    actions = random_actions("pacman", length, seed)
    frames, ram, rewards = [emulator.frame], [emulator.ram], []
    for action in actions:
        rewards.append(emulator.step([int(action)]))
        frames.append(emulator.frame)
        ram.append(emulator.ram)
    shown = np.stack(frames)
    shown[:, SEEN:] = 0
    return Played(
        Passage(shown, actions, np.array(rewards, np.float32), SEEN), np.stack(ram), np.stack(frames)
    )


@pytest.fixture(scope="module")
def played() -> Played:
    return play(400)


@pytest.fixture
def passage(played: Played) -> Passage:
    return played.passage._replace(frames=played.passage.frames.copy())


@pytest.fixture(scope="module")
def beside(played: Played) -> Beside:
    return Beside("pacman", played.passage.frames, played.passage.actions, SEEN)


@pytest.fixture(scope="module")
def donors() -> Donors:
    other = play(300, seed=5)
    return Donors(other.frames, other.ram)


def edited(ram: np.ndarray, **values: int) -> np.ndarray:
    changed = ram.copy()
    for place, value in values.items():
        changed[int(place[1:])] = value
    return changed


def test_memory_that_holds_any_byte_is_no_second_injection() -> None:
    memory = np.full(128, INJECT, np.uint8)
    recipe = np.concatenate([[0, 0, INJECT], memory, [3, 3, INJECT], memory, [0]]).astype(np.uint8)
    assert injections_in(recipe) == [2, 2 + 129 + 2]
    assert injections_in(np.arange(18, dtype=np.uint8)) == []


def test_a_recipe_plays_actions_and_injects_between_them() -> None:
    one, other = Emulator("pacman"), Emulator("pacman")
    one.step([0] * 300)
    memory = one.ram
    recipe = np.concatenate([[0] * 5, [INJECT], memory, [2, 2, 2]]).astype(np.uint8)
    other.follow(recipe)
    one.step([2, 2, 2])
    np.testing.assert_array_equal(one.ram, other.ram)
    np.testing.assert_array_equal(one.frame, other.frame)


def test_the_right_memory_shows_the_replay_to_its_end(beside: Beside, played: Played) -> None:
    for frame in (0, 1, 57, 333):
        assert beside.exact(played.ram[frame], frame) == 400 - frame
        assert beside.wrong(played.ram[frame], frame, 50) == 0
    assert beside.exact(played.ram[57], 57, most=20) == 20
    assert not beside.where(played.ram[57], 57, 20).any()


def test_what_is_wrong_is_counted_and_placed(beside: Beside, played: Played) -> None:
    poked = edited(played.ram[57], _123=played.ram[57, LIVES] ^ 1)
    assert beside.exact(poked, 57) == 0
    where = beside.where(poked, 57, 1)
    assert 0 < where.sum() == beside.wrong(poked, 57, 1) <= beside.wrong(poked, 57, 4)
    assert where[160:SEEN].sum() == where.sum()
    assert beside.wrong(poked, 57, 1000, bound=1) < beside.wrong(poked, 57, 1000)


def test_memory_is_followed(beside: Beside, played: Played) -> None:
    np.testing.assert_array_equal(beside.memories(played.ram[57], 57, 40), played.ram[57:98])


def test_the_most_alike_pictures_of_a_region_come_first(donors: Donors) -> None:
    picture = donors.frames[77].copy()
    region = np.zeros((210, 160), bool)
    region[40:60, 30:90] = True
    picture[100:] = 0
    first = donors.alike(picture[:SEEN], region, 3)
    assert first.shape == (3, 128)
    alike = [k for k in range(len(donors.frames)) if (donors.frames[k][region] == picture[region]).all()]
    assert any((donors.ram[k] == first[0]).all() for k in alike)
    np.testing.assert_array_equal(donors.nearest(donors.frames[77], 1)[0], donors.ram[77])


def test_a_search_puts_right_what_shows(beside: Beside, played: Played, donors: Donors) -> None:
    poked = edited(played.ram[57], _66=played.ram[57, 66] ^ 5, _121=played.ram[57, 121] ^ 5)
    assert beside.exact(poked, 57) == 0
    found = refine(beside, poked, 57, donors, budget=60_000)
    assert beside.exact(found, 57) >= 16


@pytest.mark.slow
def test_a_run_that_goes_wrong_later_is_mended(beside: Beside, played: Played) -> None:
    broken = next(
        found
        for flip in range(1, 256)
        if 20
        < (found := run(beside, edited(played.ram[0], _30=played.ram[0, FRAME_COUNTER] ^ flip), 0)).last
        < 350
    )
    chain = follow(beside, broken, budget=200_000)
    assert chain[-1].last > broken.last
    assert all(after.frame <= part.last < after.last for part, after in pairwise(chain))
    assert all(run(beside, part.ram, part.frame) == part for part in chain)


@pytest.mark.slow
def test_what_cannot_be_mended_is_left(played: Played) -> None:
    frames = played.passage.frames.copy()
    frames[200, 100] = np.arange(160) % 128 * 2
    strange = Beside("pacman", frames, played.passage.actions, SEEN)
    broken = run(strange, played.ram[150], 150)
    assert broken.last == 199
    assert mend(strange, broken, budget=1000) is None
    assert follow(strange, broken, budget=1000) == [broken]


def test_what_is_verified_holds_to_the_last_frame(passage: Passage, played: Played) -> None:
    (part,) = verify("pacman", passage, [Run(10, played.ram[10], 400)])
    assert part[:3] == (10, 10, 400)
    np.testing.assert_array_equal(part.recipe, np.concatenate([[0, 0, INJECT], played.ram[10]]))
    np.testing.assert_array_equal(passage.frames[11:], played.frames[11:])
    assert not passage.frames[:11, SEEN:].any()


def test_a_chain_is_played_from_power_on(passage: Passage, played: Played) -> None:
    first, second = verify("pacman", passage, [Run(10, played.ram[10], 120), Run(100, played.ram[100], 400)])
    assert (first.begin, first.frame, second.begin, second.frame, second.last) == (10, 10, 10, 100, 400)
    assert injections_in(second.recipe) == [2, 2 + 129 + 90]


def test_what_is_claimed_but_wrong_is_not_verified(passage: Passage, played: Played) -> None:
    poked = edited(played.ram[10], _123=played.ram[10, LIVES] ^ 1)
    assert list(verify("pacman", passage, [Run(10, poked, 400)])) == []
    assert list(verify("pacman", passage, [Run(10, poked, 400), Run(100, played.ram[100], 400)])) == []
    assert list(verify("pacman", passage, [Run(400 - EXACT + 1, played.ram[400 - EXACT + 1], 400)])) == []


def test_points_that_the_replay_does_not_have_end_what_is_verified(passage: Passage, played: Played) -> None:
    rewards = passage.rewards.copy()
    rewards[250] += 10
    (part,) = verify("pacman", passage._replace(rewards=rewards), [Run(10, played.ram[10], 400)])
    assert part.last == 250


@pytest.mark.parametrize(
    ("begin", "frame", "last", "starts"),
    [
        (0, 0, 400, [64, 128, 192, 256, 320]),
        (0, 100, 300, [101, 165, 229]),
        (0, 0, 124, [64]),
        (0, 0, 123, []),
    ],
)
def test_starts_have_context_and_60_exact_frames(
    begin: int, frame: int, last: int, starts: list[int]
) -> None:
    assert list(Lifted(begin, frame, last, np.zeros(0, np.uint8)).starts()) == starts


def replay_store(path: Path, passages: list[Passage]) -> EpisodeStore:
    store = EpisodeStore.create(path, "pacman", 1, "replays")
    for number, passage in enumerate(passages):
        meta = {"id": f"pacman-{number}", "unseen_rows": [SEEN, 210]}
        store.add(Episode(passage.frames, passage.actions, passage.rewards, None, "cut", meta))
    return store


@pytest.mark.slow
def test_a_pool_of_lifted_starts_is_real(passage: Passage, played: Played, tmp_path: Path) -> None:
    store = replay_store(tmp_path / "store", [passage])
    found = Found(0, [], [[Run(10, played.ram[10], 120), Run(150, played.ram[150], 400)]])
    pool = lift_pool(store, [Verified.of(store, found)], tmp_path / "pool", count=256)
    assert {len(injections_in(pool.recipe(index))) for index in range(len(pool))} == {1, 2}
    assert sorted(entry["step"] for entry in pool.entries) == [74, 138, 151, 202, 215, 266, 279, 330]
    starts, emulator, restored = pool.batch(np.arange(len(pool))), Emulator("pacman"), Emulator("pacman")
    for index, entry in enumerate(pool.entries):
        frame = entry["step"]
        pool.replay(index, emulator)
        restored.restore(starts.ale[index].numpy())
        np.testing.assert_array_equal(starts.frames[index], played.frames[frame - 60 : frame + 1 : 4])
        np.testing.assert_array_equal(starts.actions[index].ravel(), passage.actions[frame - 64 : frame])
        assert entry["score"] == passage.rewards[:frame].sum()
        codes = pool.continuation(index)
        np.testing.assert_array_equal(codes.ravel(), passage.actions[frame : frame + codes.size])
        assert 400 - frame - 4 < codes.size <= 400 - frame
        for step, four in enumerate(codes, 1):
            assert emulator.step(four) == restored.step(four) == played_points(passage, frame, step)
            np.testing.assert_array_equal(emulator.frame, played.frames[frame + 4 * step])
            np.testing.assert_array_equal(restored.frame, emulator.frame)
        assert (starts.lives[index], len(starts.frames[index])) == (entry["lives"], CONTEXT)
        truth = Script.of(pool, index, codes[None]).play()
        np.testing.assert_array_equal(
            truth.frames[0], played.frames[frame + 4 : frame + 4 * len(codes) + 1 : 4]
        )
    assert StartPool.load(tmp_path / "pool", "pacman").entries == pool.entries


def played_points(passage: Passage, frame: int, step: int) -> float:
    return float(passage.rewards[frame + 4 * step - 4 : frame + 4 * step].sum())


def test_nothing_lifted_makes_no_pool(passage: Passage, played: Played, tmp_path: Path) -> None:
    store = replay_store(tmp_path / "store", [passage])
    poked = edited(played.ram[10], _123=played.ram[10, LIVES] ^ 1)
    verified = [Verified.of(store, Found(0, [], [[Run(10, poked, 400)]]))]
    with pytest.raises(UsageError, match=r"no state of .* was lifted: give the search more with --budget"):
        lift_pool(store, verified, tmp_path / "pool", 10)
    assert not (tmp_path / "pool").exists()
    told = summary(store, verified)
    assert told | {"frames": 0} == dict.fromkeys(told, 0) | {"replays": 1}


def test_only_what_is_verified_is_summed_up(passage: Passage, played: Played, tmp_path: Path) -> None:
    store = replay_store(tmp_path / "store", [passage, passage])
    claims = [
        Found(0, [], [[Run(10, played.ram[10], 400)]]),
        Found(1, [], [[Run(380, played.ram[380], 400)]]),
    ]
    told = summary(store, [Verified.of(store, claim) for claim in claims])
    assert (told["replays"], told["lifted"], told["frames"], told["exact_frames"]) == (2, 1, 800, 390)


def test_what_was_found_is_kept(played: Played, tmp_path: Path) -> None:
    found = Found(3, [], [[Run(10, played.ram[10], 120)], [Run(200, played.ram[200], 400)]])
    found.save(tmp_path / "found.json")
    kept = Found.load(tmp_path / "found.json", 3)
    assert [[part[::2] for part in chain] for chain in kept.chains] == [[(10, 120)], [(200, 400)]]
    np.testing.assert_array_equal(kept.chains[1][0].ram, played.ram[200])


def test_a_replay_is_lifted_from_its_first_frames(passage: Passage, played: Played, tmp_path: Path) -> None:
    propose = Proposer(RamReader("pacman"), Donors(played.frames, played.ram))
    done: list[int] = []
    attempts, chains = lift("pacman", passage, propose, budget=20_000, progress=done.append)
    assert (attempts[0].frame, attempts[0].exact, attempts[0].proposer) == (3, 397, "nearest")
    assert [[part[::2] for part in chain] for chain in chains] == [[(3, 400)]]
    store = replay_store(tmp_path / "store", [passage])
    assert [part[:3] for part in lifted_parts(store, Found(0, attempts, chains))[1]] == [(3, 3, 400)]
    assert sum(done) == 397


def test_a_replay_that_is_not_the_games_is_not_lifted(passage: Passage, played: Played) -> None:
    noise = np.random.default_rng(0).integers(0, 128, passage.frames.shape, np.uint8) * 2
    propose = Proposer(RamReader("pacman"), Donors(played.frames[:50], played.ram[:50]))
    short = Passage(noise[:101], passage.actions[:100], passage.rewards[:100], SEEN)
    attempts, chains = lift("pacman", short, propose, budget=2000)
    assert chains == [] and len(attempts) == 2 and not any(one.exact for one in attempts)


def test_a_store_without_every_frame_is_refused(passage: Passage, tmp_path: Path) -> None:
    store = EpisodeStore.create(tmp_path / "store", "pacman", 4, "ale")
    store.add(
        Episode(passage.frames[:11], passage.actions[:10], passage.rewards[:10], None, "cut", {"id": "a"})
    )
    with pytest.raises(UsageError, match="has frame skip 4: lifting takes every frame"):
        Passage.of(store, 0)


@pytest.mark.slow
def test_the_command_lifts_and_goes_on(passage: Passage, tmp_path: Path) -> None:
    from_power_on = play(200, begin=0)
    replay_store(tmp_path / "store", [from_power_on.passage, passage])
    command = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "pool"), "--recordings", "1000"]
    command += ["--budget", "20000", "--episodes", "1", "--json"]
    first = CliRunner().invoke(lift_command, command, catch_exceptions=False)
    told = json.loads(first.stdout)
    assert (told["replays"], told["lifted"], told["frames"]) == (1, 1, 200)
    assert told["exact_frames"] >= 60 and told["starts"] == len(StartPool.load(tmp_path / "pool", "pacman"))
    kept = tmp_path / "pool.work" / "pacman-0.json"
    reader = tmp_path / "pool.work" / "reader.safetensors"
    stamps = [path.stat().st_mtime_ns for path in (kept, reader)]
    again = CliRunner().invoke(lift_command, command, catch_exceptions=False)
    assert json.loads(again.stdout) == told
    assert [path.stat().st_mtime_ns for path in (kept, reader)] == stamps


@pytest.mark.parametrize(("game", "place", "value"), [("revenge", 3, 30), ("revenge", 3, 45)])
def test_memory_that_stops_the_console_spoils_no_later_trial(game: str, place: int, value: int) -> None:
    emulator, actions = Emulator(game), np.zeros(20, np.uint8)
    emulator.step([0] * 300)
    frames, right = [emulator.frame], emulator.ram
    for _ in actions:
        emulator.step([0])
        frames.append(emulator.frame)
    beside = Beside(game, np.stack(frames), actions, 210)
    poked = right.copy()
    poked[place] = value
    for _ in range(2):
        beside.wrong(poked, 0, 6)
        assert beside.exact(right, 0) == 20
