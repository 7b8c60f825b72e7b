"""Notes of damage."""

from atari_dream.replays.damage import Damage


def test_a_kind_is_told_once_with_how_often_and_where_first() -> None:
    damage = Damage()
    damage.note("missing PNG", "3.png")
    damage.note("missing PNG", "9.png", 4)
    damage.note("malformed line", "17.txt line 8", 0)
    assert str(damage) == "missing PNG (5, first 3.png)"
    assert damage.count("missing PNG") == 5 and damage.count("malformed line") == 0
