"""Bands: things in rows of their own, at columns that turns of 15 pixels and a half byte tell."""

import numpy as np
import pytest
import torch
from test_places import played

from atari_dream.console.bands import find_bands
from atari_dream.console.places import NO_FINE, Axis, Place, find_backdrop, find_places, finely
from atari_dream.console.sprites import Sprites

COUNT = 900
ROWS = {40: (60, 30), 80: (61, 31), 120: (62, 32)}
"""First row of each band, and the bytes of its turns and of the pixels beside them."""
CROWD = 14, 102, 196
"""The backdrop, the colour of most things, and that of few."""


def made_up(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames and memory: in half of the frames, each band has something of five by six pixels or less."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    frames = np.full((COUNT, 210, 160), CROWD[0], np.uint8)
    for top, (turns, fine) in ROWS.items():
        memory[:, turns], memory[:, fine] = rng.integers(2, 8, COUNT), rng.integers(0, 256, COUNT)
        left = 9 + 15 * memory[:, turns].astype(int) - finely(memory[:, fine].astype(int))
        for frame, column in zip(frames, left, strict=True):
            if rng.random() < 0.5:
                code = CROWD[2] if rng.random() < 0.1 else CROWD[1]
                frame[top : top + rng.integers(3, 6), column : column + rng.integers(4, 7)] = code
    return frames, memory


@pytest.fixture(scope="module")
def found() -> list[Place]:
    frames, memory = made_up()
    return find_bands(frames, memory, find_backdrop(frames), [])


def test_half_a_byte_is_from_minus_8_to_7() -> None:
    assert finely(np.array([0x00, 0x0F, 0x10, 0x7F, 0x80, 0xF0])).tolist() == [0, 0, 1, 7, -8, -1]


def test_each_is_found_by_both_of_its_bytes(found: list[Place]) -> None:
    assert {(place.across.byte, place.across.fine) for place in found} == set(ROWS.values())
    assert all(place.across[1:3] == (15, 9) and place.down.slope == 0 for place in found)


def test_colours_that_are_seen_seldom_go_with_what_is_seen_there_often(found: list[Place]) -> None:
    assert all(place.colours == CROWD[1:] for place in found)


def test_their_boxes_hold_their_bands(found: list[Place]) -> None:
    for place in found:
        top, bottom, left, right = place.box
        assert place.down.offset + top in ROWS and (bottom - top, left, right) == (5, 0, 6)


def test_shapes_stand_where_both_bytes_tell(found: list[Place]) -> None:
    frames, memory = (torch.from_numpy(part) for part in made_up(1))
    sprites = Sprites(found)
    sprites.learn(find_backdrop(frames.numpy()), [(frames, memory)])
    seen = sprites.see(frames, memory)
    for place in range(len(found)):
        there = seen.there[:, place]
        assert 0.4 < there.float().mean() < 0.6 and not seen.across[there, place].any()
    drawn = sprites.draw(torch.full_like(frames, CROWD[0]), memory, sprites.known(seen))
    usual = ~(frames == CROWD[2]).flatten(1).any(1)
    assert usual.sum() > COUNT / 2 and torch.equal(drawn[usual], frames[usual])


def test_columns_are_told_to_the_pixel_when_they_are_sighted(found: list[Place]) -> None:
    frames, memory = (torch.from_numpy(part) for part in made_up(1))
    sprites = Sprites(found)
    sprites.learn(find_backdrop(frames.numpy()), [(frames, memory)])
    value, there = sprites.sighted(frames)
    for place, told in enumerate(found):
        column = torch.from_numpy(told.across.at(memory.numpy()) - told.across.offset)
        assert torch.equal(value[there[:, place], place, 1].long(), column[there[:, place]])


def test_what_one_byte_tells_needs_no_other() -> None:
    frames, memory = made_up()
    frames[:] = CROWD[0]
    for frame, turns in zip(frames, memory[:, 60].astype(int), strict=True):
        frame[40:45, 9 + 15 * turns : 15 + 15 * turns] = CROWD[1]
    (place,) = find_bands(frames, memory, find_backdrop(frames), [])
    assert place.across == Axis(60, 15, 9, NO_FINE)


def test_a_colour_that_a_place_has_is_left_alone() -> None:
    frames, memory = made_up()
    known = Place(Axis(10, 1, 0), Axis(11, 2, 0), CROWD[1:])
    assert find_bands(frames, memory, find_backdrop(frames), [known]) == []


def test_where_nothing_goes_with_bytes_nothing_is_found() -> None:
    frames, memory = made_up()
    other = np.random.default_rng(1).permutation(COUNT)
    assert find_bands(frames, memory[other], find_backdrop(frames), []) == []


@pytest.mark.slow
@pytest.mark.parametrize("game", ["pacman", "space_invaders"])
def test_where_things_go_anywhere_no_bands_are_found(game: str) -> None:
    frames, memory = played(game, 1500)
    backdrop = find_backdrop(frames)
    assert find_bands(frames, memory, backdrop, find_places(frames, memory, backdrop)) == []


@pytest.mark.slow
def test_what_hops_on_the_cubes_is_found() -> None:
    """Each row of cubes but the first has one creature; `objects.qbert` has the bytes, found by hand."""
    frames, memory = played("qbert", 3000)
    backdrop = find_backdrop(frames)
    places = find_bands(frames, memory, backdrop, find_places(frames, memory, backdrop))
    told = {(place.across.byte, place.across.fine) for place in places}
    assert len(told & {(75 + row, 60 + row) for row in range(5)}) >= 2
