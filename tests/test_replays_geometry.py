"""The screen of a replay and ALE's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from atari_dream.emulator import Emulator
from atari_dream.games import GAMES
from atari_dream.replays.colours import to_codes
from atari_dream.replays.geometry import ALE, COMB, GEOMETRIES

TRUTH = np.load(Path(__file__).parent / "data" / "truth.npz")


@pytest.mark.parametrize("game", ["pacman", "pinball", "revenge", "space_invaders"])
def test_a_picture_becomes_the_one_that_ale_draws_of_the_same_memory(game: str, replays: Path) -> None:
    (screens,) = (replays / "screens" / str(GAMES[game].agc)).iterdir()
    places, frames = TRUTH[f"{game}_places"], TRUTH[f"{game}_frames"]
    for place, frame in zip(places, frames, strict=True):
        picture = cv2.imread(str(screens / f"{place}.png"))
        assert picture is not None
        np.testing.assert_array_equal(GEOMETRIES[game].convert(to_codes(picture)), frame)


@pytest.mark.parametrize("game", GAMES)
def test_what_is_not_seen_is_black(game: str) -> None:
    geometry = GEOMETRIES[game]
    frame = geometry.convert(np.full((210, 160), 8, np.uint8))
    assert (frame[geometry.seen_rows :] == 0).all() and (frame[: geometry.seen_rows, COMB:] == 8).all()


@pytest.mark.parametrize("game", ["pacman", "space_invaders"])
def test_mending_the_comb_changes_nothing_in_a_frame_without_one(game: str) -> None:
    emulator = Emulator(game)
    for _ in range(60):
        emulator.step([0] * 5)
        np.testing.assert_array_equal(GEOMETRIES[game].convert(emulator.frame), emulator.frame)


def test_frames_of_ale_stay_as_they_are() -> None:
    frame = np.random.default_rng(0).integers(128, size=(210, 160)).astype(np.uint8) * 2
    np.testing.assert_array_equal(ALE.convert(frame), frame)
    assert ALE.seen_rows == 210
