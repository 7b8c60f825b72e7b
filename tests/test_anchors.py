"""Anchors: the last sighting counts, and distances to it mean the same wherever it was."""

import torch

from atari_dream.console.anchors import Anchors, _since
from atari_dream.console.sprites import Sighted


def anchors() -> Anchors:
    torch.manual_seed(0)
    return Anchors([(0, 0, 2), (1, 1, 0)], places=2, context=3, width=8).requires_grad_(False)


def sightings(values: list[int], there: list[bool]) -> Sighted:
    """One lane: both places at the same rows and columns, seen in the same frames."""
    value = torch.tensor(values, dtype=torch.uint8)[None, :, None, None].expand(1, 3, 2, 2)
    return Sighted(value, torch.tensor(there)[None, :, None].expand(1, 3, 2))


def test_the_last_sighting_counts() -> None:
    assert anchors().last(sightings([10, 20, 30], [True, True, False])).unique().tolist() == [20]
    assert anchors().last(sightings([10, 20, 30], [True, True, True])).unique().tolist() == [30]


def test_distances_mean_the_same_everywhere() -> None:
    made, logits, units = anchors(), torch.zeros(1, 3, 256), torch.randn(1, 8)
    there = [True, False, False]
    one, other = (made.near(logits, units, sightings([at] * 3, there)) for at in (100, 140))
    assert torch.equal(one[:, :, 80:120], other[:, :, 120:160]) and one[:, [0, 2], 84:117].any()
    assert not one[:, 1].any() and not one[:, :, :84].any() and not one[:, :, 117:].any()


def test_what_was_never_seen_says_nothing() -> None:
    made, logits, units = anchors(), torch.zeros(1, 3, 256), torch.randn(1, 8)
    assert not made.near(logits, units, sightings([100] * 3, [False] * 3)).any()


def test_paths_and_places_make_a_difference() -> None:
    made = anchors()
    seen = [
        made.seen(sightings(values, [True] * 3))
        for values in ([90, 95, 100], [110, 105, 100], [110, 115, 120])
    ]
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


def test_how_long_ago_something_moved_is_told_whatever_it_moved_by() -> None:
    units = [
        _since(sightings(values, [True] * 3))[0, :, 0, 0].tolist()
        for values in ([9, 9, 9], [9, 12, 12], [9, 9, 12], [6, 9, 12])
    ]
    assert units == [[0, 0], [1, 0], [0, 1], [0, 1]]
    assert not _since(sightings([9, 12, 15], [True, False, True])).any()
