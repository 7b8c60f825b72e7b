"""Rollouts to look at: real game, dream and difference side by side, as GIF, MP4 or PNG.

A picture is an array of positions in `COLOURS`, the console's 128 colours and a few dark greys, so that a
format with a palette keeps every pixel. It is composed at the game's own size and enlarged at the end.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atari_dream.errors import UsageError, unknown
from atari_dream.files import whole
from atari_dream.games import FRAME_RATE, WIDTH
from atari_dream.palette import GREY, PALETTE
from atari_dream.rollout import Rollout

FORMATS = (".gif", ".mp4", ".png")
SCALE = 2
"""Side of a game's pixel in a picture."""
STRIP_STEPS = (1, 5, 10, 25, 50)
"""Agent steps that a PNG shows, as far as the rollout goes."""

_SHADES = range(20, 84, 4)
_GREYS = np.repeat(np.array(_SHADES, np.uint8)[:, None], 3, axis=1)
COLOURS: np.ndarray = np.concatenate([PALETTE[::2], _GREYS])
"""RGB of each position, uint8 (144, 3): the game's colours in the order of their codes, then dark greys."""

BLACK, TEXT, WHITE = 0, 4, 7
"""Positions in `COLOURS` of the ground, of text, and of text that stands out."""
_ENDED, _IN_GAME, _IN_DREAM = 35, 22, 84
GAP = 4
"""Pixels between two panels."""
_LINE, _LETTER, _LABELS = 12, 6, 80

Line = list[tuple[str, int]]
"""A line of text in pieces, each with the position of its colour."""

_KEY: Line = [("brighter in ", TEXT), ("game", _IN_GAME), (" or ", TEXT), ("dream", _IN_DREAM)]


def check_format(path: Path) -> None:
    """Checks a path before there is a picture.

    Raises:
        UsageError: If its ending is not one of `FORMATS`, or the extra `video` is missing for MP4.
    """
    if path.suffix.lower() not in FORMATS:
        call = f"--out {path.parent / path.stem}{{}}"
        raise unknown("picture format", path.suffix or path.name, FORMATS, call)
    if path.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise UsageError("MP4 needs PyAV: pip install 'atari-dream[video]', or give --out FILE.gif")


def frame_ms(frame_skip: int) -> int:
    """Time that a GIF shows an agent step, in ms: GIF counts in 10 ms, so 70 for the 66.7 of frame skip 4."""
    return max(20, round(100 * frame_skip / FRAME_RATE) * 10)


def save(path: Path, real: Rollout, dream: Rollout, name: str, frame_skip: int) -> None:
    """Writes a film, or a strip if the path ends in `.png`; the file appears whole or not at all.

    Args:
        path: The file, with an ending in `FORMATS`.
        real: What the game did.
        dream: What was dreamt, from the same start under the same actions.
        name: Name of the dreamer.
        frame_skip: Emulator frames per agent step.

    Raises:
        UsageError: As `check_format`.
    """
    check_format(path)
    with whole(path) as fresh:
        if path.suffix.lower() == ".png":
            as_image(strip(real, dream, name)).save(fresh)
        elif path.suffix.lower() == ".gif":
            save_gif(fresh, film(real, dream, name), frame_ms(frame_skip))
        else:
            _save_mp4(fresh, film(real, dream, name), Fraction(FRAME_RATE, frame_skip))


def film(real: Rollout, dream: Rollout, name: str) -> Iterator[np.ndarray]:
    """A picture of the start and of each step: below a legend the real game, the dream and their difference.

    Yields:
        Positions in `COLOURS`, uint8 (H, W).
    """
    for t in range(real.steps + 1):
        yield _enlarge(beside(columns(real, dream, name, t)))


def columns(real: Rollout, dream: Rollout, name: str, t: int) -> list[np.ndarray]:
    """The real game, the dream and their difference at a step, below a legend each, at the game's own size.

    Returns:
        Positions in `COLOURS`, uint8 (H, 160) each.
    """
    legends: list[list[Line]] = [
        [[("real game", WHITE), (f"step {t}".rjust(16), TEXT)], _standing(real, t)],
        [[(f"dream: {name[:18]}", WHITE)], _standing(dream, t)],
        [[("difference", WHITE), (_share(real, dream, t).rjust(15), TEXT)], _KEY],
    ]
    panels = zip(legends, _panels(real, dream, t), strict=True)
    return [np.concatenate([text(lines, WIDTH), panel]) for lines, panel in panels]


def strip(real: Rollout, dream: Rollout, name: str) -> np.ndarray:
    """Rows of the real game, the dream and their difference, a column for each of `STRIP_STEPS`.

    Returns:
        Positions in `COLOURS`, uint8 (H, W).
    """
    shown = [_column(real, dream, t) for t in STRIP_STEPS if t <= real.steps]
    return _enlarge(beside([_labels(name, len(shown[0]) // 3), *shown]))


def difference(real: np.ndarray, dream: np.ndarray) -> np.ndarray:
    """What is wrong in a dreamt frame.

    Equal pixels are dimmed to dark grey. Others are yellow where the real game is brighter and blue where the
    dream is: on a dark ground, what only the game and what only the dream shows.

    Args:
        real: Palette codes, uint8 (210, 160).
        dream: Palette codes, uint8 (210, 160).

    Returns:
        Positions in `COLOURS`, uint8 (210, 160).
    """
    dimmed = len(PALETTE) // 2 + GREY[real] // (256 // len(_SHADES))
    wrong = np.where(GREY[real].astype(int) >= GREY[dream], _IN_GAME, _IN_DREAM)
    return np.where(real // 2 == dream // 2, dimmed, wrong).astype(np.uint8)


def picture_bytes(picture: np.ndarray) -> bytes:
    """A picture, positions in `COLOURS`, uint8 (H, W), as the bytes of a PNG."""
    buffer = io.BytesIO()
    as_image(picture).save(buffer, "PNG")
    return buffer.getvalue()


def clip_bytes(real: Rollout, dream: Rollout, name: str, frame_skip: int) -> bytes:
    """A film, as `save` writes one, as the bytes of a GIF."""
    buffer = io.BytesIO()
    save_gif(buffer, film(real, dream, name), frame_ms(frame_skip))
    return buffer.getvalue()


def _panels(real: Rollout, dream: Rollout, t: int) -> list[np.ndarray]:
    """The real frame, the dreamt one and their difference, positions in `COLOURS`, uint8 (210, 160) each."""
    return [real.frames[t] // 2, dream.frames[t] // 2, difference(real.frames[t], dream.frames[t])]


def _column(real: Rollout, dream: Rollout, t: int) -> np.ndarray:
    legends: list[list[Line]] = [
        [[(f"step {t}", TEXT)], _standing(real, t)],
        [[], _standing(dream, t)],
        [[], [(_share(real, dream, t), TEXT)]],
    ]
    cells = zip(legends, _panels(real, dream, t), strict=True)
    return np.concatenate([part for lines, panel in cells for part in (text(lines, WIDTH), panel)])


def _labels(name: str, height: int) -> np.ndarray:
    """What the rows of a strip show, each label uint8 (height, _LABELS)."""
    brighter: list[Line] = [[("brighter in", TEXT)], [("game", _IN_GAME)], [("dream", _IN_DREAM)]]
    labels: list[list[Line]] = [
        [[("real game", WHITE)]],
        [[("dream:", WHITE)], [(name[:13], WHITE)]],
        [[("difference", WHITE)], *brighter],
    ]
    return np.concatenate([text([[], *lines], _LABELS, height) for lines in labels])


def _standing(rollout: Rollout, t: int) -> Line:
    """Points since the start, lives, and when it ended."""
    line: Line = [(f"{rollout.scores[t]:+.10g} lives {rollout.lives[t]}", TEXT)]
    if rollout.ended[t]:
        line.append((f" ended {int(rollout.ended.argmax())}", _ENDED))
    return line


def _share(real: Rollout, dream: Rollout, t: int) -> str:
    return f"{(real.frames[t] // 2 != dream.frames[t] // 2).mean():.2%}"


def text(lines: list[Line], width: int, height: int = 0) -> np.ndarray:
    """Lines of text on black, uint8 (height, width); as high as the lines if that is more."""
    image = Image.new("L", (width, max(height, len(lines) * _LINE + 2)), BLACK)
    draw = ImageDraw.Draw(image)
    draw.fontmode, font = "1", ImageFont.load_default_imagefont()
    for row, line in enumerate(lines):
        place = 2
        for piece, colour in line:
            drawable = piece.encode("ascii", "replace").decode()
            draw.text((place, row * _LINE + 1), drawable, fill=colour, font=font)
            place += _LETTER * len(piece)
    return np.array(image)


def beside(panels: list[np.ndarray]) -> np.ndarray:
    """Panels of one height, uint8 (H, W) each, from left to right with a gap between two."""
    gap = np.full((len(panels[0]), GAP), BLACK, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def _enlarge(picture: np.ndarray) -> np.ndarray:
    return picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def as_image(picture: np.ndarray) -> Image.Image:
    """A picture, positions in `COLOURS`, uint8 (H, W), with the palette that belongs to it."""
    image = Image.frombytes("P", picture.shape[::-1], picture.tobytes())
    image.putpalette(COLOURS.tobytes())
    return image


def save_gif(target: Path | io.BytesIO, pictures: Iterator[np.ndarray], milliseconds: int) -> None:
    """Writes a GIF with one palette for all pictures, where unchanged pixels are transparent."""
    images = map(as_image, pictures)
    next(images).save(
        target,
        "GIF",
        save_all=True,
        append_images=images,
        palette=COLOURS.tobytes(),
        optimize=True,
        interlace=False,
        duration=milliseconds,
        loop=0,
    )


def _save_mp4(path: Path, pictures: Iterator[np.ndarray], rate: Fraction) -> None:
    """Writes lossless RGB video: with fewer chroma samples than pixels, sprites of one pixel would blur."""
    import av

    first = next(pictures)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264rgb", rate=rate, options={"crf": "0"})
        stream.pix_fmt = "rgb24"
        stream.height, stream.width = first.shape
        for picture in chain([first], pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(COLOURS[picture], format="rgb24")))
        container.mux(stream.encode())
