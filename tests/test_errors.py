"""An error says what was given, what is allowed, the nearest name and the corrected call."""

import numpy as np
import pytest

from atari_dream.errors import UsageError, brief, unknown


def test_a_near_name_is_told() -> None:
    error = unknown("model", "copy_lst", ["emulator", "copy_last"], "create_model('{}')")
    assert str(error) == (
        "unknown model 'copy_lst': allowed are emulator, copy_last; nearest is 'copy_last'; "
        "try create_model('copy_last')"
    )


def test_without_a_near_name_the_call_takes_the_first() -> None:
    error = unknown("model", "zzz", ["emulator", "copy_last"], "create_model('{}')")
    assert str(error) == "unknown model 'zzz': allowed are emulator, copy_last; try create_model('emulator')"


@pytest.mark.parametrize("given", [None, 3, ("a",)])
def test_anything_can_be_given(given: object) -> None:
    assert f"unknown model {given!r}: allowed are 1, 2" in str(unknown("model", given, [1, 2]))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.zeros((2, 1), int), "array([[0], [0]])"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"),
        ("a/long/path/" * 9, repr("a/long/path/" * 9)),
        ("two\nlines", "'two\\nlines'"),
    ],
    ids=["array", "list", "path", "lines"],
)
def test_a_value_is_one_short_line(given: object, told: str) -> None:
    assert brief(given) == told


def test_it_is_a_value_error() -> None:
    assert issubclass(UsageError, ValueError)
