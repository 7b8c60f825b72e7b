"""The ruler: exact for the real game, and every way of being wrong is seen by the measure that is for it."""

import copy
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream import truth
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import save_checkpoint
from atari_dream.cli import run
from atari_dream.drift import Entry, Protocol, Sums, load_drift, measure, open_entries, save_drift, summarise
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import GAMES
from atari_dream.metrics import CAP, FRAME_SUMS, MEASURES, compare_frames
from atari_dream.models.copy_last import CopyLast
from atari_dream.models.emulator import EmulatorControl
from atari_dream.predictor import Domain, Frames, Outcome, Start, State
from atari_dream.registry import create_model
from atari_dream.starts import StartPool
from atari_dream.windows import domain_of

EXACT = {
    "psnr": CAP,
    "ssim": 1.0,
    "dyn_psnr": CAP,
    "sharp_diff": CAP,
    "wrong_moving": 0.0,
    "reward_accuracy": 1.0,
    "terminal_agreement": 1.0,
}
SCORING, ENDING = tuple(range(10)), (14, 15)
"""Starts of the pool: most of the first score within 8 steps, the others end after 34 and 18."""


class Late(EmulatorControl):
    """Shows the frame before."""

    def init(self, start: Start) -> State:
        return *super().init(start), start.frames[:, -1].clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state[:3], action, noise)
        return (*after, state[1]), outcome

    def decode(self, state: State) -> Frames:
        return Frames(state[3])


class Mistaken(EmulatorControl):
    """Plays left for right and right for everything else."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        return super().step(state, torch.where(action == 3, 4, 3).to(torch.uint8), noise)


class Muted(EmulatorControl):
    """Tells no reward."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(reward=torch.zeros_like(outcome.reward))


class Endless(EmulatorControl):
    """Tells no end."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(terminated=torch.zeros_like(outcome.terminated))


class Hasty(EmulatorControl):
    """Tells an end at every step, so its dream is over after the first."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(terminated=torch.ones_like(outcome.terminated))


def only(pool: StartPool, starts: tuple[int, ...]) -> StartPool:
    """The pool where these are drawn."""
    some = copy.copy(pool)
    some.sample = lambda count, seed=0: np.array(starts)[:count]  # type: ignore[method-assign]
    return some


@pytest.fixture(autouse=True, scope="module")
def in_this_process() -> Iterator[None]:
    """Replays the truth in a thread: that a fresh process does it otherwise is test_truth's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(truth, "ProcessPoolExecutor", lambda workers, mp_context: ThreadPoolExecutor(1))
        yield


def entry_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in summary["entries"] if entry["name"] == name)


def run_measure(
    pool: StartPool, starts: tuple[int, ...], horizon: int, predictors: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Sums]]:
    some = only(pool, starts)
    protocol = Protocol.of(some, len(starts), horizon)
    entries = open_entries([], some)
    entries += [Entry(name, "checkpoint", made(Domain())) for name, made in predictors.items()]
    sums = measure(protocol, some, entries, workers=1)
    listed = [(entry.name, str(entry.kind)) for entry in entries]
    return summarise(protocol, listed, sums, "a test"), sums


@pytest.fixture(scope="module")
def moves(pool: StartPool) -> tuple[dict[str, Any], dict[str, Sums]]:
    """Eight steps from starts at which nothing ends."""
    return run_measure(pool, SCORING, 8, {"late": Late, "mistaken": Mistaken, "muted": Muted})


@pytest.fixture(scope="module")
def ends(pool: StartPool) -> tuple[dict[str, Any], dict[str, Sums]]:
    """Forty steps from starts that end after 34 and 18."""
    return run_measure(pool, ENDING, 40, {"endless": Endless, "hasty": Hasty})


def test_the_emulator_is_exact_at_every_step(
    moves: tuple[dict[str, Any], dict[str, Sums]], ends: tuple[dict[str, Any], dict[str, Sums]]
) -> None:
    for (summary, _), full in ((moves, 8), (ends, 34)):
        emulator = entry_of(summary, "emulator")
        for key, exact in EXACT.items():
            assert emulator["per_step"][key][:full] == [exact] * full
            assert emulator["ci95"][key][:8] == [[exact, exact]] * 8
        for key in ("reward_accuracy", "terminal_agreement"):
            assert emulator["per_step"][key] == [1.0] * summary["protocol"]["horizon"]


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_the_emulator_is_exact_in_every_game(game: str) -> None:
    pool = bundled_pool(game)
    protocol = Protocol.of(pool, 8, 50)
    entries = open_entries([], pool)
    sums = measure(protocol, pool, entries, workers=1)
    summary = summarise(protocol, [(entry.name, entry.kind) for entry in entries], sums, "a test")
    for key, exact in EXACT.items():
        told = entry_of(summary, "emulator")["per_step"][key]
        assert len(told) == 50 and set(told) <= {exact, None} and told[0] == exact
    assert entry_of(summary, "copy_last")["per_step"]["dyn_psnr"][-1] < CAP


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("late", ("psnr", "dyn_psnr", "ssim", "sharp_diff", "wrong_moving")),
        ("copy_last", ("psnr", "dyn_psnr", "ssim", "sharp_diff", "wrong_moving")),
        ("background", ("psnr", "dyn_psnr", "wrong_moving")),
        ("mistaken", ("psnr", "dyn_psnr", "wrong_moving")),
        ("muted", ("reward_accuracy",)),
    ],
)
def test_a_broken_dream_is_caught(
    name: str, keys: tuple[str, ...], moves: tuple[dict[str, Any], dict[str, Sums]]
) -> None:
    summary, _ = moves
    ahead, behind = entry_of(summary, "emulator")["better_than"], entry_of(summary, name)["better_than"]
    for key in keys:
        low, high = ahead[name][key][-1]
        assert 0 < low < high
        assert behind["emulator"][key][-1] == pytest.approx([-high, -low])
    if name != "late":  # which knows no less of the rewards
        return
    assert ahead[name]["reward_accuracy"][-1] == [0.0, 0.0]


def test_muted_frames_are_exact_and_its_reward_is_wrong_once_points_are_made(
    moves: tuple[dict[str, Any], dict[str, Sums]], store: EpisodeStore, pool: StartPool
) -> None:
    told = entry_of(moves[0], "muted")["per_step"]
    assert told["dyn_psnr"] == [CAP] * 8
    rewards, steps = store[3].rewards, [pool.entries[start]["step"] for start in SCORING]
    for h, share in enumerate(told["reward_accuracy"]):
        quiet = [not rewards[step : step + h + 1].any() for step in steps]
        assert share == pytest.approx(np.mean(quiet))


def test_a_dream_that_never_ends_is_caught(ends: tuple[dict[str, Any], dict[str, Sums]]) -> None:
    summary, _ = ends
    assert entry_of(summary, "endless")["per_step"]["terminal_agreement"] == (
        [1.0] * 17 + [0.5] * 16 + [0.0] * 7
    )
    better = entry_of(summary, "emulator")["better_than"]["endless"]["terminal_agreement"]
    assert better[16] == [0.0, 0.0] and better[33] == [1.0, 1.0]


def test_a_start_counts_up_to_and_including_its_last_frame(
    ends: tuple[dict[str, Any], dict[str, Sums]], moves: tuple[dict[str, Any], dict[str, Sums]]
) -> None:
    for entry in ends[0]["entries"]:
        assert entry["per_step"]["n"] == [2] * 18 + [1] * 16 + [0] * 6
    assert entry_of(moves[0], "late")["per_step"]["n"] == [len(SCORING)] * 8


def test_a_dream_that_ended_early_is_scored_on_its_last_frame(
    ends: tuple[dict[str, Any], dict[str, Sums]], store: EpisodeStore, pool: StartPool
) -> None:
    summary, sums = ends
    told = entry_of(summary, "hasty")["per_step"]
    assert told["dyn_psnr"][0] == CAP and max(told["dyn_psnr"][1:18]) < CAP
    assert told["terminal_agreement"] == [0.0] * 17 + [0.5] * 16 + [1.0] * 7
    episode, step = store[3], pool.entries[ENDING[1]]["step"]
    moving = (episode.frames[step + 1 :] != episode.frames[step]).any(0)
    for h in (0, 1, 9, 17):
        row = compare_frames(episode.frames[step + h + 1], episode.frames[step + 1], moving)
        assert {name: sums["hasty"][name][1, h] for name in FRAME_SUMS} == row
    assert not any(sums["hasty"][name][1, 18:].any() for name in FRAME_SUMS)


def test_without_frames_there_is_null_but_the_end_still_counts(
    ends: tuple[dict[str, Any], dict[str, Sums]],
) -> None:
    for entry in ends[0]["entries"]:
        for key in MEASURES:
            gone = key not in ("reward_accuracy", "terminal_agreement")
            for table in (entry["per_step"], entry["ci95"], *entry["better_than"].values()):
                assert [value is None for value in table[key][34:]] == [gone] * 6
                assert table[key][0] is not None


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_file_has_the_keys_of_the_contract(
    ends: tuple[dict[str, Any], dict[str, Sums]], tmp_path: Path
) -> None:
    save_drift(tmp_path / "out", *ends, ["one", "two"])
    told = strict((tmp_path / "out" / "drift.json").read_text())
    assert told == ends[0]
    assert set(told) == {"format", "game", "protocol", "entries", "command", "commit", "versions"}
    assert told["format"] == 1 and told["game"] == "pacman" and told["command"] == "a test"
    asked = {"name", "starts", "horizon", "context", "frame_skip", "actions", "sampling", "seed"}
    assert asked | {"game", "pool", "sha256"} == set(told["protocol"])
    assert (told["protocol"]["starts"], told["protocol"]["horizon"]) == (2, 40)
    names = ["copy_last", "background", "emulator", "endless", "hasty"]
    assert sorted(entry["name"] for entry in told["entries"]) == sorted(names)
    for entry in told["entries"]:
        assert set(entry) == {"name", "kind", "per_step", "ci95", "better_than"}
        assert entry["kind"] == ("checkpoint" if entry["name"] in names[3:] else "control")
        assert set(entry["per_step"]) == set(entry["ci95"]) == {*MEASURES, "n"}
        assert set(entry["better_than"]) == set(names) - {entry["name"]}
        for table in (entry["per_step"], entry["ci95"], *entry["better_than"].values()):
            assert all(len(row) == 40 for row in table.values())
        for key in MEASURES:
            for value, band in zip(entry["per_step"][key], entry["ci95"][key], strict=True):
                assert band is None or band[0] <= value <= band[1]
        assert all(set(table) == set(MEASURES) for table in entry["better_than"].values())
    with np.load(tmp_path / "out" / "per_start.npz") as arrays:
        assert arrays["starts"].tolist() == ["one", "two"]
        np.testing.assert_array_equal(arrays["hasty/square"], ends[1]["hasty"]["square"])


def test_moving_pixels_are_those_of_fifty_steps_whatever_the_horizon(
    moves: tuple[dict[str, Any], dict[str, Sums]], store: EpisodeStore, pool: StartPool
) -> None:
    episode = store[3]
    for place, start in enumerate(SCORING[:3]):
        step = pool.entries[start]["step"]
        frames = episode.frames[step : step + 51]
        count = (frames[1:] != frames[0]).any(0).sum()
        assert (moves[1]["late"]["moving"][place] == count).all()


def test_measuring_twice_gives_equal_numbers(
    moves: tuple[dict[str, Any], dict[str, Sums]], pool: StartPool
) -> None:
    again = run_measure(pool, SCORING[:2], 8, {"late": Late})
    assert again[0] == run_measure(pool, SCORING[:2], 8, {"late": Late})[0]
    for key, sums in again[1]["late"].items():
        np.testing.assert_array_equal(sums, moves[1]["late"][key][:2])


def test_every_field_of_the_protocol_is_in_its_hash(pool: StartPool) -> None:
    protocol = Protocol.of(pool, 4, 10)
    assert Protocol.of(pool, 4, 10).digest() == protocol.digest()
    digests = {protocol.digest()}
    for part in fields(Protocol):
        value = getattr(protocol, part.name)
        digests.add(
            replace(protocol, **{part.name: value + 1 if isinstance(value, int) else value + "x"}).digest()
        )
    assert len(digests) == 1 + len(fields(Protocol)) == 11


def test_the_protocol_knows_the_starts(pool: StartPool) -> None:
    other = copy.copy(pool)
    other.entries = [dict(entry) for entry in pool.entries]
    other.entries[3]["frame"] = "0" * 64
    assert Protocol.of(other, 4, 10).pool != Protocol.of(pool, 4, 10).pool
    assert Protocol.of(pool, 4, 10).context == 16 and Protocol.of(pool, 4, 10).frame_skip == 4


@pytest.mark.parametrize("horizon", [0, 1001])
def test_a_horizon_out_of_range(horizon: int, pool: StartPool) -> None:
    with pytest.raises(UsageError, match=rf"^horizon {horizon} asked, allowed are 1 to 1000 steps$"):
        Protocol.of(pool, 4, horizon)


@pytest.mark.parametrize("starts", [0, 17])
def test_too_many_starts(starts: int, pool: StartPool) -> None:
    with pytest.raises(UsageError, match=rf"^{starts} starts asked of pool .*, allowed are 1 to 16$"):
        Protocol.of(pool, starts, 10)


def make_checkpoint(folder: Path, store: EpisodeStore, seed: int = 0) -> str:
    torch.manual_seed(seed)
    predictor = create_model("tiny", domain_of(store, 4))
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_checkpoint(folder, predictor, "tiny", {}, {}, "no data")
    return str(folder)


def test_duplicate_names_are_refused(pool: StartPool, store: EpisodeStore, tmp_path: Path) -> None:
    twins = [make_checkpoint(tmp_path / parent / "same", store) for parent in ("a", "b")]
    with pytest.raises(UsageError, match=r"^two checkpoints are named 'same': rename a folder$"):
        open_entries(twins, pool)
    opened = open_entries([twins[0], "copy_last"], pool)
    assert [(entry.name, entry.kind, entry.temperature) for entry in opened][-2:] == [
        ("same", "checkpoint", 1.0),
        ("same:mode", "checkpoint", 0.0),
    ]
    assert sorted(entry.name for entry in opened[:3]) == ["background", "copy_last", "emulator"]


def command(pool: StartPool, out: Path, *more: str, starts: int = 3, horizon: int = 2) -> int:
    arguments = ["drift", "--game", "pacman", "--pool", pool.name, "--out", str(out), "--device", "cpu"]
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
    assert command(pool, root / "first", "--checkpoint", one) == 0
    assert command(pool, root / "both", "--checkpoint", two, "--compare", str(root / "first")) == 0
    return root / "first", root / "both"


def test_the_command_writes_five_files(folders: tuple[Path, Path], pool: StartPool) -> None:
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "drift.json",
        "drift.png",
        "per_start.npz",
        "report.html",
        "strip.png",
    ]
    told = strict((folders[0] / "drift.json").read_text())
    assert told["command"].startswith("atari-dream ") and told["protocol"]["starts"] == 3
    with np.load(folders[0] / "per_start.npz") as arrays:
        assert arrays["starts"].tolist() == [pool.entries[start]["id"] for start in pool.sample(3)]
        keys = {(entry, key) for entry in ("one", "emulator") for key in FRAME_SUMS}
        assert {tuple(name.split("/")) for name in arrays.files if "/" in name} > keys


def test_compare_pairs_earlier_results(folders: tuple[Path, Path]) -> None:
    first, both = (strict((folders[place] / "drift.json").read_text()) for place in (0, 1))
    assert [entry["name"] for entry in both["entries"][3:]] == ["two", "two:mode", "one", "one:mode"]
    for key in ("per_step", "ci95"):
        assert entry_of(both, "one")[key] == entry_of(first, "one")[key]
    paired = entry_of(both, "two")["better_than"]["one"]["psnr"]
    mirrored = entry_of(both, "one")["better_than"]["two"]["psnr"]
    assert paired[0] is not None and paired[0] == pytest.approx([-mirrored[0][1], -mirrored[0][0]])
    kept = entry_of(first, "one")["better_than"]["copy_last"]
    assert entry_of(both, "one")["better_than"]["copy_last"] == kept


def test_another_protocol_is_not_compared(folders: tuple[Path, Path], pool: StartPool) -> None:
    with pytest.raises(
        UsageError, match=r"was measured under another protocol: horizon 2, not 3; seed 0, not 1$"
    ):
        load_drift(folders[0], Protocol.of(pool, 3, 3, seed=1))
    with pytest.raises(UsageError, match="no drift measurement at"):
        load_drift(folders[0].parent / "nowhere", Protocol.of(pool, 3, 2))


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--starts", "17"], "atari-dream: 17 starts asked of pool {pool}, allowed are 1 to 16"),
        (["--horizon", "0"], "atari-dream: horizon 0 asked, allowed are 1 to 1000 steps"),
        (
            ["--checkpoint", "{root}/one", "--compare", "{root}/first"],
            "atari-dream: --compare brings a second entry named 'one': leave one out",
        ),
        (
            ["--horizon", "3", "--compare", "{root}/first"],
            "atari-dream: drift in {root}/first was measured under another protocol: horizon 2, not 3",
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


def test_the_real_game_may_be_the_only_one_asked_for(
    pool: StartPool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(pool, tmp_path, "--checkpoint", "emulator", "--json", starts=2, horizon=1) == 0
    told = strict(capsys.readouterr().out)
    assert sorted(entry["name"] for entry in told["entries"]) == ["background", "copy_last", "emulator"]
    assert {key: entry_of(told, "emulator")["per_step"][key] for key in EXACT} == {
        key: [exact] for key, exact in EXACT.items()
    }


def test_the_tests_copy_last_is_the_floor(pool: StartPool) -> None:
    floor = next(entry for entry in open_entries([], pool) if entry.name == "copy_last")
    assert type(floor.predictor) is CopyLast and floor.kind == "control"
