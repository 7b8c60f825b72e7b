"""What is wrong with a replay, noted once a kind: how often, and where first."""

from dataclasses import dataclass, field

from atari_dream.errors import UsageError


class UnreadableError(UsageError):
    """Nothing can be made of a replay."""


@dataclass
class Damage:
    """Takes notes.

    Attributes:
        found: By kind, how often and where first.
    """

    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def note(self, kind: str, where: str, times: int = 1) -> None:
        """Counts a kind of damage; 0 times is none."""
        if times > 0:
            count, first = self.found.get(kind, (0, where))
            self.found[kind] = (count + times, first)

    def count(self, kind: str) -> int:
        """How often a kind was noted."""
        return self.found.get(kind, (0, ""))[0]

    def __str__(self) -> str:
        """All of it in one line."""
        return "; ".join(f"{kind} ({count}, first {first})" for kind, (count, first) in self.found.items())
