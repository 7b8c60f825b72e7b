"""Moves: looked up where they come from, and found in frames whose sprites move so."""

import torch

from atari_dream.canvas.cells import to_cells, to_frame
from atari_dream.canvas.moves import SOURCES, Moves, best_moves, find_shifts

EVERY = torch.arange(600)[None]


def moved(moves: Moves, before: torch.Tensor, move: int) -> torch.Tensor:
    """The whole frame after a move, (210, 160)."""
    ground = torch.zeros(1, 600, 56, dtype=torch.uint8)
    return to_frame(moves(by_cell(before), ground, EVERY, torch.full((1, 600, 1), move))[:, :, 0])[0]


def frames() -> torch.Tensor:
    return torch.randint(
        0, 256, (1, SOURCES, 210, 160), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


def by_cell(pictures: torch.Tensor) -> torch.Tensor:
    return torch.stack([to_cells(picture) for picture in pictures.unbind(1)], dim=1)


def test_a_move_shows_what_was_where_it_comes_from() -> None:
    before, moves = frames(), Moves(((0, 3, -2, 0), (2, -5, 4, 0)))
    assert torch.equal(moved(moves, before, 0)[3:, :-2], before[0, 0, :-3, 2:])
    assert torch.equal(moved(moves, before, 1)[:-5, 4:], before[0, 2, 5:, :-4])


def test_from_outside_comes_the_border() -> None:
    before = frames()
    assert torch.equal(moved(Moves(((1, 4, 0, 0),)), before, 0)[:4], before[0, 1, :1].expand(4, -1))


def test_lanes_cells_and_their_moves_are_their_own() -> None:
    moves = Moves(((0, 1, 1, 0), (1, 0, 2, 0)))
    both = torch.cat([frames(), frames().flip(2)])
    cell, move = torch.tensor([[3, 599], [40, 7]]), torch.tensor([[[0, 1], [1, 1]], [[1, 0], [0, 0]]])
    shown = moves(by_cell(both), torch.zeros(2, 600, 56, dtype=torch.uint8), cell, move)
    assert shown.shape == (2, 2, 2, 56)
    for lane in range(2):
        for place in range(2):
            for one in range(2):
                whole = to_cells(moved(moves, both[lane : lane + 1], int(move[lane, place, one]))[None])
                assert torch.equal(shown[lane, place, one], whole[0, cell[lane, place]])


def test_without_any_move_nothing_moves() -> None:
    assert torch.equal(moved(Moves(()), frames(), 0), frames()[0, 0])


def scene(*sprites: tuple[int, int, int]) -> torch.Tensor:
    """A dark floor with sprites: top, left, colour."""
    frame = torch.zeros(210, 160, dtype=torch.uint8)
    for top, left, colour in sprites:
        frame[top : top + 9, left : left + 6] = colour
        frame[top, left] = 0
    return frame


def test_the_moves_of_solid_sprites_are_found() -> None:
    changes = []
    for place in range(20, 120, 20):
        before = torch.stack([scene((place, 30, 42), (90, place, 70))] * SOURCES)
        after = scene((place + 4, 30, 42), (90, place - 3, 70))
        changes.append((before, after, (after != before[0]) & (after != 0)))
    assert set(find_shifts(changes, 5)) == {(0, 4, 0), (0, 0, -3)}
    assert len(find_shifts(changes, 1)) == 1


def test_what_flickers_comes_from_frames_before() -> None:
    shown, hidden = scene((50, 50, 42)), scene()
    before = torch.stack([hidden, hidden, shown, hidden, hidden])
    assert find_shifts([(before, shown, shown != 0)], 5) == ((2, 0, 0),)


def test_where_nothing_moves_nothing_is_found() -> None:
    still = torch.stack([scene((50, 50, 42))] * SOURCES)
    assert find_shifts([(still, still[0], torch.zeros(210, 160, dtype=torch.bool))], 5) == ()


def test_what_is_lifted_leaves_its_ground_behind() -> None:
    floor = torch.full((1, 600, 56), 14, dtype=torch.uint8)
    floor[:, 4] = 68
    frames = floor[:, None].repeat(1, SOURCES, 1, 1)
    frames[:, :, 4, :20] = 42
    cell, move = torch.tensor([[5]]), torch.tensor([[[0, 1]]])
    taken, lifted = Moves(((0, 0, 8, 0), (0, 0, 8, 1)))(frames, floor, cell, move)[0, 0]
    assert torch.equal(taken, frames[0, 0, 4])
    assert (lifted[:20] == 42).all() and (lifted[20:] == 14).all()


def test_the_moves_that_explain_most_are_kept_in_that_order() -> None:
    ground = to_cells(scene()[None])
    before = to_cells(scene((48, 30, 42), (90, 30, 70), (120, 60, 70))[None])
    after = to_cells(scene((48, 33, 42), (90, 27, 70), (120, 57, 70))[None])
    frames = before[:, None].repeat(1, SOURCES, 1, 1)
    shifts = ((0, 0, 1), (0, 0, 3), (0, 0, -3))
    kept = best_moves(shifts, [(frames, ground, after)], 9)
    assert [move[:3] for move in kept] == [(0, 0, -3), (0, 0, 3)]
    assert best_moves(shifts, [(frames, ground, after)], 1) == kept[:1]
    assert best_moves((), [(frames, ground, after)], 9) == ()
