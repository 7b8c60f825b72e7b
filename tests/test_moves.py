"""Moves: looked up where they come from, and found in frames whose sprites move so."""

import torch

from atari_dream.canvas.cells import to_cells, to_frame
from atari_dream.canvas.moves import LAGS, Moves, find_moves

EVERY = torch.arange(600)[None]


def frames() -> torch.Tensor:
    return torch.randint(
        0, 256, (1, LAGS, 210, 160), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


def by_cell(pictures: torch.Tensor) -> torch.Tensor:
    return torch.stack([to_cells(picture) for picture in pictures.unbind(1)], dim=1)


def test_a_move_shows_what_was_where_it_comes_from() -> None:
    before = frames()
    shown = Moves(((0, 3, -2), (2, -5, 4)))(by_cell(before), EVERY)
    assert shown.shape == (1, 600, 2, 56)
    first, second = (to_frame(shown[:, :, move])[0] for move in range(2))
    assert torch.equal(first[3:, :-2], before[0, 0, :-3, 2:])
    assert torch.equal(second[:-5, 4:], before[0, 2, 5:, :-4])


def test_from_outside_comes_the_border() -> None:
    before = frames()
    shown = to_frame(Moves(((1, 4, 0),))(by_cell(before), EVERY)[:, :, 0])[0]
    assert torch.equal(shown[:4], before[0, 1, :1].expand(4, -1))


def test_lanes_and_cells_are_their_own() -> None:
    moves = Moves(((0, 1, 1),))
    both = torch.cat([frames(), frames().flip(2)])
    cell = torch.tensor([[3, 599], [40, 7]])
    shown = moves(by_cell(both), cell)
    for lane in range(2):
        alone = moves(by_cell(both[lane : lane + 1]), EVERY)
        assert torch.equal(shown[lane], alone[0, cell[lane]])


def test_no_move_at_all_is_fine() -> None:
    assert Moves(())(by_cell(frames()), EVERY).shape == (1, 600, 0, 56)


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
        before = torch.stack([scene((place, 30, 42), (90, place, 70))] * LAGS)
        after = scene((place + 4, 30, 42), (90, place - 3, 70))
        changes.append((before, after, (after != before[0]) & (after != 0)))
    assert set(find_moves(changes, 5)) == {(0, 4, 0), (0, 0, -3)}
    assert len(find_moves(changes, 1)) == 1


def test_what_flickers_comes_from_frames_before() -> None:
    shown, hidden = scene((50, 50, 42)), scene()
    before = torch.stack([hidden, hidden, shown, hidden])
    assert find_moves([(before, shown, shown != 0)], 5) == ((2, 0, 0),)


def test_where_nothing_moves_nothing_is_found() -> None:
    still = torch.stack([scene((50, 50, 42))] * LAGS)
    assert find_moves([(still, still[0], torch.zeros(210, 160, dtype=torch.bool))], 5) == ()
