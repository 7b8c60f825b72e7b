"""Starts by what they are like: every start that is found is like that, and none else is."""

import re
from typing import Any

import numpy as np
import pytest

from atari_dream.bundled import bundled_pool
from atari_dream.errors import UsageError
from atari_dream.objects.scene import ram_table
from atari_dream.start_query import matching
from atari_dream.starts import StartPool


def facts(game: str, field: str) -> np.ndarray:
    return np.array([entry[field] for entry in bundled_pool(game).entries])


@pytest.mark.parametrize("game", ["pacman", "pinball", "qbert", "revenge", "space_invaders"])
def test_lives_and_scores_of_every_game(game: str) -> None:
    lives, scores = facts(game, "lives"), facts(game, "score")
    some, middle = int(lives[7]), float(np.median(scores))
    found = matching(bundled_pool(game), {"lives": some, "score": (middle, middle + 500)})
    held = (lives == some) & (scores >= middle) & (scores <= middle + 500)
    np.testing.assert_array_equal(found, np.flatnonzero(held))


def test_lists_and_names() -> None:
    pool, strata = bundled_pool("pacman"), facts("pacman", "stratum")
    both = matching(pool, {"stratum": ["life", "score"]})
    np.testing.assert_array_equal(both, np.flatnonzero((strata == "life") | (strata == "score")))
    episode = pool.entries[5]["episode"]
    assert all(pool.entries[place]["episode"] == episode for place in matching(pool, {"episode": episode}))


def test_what_the_memory_tells() -> None:
    pool = bundled_pool("revenge")
    assert (
        len(matching(pool, {"room": 1})) == len(pool) - 1
    )  # one start is set up anew, its room cannot be told
    assert len(matching(pool, {"room_number": 1})) == len(pool)
    byte = ram_table("revenge")["player_x"]
    found = matching(pool, {"player_x": (70, 90), "room_number": 1})
    np.testing.assert_array_equal(
        found, np.flatnonzero((pool.ram[:, byte] >= 70) & (pool.ram[:, byte] <= 90))
    )
    assert 0 < len(found) < len(pool)


def test_power_on_starts_have_memory_too() -> None:
    pool = StartPool.power_on("space_invaders")
    assert pool.ram.shape == (31, 128)
    assert len(matching(pool, {"lives": 3, "invaders": 36})) == 31


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, 'an empty query: give a field, such as start={"lives": 2}'),
        ({"lives": 9}, r"no start of .* has lives 9: lives is from 1 to \d"),
        (
            {"lives": 1, "score": (-9, -1)},
            r"no start of .* has lives 1 and score \(-9, -1\): score is from .* to .*",
        ),
        ({"stratum": "lost"}, r"no start of .* has stratum 'lost': stratum is .*life.*"),
        (
            {"lifes": 2},
            r"unknown field 'lifes': allowed are lives, .*; nearest is 'lives'; try start=\{'lives': ...\}",
        ),
        (
            {"lives": "two"},
            r"field 'lives' of a query takes a number, a range \(low, high\) or a list .*'two'",
        ),
        ({"lives": True}, r"field 'lives' of a query takes a number, .*got True"),
        ({"stratum": 3}, "field 'stratum' of a query takes a name or a list of names, got 3"),
        ({"lives": []}, r"field 'lives' of a query takes .*got \[\]"),
    ],
)
def test_bad_queries_are_one_line(query: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        matching(bundled_pool("pacman"), query)
    assert re.fullmatch(told, str(caught.value)), str(caught.value)
