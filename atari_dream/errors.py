"""The one error a user can cause, and how its single line is worded."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(ValueError):
    """Bad input, told in one line: what was given, what is allowed, the nearest name, the corrected call."""


def brief(value: object) -> str:
    """A value as one short line; text is told whole."""
    return repr(value) if isinstance(value, str) else " ".join(reprlib.repr(value).split())


def unknown(kind: str, given: object, allowed: Iterable[object], call: str = "") -> UsageError:
    """Words the error for a name that is not among the allowed ones.

    Args:
        kind: What was asked for, such as `"game"`.
        given: The name that is not known.
        allowed: The names that are.
        call: A corrected call, with `{}` where the nearest name goes.

    Returns:
        The error, to be raised by the caller.
    """
    names = [str(name) for name in allowed]
    close = get_close_matches(str(given), names, n=1, cutoff=0.4)
    text = f"unknown {kind} {brief(given)}: allowed are {', '.join(names)}"
    if close:
        text += f"; nearest is {close[0]!r}"
    if call:
        text += f"; try {call.format(close[0] if close else names[0])}"
    return UsageError(text)
