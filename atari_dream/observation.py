"""The observation that DQN made standard: four grey frames of 84x84."""

import cv2
import numpy as np

from atari_dream.palette import GREY

SIZE = 84
STACK = 4


def shrink(codes: np.ndarray) -> np.ndarray:
    """Turns one frame of palette codes, uint8 (210, 160), into grey, uint8 (84, 84), by area."""
    return cv2.resize(cv2.LUT(codes, GREY), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
