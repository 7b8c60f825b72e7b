"""Measures are sums that pool: by hand on small changes, against a plain loop and against torchmetrics."""

import math

import numpy as np
import pytest
import torch

from atari_dream.episodes import EpisodeStore
from atari_dream.metrics import CAP, FRAME_SUMS, MEASURES, compare_frames, pool, ssim
from atari_dream.palette import PALETTE

OUTCOMES = ("reward_right", "end_right", "starts")
ALL = np.ones((210, 160), bool)


@pytest.fixture(scope="module")
def frames(store: EpisodeStore) -> np.ndarray:
    """Real frames, uint8 (4, 210, 160), all different."""
    return store[3].frames[[80, 84, 120, 200]]


def judge(
    real: np.ndarray, dreamt: np.ndarray, moving: np.ndarray = ALL, weights: tuple[float, ...] = (1.0,)
) -> dict[str, float]:
    """Values of (one or more) starts at one step."""
    real, dreamt, moving = (part.reshape(-1, 210, 160) for part in (real, dreamt, moving))
    rows = [compare_frames(*row) for row in zip(real, dreamt, moving, strict=True)]
    sums = {name: np.array([[row[name]] for row in rows], float) for name in FRAME_SUMS}
    sums |= {name: np.ones((len(rows), 1)) for name in OUTCOMES}
    return {name: value.item() for name, value in pool(sums, np.array([weights])).items()}


def test_exact_frames_are_at_the_cap(frames: np.ndarray) -> None:
    for frame in frames:
        assert judge(frame, frame.copy()) == {
            "psnr": CAP,
            "ssim": 1.0,
            "dyn_psnr": CAP,
            "sharp_diff": CAP,
            "wrong_moving": 0.0,
            "reward_accuracy": 1.0,
            "terminal_agreement": 1.0,
        }


def test_one_pixel_by_hand() -> None:
    real, dreamt = np.zeros((210, 160), np.uint8), np.zeros((210, 160), np.uint8)
    dreamt[100, 50] = 0x0E
    assert PALETTE[0].tolist() == [0, 0, 0] and PALETTE[0x0E].tolist() == [236, 236, 236]
    moving = np.zeros((210, 160), bool)
    moving[100:102, 50:54] = True
    value = judge(real, dreamt, moving)
    assert value["psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / (210 * 160))))
    assert value["dyn_psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 8)))
    assert value["wrong_moving"] == 1 / 8
    # the pixel lies in two differences of its own and in one each of its upper and its left neighbour
    assert value["sharp_diff"] == pytest.approx(10 * math.log10(209 * 159 / (4 * 236 / 255)))


def test_colours_are_compared_channel_by_channel() -> None:
    real, dreamt = np.full((210, 160), 0x44, np.uint8), np.full((210, 160), 0x86, np.uint8)
    mse = np.square(PALETTE[0x44].astype(float) - PALETTE[0x86]).mean()
    assert judge(real, dreamt)["psnr"] == pytest.approx(10 * math.log10(255**2 / mse))


def test_psnr_is_that_of_the_pictures(frames: np.ndarray) -> None:
    mse = np.square(PALETTE[frames[0]].astype(float) - PALETTE[frames[2]]).mean()
    assert judge(frames[0], frames[2])["psnr"] == pytest.approx(10 * math.log10(255**2 / mse))


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 3), (3, 3)])
def test_ssim_is_torchmetrics(frames: np.ndarray, pair: tuple[int, int]) -> None:
    image = pytest.importorskip("torchmetrics.functional.image")
    one, other = (PALETTE[frames[place]].astype(np.float32) for place in pair)
    theirs = image.structural_similarity_index_measure(
        *(torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in (one, other)), data_range=255.0
    ).item()
    assert ssim(one, other) == pytest.approx(theirs, abs=1e-4)
    assert ssim(one, other) == pytest.approx(judge(*frames[list(pair)])["ssim"])
    assert pair[0] == pair[1] or 0.2 < theirs < 0.9999


def test_ssim_is_lower_for_a_wrong_game_than_for_a_late_frame(frames: np.ndarray) -> None:
    assert judge(frames[0], frames[1])["ssim"] > judge(frames[0], frames[0][::-1])["ssim"] > -1


def test_sharp_diff_is_the_plain_loop(frames: np.ndarray) -> None:
    real, dreamt = frames[0].copy(), frames[0].copy()
    dreamt[20:40, 30:60] = frames[2][60:80, 30:60]
    one, other = (PALETTE[codes].astype(float) / 255 for codes in (real, dreamt))
    total = 0.0
    for row in range(209):
        for column in range(159):
            for channel in range(3):
                slopes = [
                    abs(picture[row, column + 1, channel] - picture[row, column, channel])
                    + abs(picture[row + 1, column, channel] - picture[row, column, channel])
                    for picture in (one, other)
                ]
                total += abs(slopes[0] - slopes[1])
    assert total > 0
    assert judge(real, dreamt)["sharp_diff"] == pytest.approx(10 * math.log10(209 * 159 * 3 / total))


def test_only_moving_pixels_count_as_moving(frames: np.ndarray) -> None:
    real, dreamt, moving = frames[0], frames[0].copy(), np.zeros((210, 160), bool)
    moving[:50] = True
    dreamt[100:120, :20] ^= 0x0E
    value = judge(real, dreamt, moving)
    assert value["dyn_psnr"] == CAP and value["wrong_moving"] == 0.0 and value["psnr"] < CAP
    dreamt[10:20, :10] ^= 0x0E
    assert judge(real, dreamt, moving)["wrong_moving"] == 100 / (50 * 160)
    assert judge(real, dreamt, ~moving)["wrong_moving"] == 400 / (160 * 160)


def test_starts_pool_their_errors_not_their_decibels() -> None:
    real = np.zeros((2, 210, 160), np.uint8)
    dreamt, moving = real.copy(), np.zeros((2, 210, 160), bool)
    dreamt[1, :21] = 0x0E
    moving[0, :63], moving[1, :21] = True, True
    value = judge(real, dreamt, moving, weights=(1.0, 1.0))
    assert value["psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 20)))
    assert value["wrong_moving"] == 0.25  # 21 of 84 rows, not the mean of 0 and 1
    assert value["dyn_psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 4)))
    assert judge(real, dreamt, moving, weights=(1.0, 3.0))["wrong_moving"] == 0.5
    assert judge(real, dreamt, moving, weights=(2.0, 0.0))["psnr"] == CAP


def test_without_data_there_is_no_value(frames: np.ndarray) -> None:
    value = judge(frames[0], frames[1], ~ALL)
    assert math.isnan(value["dyn_psnr"]) and math.isnan(value["wrong_moving"])
    assert math.isfinite(value["psnr"])
    nobody = {name: np.zeros((2, 3)) for name in (*FRAME_SUMS, *OUTCOMES)}
    for values in pool(nobody, np.ones((1, 2))).values():
        assert values.shape == (1, 3) and np.isnan(values).all()


def test_every_measure_is_told_which_way_is_better() -> None:
    assert {name for name, measure in MEASURES.items() if measure.sign < 0} == {"wrong_moving"}
