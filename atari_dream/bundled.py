"""What ships with the package: a start pool for each of five games, and weights where there are some."""

import re
from functools import cache
from pathlib import Path

from atari_dream.errors import UsageError
from atari_dream.games import get_game
from atari_dream.starts import StartPool

ROOT = Path(__file__).parent / "bundled"


@cache
def bundled_pool(game: str) -> StartPool:
    """The bundled start pool of a game.

    Raises:
        UsageError: If the game has none.
    """
    folder = ROOT / get_game(game).name / "starts"
    if not folder.is_dir():
        raise UsageError(
            f"no start pool is bundled for game {game!r}: make one with `atari-dream starts`, "
            "or start at starts='power-on'"
        )
    return StartPool.load(folder, get_game(game).name)


def has_weights(game: str) -> bool:
    """Whether weights of a game are bundled."""
    return bool(revisions(game))


def bundled_checkpoint(game: str, name: str = "bundled") -> Path:
    """Folder of the bundled weights of a game: the newest revision, or the one that `"bundled@r1"` pins.

    Raises:
        UsageError: If there are no such weights; the message says how to get some.
    """
    known = revisions(game)
    if not known:
        raise UsageError(
            f"no weights are bundled for game {game!r}: train some with `atari-dream train "
            f"--model vivid --game {game} --data STORE --out CHECKPOINT` and give "
            "checkpoint='CHECKPOINT', or use a control: "
            "checkpoint='emulator', 'copy_last' or 'background'"
        )
    wanted = name.partition("@")[2] or list(known)[-1]
    if wanted not in known:
        raise UsageError(
            f"bundled weights of {game!r} have no revision {wanted!r}: allowed are {', '.join(known)}"
        )
    return known[wanted]


def revisions(game: str) -> dict[str, Path]:
    """Folders of a game's weights by revision, the newest last."""
    folder = ROOT / get_game(game).name / "weights"
    paths = [path for path in folder.glob("r*") if re.fullmatch(r"r\d+", path.name)]
    return {path.name: path for path in sorted(paths, key=lambda path: int(path.name[1:]))}
