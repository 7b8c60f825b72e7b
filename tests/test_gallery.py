"""The gallery keeps every pixel, and shows each dream where its name is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atari_dream import gallery, pictures
from atari_dream.errors import UsageError
from atari_dream.palette import PALETTE
from atari_dream.rollout import Rollout

HEAD, LABEL, GAP, LEGEND = 14, 100, 4, 26


def rollout(seed: int, steps: int = 12) -> Rollout:
    """Frames of random pixels in all 128 colours; it ends at step 3."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 128, (steps + 1, 210, 160), np.uint8) * 2
    past = np.arange(steps + 1)
    return Rollout(frames, 10.0 * past * seed, np.full(steps + 1, 3), past >= 3)


@pytest.fixture(scope="module")
def real() -> Rollout:
    return rollout(0)


@pytest.fixture(scope="module")
def dreams() -> dict[str, Rollout]:
    return {"c_ae": rollout(1), "multi_scale_gan": rollout(2)}


def cell(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """The frame in a row and column of a grid in RGB, uint8 (210, 160, 3)."""
    top, left = HEAD + GAP + row * (210 + GAP), LABEL + GAP + column * (160 + GAP)
    return picture[top : top + 210, left : left + 160]


def label(picture: np.ndarray, row: int) -> np.ndarray:
    top = HEAD + GAP + row * (210 + GAP)
    return picture[top : top + 210, :LABEL]


def test_a_grid_keeps_every_pixel_of_every_dream(
    tmp_path: Path, real: Rollout, dreams: dict[str, Rollout]
) -> None:
    gallery.save_grid(tmp_path / "a.png", real, dreams)
    with Image.open(tmp_path / "a.png") as image:
        picture = np.array(image.convert("RGB"))
    assert picture.shape == (HEAD + 3 * (210 + GAP), LABEL + 3 * (160 + GAP), 3)
    for row, shown in enumerate((real, *dreams.values())):
        for column, step in enumerate((1, 5, 10)):
            np.testing.assert_array_equal(cell(picture, row, column), PALETTE[shown.frames[step]])


def test_a_grid_names_its_rows_and_columns(real: Rollout, dreams: dict[str, Rollout]) -> None:
    picture = gallery.grid(real, dreams, (0, 7))
    swapped = gallery.grid(real, dict(reversed(dreams.items())), (0, 8))
    for row, name in enumerate((gallery.REAL, *dreams)):
        written = pictures.text([[(name, pictures.WHITE)]], 200, 210)
        assert not written[:, LABEL:].any(), f"{name} does not fit"
        np.testing.assert_array_equal(label(picture, row), written[:, :LABEL])
    np.testing.assert_array_equal(label(picture, 1), label(swapped, 2))
    heads = picture[:HEAD, LABEL:], swapped[:HEAD, LABEL:]
    np.testing.assert_array_equal(heads[0][:, :160], heads[1][:, :160])
    assert (heads[0][:, 164:] != heads[1][:, 164:]).any()


def test_a_grid_leaves_out_steps_that_are_not_there(real: Rollout, dreams: dict[str, Rollout]) -> None:
    np.testing.assert_array_equal(
        gallery.grid(real, dreams, (2, 12, 13)), gallery.grid(real, dreams, (2, 12))
    )
    with pytest.raises(UsageError, match="no step of 13, 99 is in a rollout of 12"):
        gallery.grid(real, dreams, (13, 99))


def test_dreams_of_another_length_are_refused(real: Rollout) -> None:
    with pytest.raises(UsageError, match="dream 'c_vae' has 4 steps, the real game 12"):
        gallery.grid(real, {"c_vae": rollout(1, 4)})


def test_a_film_keeps_every_pixel_and_its_time(tmp_path: Path, real: Rollout) -> None:
    dream = rollout(1)
    gallery.save_pair(tmp_path / "a.gif", real, dream, "c_ae", 4)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == real.steps + 1
        for t, made in enumerate(gallery.pair(real, dream, "c_ae")):
            film.seek(t)
            picture = np.array(film.convert("RGB"))
            assert film.info["duration"] == 70 and picture.shape == (LEGEND + 210, 160 + GAP + 160, 3)
            np.testing.assert_array_equal(picture, pictures.COLOURS[made])
            np.testing.assert_array_equal(picture[LEGEND:, :160], PALETTE[real.frames[t]])
            np.testing.assert_array_equal(picture[LEGEND:, 164:], PALETTE[dream.frames[t]])


def test_a_film_tells_whose_dream_it_is_and_what_became_of_it(real: Rollout) -> None:
    def legend(name: str, t: int) -> np.ndarray:
        return list(gallery.pair(real, rollout(1), name))[t][:LEGEND]

    assert (legend("c_ae", 1)[:, 164:] != legend("c_vae", 1)[:, 164:]).any()
    np.testing.assert_array_equal(legend("c_ae", 1)[:, :160], legend("c_vae", 1)[:, :160])
    assert (legend("c_ae", 1)[:, 164:] != legend("c_ae", 2)[:, 164:]).any()


def test_a_failure_leaves_what_was_there(tmp_path: Path, real: Rollout) -> None:
    gallery.save_pair(tmp_path / "a.gif", real, real, "c_ae", 4)
    before = (tmp_path / "a.gif").read_bytes()
    with pytest.raises(IndexError):
        gallery.save_pair(tmp_path / "a.gif", real, rollout(1, 3), "c_ae", 4)
    assert (tmp_path / "a.gif").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
