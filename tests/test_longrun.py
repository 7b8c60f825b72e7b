"""Long runs: what they look like is summed by hand, and a frozen or broken dream is told from one like the game."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atari_dream import longrun
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import open_predictor
from atari_dream.job import Job
from atari_dream.longrun import EXACT, REAL, STEPS, STRETCH, compare_looks, looks, measure_long, verdict
from atari_dream.metrics import Picture, Sums
from atari_dream.objects.scene import NOWHERE, Scene, SceneReader
from atari_dream.processes import processes
from atari_dream.protocol import Entry, Protocol

STRETCHES = 10
BALL = 0x1A


class BallReader(SceneReader):
    """Sees a ball wherever its colour is, a wall always, and a ghost that it cannot tell."""

    tracks = ("ball", "wall", "ghost")

    def of_ram(self, ram: np.ndarray) -> Scene:
        raise NotImplementedError

    def of_frame(self, frame: np.ndarray) -> Scene:
        ball = np.argwhere(frame == BALL)[:1].astype(np.float32)
        return Scene({"ball": ball if len(ball) else NOWHERE, "wall": np.ones((1, 2)), "ghost": None}, {})


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of 100 steps in stretches of 10, of which every fifth frame is looked at."""
    for name, value in (("STEPS", 100), ("STRETCH", 10), ("EVERY", 5)):
        monkeypatch.setattr(longrun, name, value)


def bouncing(runs: int = 1, freeze_at: int = 10**6, blank_at: int = 10**6) -> Iterator[np.ndarray]:
    """A ball of 4x4 that moves by four pixels a step over grey bars, uint8 (runs, 210, 160), 100 times."""
    for step in range(100):
        frame = np.zeros((210, 160), np.uint8)
        frame[::20] = 6
        place = 4 * (min(step, freeze_at) % 30)
        if step < blank_at:
            frame[101:105, place : place + 4] = BALL
        else:
            frame[(step * 7) % 200 :] = 0x88
        yield np.repeat(frame[None], runs, axis=0)


def first(runs: int = 1) -> np.ndarray:
    return np.zeros((runs, 210, 160), np.uint8)


def compare(real: Sums, dreamt: Sums) -> dict[str, np.ndarray]:
    compared = compare_looks(real, dreamt, np.ones((1, len(real["pixels"]))))
    return {name: value[0] for name, value in compared.items()}


def told(values: dict[str, np.ndarray]) -> str:
    return verdict({name: [None if np.isnan(x) else float(x) for x in row] for name, row in values.items()})


def test_looks_are_summed_by_hand() -> None:
    sums = looks(first(), bouncing(), [100], BallReader())
    assert {name: rows.shape for name, rows in sums.items()} == {
        "colours": (1, STRETCHES, 128),
        **dict.fromkeys(("changed", "pixels", "variation", "shown", "looked"), (1, STRETCHES)),
    }
    assert sums["looked"].tolist() == [[2] * STRETCHES] and sums["shown"].tolist() == [[4] * STRETCHES]
    assert sums["pixels"].tolist() == [[10 * 210 * 160] * STRETCHES]
    # the first step differs from the start by 11 bars and the ball, the others by where the ball was and is
    assert sums["changed"][0].tolist() == [11 * 160 + 16 + 9 * 32] + [320] * 9
    assert sums["colours"][0, 4, BALL // 2] == 2 * 16 and sums["colours"][0, 4, 3] == 2 * 11 * 160
    assert sums["colours"][0, 4].sum() == 2 * 210 * 160
    frames = [frame[0] for frame in bouncing()]
    assert sums["variation"][0, 3] == pytest.approx(sum(Picture(frames[step]).variation for step in (30, 35)))


def test_a_run_counts_as_long_as_the_real_game_and_by_itself() -> None:
    both = looks(first(2), bouncing(2), [100, 24], None)
    (whole, part) = ({name: rows[run] for name, rows in both.items()} for run in (0, 1))
    alone = looks(first(), bouncing(), [100], None)
    for name, rows in alone.items():
        np.testing.assert_array_equal(whole[name], rows[0])
        np.testing.assert_array_equal(part[name][:2], rows[0][:2])
        assert not part[name][3:].any()
    assert part["looked"].tolist() == [2, 2, 1] + [0] * 7
    assert part["pixels"][2] == 4 * 210 * 160
    assert not both["shown"].any()


def test_equal_play_is_exact_as_far_as_it_is_known() -> None:
    real = looks(first(2), bouncing(2), [55, 24], BallReader())
    compared = compare(real, real)
    assert set(compared) == set(EXACT)
    for name, value in compared.items():
        np.testing.assert_array_equal(value[:6], np.full(6, EXACT[name]))
        assert np.isnan(value[6:]).all()
    assert told(compared) == "still like the game"


def test_what_differs_shows_in_its_measure() -> None:
    real = looks(first(), bouncing(), [100], BallReader())
    frozen = compare(real, looks(first(), bouncing(freeze_at=37), [100], BallReader()))
    np.testing.assert_array_equal(frozen["motion_ratio"], [1.0] * 3 + [0.8] + [0.0] * 6)
    assert (frozen["palette_distance"] == 0).all() and (frozen["objects_ratio"] == 1).all()
    np.testing.assert_allclose(frozen["sharpness_ratio"], 1, rtol=0.01)
    blank = compare(real, looks(first(), bouncing(blank_at=50), [100], BallReader()))
    assert (blank["palette_distance"][:5] == 0).all() and (blank["palette_distance"][5:] > 0.1).all()
    assert blank["objects_ratio"].tolist() == [1.0] * 5 + [0.5] * 5
    assert (blank["motion_ratio"][5:] > 2).all() and (blank["sharpness_ratio"][5:] != 1).all()


def test_palette_distance_is_half_of_what_the_shares_differ_by() -> None:
    real, dreamt = ({"colours": np.zeros((1, 1, 128))} for _ in range(2))
    real["colours"][0, 0, :3], dreamt["colours"][0, 0, :3] = [6, 2, 0], [2, 0, 2]
    rest = {name: np.ones((1, 1)) for name in ("changed", "variation", "shown")}
    assert compare(real | rest | {"pixels": np.ones((1, 1))}, dreamt | rest)["palette_distance"] == [0.5]


def test_runs_are_pooled_with_their_weights() -> None:
    real = looks(first(2), bouncing(2), [100, 100], None)
    half = {
        name: rows * np.array([1.0, 0.5]).reshape(2, *[1] * (rows.ndim - 1)) for name, rows in real.items()
    }
    compared = compare_looks(real, half, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    assert compared["motion_ratio"].shape == (3, STRETCHES)
    np.testing.assert_allclose(compared["motion_ratio"][:, 4], [0.75, 1.0, 0.5])
    assert np.isnan(compared["objects_ratio"]).all()  # nobody knows the objects


def test_verdicts() -> None:
    real = looks(first(), bouncing(), [100], BallReader())
    dreams = {
        "still like the game": bouncing(),
        "frozen from step 41 on": bouncing(freeze_at=39),
        "fallen apart from step 51 on": bouncing(blank_at=50),
    }
    for expected, frames in dreams.items():
        assert told(compare(real, looks(first(), frames, [100], BallReader()))) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "still like the game"),
        ({"motion_ratio": [0.0, 0.0, 1.0]}, "still like the game"),
        ({"motion_ratio": [0.0, 0.0, 0.09]}, "frozen from step 1 on"),
        ({"motion_ratio": [1.0, 0.1, 0.0]}, "frozen from step 21 on"),
        ({"motion_ratio": [1.0, 0.0, None]}, "frozen from step 11 on"),
        ({"motion_ratio": [None, None, None]}, "still like the game"),
        ({"motion_ratio": [9.0, 2.0, 2.1]}, "fallen apart from step 21 on"),
        ({"palette_distance": [0.0, 0.15, 0.16]}, "fallen apart from step 21 on"),
        ({"palette_distance": [0.2, 0.0, 0.0]}, "still like the game"),
        ({"sharpness_ratio": [1.0, 0.69, 1.41]}, "fallen apart from step 11 on"),
        ({"sharpness_ratio": [0.7, 1.4, 1.0]}, "still like the game"),
        ({"objects_ratio": [1.0, 1.0, 0.4]}, "fallen apart from step 21 on"),
        ({"objects_ratio": [None, None, None]}, "still like the game"),
        ({"palette_distance": [0, 0, 0.5], "sharpness_ratio": [1, 0.1, 1]}, "fallen apart from step 11 on"),
        (
            {"motion_ratio": [1.0, 0.0, 0.0], "objects_ratio": [1.0, 1.0, 3.0]},
            "frozen from step 11 on, fallen apart from step 21 on",
        ),
    ],
)
def test_a_verdict_says_from_when_on(changes: dict[str, list[float | None]], expected: str) -> None:
    exact: dict[str, list[float | None]] = {name: [value] * 3 for name, value in EXACT.items()}
    assert verdict(exact | changes) == expected


def test_no_long_runs_without_starts_for_them(tmp_path: Path) -> None:
    pool = bundled_pool("pacman")
    with processes(0, "pacman") as executor:
        job = Job(Protocol.of(pool, 2, 10), pool, pool.sample(2), executor, tmp_path, lambda done: None)
        assert measure_long(job, []) == {}


@pytest.mark.slow
def test_the_emulator_is_exact_and_a_still_picture_is_frozen(tmp_path: Path) -> None:
    pool = bundled_pool("pacman")
    entries = [
        Entry(name, "control", open_predictor(name, pool).predictor) for name in ("emulator", "copy_last")
    ]
    done: list[int] = []
    with processes(0, "pacman") as executor:
        job = Job(
            Protocol.of(pool, 4, 10, long_starts=3), pool, pool.sample(4), executor, tmp_path, done.append
        )
        found = measure_long(job, entries)
    assert list(found) == [REAL, "emulator", "copy_last"] and sum(done) == 6
    assert found[REAL]["looked"].tolist() == [[2] * STRETCHES] * 3
    assert (found[REAL]["shown"] > 0).all()
    exact, still = (compare(found[REAL], found[name]) for name in ("emulator", "copy_last"))
    for name, value in exact.items():
        np.testing.assert_array_equal(value, np.full(STRETCHES, EXACT[name]))
    assert told(exact) == "still like the game"
    assert told(still).startswith("frozen from step 1 on")


def test_a_run_is_of_1000_steps_in_ten_stretches() -> None:
    assert (STEPS, STRETCH) == (1000, 100)
