"""The games: their names here, in ALE and in the Atari Grand Challenge, and their actions.

Another ALE game is added with one declaration::

    atari_dream.register_game(Game("breakout", "Breakout", "ALE/Breakout-v5", "breakout", (0, 1, 3, 4)))
"""

from dataclasses import dataclass

from atari_dream.errors import UsageError, unknown

HEIGHT, WIDTH = 210, 160
FRAME_RATE = 60
FRAME_SKIP = 4
FRAME_LIMIT = 108_000
"""Emulator frames after which ALE's evaluation protocol truncates a game."""

ACTION_NAMES = (
    "NOOP",
    "FIRE",
    "UP",
    "RIGHT",
    "LEFT",
    "DOWN",
    "UPRIGHT",
    "UPLEFT",
    "DOWNRIGHT",
    "DOWNLEFT",
    "UPFIRE",
    "RIGHTFIRE",
    "LEFTFIRE",
    "DOWNFIRE",
    "UPRIGHTFIRE",
    "UPLEFTFIRE",
    "DOWNRIGHTFIRE",
    "DOWNLEFTFIRE",
)
"""ALE's actions; the position of a name is its code."""


@dataclass(frozen=True)
class Game:
    """One Atari game.

    Attributes:
        name: Name on the command line, such as `"pacman"`.
        title: Name inside the environment id, such as `"Pacman"`.
        twin: Id of the real game's environment in ale-py.
        rom: Name of the ROM in ale-py.
        actions: Codes of the minimal action set, in ALE's order.
        agc: Folder of the game in the Atari Grand Challenge, if it is part of it.
    """

    name: str
    title: str
    twin: str
    rom: str
    actions: tuple[int, ...]
    agc: str | None = None

    def minimal(self, code: int) -> int:
        """The action of the minimal set that does what an ALE code 0-17 does; the direction is kept.

        What the game never reads is taken away (fire in Ms. Pac-Man, up and down in Space Invaders), then fire, then a
        diagonal. In the five games this is what the emulator does, but for one in fifty downs with fire in Video
        Pinball.
        """
        keys = _keys(code)
        used = frozenset[str]().union(*map(_keys, self.actions))
        fire = frozenset({"FIRE"})
        for wanted in (keys, keys & used, keys & used - fire, keys & used & fire):
            for action in self.actions:
                if _keys(action) == wanted:
                    return action
        return 0

    @property
    def env_id(self) -> str:
        """Gymnasium id of the dream."""
        return f"AtariDream-{self.title}-v0"


def _keys(code: int) -> frozenset[str]:
    """The directions and the button of an action."""
    return frozenset(key for key in ("UP", "DOWN", "LEFT", "RIGHT", "FIRE") if key in ACTION_NAMES[code])


GAMES: dict[str, Game] = {}


def add_game(game: Game) -> Game:
    """Adds a game to the table of games; its actions must be distinct ALE codes."""
    if len(set(game.actions)) != len(game.actions) or not set(game.actions) <= set(range(18)):
        raise UsageError(f"actions of game {game.name!r} must be distinct codes 0-17, got {game.actions}")
    GAMES[game.name] = game
    return game


def get_game(name: "str | Game") -> Game:
    """Looks a game up by its name, its environment id or itself.

    Raises:
        UsageError: If no game has that name.
    """
    if isinstance(name, Game):
        return name
    by_id = {game.env_id: game for game in GAMES.values()}
    if name in by_id:
        return by_id[name]
    if name not in GAMES:
        raise unknown("game", name, GAMES)
    return GAMES[name]


add_game(Game("pacman", "Pacman", "ALE/MsPacman-v5", "ms_pacman", (0, 2, 3, 4, 5, 6, 7, 8, 9), "mspacman"))
add_game(
    Game(
        "pinball",
        "Pinball",
        "ALE/VideoPinball-v5",
        "video_pinball",
        (0, 1, 2, 3, 4, 5, 10, 11, 12),
        "pinball",
    )
)
add_game(Game("qbert", "Qbert", "ALE/Qbert-v5", "qbert", (0, 1, 2, 3, 4, 5), "qbert"))
add_game(
    Game("revenge", "Revenge", "ALE/MontezumaRevenge-v5", "montezuma_revenge", tuple(range(18)), "revenge")
)
add_game(
    Game(
        "space_invaders",
        "SpaceInvaders",
        "ALE/SpaceInvaders-v5",
        "space_invaders",
        (0, 1, 3, 4, 11, 12),
        "spaceinvaders",
    )
)
