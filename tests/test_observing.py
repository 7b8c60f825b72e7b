"""The grey observation equals OpenCV's, and its matrix form equals that within one level."""

import cv2
import numpy as np
import torch
from conftest import needs_gpu

from atari_dream.bundled import bundled_pool
from atari_dream.envs.observing import average_frames, shrink_frames
from atari_dream.games import GAMES
from atari_dream.palette import to_rgb


def opencv(codes: np.ndarray) -> np.ndarray:
    """What Gymnasium's Atari preprocessing does to a colour frame."""
    return cv2.resize(cv2.cvtColor(to_rgb(codes), cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA)


def frames() -> np.ndarray:
    """Real frames of each game, noise, a chessboard, black and white, uint8 (B, 210, 160)."""
    noise = np.random.default_rng(0).integers(0, 128, (3, 210, 160)) * 2
    board = np.indices((210, 160)).sum(0)[None] % 2 * 14
    plain = np.stack([np.full((210, 160), 0), np.full((210, 160), 14)])
    real = [bundled_pool(game).batch(np.arange(4)).frames[:, -1].numpy() for game in GAMES]
    return np.concatenate([*real, noise, board, plain]).astype(np.uint8)


def test_cpu_path_is_opencv_on_the_colours() -> None:
    codes = frames()
    seen = shrink_frames(torch.from_numpy(codes))
    assert seen.dtype == torch.uint8 and seen.shape == (len(codes), 84, 84)
    assert np.array_equal(seen, [opencv(frame) for frame in codes])
    assert len(np.unique(seen[0])) > 3


def test_matrix_path_is_within_one_level() -> None:
    codes = frames()
    gap = average_frames(torch.from_numpy(codes)).int() - shrink_frames(torch.from_numpy(codes)).int()
    assert gap.abs().max() <= 1
    assert (gap != 0).float().mean() < 0.01


@needs_gpu
def test_gpu_path_is_within_one_level() -> None:
    codes = torch.from_numpy(frames())
    seen = shrink_frames(codes.cuda())
    assert seen.is_cuda
    assert (seen.cpu().int() - shrink_frames(codes).int()).abs().max() <= 1
