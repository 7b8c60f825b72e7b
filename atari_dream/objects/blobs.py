"""Blobs: connected pixels of a mask."""

import cv2
import numpy as np

Range = tuple[int, int]
"""The least and the most."""


def blob_centres(mask: np.ndarray, area: Range, width: Range, height: Range) -> np.ndarray:
    """Centres of the blobs of a size as (x, y), float32 (K, 2); pixels that touch at a corner are connected.

    Args:
        mask: bool (H, W).
        area: Pixels of a blob.
        width: Columns of its bounding box.
        height: Rows of its bounding box.
    """
    pixels = mask.view(np.uint8)
    left, top, columns, rows = cv2.boundingRect(pixels)
    if not columns:
        return np.empty((0, 2), np.float32)
    crop = pixels[top : top + rows, left : left + columns]
    _, _, stats, centres = cv2.connectedComponentsWithStats(crop)
    sizes = stats[:, [cv2.CC_STAT_AREA, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    least, most = zip(area, width, height, strict=True)
    fits = np.all((sizes >= least) & (sizes <= most), axis=1)
    fits[0] = False
    return (centres[fits] + (left, top)).astype(np.float32)
