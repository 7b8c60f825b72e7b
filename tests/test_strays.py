"""Strays: what falls by another byte, and what is shown apart, have places of their own; nothing else has."""

import numpy as np
import torch
from test_places import COUNT, made_up

from atari_dream.console.places import Axis, Place, find_backdrop, find_places
from atari_dream.console.sprites import Sprites
from atari_dream.console.strays import with_strays

HOPPER = Place(Axis(20, 1, 8), Axis(30, 1, 8), (52, 254))
FALLS, BALLOON = 0.6, 0.7


def hopping(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A hopper at bytes 20 and 30; in some frames it falls, at bytes 20 and 31, in others a balloon is beside it."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, (COUNT, 128)).astype(np.uint8)
    for byte in (20, 30, 31):
        memory[:, byte] = rng.integers(10, 110 if byte != 31 else 180, COUNT)
    standing = np.arange(COUNT) >= FALLS * COUNT
    memory[standing, 31] = memory[standing, 30]
    frames = np.full((COUNT, 210, 160), 14, np.uint8)
    for k, (frame, (across, down, falling)) in enumerate(
        zip(frames, memory[:, [20, 30, 31]].astype(int), strict=True)
    ):
        frame[falling : falling + 16, across : across + 8] = 52
        if k >= COUNT * BALLOON:
            frame[down - 10 : down - 4, across + 16 : across + 24] = 254
    return frames, memory


def test_what_falls_by_another_byte_has_a_place_of_its_own() -> None:
    frames, memory = hopping()
    kept, *strays = with_strays(frames, memory, find_backdrop(frames), [HOPPER._replace(colours=(52,))])
    assert kept == HOPPER._replace(colours=(52,))
    (stray,) = strays
    assert (stray.across.byte, stray.down.byte, stray.colours, stray.besides) == (20, 31, (), (52,))


def test_what_is_shown_too_far_away_has_a_place_of_its_own_and_both_are_whole() -> None:
    frames, memory = hopping()
    standing = np.arange(COUNT) >= FALLS * COUNT
    frames, memory = frames[standing], memory[standing]
    kept, balloon = with_strays(frames, memory, find_backdrop(frames), [HOPPER])
    assert kept.colours == (52, 254) and balloon.besides == (254,) and balloon.across == kept.across
    sprites = Sprites([kept, balloon], looks=4)
    seen = sprites.see(*map(torch.from_numpy, (frames, memory)))
    assert seen.whole[seen.there].all()
    assert (seen.shape[:, 0] == 52).sum(-1).sum(-1).eq(8 * 16).all()
    assert (seen.shape[:, 1] == 254).flatten(1).sum(1).eq(6 * 8)[seen.there[:, 1]].all()
    assert int(seen.there[:, 1].sum()) == int((frames == 254).any((1, 2)).sum()) > 0


def test_strays_are_not_sighted_as_others_have_their_colours() -> None:
    frames, memory = hopping()
    places = with_strays(frames, memory, find_backdrop(frames), [HOPPER])
    told, alone = Sprites(places, looks=4), Sprites(places[:1], looks=4)
    assert len(places) == 3
    for sprites in (told, alone):
        sprites.learn(find_backdrop(frames), [tuple(map(torch.from_numpy, (frames, memory)))])
    one, other = told.sighted(torch.from_numpy(frames)), alone.sighted(torch.from_numpy(frames))
    assert one.value.equal(other.value) and one.there.equal(other.there)


def test_places_that_leave_nothing_out_stay_as_they_are() -> None:
    frames, memory = made_up()
    backdrop = find_backdrop(frames)
    places = find_places(frames, memory, backdrop)
    assert with_strays(frames, memory, backdrop, places) == places
    assert with_strays(frames, memory, backdrop, []) == []
