"""Sprites: what stands at a place is seen, its shapes are found, and what is drawn of them is what was there."""

import pytest
import torch
from test_places import COUNT, made_up

from atari_dream.console.places import NOTHING, Axis, Place, find_backdrop
from atari_dream.console.sprites import JITTER, SIDE, Shown, Sprites

PLACES = [
    Place(Axis(20, 2, 3), Axis(30, -1, 150), (42, 88)),
    Place(Axis(40, 1, 12), Axis(0, 0, 182), (196,)),
]


def real(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    frames, memory = made_up(seed)
    return torch.from_numpy(frames), torch.from_numpy(memory)


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    frames, memory = real()
    backdrop = find_backdrop(frames.numpy())
    made = Sprites(PLACES, looks=4)
    made.learn(backdrop, [(frames, memory)])
    return made


def test_what_stands_there_is_seen(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    seen = sprites.see(frames, memory)
    assert seen.there.all() and seen.whole.all()
    assert (seen.down[:, 0] == 0).all() and (seen.across[:, 0] == 0).all()
    assert (seen.down[:, 1] == -2).all() and (seen.across[:, 1] == -2).all()
    shape = torch.full((SIDE, SIDE), NOTHING, dtype=torch.uint8)
    shape[:8, :6], shape[8:11, 1:4] = 42, 88
    assert (seen.shape[:, 0] == shape).all()


def test_the_shapes_are_found_and_drawn_as_they_were(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    shown = sprites.known(sprites.see(frames, memory))
    assert (shown.look == 1).all() and (shown.down == JITTER).all() and (shown.across == JITTER).all()
    bare = sprites.backdrop.expand(COUNT, -1, -1).contiguous()
    assert torch.equal(sprites.draw(bare, memory, shown), frames)


def test_a_shape_a_little_behind_its_place_is_known(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    moved = memory.clone()
    moved[:, 30] += 2  # two rows up by memory, not yet on the screen
    shown = sprites.known(sprites.see(frames, moved))
    assert (shown.look[:, 0] == 1).all() and (shown.down[:, 0] == JITTER + 2).all()
    bare = sprites.backdrop.expand(COUNT, -1, -1).contiguous()
    assert torch.equal(sprites.draw(bare, moved, shown), frames)


def test_nothing_and_what_is_not_known_are_told_apart(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    bare = sprites.backdrop.expand(COUNT, -1, -1).contiguous()
    assert (sprites.known(sprites.see(bare, memory)).look == 0).all()
    torn = frames.clone()
    row, column = sprites.place(memory)[:, 0].unbind(-1)
    for k in range(COUNT):
        torn[k, row[k] + 3 : row[k] + 11, column[k] : column[k] + 6] = 14
    assert (sprites.known(sprites.see(torn, memory)).look == torch.tensor([-1, 1])).all()


def test_what_is_a_little_torn_is_the_shape_that_it_is_most_like(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    torn = frames.clone()
    torn[torch.arange(COUNT), sprites.place(memory)[:, 0, 0], sprites.place(memory)[:, 0, 1] + 2] = 14
    shown = sprites.known(sprites.see(torn, memory))
    assert (shown.look == 1).all() and (shown.down == JITTER).all()
    bare = sprites.backdrop.expand(COUNT, -1, -1).contiguous()
    assert torch.equal(sprites.draw(bare, memory, shown), frames)


def test_what_is_outside_the_box_of_a_place_is_not_of_it() -> None:
    frames, memory = real(seed=1)
    boxed = Sprites([PLACES[0]._replace(box=(0, 8, 0, 3)), PLACES[1]], looks=4)
    seen = boxed.see(frames, memory)
    shape = torch.full((SIDE, SIDE), NOTHING, dtype=torch.uint8)
    shape[:8, :3] = 42
    assert (seen.shape[:, 0] == shape).all() and (seen.shape[:, 1] == 196).any()


def test_colours_that_are_elsewhere_too_are_drawn_but_not_sighted() -> None:
    frames, memory = real(seed=1)
    frames[:, 100, 80] = 88
    told = PLACES[0]._replace(colours=(42,), box=(0, 11, 0, 6), besides=(88,))
    made = Sprites([told], looks=4)
    backdrop = find_backdrop(real()[0].numpy())
    made.learn(backdrop, [real()])
    there = made.sighted(frames).value[:, 0]
    assert torch.equal(there, memory[:, [30, 20]])
    assert not made.like_sprites(frames)[:, 100, 80].any()
    assert (made.shapes[0, 1] == 88).sum() == 9


def test_what_is_off_the_screen_is_cut_off(sprites: Sprites) -> None:
    memory = torch.zeros(1, 128, dtype=torch.uint8)
    memory[0, 20], memory[0, 30] = 77, 148  # column 157, row 2
    bare = sprites.backdrop[None].clone()
    shown = Shown(*(torch.tensor([[value, 0]]) for value in (1, JITTER - 4, JITTER)))
    drawn = sprites.draw(bare, memory, shown)
    changed = (drawn != bare)[0].nonzero()
    assert changed[:, 0].min() == 0 and changed[:, 1].tolist() and changed[:, 1].min() == 157
    assert (drawn[0, :6, 157:] == 42).all() and len(changed) == 6 * 3 + 3 * 2


def test_rare_shapes_are_left_out() -> None:
    frames, memory = real()
    frames[:5, :, :] = torch.where(frames[:5] == 42, 88, frames[:5])
    made = Sprites(PLACES, looks=4)
    made.learn(find_backdrop(frames.numpy()), [(frames, memory)])
    assert (made.shapes[0, 1] != NOTHING).any() and (made.shapes[0, 2:] == NOTHING).all()


def test_lanes_do_not_matter_to_each_other(sprites: Sprites) -> None:
    frames, memory = real(seed=2)
    both = sprites.see(frames[:6], memory[:6])
    for lane in range(6):
        one = sprites.see(frames[lane : lane + 1], memory[lane : lane + 1])
        assert all(torch.equal(mine[0], theirs[lane]) for mine, theirs in zip(one, both, strict=True))


def test_seen_in_parts_is_seen_as_a_whole() -> None:
    frames, memory = real()
    backdrop = find_backdrop(frames.numpy())
    whole, parts = Sprites(PLACES, looks=4), Sprites(PLACES, looks=4)
    whole.learn(backdrop, [(frames, memory)])
    parts.learn(backdrop, zip(frames.split(150), memory.split(150), strict=True))
    assert torch.equal(whole.shapes, parts.shapes) and torch.equal(whole.usual, parts.usual)


def test_by_its_colours_alone_it_is_sighted_where_its_bytes_say(sprites: Sprites) -> None:
    frames, memory = real(seed=1)
    value, there = sprites.sighted(frames)
    assert there.all()
    for place, told in enumerate(PLACES):
        for side, axis in enumerate((told.down, told.across)):
            if axis.slope:
                assert torch.equal(value[:, place, side], memory[:, axis.byte])
    bare = sprites.backdrop.expand(3, -1, -1)
    assert not sprites.sighted(bare).there.any()


def test_how_far_shapes_are_off_their_place_is_told_and_then_they_are_known() -> None:
    frames, memory = real()
    low = torch.arange(COUNT) % 5 == 0
    for k in low.nonzero()[:, 0].tolist():
        frame, row, column = frames[k], 150 - int(memory[k, 30]), 2 * int(memory[k, 20]) + 3
        shape = frame[row : row + 11, column : column + 6].clone()
        frame[row : row + 11, column : column + 6] = 14
        frame[row + 12 : row + 23, column : column + 6] = shape
    backdrop = find_backdrop(frames.numpy())
    usual, wide = Sprites(PLACES, looks=4), Sprites(PLACES, looks=4, jitter=12)
    for made in (usual, wide):
        made.learn(backdrop, [(frames, memory)])
        assert made.needed_jitter(frames, memory) == 12
    assert (usual.known(usual.see(frames, memory)).look[low, 0] == -1).all()
    shown = wide.known(wide.see(frames, memory))
    assert (shown.look[:, 0] == 1).all() and (shown.down[low, 0] == 24).all()
    bare = wide.backdrop.expand(COUNT, -1, -1).contiguous()
    assert torch.equal(wide.draw(bare, memory, shown), frames)


def test_shapes_at_their_places_need_no_more_than_the_usual_jitter(sprites: Sprites) -> None:
    assert sprites.needed_jitter(*real()) == JITTER
