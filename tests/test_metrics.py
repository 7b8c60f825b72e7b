"""Measures are sums that pool: by hand on small changes, against a plain loop and against torchmetrics."""

import math
from typing import NoReturn

import numpy as np
import pytest
import torch
from broken import EXACT

from atari_dream import metrics
from atari_dream.bundled import bundled_pool
from atari_dream.episodes import EpisodeStore
from atari_dream.metrics import (
    CAP,
    FRAME_MEASURES,
    FRAME_SUMS,
    OUTCOME_MEASURES,
    Picture,
    compare_frames,
    pool,
    similarities,
    stack,
)
from atari_dream.palette import PALETTE

OUTCOMES = ("reward_right", "score_off", "end_right", "starts")
ALL = np.ones((210, 160), bool)
BLACK = np.zeros((210, 160), np.uint8)
GREY = 0x0E


@pytest.fixture(scope="module")
def frames(store: EpisodeStore) -> np.ndarray:
    """Real frames, uint8 (6, 210, 160): four of Ms. Pac-Man, one of Pinball, one of Q*bert."""
    others = [bundled_pool(game)._arrays["frames"][0, -1] for game in ("pinball", "qbert")]
    return np.stack([*store[3].frames[[80, 84, 120, 200]], *others])


def judge(
    real: np.ndarray,
    dreamt: np.ndarray,
    moving: np.ndarray = ALL,
    weights: tuple[float, ...] = (1.0,),
    shown: np.ndarray | None = None,
) -> dict[str, float]:
    """Values of (one or more) starts at one step."""
    real, dreamt, moving = (part.reshape(-1, 210, 160) for part in (real, dreamt, moving))
    rows = [
        compare_frames(Picture(one), Picture(other), mask, shown)
        for one, other, mask in zip(real, dreamt, moving, strict=True)
    ]
    sums = {name: np.array([[row[name]] for row in rows], float) for name in FRAME_SUMS}
    return {name: value.item() for name, value in pool(sums, np.array([weights]), FRAME_MEASURES).items()}


def test_exact_frames_are_at_the_cap(frames: np.ndarray) -> None:
    for frame in frames:
        assert judge(frame, frame.copy()) == {key: EXACT[key] for key in FRAME_MEASURES}


def test_an_exact_frame_is_not_measured_again(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> NoReturn:
        raise AssertionError("measured")

    monkeypatch.setattr(metrics, "similarities", forbidden)
    shown = np.zeros(256, bool)
    sums = compare_frames(Picture(frames[0]), Picture(frames[0].copy()), ALL, shown)
    assert set(sums) == set(FRAME_SUMS)
    with pytest.raises(AssertionError, match="measured"):
        compare_frames(Picture(frames[0]), Picture(frames[1]), ALL, shown)


def test_an_exact_frame_counts_as_much_as_a_measured_one(frames: np.ndarray) -> None:
    rows = [
        compare_frames(Picture(frames[0]), Picture(frame), ALL) for frame in (frames[0].copy(), frames[1])
    ]
    for measure in FRAME_MEASURES.values():
        assert rows[0][measure.denominator] == rows[1][measure.denominator] > 0


def test_what_a_picture_needs_is_computed_once(frames: np.ndarray) -> None:
    picture = Picture(frames[0])
    assert picture.scales is picture.scales and picture.edges is picture.edges
    np.testing.assert_array_equal(picture.colours, PALETTE[frames[0]])


def test_one_pixel_by_hand() -> None:
    real, dreamt = BLACK, BLACK.copy()
    dreamt[100, 50] = GREY
    assert PALETTE[0].tolist() == [0, 0, 0] and PALETTE[GREY].tolist() == [236, 236, 236]
    moving = np.zeros((210, 160), bool)
    moving[100:102, 50:54] = True
    value = judge(real, dreamt, moving)
    assert value["psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / (210 * 160))))
    assert value["dyn_psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 8)))
    assert value["wrong_pixels"] == 1 / (210 * 160)
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


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 3), (3, 3), (0, 4), (4, 5), (5, 0)])
def test_similarities_are_those_of_torchmetrics(frames: np.ndarray, pair: tuple[int, int]) -> None:
    image = pytest.importorskip("torchmetrics.functional.image")
    pictures = [
        torch.from_numpy(PALETTE[frames[place]].astype(np.float32)).permute(2, 0, 1)[None] for place in pair
    ]
    options = {"data_range": 255.0, "kernel_size": 11, "sigma": 1.5}
    fine = image.structural_similarity_index_measure(*pictures, **options).item()
    betas = tuple(metrics._SCALES.tolist())
    coarse = image.multiscale_structural_similarity_index_measure(
        *pictures, betas=betas, normalize="relu", **options
    ).item()
    assert similarities(*(Picture(frames[place]) for place in pair)) == pytest.approx(
        (fine, coarse), abs=1e-4
    )
    value = judge(*frames[list(pair)])
    assert (value["ssim"], value["ms_ssim"]) == pytest.approx((fine, coarse), abs=1e-4)
    assert pair[0] == pair[1] or (0 < fine < 0.9999 and abs(fine - coarse) > 5e-4)


def test_the_weights_of_the_scales_are_the_published_ones_brought_to_1() -> None:
    published = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    np.testing.assert_allclose(metrics._SCALES, published[:4] / published[:4].sum())


def test_an_inverted_frame_has_no_multi_scale_similarity() -> None:
    stripes = np.zeros((210, 160), np.uint8)
    stripes[::2] = GREY
    fine, coarse = similarities(Picture(stripes), Picture(GREY - stripes))
    assert fine < -0.5 and coarse == 0.0


def test_ssim_is_lower_for_a_wrong_game_than_for_a_late_frame(frames: np.ndarray) -> None:
    for name in ("ssim", "ms_ssim"):
        assert judge(frames[0], frames[1])[name] > judge(frames[0], frames[4])[name] > -1


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


def test_total_variation_is_how_much_rougher_or_smoother_it_is() -> None:
    real = BLACK.copy()
    real[50:60, 40:60] = GREY
    # a box of 10x20 pixels has 10 edges on its left and its right, 20 above and below, in three channels
    assert Picture(real).variation == pytest.approx(60 * 3 * 236 / 255)
    moved, taller = BLACK.copy(), BLACK.copy()
    moved[150:160, 100:120] = GREY
    taller[50:75, 40:60] = GREY
    assert judge(real, moved)["total_variation"] == 0.0
    assert judge(real, taller)["total_variation"] == pytest.approx(30 / 60)
    assert judge(real, BLACK)["total_variation"] == pytest.approx(1.0)
    assert judge(taller, real)["total_variation"] == pytest.approx(30 / 90)


def test_colours_that_the_game_never_shows_are_violations() -> None:
    shown, dreamt = np.zeros(256, bool), BLACK.copy()
    shown[[0, GREY]] = True
    dreamt[:21] = GREY
    assert judge(BLACK, dreamt, shown=shown)["palette_violations"] == 0.0
    dreamt[0, :80] = 0x44
    value = judge(BLACK, dreamt, shown=shown)
    assert value["palette_violations"] == 80 / (210 * 160) and value["wrong_pixels"] == 0.1
    assert judge(BLACK, dreamt)["palette_violations"] == 0.0


def test_only_moving_pixels_count_as_moving(frames: np.ndarray) -> None:
    real, dreamt, moving = frames[0], frames[0].copy(), np.zeros((210, 160), bool)
    moving[:50] = True
    dreamt[100:120, :20] ^= 0x0E
    value = judge(real, dreamt, moving)
    assert value["dyn_psnr"] == CAP and value["wrong_moving"] == 0.0
    assert value["psnr"] < CAP and value["wrong_pixels"] == 400 / (210 * 160)
    dreamt[10:20, :10] ^= 0x0E
    assert judge(real, dreamt, moving)["wrong_moving"] == 100 / (50 * 160)
    assert judge(real, dreamt, ~moving)["wrong_moving"] == 400 / (160 * 160)


def test_starts_pool_their_errors_not_their_decibels() -> None:
    real = np.zeros((2, 210, 160), np.uint8)
    dreamt, moving = real.copy(), np.zeros((2, 210, 160), bool)
    dreamt[1, :21] = GREY
    moving[0, :63], moving[1, :21] = True, True
    value = judge(real, dreamt, moving, weights=(1.0, 1.0))
    assert value["psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 20)))
    assert value["wrong_moving"] == 0.25  # 21 of 84 rows, not the mean of 0 and 1
    assert value["dyn_psnr"] == pytest.approx(10 * math.log10(255**2 / (236**2 / 4)))
    assert judge(real, dreamt, moving, weights=(1.0, 3.0))["wrong_moving"] == 0.5
    assert judge(real, dreamt, moving, weights=(2.0, 0.0))["psnr"] == CAP


def test_outcomes_are_means_over_starts() -> None:
    sums = {
        "reward_right": np.array([[1.0, 1.0], [1.0, 0.0]]),
        "score_off": np.array([[0.0, 0.0], [0.0, 30.0]]),
        "end_right": np.array([[0.0, 1.0], [0.0, 1.0]]),
        "starts": np.ones((2, 2)),
    }
    values = pool(sums, np.array([[1.0, 1.0], [0.0, 2.0]]), OUTCOME_MEASURES)
    assert {name: value.tolist() for name, value in values.items()} == {
        "reward_accuracy": [[1.0, 0.5], [1.0, 0.0]],
        "score_error": [[0.0, 15.0], [0.0, 30.0]],
        "terminal_agreement": [[0.0, 1.0], [0.0, 1.0]],
    }


def test_without_data_there_is_no_value(frames: np.ndarray) -> None:
    value = judge(frames[0], frames[1], ~ALL)
    assert math.isnan(value["dyn_psnr"]) and math.isnan(value["wrong_moving"])
    assert math.isfinite(value["psnr"])
    nobody = {name: np.zeros((2, 3)) for name in (*FRAME_SUMS, *OUTCOMES)}
    for values in pool(nobody, np.ones((1, 2)), FRAME_MEASURES | OUTCOME_MEASURES).values():
        assert values.shape == (1, 3) and np.isnan(values).all()


def test_rows_are_stacked_by_name() -> None:
    rows = [{"a": np.array([1.0, 2.0]), "b": np.zeros(2)}, {"a": np.array([3.0, 4.0]), "b": np.ones(2)}]
    stacked = stack(rows)
    assert {name: rows.tolist() for name, rows in stacked.items()} == {
        "a": [[1, 2], [3, 4]],
        "b": [[0, 0], [1, 1]],
    }


def test_every_measure_is_told_which_way_is_better() -> None:
    measures = FRAME_MEASURES | OUTCOME_MEASURES
    assert {name for name, measure in measures.items() if measure.sign < 0} == {
        "wrong_pixels",
        "wrong_moving",
        "total_variation",
        "palette_violations",
        "score_error",
    }
