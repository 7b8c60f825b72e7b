"""Recolouring: a flash is told from a sprite that moves, a table applies to its own lane, a cycle is learnt."""

import torch
import torch.nn.functional as F

from atari_dream.canvas.recolouring import Recolouring, recolour

COLOURS = (0, 14, 42, 100)


def scene(lanes: int = 2) -> torch.Tensor:
    """A floor of 14 with a sprite of 42 and a border of 0."""
    cells = torch.full((lanes, 600, 56), 14, dtype=torch.uint8)
    cells[:, :20] = 0
    cells[:, 300, :30] = 42
    return cells


def test_a_flash_is_seen_in_its_lane_alone() -> None:
    before, after = scene(), scene()
    after[1][before[1] == 14] = 100
    following, there = Recolouring(COLOURS, 4).seen(before, after)
    assert following.tolist() == [[0, 1, 2, 3], [0, 3, 2, 3]]
    assert there.tolist() == [[True, True, True, False]] * 2


def test_a_sprite_that_moves_recolours_nothing() -> None:
    before, after = scene(), scene()
    after[:, 300, :30], after[:, 310, :30] = 14, 42
    assert Recolouring(COLOURS, 4).seen(before, after)[0].tolist() == [[0, 1, 2, 3]] * 2


def test_two_colours_that_change_places_are_seen() -> None:
    before = scene()
    after = torch.where(before == 0, 42, torch.where(before == 42, 0, before)).to(torch.uint8)
    assert Recolouring(COLOURS, 4).seen(before, after)[0].tolist() == [[2, 1, 0, 3]] * 2


def test_tables_apply_to_their_own_lane_and_spare_other_colours() -> None:
    layer = Recolouring(COLOURS, 4)
    table = layer.table(torch.tensor([[0, 1, 2, 3], [0, 3, 2, 3]]))
    cells = scene()
    cells[:, 5] = 77  # not among the game's colours
    first, second = recolour(table, cells)
    assert torch.equal(first, cells[0])
    assert torch.equal(second == 100, cells[1] == 14)
    assert (second[5] == 77).all()


def test_untrained_it_changes_nothing() -> None:
    torch.manual_seed(0)
    layer = Recolouring(COLOURS, 4)
    assert layer(torch.randn(3, 4, 30, 20)).argmax(-1).tolist() == [[0, 1, 2, 3]] * 3


def test_it_learns_a_cycle_and_when_it_turns() -> None:
    torch.manual_seed(0)
    layer = Recolouring(COLOURS, 4)
    calm, hit = torch.zeros(1, 4, 30, 20), torch.ones(1, 4, 30, 20)
    features = torch.cat([calm, hit])
    wanted = torch.tensor([[0, 1, 2, 3], [1, 2, 0, 3]])
    optimizer = torch.optim.Adam(layer.parameters(), 0.05)
    for _ in range(120):
        optimizer.zero_grad()
        F.cross_entropy(layer(features).transpose(1, 2), wanted).backward()
        optimizer.step()
    assert layer(features).argmax(-1).tolist() == wanted.tolist()
