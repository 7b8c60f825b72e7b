"""How far a dreamt frame is from the real one. Everything is a sum over pixels, to be pooled over starts.

A measure is a numerator and a denominator, summed per start and step, and what becomes of their ratio:

- `psnr`: 10 log10(255^2 / MSE) over the colours of all pixels, capped at 100 dB.
- `dyn_psnr`: the same over moving pixels: those that differ from the start frame at any of the first 50 real
  steps.
- `wrong_moving`: share of moving pixels with another colour.
- `ssim`: structural similarity (Wang et al. 2004), Gaussian window of 11x11, sigma 1.5, mirrored at the border.
- `sharp_diff`: sharp difference (Mathieu, Couprie and LeCun 2016) of colours in [0, 1],
  10 log10(1 / mean ||dx r| + |dy r| - |dx p| - |dy p||), capped at 100 dB.
- `reward_accuracy`: share of starts whose cumulative reward equals the real one.
- `terminal_agreement`: share of starts whose ended-by-then flag equals the real one.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from atari_dream.palette import PALETTE

CAP = 100.0
_WINDOW, _SIGMA = (11, 11), 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_SQUARE: np.ndarray = np.square(PALETTE[:, None].astype(np.int64) - PALETTE[None]).sum(-1)
"""Squared distance of two palette codes, summed over red, green and blue, int64 (256, 256)."""


class Measure(NamedTuple):
    """A ratio of sums, by their names, and what is made of it; `sign` is 1 where more is better."""

    numerator: str
    denominator: str
    shape: Callable[[np.ndarray], np.ndarray]
    sign: int = 1


def _plain(ratio: np.ndarray) -> np.ndarray:
    return ratio


def _psnr(mse: np.ndarray) -> np.ndarray:
    return np.minimum(CAP, 10 * np.log10(255.0**2 / np.maximum(mse, 1e-12)))


def _sharpness(difference: np.ndarray) -> np.ndarray:
    return np.minimum(CAP, 10 * np.log10(1 / np.maximum(difference, 1e-12)))


MEASURES: dict[str, Measure] = {
    "psnr": Measure("square", "colours", _psnr),
    "ssim": Measure("ssim", "frames", _plain),
    "dyn_psnr": Measure("moving_square", "moving_colours", _psnr),
    "sharp_diff": Measure("edges", "edge_places", _sharpness),
    "wrong_moving": Measure("moving_wrong", "moving", _plain, -1),
    "reward_accuracy": Measure("reward_right", "starts", _plain),
    "terminal_agreement": Measure("end_right", "starts", _plain),
}
FRAME_SUMS = (
    "square",
    "colours",
    "ssim",
    "frames",
    "moving_square",
    "moving_colours",
    "edges",
    "edge_places",
    "moving_wrong",
    "moving",
)


def compare_frames(real: np.ndarray, dreamt: np.ndarray, moving: np.ndarray) -> dict[str, float]:
    """The sums of one frame.

    Args:
        real: Palette codes, uint8 (210, 160).
        dreamt: Palette codes, uint8 (210, 160).
        moving: Which pixels move, bool (210, 160).

    Returns:
        A number for each of `FRAME_SUMS`; an exact frame is not measured again.
    """
    wrong = real != dreamt
    places, edge_places = real.size, (real.shape[0] - 1) * (real.shape[1] - 1)
    still = {"colours": 3 * places, "frames": 1, "edge_places": 3 * edge_places}
    share = {"moving": int(moving.sum()), "moving_colours": 3 * int(moving.sum())}
    if not wrong.any():
        return dict.fromkeys(FRAME_SUMS, 0.0) | still | share | {"ssim": 1.0}
    square = _SQUARE[real[wrong], dreamt[wrong]]
    among = moving[wrong]
    real_rgb, dreamt_rgb = PALETTE[real].astype(np.float32), PALETTE[dreamt].astype(np.float32)
    return {
        **still,
        **share,
        "square": float(square.sum()),
        "moving_square": float(square[among].sum()),
        "moving_wrong": float(among.sum()),
        "ssim": ssim(real_rgb, dreamt_rgb),
        "edges": float(np.abs(_edges(real_rgb) - _edges(dreamt_rgb)).sum(dtype=np.float64)) / 255,
    }


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Mean structural similarity of two pictures, float32 (H, W, 3) in 0 to 255."""

    def blur(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture, _WINDOW, _SIGMA)

    mean_1, mean_2 = blur(first), blur(second)
    var_1 = np.maximum(blur(first * first) - mean_1 * mean_1, 0)
    var_2 = np.maximum(blur(second * second) - mean_2 * mean_2, 0)
    covariance = blur(first * second) - mean_1 * mean_2
    top = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    bottom = (mean_1 * mean_1 + mean_2 * mean_2 + _C1) * (var_1 + var_2 + _C2)
    return float((top / bottom).mean(dtype=np.float64))


def pool(sums: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
    """The value of each measure at each step.

    Args:
        sums: Sums per start and step, (N, H) each.
        weights: How often each start counts, (R, N).

    Returns:
        Values (R, H) by measure; nan where there is no data.
    """
    values = {}
    for name, measure in MEASURES.items():
        top, bottom = weights @ sums[measure.numerator], weights @ sums[measure.denominator]
        with np.errstate(divide="ignore", invalid="ignore"):
            values[name] = measure.shape(np.where(bottom > 0, top / bottom, np.nan))
    return values


def _edges(picture: np.ndarray) -> np.ndarray:
    """|dx| + |dy| of a picture (H, W, 3), (H - 1, W - 1, 3)."""
    across, down = np.abs(np.diff(picture, axis=1)), np.abs(np.diff(picture, axis=0))
    return across[:-1] + down[:, :-1]
