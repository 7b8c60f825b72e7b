"""The ruler: exact for the real game, and every way of being wrong is seen by the measure that is for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from broken import EXACT, Endless, Late, NoReward, RandomEnds, WrongAction, only
from conftest import make_checkpoint
from torch import Tensor

from atari_dream import longrun
from atari_dream.cli import run
from atari_dream.drift import Measured, measure, work
from atari_dream.episodes import EpisodeStore
from atari_dream.metrics import CAP, FRAME_MEASURES, FRAME_SUMS, Picture, compare_frames
from atari_dream.models.emulator import EmulatorControl
from atari_dream.predictor import Domain, Outcome, State
from atari_dream.protocol import Entry, Protocol, open_entries
from atari_dream.starts import StartPool
from atari_dream.summary import summarise

SCORING, ENDING = tuple(range(10)), (14, 15)
"""Starts of the pool: most of the first score within 8 steps, the others end after 34 and 18."""

Result = tuple[dict[str, Any], Measured]


class Hasty(EmulatorControl):
    """Tells an end at every step, so its dream is over after the first."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(terminated=torch.ones_like(outcome.terminated))


def entry_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in summary["entries"] if entry["name"] == name)


def run_measure(
    pool: StartPool, starts: tuple[int, ...], horizon: int, entries: list[Entry], cache: Path, **more: int
) -> Result:
    some = only(pool, starts)
    protocol = Protocol.of(some, len(starts), horizon, **more)  # type: ignore[arg-type]
    entries = open_entries([], some) + entries
    measured = measure(protocol, some, entries, workers=0, cache=cache)
    return summarise(protocol, [(entry.name, entry.kind) for entry in entries], measured, "a test"), measured


def plain(**dreams: type[EmulatorControl]) -> list[Entry]:
    return [Entry(name, "checkpoint", dream(Domain())) for name, dream in dreams.items()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("truth")


@pytest.fixture(scope="module")
def moves(pool: StartPool, cache: Path) -> Result:
    """Eight steps from starts at which nothing ends."""
    late = Entry("late", "checkpoint", Late(Domain(), pool.usual))
    return run_measure(pool, SCORING, 8, [late, *plain(mistaken=WrongAction, muted=NoReward)], cache)


@pytest.fixture(scope="module")
def ends(pool: StartPool, cache: Path) -> Result:
    """Forty steps from starts that end after 34 and 18."""
    return run_measure(pool, ENDING, 40, plain(endless=Endless, hasty=Hasty), cache)


def test_the_emulator_is_exact_at_every_step(moves: Result, ends: Result) -> None:
    for (summary, _), full in ((moves, 8), (ends, 34)):
        emulator = entry_of(summary, "emulator")
        for key, exact in EXACT.items():
            assert emulator["per_step"][key][:full] == [exact] * full
            assert emulator["ci95"][key][:8] == [[exact, exact]] * 8
        for key in ("reward_accuracy", "terminal_agreement"):
            assert emulator["per_step"][key] == [1.0] * summary["protocol"]["horizon"]
    for key in ("precision", "recall", "f1"):
        assert entry_of(ends[0], "emulator")["per_step"][f"end_{key}"][17:] == [1.0] * 23


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("late", ("psnr", "dyn_psnr", "ssim", "ms_ssim", "sharp_diff", "wrong_pixels", "wrong_moving")),
        ("copy_last", ("psnr", "dyn_psnr", "ssim", "ms_ssim", "sharp_diff", "wrong_moving")),
        ("background", ("psnr", "dyn_psnr", "wrong_moving", "total_variation")),
        ("mistaken", ("psnr", "dyn_psnr", "wrong_moving")),
        ("muted", ("reward_accuracy", "score_error")),
    ],
)
def test_what_is_wrong_is_measured(name: str, keys: tuple[str, ...], moves: Result) -> None:
    summary, _ = moves
    ahead, behind = entry_of(summary, "emulator")["better_than"], entry_of(summary, name)["better_than"]
    for key in keys:
        low, high = ahead[name][key][-1]
        assert 0 < low < high
        assert behind["emulator"][key][-1] == pytest.approx([-high, -low])
    if name == "late":  # which knows no less of the rewards
        assert ahead[name]["reward_accuracy"][-1] == [0.0, 0.0]


def test_muted_frames_are_exact_and_its_reward_is_wrong_once_points_are_made(
    moves: Result, store: EpisodeStore, pool: StartPool
) -> None:
    told = entry_of(moves[0], "muted")["per_step"]
    assert told["dyn_psnr"] == [CAP] * 8
    rewards, steps = store[3].rewards, [pool.entries[start]["step"] for start in SCORING]
    for h, share in enumerate(told["reward_accuracy"]):
        earned = [rewards[step : step + h + 1].sum() for step in steps]
        assert share == pytest.approx(np.mean(np.array(earned) == 0))
        assert told["score_error"][h] == pytest.approx(np.mean(earned))


def test_a_dream_that_never_ends_is_caught(ends: Result) -> None:
    endless = entry_of(ends[0], "endless")["per_step"]
    assert endless["terminal_agreement"] == [1.0] * 17 + [0.5] * 16 + [0.0] * 7
    assert endless["end_recall"] == [None] * 17 + [0.0] * 23 == endless["end_f1"]
    assert endless["end_precision"] == [None] * 40
    better = entry_of(ends[0], "emulator")["better_than"]["endless"]["terminal_agreement"]
    assert better[16] == [0.0, 0.0] and better[33] == [1.0, 1.0]
    assert ends[0]["events"]["end"] == [0] * 17 + [1] * 16 + [2] * 7


def test_a_start_counts_up_to_and_including_its_last_frame(ends: Result, moves: Result) -> None:
    for entry in ends[0]["entries"]:
        assert entry["per_step"]["n"] == [2] * 18 + [1] * 16 + [0] * 6
    assert entry_of(moves[0], "late")["per_step"]["n"] == [len(SCORING)] * 8


def test_a_dream_that_ended_early_is_scored_on_its_last_frame(
    ends: Result, store: EpisodeStore, pool: StartPool
) -> None:
    told, sums = entry_of(ends[0], "hasty")["per_step"], ends[1].starts["hasty"]
    assert told["dyn_psnr"][0] == CAP and max(told["dyn_psnr"][1:18]) < CAP
    assert told["terminal_agreement"] == [0.0] * 17 + [0.5] * 16 + [1.0] * 7
    episode, step = store[3], pool.entries[ENDING[1]]["step"]
    moving = (episode.frames[step + 1 :] != episode.frames[step]).any(0)
    last = Picture(episode.frames[step + 1])
    for h in (0, 1, 9, 17):
        row = compare_frames(Picture(episode.frames[step + h + 1]), last, moving)
        assert {name: sums[name][1, h] for name in FRAME_SUMS} == row
    assert not any(sums[name][1, 18:].any() for name in FRAME_SUMS)


def test_without_frames_there_is_null_but_the_end_still_counts(ends: Result) -> None:
    for entry in ends[0]["entries"]:
        for key in (*FRAME_MEASURES, "reward_accuracy", "score_error", "terminal_agreement"):
            for table in (entry["per_step"], entry["ci95"], *entry["better_than"].values()):
                assert [value is None for value in table[key][34:]] == [key in FRAME_MEASURES] * 6
                assert table[key][0] is not None


def test_moving_pixels_are_those_of_fifty_steps_whatever_the_horizon(
    moves: Result, store: EpisodeStore, pool: StartPool
) -> None:
    episode = store[3]
    for place, start in enumerate(SCORING[:3]):
        step = pool.entries[start]["step"]
        frames = episode.frames[step : step + 51]
        count = (frames[1:] != frames[0]).any(0).sum()
        assert (moves[1].starts["late"]["moving"][place] == count).all()


def test_measuring_twice_gives_equal_numbers(moves: Result, pool: StartPool, cache: Path) -> None:
    def again() -> Result:
        return run_measure(pool, SCORING[:2], 8, plain(late=EmulatorControl, hasty=RandomEnds), cache)

    first, measured = again()
    assert first == again()[0]
    for key, sums in measured.starts["copy_last"].items():
        np.testing.assert_array_equal(sums, moves[1].starts["copy_last"][key][:2])


@pytest.mark.slow
def test_the_best_of_several_samples_is_no_worse(pool: StartPool, cache: Path) -> None:
    several = [Entry(f"best{count}", "checkpoint", RandomEnds(Domain()), samples=count) for count in (1, 6)]
    _, measured = run_measure(pool, (0, 1, 2), 30, several, cache)
    one, best = (measured.starts[entry.name]["moving_wrong"].sum(1) for entry in several)
    assert (best <= one).all() and (best < one).any()


def test_progress_adds_up_and_dreams_are_shown_to_who_watches(
    pool: StartPool, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longrun, "STEPS", 100)
    protocol = Protocol.of(pool, 3, 4, control_starts=2, long_starts=2)
    done: list[int] = []
    seen: list[dict[str, Any]] = []
    entries = open_entries([], pool)
    measure(protocol, pool, entries, 0, done.append, cache, seen.append)
    assert sum(done) == work(protocol) == 14
    assert list(seen[0]) == [entry.name for entry in entries] and len(seen[0]["emulator"]) == 3
    assert seen[0]["emulator"][0].steps == 4


def command(pool: StartPool, out: Path, *more: str, starts: int = 3, horizon: int = 2) -> int:
    arguments = ["drift", "--game", "pacman", "--pool", pool.name, "--out", str(out), "--device", "cpu"]
    arguments += ["--workers", "0", "--control", "0", "--long", "0"]
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--starts", str(starts), "--horizon", str(horizon), *more])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folders(
    pool: StartPool, store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Results of one checkpoint, and of another compared with the first."""
    root = tmp_path_factory.mktemp("drift")
    one, two = (make_checkpoint(root / name, store, seed) for seed, name in enumerate(("one", "two")))
    assert command(pool, root / "first", "--checkpoint", one, "--control", "2", "--long", "2") == 0
    both = ["--checkpoint", two, "--compare", str(root / "first"), "--control", "2", "--long", "2"]
    assert command(pool, root / "both", *both) == 0
    return root / "first", root / "both"


@pytest.mark.slow
def test_the_command_writes_five_files(folders: tuple[Path, Path], pool: StartPool) -> None:
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "drift.json",
        "drift.png",
        "per_start.npz",
        "report.html",
        "strip.png",
    ]
    told = json.loads((folders[0] / "drift.json").read_text())
    assert told["command"].startswith("atari-dream ") and told["protocol"]["starts"] == 3
    with np.load(folders[0] / "per_start.npz") as arrays:
        assert arrays["starts"].tolist() == [pool.entries[start]["id"] for start in pool.sample(3)]
        keys = {f"{entry}/starts/{key}" for entry in ("one", "emulator") for key in FRAME_SUMS}
        assert set(arrays.files) > keys | {"one/control/effect_any", "one/long/colours"}


@pytest.mark.slow
def test_compare_pairs_earlier_results(folders: tuple[Path, Path]) -> None:
    first, both = (json.loads((folder / "drift.json").read_text()) for folder in folders)
    assert [entry["name"] for entry in both["entries"][3:]] == ["two", "two:mode", "one", "one:mode"]
    kept = entry_of(both, "one")
    for key in ("per_step", "ci95", "objects"):
        assert kept[key] == entry_of(first, "one")[key]
    for part, table in (("control", "per_step"), ("long", "per_stretch")):
        assert kept[part][table] == entry_of(first, "one")[part][table]
    paired = entry_of(both, "two")["better_than"]["one"]["psnr"]
    mirrored = kept["better_than"]["two"]["psnr"]
    assert paired[0] is not None and paired[0] == pytest.approx([-mirrored[0][1], -mirrored[0][0]])
    assert kept["better_than"]["copy_last"] == entry_of(first, "one")["better_than"]["copy_last"]
    assert "one:mode" in (folders[1] / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--starts", "17"], "atari-dream: 17 starts asked of pool {pool}, allowed are 1 to 16"),
        (["--starts", "1"], "atari-dream: 1 starts asked, 2 is the fewest that give an interval"),
        (["--horizon", "1001"], "atari-dream: horizon 1001 asked, allowed are 1 to 1000 steps"),
        (["--game", "qbert"], "atari-dream: start pool {pool} is of game 'pacman', not 'qbert'"),
        (
            ["--actions", "left"],
            "atari-dream: unknown actions 'left': allowed are continuation, random, NOOP",
        ),
        (
            ["--fvd", "nowhere.pt"],
            "atari-dream: no file nowhere.pt: FVD takes the TorchScript file known as ",
        ),
        (
            ["--checkpoint", "{root}/one", "--compare", "{root}/first", "--control", "2", "--long", "2"],
            "atari-dream: --compare brings a second entry named 'one': leave one out",
        ),
        (
            ["--horizon", "3", "--compare", "{root}/first"],
            "atari-dream: drift in {root}/first was measured under another protocol: horizon 2, not 3; control",
        ),
        (["--checkpoint", "{root}/three"], "atari-dream: unknown checkpoint '{root}/three': allowed are "),
    ],
)
def test_bad_usage_is_one_line(
    more: list[str],
    line: str,
    folders: tuple[Path, Path],
    pool: StartPool,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    places = {"root": folders[0].parent, "pool": pool.name}
    assert command(pool, tmp_path / "out", *(part.format(**places) for part in more)) == 2
    told = capsys.readouterr().err
    assert told.startswith(line.format(**places)) and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_real_game_may_be_the_only_one_asked_for(
    pool: StartPool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--checkpoint", "emulator", "--json", "--actions", "UP"]
    assert command(pool, tmp_path, *more, starts=2, horizon=1) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(entry["name"] for entry in told["entries"]) == ["background", "copy_last", "emulator"]
    assert {key: entry_of(told, "emulator")["per_step"][key] for key in EXACT} == {
        key: [exact] for key, exact in EXACT.items()
    }
    assert told["protocol"]["actions"] == "UP"
