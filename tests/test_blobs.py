"""Blobs: found whole, told by size, placed at the mean of their pixels."""

import numpy as np
import pytest

from atari_dream.objects.blobs import Range, blob_centres

ANY = (1, 40_000)


def picture(*boxes: tuple[slice, slice], size: tuple[int, int] = (210, 160)) -> np.ndarray:
    mask = np.zeros(size, bool)
    for box in boxes:
        mask[box] = True
    return mask


def centres(
    mask: np.ndarray, area: Range = ANY, width: Range = ANY, height: Range = ANY
) -> list[list[float]]:
    found = blob_centres(mask, area, width, height)
    assert found.dtype == np.float32 and found.ndim == 2 and found.shape[1] == 2
    return sorted(found.tolist())


def test_an_empty_mask_has_none() -> None:
    assert blob_centres(picture(), ANY, ANY, ANY).shape == (0, 2)
    assert blob_centres(picture(), ANY, ANY, ANY).dtype == np.float32


def test_a_blob_is_at_the_mean_of_its_pixels_as_x_and_y() -> None:
    assert centres(picture(np.s_[20:24, 50:60])) == [[54.5, 21.5]]
    corner = picture(np.s_[10:20, 10], np.s_[19, 11:20])
    rows, columns = np.nonzero(corner)
    (found,) = centres(corner)
    assert found == pytest.approx([columns.mean(), rows.mean()]) and found[0] < 14.5


def test_blobs_are_found_up_to_the_edges() -> None:
    places = [[1.0, 1.5], [1.0, 207.5], [158.0, 1.5], [158.0, 207.5]]
    edges = [np.s_[a : a + 4, b : b + 3] for a in (0, 206) for b in (0, 157)]
    assert centres(picture(*edges)) == places


def test_a_mask_that_is_full_is_one_blob() -> None:
    assert centres(np.ones((210, 160), bool)) == [[79.5, 104.5]]
    assert centres(np.ones((210, 160), bool), area=(1, 33_599)) == []


def test_pixels_that_touch_at_a_corner_are_connected() -> None:
    assert centres(np.eye(9, dtype=bool)) == [[4.0, 4.0]]
    assert centres(picture(np.s_[0:2, 0:2], np.s_[0:2, 3:5])) == [[0.5, 0.5], [3.5, 0.5]]


def test_a_ring_is_one_blob_and_its_hole_is_none() -> None:
    ring = picture(np.s_[10:21, 10:21])
    ring[11:20, 11:20] = False
    assert centres(ring) == [[15.0, 15.0]] and centres(ring, area=(41, 400)) == []


@pytest.mark.parametrize(("kind", "size"), [("area", 24), ("width", 6), ("height", 4)])
def test_limits_are_inclusive_and_each_has_its_own(kind: str, size: int) -> None:
    mask = picture(np.s_[30:34, 70:76])
    for limits, found in (((size, size), 1), ((1, size - 1), 0), ((size + 1, 999), 0)):
        assert len(centres(mask, **{kind: limits})) == found


def test_only_the_blobs_of_the_size_are_given() -> None:
    mask = picture(np.s_[10:12, 10:12], np.s_[50:58, 20:28], np.s_[100:130, 30:60], np.s_[150:158, 90:98])
    assert centres(mask, (20, 100), (5, 10), (5, 10)) == [[23.5, 53.5], [93.5, 153.5]]


def test_area_counts_pixels_and_not_the_box() -> None:
    assert len(centres(np.eye(9, dtype=bool), area=(9, 9))) == 1


def test_the_mask_stays_as_it_was() -> None:
    mask = picture(np.s_[30:34, 70:76])
    mask.flags.writeable = False
    assert len(centres(mask)) == 1
