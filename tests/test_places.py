"""Places: the bytes that tell where something stands are found, and no others."""

import numpy as np
import pytest
import torch

from atari_dream.console.places import Axis, Place, find_backdrop, find_places
from atari_dream.console.sprites import Sprites
from atari_dream.emulator import Emulator
from atari_dream.games import get_game
from atari_dream.players import RandomPlayer

COUNT = 400


def made_up(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Frames and memory: a sprite of two colours by bytes 20, doubled, and 30, from below; a ship on row 180 by 40."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    memory[:, 20], memory[:, 30], memory[:, 40] = (rng.integers(5, 60, COUNT) for _ in range(3))
    frames = np.full((COUNT, 210, 160), 14, np.uint8)
    frames[:, 200:] = 26
    for frame, (across, down, ship) in zip(frames, memory[:, [20, 30, 40]].astype(int), strict=True):
        row, column = 150 - down, 2 * across + 3
        frame[row : row + 8, column : column + 6] = 42
        frame[row + 8 : row + 11, column + 1 : column + 4] = 88
        frame[180:186, ship + 10 : ship + 18] = 196
    return frames, memory


def played(game: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and memory of random play."""
    emulator, player = Emulator(game), RandomPlayer()
    player.begin(get_game(game), 4, np.random.default_rng(0))
    frames, memory = [], []
    for _ in range(steps):
        emulator.step([player.act(np.empty(0))] * 4)
        frames.append(emulator.frame)
        memory.append(emulator.ram)
        if emulator.over:
            emulator.reset(3)
    return np.stack(frames), np.stack(memory)


@pytest.fixture(scope="module")
def found() -> list[Place]:
    frames, memory = made_up()
    return find_places(frames, memory, find_backdrop(frames))


def test_the_backdrop_is_what_is_mostly_shown() -> None:
    backdrop = find_backdrop(made_up()[0])
    assert (backdrop[200:] == 26).all() and (backdrop[:200] == 14).all()


def test_the_bytes_of_each_sprite_are_found(found: list[Place]) -> None:
    told = {(place.across[:2], place.down[:2]): place.colours for place in found}
    assert told == {((20, 2), (30, -1)): (42, 88), ((40, 1), (0, 0)): (196,)}


def test_they_tell_where_it_stands_in_other_frames(found: list[Place]) -> None:
    frames, memory = made_up(seed=1)
    for place in found:
        row, column = (
            axis.offset + axis.slope * memory[:, axis.byte].astype(int) for axis in (place.down, place.across)
        )
        inside = frames[np.arange(COUNT), row, column]
        assert np.isin(inside, place.colours).all()


def test_what_is_so_large_that_it_always_covers_some_place_is_found_by_its_edges() -> None:
    frames, memory = made_up()
    for frame, (across, down) in zip(frames, memory[:, [20, 30]].astype(int), strict=True):
        frame[20 + down : 110 + down, across + 9 : across + 90] = 20
    told = [place for place in find_places(frames, memory, find_backdrop(frames)) if 20 in place.colours]
    assert [(place.across[:2], place.down[:2]) for place in told] == [((20, 1), (30, 1))]


def test_a_colour_that_is_elsewhere_too_goes_with_what_shows_it_wherever_it_stands() -> None:
    frames, memory = made_up()
    rng = np.random.default_rng(3)
    for frame, (across, down) in zip(frames, memory[:, [20, 30]].astype(int), strict=True):
        if rng.random() < 0.55:
            frame[152 - down, 2 * across + 4 : 2 * across + 8] = 74
        for row, column in rng.integers(0, 160, (12, 2)):
            frame[row, column] = 74
    backdrop = find_backdrop(frames)
    told = {place.across.byte: place for place in find_places(frames, memory, backdrop)}
    assert told[20].colours == (42, 88) and told[20].besides == (74,)
    top, bottom, left, right = told[20].box
    assert (bottom - top, right - left) == (11, 6) and told[20].down.offset + top == 150
    assert told[40].besides == () and told[40].box == Place(*told[40][:3]).box


def test_where_nothing_goes_with_a_byte_nothing_is_found() -> None:
    frames, memory = made_up()
    shuffled = np.random.default_rng(2).permutation(memory)
    assert find_places(frames, shuffled, find_backdrop(frames)) == []


@pytest.mark.slow
def test_those_of_a_real_game_are_found() -> None:
    frames, memory = played("pacman", 900)
    found = find_places(frames, memory, find_backdrop(frames))
    her = Axis(10, 1, 0)[:2], Axis(16, 1, 0)[:2]
    assert her in [(place.across[:2], place.down[:2]) for place in found] and len(found) >= 3


def test_what_a_byte_takes_past_the_lower_edge_comes_in_at_the_upper_one() -> None:
    frames, memory = made_up()
    rng = np.random.default_rng(4)
    memory[:, 50], memory[:, 51] = rng.integers(0, 100, COUNT), rng.integers(216, 356, COUNT).astype(np.uint8)
    for frame, (across, down) in zip(frames, memory[:, [50, 51]].astype(int), strict=True):
        row = (down + 40) % 256
        frame[row : row + 4, across + 20 : across + 25] = 70
    (told,) = (place for place in find_places(frames, memory, find_backdrop(frames)) if 70 in place.colours)
    assert (told.across.byte, told.down.byte) == (50, 51)
    row = told.down.at(memory)
    assert (frames[np.arange(COUNT), row, told.across.at(memory)] == 70).all()
    assert torch.equal(Sprites([told]).place(torch.from_numpy(memory))[:, 0, 0], torch.from_numpy(row))
