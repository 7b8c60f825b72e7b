"""Where an agent plays: in a dream, or in the real game through the very same environment."""

from dataclasses import dataclass
from typing import Any

from atari_dream.checkpoint import CONTROLS
from atari_dream.envs.options import DEFAULT_HORIZON, pick_device
from atari_dream.errors import UsageError, unknown

PLACES = ("dream", "real")
STARTS = ("power-on", "pool")


@dataclass(frozen=True)
class Venue:
    """A game to play, in a dream or for real.

    Attributes:
        game: Name of the game.
        place: `"dream"` or `"real"`.
        checkpoint: What dreams, as for `gym.make`; the real game takes none.
        starts: `"pool"`, the bundled states, or `"power-on"`, ALE's protocol: up to 30 no-ops, 108,000 frames
            at most. `None` is the pool in a dream, power-on in the real game.
        horizon: Agent steps until a game is cut. `None` is 1,000 from the pool, whole games from power-on.
        sticky: Probability, per emulator frame, that the previous action repeats.
        device: Torch device, or `"auto"`; the real game and the other controls always run on the CPU.
    """

    game: str
    place: str = "dream"
    checkpoint: str | None = None
    starts: str | None = None
    horizon: int | None = None
    sticky: float = 0.0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise unknown("place", self.place, PLACES)
        if self.starts not in (None, *STARTS):
            raise unknown("starts", self.starts, STARTS)
        if self.place == "real" and self.checkpoint is not None:
            raise UsageError(
                f"the real game takes no checkpoint, got {self.checkpoint!r}: use --in dream, or leave it out"
            )

    @property
    def policy_device(self) -> str:
        """Torch device for the agent's network."""
        return str(pick_device(self.device))

    def keywords(self) -> dict[str, Any]:
        """The keywords of `gym.make` that make this place."""
        checkpoint = "emulator" if self.place == "real" else self.checkpoint
        starts = self.starts or ("power-on" if self.place == "real" else "pool")
        whole_games = starts == "power-on"
        return {
            "checkpoint": checkpoint,
            "device": "cpu" if checkpoint in CONTROLS else self.policy_device,
            "observation": "dqn",
            "starts": "power-on" if whole_games else None,
            "horizon": self.horizon or (None if whole_games else DEFAULT_HORIZON),
            "sticky": self.sticky,
        }
