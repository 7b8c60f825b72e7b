"""Pictures keep every pixel, and say what they show."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atari_dream import pictures
from atari_dream.errors import UsageError
from atari_dream.palette import PALETTE, to_rgb
from atari_dream.pictures import COLOURS, SCALE
from atari_dream.rollout import Rollout

LEGEND, PITCH = 26, 164


def noise_rollout(seed: int, steps: int = 6, ends: int | None = None) -> Rollout:
    """Frames of random pixels in all 128 colours, every other step unchanged but for a few."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 128, (steps + 1, 210, 160), np.uint8) * 2
    frames[1::2] = frames[:-1:2]
    frames[1::2, 50:60, 70:80] = 0
    scores, lives = rng.integers(0, 500, steps + 1).astype(float), rng.integers(0, 4, steps + 1)
    ended = np.arange(steps + 1) >= (steps + 1 if ends is None else ends)
    return Rollout(frames, scores, lives, ended)


@pytest.fixture(scope="module")
def real() -> Rollout:
    return noise_rollout(0)


@pytest.fixture(scope="module")
def dreamt() -> Rollout:
    return noise_rollout(1, ends=4)


def panel(picture: np.ndarray, column: int, row: int = LEGEND) -> np.ndarray:
    """A panel of an RGB picture at the game's own size, uint8 (210, 160, 3), if it is enlarged exactly."""
    part = picture[row * SCALE : (row + 210) * SCALE, column * PITCH * SCALE : (column * PITCH + 160) * SCALE]
    small = part[::SCALE, ::SCALE]
    np.testing.assert_array_equal(part, small.repeat(SCALE, 0).repeat(SCALE, 1))
    return small


def check_film(decoded: list[np.ndarray], real: Rollout, dreamt: Rollout) -> None:
    assert len(decoded) == real.steps + 1
    for t, (picture, made) in enumerate(zip(decoded, pictures.film(real, dreamt, "tiny"), strict=True)):
        np.testing.assert_array_equal(panel(picture, 0), PALETTE[real.frames[t]])
        np.testing.assert_array_equal(panel(picture, 1), PALETTE[dreamt.frames[t]])
        np.testing.assert_array_equal(
            panel(picture, 2), COLOURS[pictures.difference(real.frames[t], dreamt.frames[t])]
        )
        np.testing.assert_array_equal(picture, COLOURS[made])


def test_a_gif_keeps_every_pixel_and_its_time(tmp_path: Path, real: Rollout, dreamt: Rollout) -> None:
    pictures.save(tmp_path / "a.gif", real, dreamt, "tiny", 4)
    with Image.open(tmp_path / "a.gif") as film:
        decoded = []
        for place in range(film.n_frames):
            film.seek(place)
            assert film.info["duration"] == 70
            decoded.append(np.array(film.convert("RGB")))
        assert film.info["loop"] == 0
    check_film(decoded, real, dreamt)


def test_an_mp4_keeps_every_pixel_and_its_time(tmp_path: Path, real: Rollout, dreamt: Rollout) -> None:
    av = pytest.importorskip("av")
    pictures.save(tmp_path / "a.mp4", real, dreamt, "tiny", 4)
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert film.streams.video[0].average_rate == Fraction(60, 4)
        decoded = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    check_film(decoded, real, dreamt)


def test_a_png_shows_the_steps_there_are(tmp_path: Path) -> None:
    real, dreamt = noise_rollout(0, 10), noise_rollout(1, 10)
    pictures.save(tmp_path / "a.png", real, dreamt, "tiny", 4)
    with Image.open(tmp_path / "a.png") as image:
        strip = np.array(image.convert("RGB"))
    labels, columns = 84, strip.shape[1] // SCALE // PITCH
    assert columns == 3
    for column, t in enumerate((1, 5, 10)):
        cells = strip[:, labels * SCALE :]
        np.testing.assert_array_equal(panel(cells, column), PALETTE[real.frames[t]])
        np.testing.assert_array_equal(panel(cells, column, LEGEND + 236), PALETTE[dreamt.frames[t]])
        np.testing.assert_array_equal(
            panel(cells, column, LEGEND + 472), COLOURS[pictures.difference(real.frames[t], dreamt.frames[t])]
        )


def test_equal_pictures_keep_their_time(tmp_path: Path) -> None:
    still = Rollout(np.zeros((4, 210, 160), np.uint8), np.zeros(4), np.ones(4, int), np.zeros(4, bool))
    pictures.save(tmp_path / "a.gif", still, still, "tiny", 4)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 4


def test_the_difference_dims_what_is_equal_and_lights_what_is_not() -> None:
    real, dreamt = np.full((210, 160), 2, np.uint8), np.full((210, 160), 2, np.uint8)
    real[0, 0], dreamt[0, 1], dreamt[0, 2] = 14, 14, 3
    colours = COLOURS[pictures.difference(real, dreamt)].astype(int)
    dim = colours[1, 1]
    assert dim.max() < 90 and np.ptp(dim) == 0
    assert colours[0, 0].max() > 180 and colours[0, 1].max() > 180
    assert (colours[0, 0] != colours[0, 1]).any()
    np.testing.assert_array_equal(colours[0, 2], dim)


def test_every_colour_dims_to_its_own_grey_or_a_near_one() -> None:
    codes = np.arange(0, 256, 2, dtype=np.uint8).reshape(1, 128)
    greys = COLOURS[pictures.difference(codes, codes)][0]
    brightness = to_rgb(codes)[0].astype(int).sum(1)
    assert (np.ptp(greys.astype(int), axis=1) == 0).all() and greys.max() < 90
    assert greys[brightness.argmax(), 0] > greys[brightness.argmin(), 0]


def test_the_legend_tells_step_points_lives_and_the_end(real: Rollout, dreamt: Rollout) -> None:
    def legend(rollout: Rollout, t: int) -> np.ndarray:
        return list(pictures.film(real, rollout, "tiny"))[t][
            : LEGEND * SCALE, PITCH * SCALE : (PITCH + 160) * SCALE
        ]

    changes = {
        "scores": dreamt.scores + 1,
        "lives": dreamt.lives + 1,
        "ended": np.zeros(len(dreamt.ended), bool),
    }
    for name, value in changes.items():
        other = Rollout(**{**vars(dreamt), name: value})
        assert (legend(other, 4) != legend(dreamt, 4)).any(), name
    red = pictures._ENDED
    assert (legend(dreamt, 4) == red).any() and not (legend(dreamt, 3) == red).any()


def test_another_ending_is_one_clear_line(tmp_path: Path, real: Rollout) -> None:
    with pytest.raises(
        UsageError, match=r"unknown picture format '.gfi': .* nearest is '\.gif'; try --out .*a\.gif$"
    ):
        pictures.save(tmp_path / "a.gfi", real, real, "tiny", 4)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'atari-dream\[video\]'"):
        pictures.check_format(Path("a.mp4"))
    pictures.check_format(Path("a.gif"))


def test_a_failure_leaves_what_was_there(
    tmp_path: Path, real: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.save(tmp_path / "a.gif", real, real, "tiny", 4)
    before = (tmp_path / "a.gif").read_bytes()
    broken = Rollout(real.frames, real.scores, real.lives, real.ended[:3])
    with pytest.raises(IndexError):
        pictures.save(tmp_path / "a.gif", broken, real, "tiny", 4)
    assert (tmp_path / "a.gif").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_gif_time_is_a_multiple_of_its_tick() -> None:
    assert [pictures.frame_ms(skip) for skip in (1, 2, 3, 4, 8)] == [20, 30, 50, 70, 130]
