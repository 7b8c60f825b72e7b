"""The ruler tested: every broken dream is caught by the measure made for it, wherever that can be measured."""

from pathlib import Path

import pytest
from broken import DEFECTS, EXACT, judge, only, verdict

from atari_dream.bundled import bundled_pool
from atari_dream.games import GAMES
from atari_dream.longrun import EXACT as LONG_EXACT

SEEN = {"player", "ball", "blinky", "inky", "invaders", "skull", "flippers", "cubes", "room"}
"""Objects that must not be left out where a game has them."""


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_broken_dreams_are_caught_and_the_emulator_is_perfect(game: str, tmp_path: Path) -> None:
    pool = bundled_pool(game)
    ending = [start for start, entry in enumerate(pool.entries) if entry["stratum"] == "end"]
    others = [start for start in pool.sample(40).tolist() if start not in ending]
    some = only(pool, (*ending[:6], *others[:6]))
    found = judge(some, {"starts": 12, "control": 6, "long": 2}, 50, workers=0, cache=tmp_path)
    told = {name: verdict(found, name, few=2)[0] for name in DEFECTS}
    assert {name for name, word in told.items() if word == "not caught"} == set()
    assert {name for name, word in told.items() if word == "not measurable"} == {
        *([] if game == "pinball" else ["ball_erased"]),
        *(["no_reward"] if game == "revenge" else []),
    }
    late = next(entry for entry in found["control"]["entries"] if entry["name"] == "late")
    assert late["control"]["lag"]["steps"] == 1
    emulators = {
        part: next(entry for entry in summary["entries"] if entry["name"] == "emulator")
        for part, summary in found.items()
    }
    values = emulators["starts"]["per_step"]
    assert not found["starts"]["objects"]["left_out"].keys() & SEEN
    for key, exact in (EXACT | dict.fromkeys(("life_f1", "end_f1"), 1.0)).items():
        assert set(values[key]) <= {exact, None} and set(values[key]) != {None}
    for row in emulators["control"]["control"]["per_step"].values():
        assert set(row) <= {1.0, None}
    assert emulators["control"]["control"]["lag"]["steps"] == 0
    for key, exact in LONG_EXACT.items():
        assert set(emulators["long"]["long"]["per_stretch"][key]) <= {exact, None}
    assert emulators["long"]["long"]["verdict"] == "still like the game"
