"""How far a dreamt frame is from the real one. Everything is a sum over pixels, to be pooled over starts.

A measure is a numerator and a denominator, summed per start and step, and what becomes of their ratio:

- `psnr`: 10 log10(255^2 / MSE) over the colours of all pixels, capped at 100 dB.
- `dyn_psnr`: the same over moving pixels: those that differ from the start frame at any of the first 50 real
  steps.
- `wrong_pixels`, `wrong_moving`: share of all pixels, and of moving pixels, with another colour.
- `ssim`: structural similarity (Wang et al. 2004), Gaussian window of 11x11, sigma 1.5, mirrored at the border.
- `ms_ssim`: multi-scale structural similarity (Wang et al. 2003) of four scales, their published weights but the last
  brought to a sum of 1: at the fifth a frame is narrower than the window.
- `sharp_diff`: sharp difference (Mathieu, Couprie and LeCun 2016) of colours in [0, 1],
  10 log10(1 / mean ||dx r| + |dy r| - |dx p| - |dy p||), capped at 100 dB.
- `total_variation`: how far the total variation |dx| + |dy| of a frame is from the real frame's, as a share of that.
- `palette_violations`: share of pixels in a colour that no real frame of the measurement shows.
- `reward_accuracy`: share of starts whose cumulative reward equals the real one.
- `score_error`: mean distance of the cumulative reward from the real one, in points.
- `terminal_agreement`: share of starts whose ended-by-then flag equals the real one.
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from atari_dream.palette import PALETTE

CAP = 100.0
_WINDOW, _SIGMA, _BORDER = (11, 11), 1.5, 5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363]) / 0.8668
"""Weight of each scale of `ms_ssim`, the finest first."""

_SQUARE: np.ndarray = np.square(PALETTE[:, None].astype(np.int64) - PALETTE[None]).sum(-1)
"""Squared distance of two palette codes, summed over red, green and blue, int64 (256, 256)."""
_RGB = PALETTE.astype(np.float32)


class Measure(NamedTuple):
    """A ratio of sums, by their names, and what is made of it; `sign` is 1 where more is better.

    `shape` takes ratios (R, H), of R resamples and H steps. A measure of events names them in `events`: with few of
    them it says little.
    """

    numerator: str
    denominator: str
    shape: Callable[[np.ndarray], np.ndarray]
    sign: int = 1
    events: str = ""


Measures = dict[str, Measure]
Sums = dict[str, np.ndarray]
"""Sums by name, per start and step, float64 (N, H)."""


def plain(ratio: np.ndarray) -> np.ndarray:
    """The ratio itself."""
    return ratio


def _psnr(mse: np.ndarray) -> np.ndarray:
    return np.minimum(CAP, 10 * np.log10(255.0**2 / np.maximum(mse, 1e-12)))


def _sharpness(difference: np.ndarray) -> np.ndarray:
    return np.minimum(CAP, 10 * np.log10(1 / np.maximum(difference, 1e-12)))


FRAME_MEASURES: Measures = {
    "psnr": Measure("square", "colours", _psnr),
    "ssim": Measure("ssim", "frames", plain),
    "ms_ssim": Measure("ms_ssim", "frames", plain),
    "dyn_psnr": Measure("moving_square", "moving_colours", _psnr),
    "sharp_diff": Measure("edges", "edge_places", _sharpness),
    "total_variation": Measure("variation", "real_variation", plain, -1),
    "wrong_pixels": Measure("wrong", "pixels", plain, -1),
    "wrong_moving": Measure("moving_wrong", "moving", plain, -1),
    "palette_violations": Measure("violations", "pixels", plain, -1),
}
OUTCOME_MEASURES: Measures = {
    "reward_accuracy": Measure("reward_right", "starts", plain),
    "score_error": Measure("score_off", "starts", plain, -1),
    "terminal_agreement": Measure("end_right", "starts", plain),
}
FRAME_SUMS = tuple(
    dict.fromkeys(
        name for measure in FRAME_MEASURES.values() for name in (measure.numerator, measure.denominator)
    )
)


class Picture:
    """A frame, palette codes, uint8 (210, 160), and what measures need of it, computed once.

    Args:
        codes: The frame.
        raw: Its colours if they are not those of the codes, uint8 (210, 160, 3).
    """

    def __init__(self, codes: np.ndarray, raw: np.ndarray | None = None) -> None:
        self.codes, self.raw = codes, raw

    @cached_property
    def scales(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Colours, local means and local variances, float32 (H, W, 3) each, at each scale, the finest first."""
        found, colours = [], self.colours
        for _ in _SCALES:
            mean = _blur(colours)
            found.append((colours, mean, np.maximum(_blur(colours * colours) - mean * mean, 0)))
            rows, columns = colours.shape[0] // 2, colours.shape[1] // 2
            colours = cv2.resize(
                colours[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA
            )
        return found

    @cached_property
    def colours(self) -> np.ndarray:
        """Red, green and blue, float32 (210, 160, 3) in 0 to 255."""
        return np.take(_RGB, self.codes, axis=0) if self.raw is None else self.raw.astype(np.float32)

    @cached_property
    def edges(self) -> np.ndarray:
        """|dx| + |dy| of the colours, float32 (209, 159, 3)."""
        across, down = np.abs(np.diff(self.colours, axis=1)), np.abs(np.diff(self.colours, axis=0))
        return across[:-1] + down[:, :-1]

    @cached_property
    def variation(self) -> float:
        """Total variation of the colours in [0, 1]."""
        return float(self.edges.sum(dtype=np.float64)) / 255


def compare_frames(
    real: Picture, dreamt: Picture, moving: np.ndarray, shown: np.ndarray | None = None
) -> dict[str, float]:
    """The sums of one frame.

    Args:
        real: The real frame.
        dreamt: The dreamt one.
        moving: Which pixels move, bool (210, 160).
        shown: Which palette codes the game shows, bool (256,); None if it may show all.

    Returns:
        A number for each of `FRAME_SUMS`; an exact frame is not measured again.
    """
    wrong = real.codes != dreamt.codes
    places, edge_places = wrong.size, real.edges.size
    moves = int(moving.sum())
    always = {
        "pixels": places,
        "colours": 3 * places,
        "frames": 1,
        "edge_places": edge_places,
        "real_variation": real.variation,
        "moving": moves,
        "moving_colours": 3 * moves,
    }
    if not wrong.any() and dreamt.raw is None:
        return dict.fromkeys(FRAME_SUMS, 0.0) | always | {"ssim": 1.0, "ms_ssim": 1.0}
    if dreamt.raw is None:
        off, square = wrong, _SQUARE[real.codes[wrong], dreamt.codes[wrong]]
    else:
        off, square = np.ones_like(wrong), np.square(real.colours - dreamt.colours).sum(-1).ravel()
    fine, coarse = similarities(real, dreamt)
    return {
        **always,
        "wrong": float(wrong.sum()),
        "square": float(square.sum()),
        "moving_square": float(square[moving[off]].sum()),
        "moving_wrong": float(wrong[moving].sum()),
        "ssim": fine,
        "ms_ssim": coarse,
        "edges": float(np.abs(real.edges - dreamt.edges).sum(dtype=np.float64)) / 255,
        "variation": abs(dreamt.variation - real.variation),
        "violations": 0.0 if shown is None else float((~shown[dreamt.codes]).sum()),
    }


def similarities(first: Picture, second: Picture) -> tuple[float, float]:
    """Mean structural similarity of two frames, and that over several scales."""
    fine, coarse = 0.0, 1.0
    for place, (one, other) in enumerate(zip(first.scales, second.scales, strict=True)):
        whole, contrast = _similarity(one, other)
        fine = whole if place == 0 else fine
        last = place == len(_SCALES) - 1
        coarse *= max(whole if last else contrast, 0.0) ** _SCALES[place]
    return fine, coarse


def _similarity(
    first: tuple[np.ndarray, np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Structural similarity of two pictures, and its contrast part within the border."""
    (one, mean_1, var_1), (other, mean_2, var_2) = first, second
    product = mean_1 * mean_2
    contrast = (2 * (_blur(one * other) - product) + _C2) / (var_1 + var_2 + _C2)
    light = (2 * product + _C1) / (mean_1 * mean_1 + mean_2 * mean_2 + _C1)
    inner = contrast[_BORDER:-_BORDER, _BORDER:-_BORDER]
    return float((light * contrast).mean(dtype=np.float64)), float(inner.mean(dtype=np.float64))


def _blur(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, _WINDOW, _SIGMA)


def pool(sums: Sums, weights: np.ndarray, measures: Measures) -> dict[str, np.ndarray]:
    """The value of each measure at each step.

    Args:
        sums: Sums per start and step, (N, H) each.
        weights: How often each start counts, (R, N).
        measures: What is made of them.

    Returns:
        Values (R, H) by measure; nan where there is no data.
    """
    values = {}
    for name, measure in measures.items():
        top, bottom = weights @ sums[measure.numerator], weights @ sums[measure.denominator]
        with np.errstate(divide="ignore", invalid="ignore"):
            values[name] = measure.shape(np.where(bottom > 0, top / bottom, np.nan))
    return values


def stack(rows: list[Sums]) -> Sums:
    """Sums of all starts from those of each."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
