"""Crowds: things that share a colour are found one by one, each where its own bytes tell."""

import numpy as np
import pytest
from test_places import played

from atari_dream.console.crowds import find_crowds
from atari_dream.console.places import Axis, Place, find_backdrop, find_places

COUNT = 900
BYTES = ((10, 11), (12, 13), (14, 15))
"""Of the columns and rows of three streaks; the rows are doubled."""
FLYING = 0.5


def made_up(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames and memory: streaks of one colour, each shown in half of the frames; bytes tell where all of them are."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    frames = np.full((COUNT, 210, 160), 14, np.uint8)
    for across, down in BYTES:
        memory[:, across], memory[:, down] = rng.integers(10, 150, COUNT), rng.integers(5, 95, COUNT)
        for frame, told in zip(frames, memory.astype(int), strict=True):
            if rng.random() < FLYING:
                frame[2 * told[down] + 3 : 2 * told[down] + 9, told[across] - 2] = 6
    return frames, memory


@pytest.fixture(scope="module")
def found() -> list[Place]:
    frames, memory = made_up()
    return find_crowds(frames, memory, find_backdrop(frames), [])


def test_they_are_in_no_place_that_is_looked_for_alone() -> None:
    frames, memory = made_up()
    assert find_places(frames, memory, find_backdrop(frames)) == []


def test_each_is_found_by_its_own_bytes(found: list[Place]) -> None:
    told = {(place.across[:2], place.down[:2]) for place in found}
    assert told == {((across, 1), (down, 2)) for across, down in BYTES}
    assert all(place.colours == (6,) for place in found)


def test_their_boxes_hold_what_they_are_and_no_more(found: list[Place]) -> None:
    for place in found:
        top, bottom, left, right = place.box
        assert (bottom - top, right - left) == (6, 1)
        assert place.down.offset + top == 3 and place.across.offset + left == -2


def test_a_colour_that_a_place_has_is_left_alone() -> None:
    frames, memory = made_up()
    known = Place(Axis(10, 1, 0), Axis(11, 2, 0), (6,))
    assert find_crowds(frames, memory, find_backdrop(frames), [known]) == []


def test_where_nothing_goes_with_bytes_nothing_is_found() -> None:
    frames, memory = made_up()
    shuffled = np.random.default_rng(2).permutation(memory)
    assert find_crowds(frames, shuffled, find_backdrop(frames), []) == []


def test_what_stands_still_goes_with_no_byte() -> None:
    frames, memory = made_up()
    frames[:] = 14
    shown = np.arange(COUNT) % 2 == 0
    frames[shown, 40:46, 70] = 6
    memory[:, 10], memory[:, 11] = np.where(shown, 72, 0), np.where(shown, 20, 0)
    memory[:, 10:12] += (np.arange(COUNT) % 4)[:, None].astype(np.uint8) * ~shown[:, None]
    assert find_crowds(frames, memory, find_backdrop(frames), []) == []


@pytest.mark.slow
def test_the_shot_of_a_real_game_is_found() -> None:
    shown, held = played("space_invaders", 1500)
    backdrop = find_backdrop(shown)
    places = find_places(shown, held, backdrop)
    shot = Axis(87, 1, 0)[:2], Axis(85, 2, 0)[:2]
    found = [place for place in (*places, *find_crowds(shown, held, backdrop, places)) if 6 in place.colours]
    assert shot in [(place.across[:2], place.down[:2]) for place in found]
