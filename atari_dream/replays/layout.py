"""Where the replays of a game lie on disk: `trajectories/<game>/<N>.txt` and `screens/<game>/<N>/<k>.png`.

A `source.json` beside a game's trajectories says what a replay does not: whose colours and screen it has, its timing,
and what is known of each episode. `atari-dream export` writes one.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from atari_dream.errors import UsageError, unknown
from atari_dream.files import read_json
from atari_dream.games import GAMES, get_game
from atari_dream.replays.colours import PALETTES, Palette
from atari_dream.replays.geometry import ALE, GEOMETRIES, Geometry


@dataclass(frozen=True)
class Timing:
    """In which row that is which belongs to a picture; counted from the first picture of a replay, not by its name.

    Attributes:
        action_shift: The action between pictures k and k + 1 is in row k + action_shift.
        reward_shift: What was gained between them is in row k + reward_shift; picture k's score and end are one row
            earlier.
        first_row: Rows before it are of the console being switched on, and hold nothing.
    """

    action_shift: int = 2
    reward_shift: int = 3
    first_row: int = 3


@dataclass(frozen=True)
class Source:
    """What replays of one game look like.

    Attributes:
        game: Name of the game.
        palette: Whose colours the pictures have.
        geometry: How their screen becomes ALE's.
        timing: Which rows belong to a picture.
    """

    game: str
    palette: Palette
    geometry: Geometry
    timing: Timing


@dataclass(frozen=True)
class Replay:
    """One replay on disk.

    Attributes:
        identity: Its name in a store, such as `"pacman-atari_v1-204"`.
        number: Its name in the data set, such as `"204"`.
        trajectory: Its rows.
        screens: Folder of its pictures; it may be missing.
        about: What `source.json` tells of it: its entry in an index, ending, lives and prelude included.
    """

    identity: str
    number: str
    trajectory: Path
    screens: Path
    about: dict[str, Any] = field(default_factory=dict)

    def pictures(self) -> dict[int, Path]:
        """The pictures by the number in their names, in order; nothing else in the folder counts."""
        try:
            names = [entry.name for entry in os.scandir(self.screens)]
        except FileNotFoundError:
            return {}
        numbers = sorted(int(name[:-4]) for name in names if name.endswith(".png") and name[:-4].isdecimal())
        return {number: self.screens / f"{number}.png" for number in numbers}


class ReplayFolder:
    """The replays of one game.

    Args:
        path: The data set's folder, or one that holds it.
        game: Name of the game; it may be left out where there is only one.
        palette: Whose colours the pictures have. This and the shifts are `source.json`'s if they are None; without
            it, the data set's.
        action_shift: See `Timing`.
        reward_shift: See `Timing`.

    Raises:
        UsageError: If there is no such data set or game, or the choice of the game is open.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        game: str | None = None,
        palette: Palette | None = None,
        action_shift: int | None = None,
        reward_shift: int | None = None,
    ) -> None:
        self.root = _root(Path(path)).resolve()
        self.game = _game(self.root, game)
        self.folder = str(get_game(self.game).agc or self.game)
        self._about: dict[str, dict[str, Any]] = {}
        shifts = {"action_shift": action_shift, "reward_shift": reward_shift}
        self.source = self._source(
            palette, {name: shift for name, shift in shifts.items() if shift is not None}
        )

    def replays(self) -> Iterator[Replay]:
        """All replays, by number, as they lie there at the first call."""
        for number, trajectory in self._texts.items():
            about = self._about.get(number, {})
            identity = about.get("id", f"{self.game}-{self.root.name}-{number}")
            screens = self.root / "screens" / self.folder / number
            yield Replay(identity, number, trajectory, screens, about)

    @cached_property
    def first_picture(self) -> int:
        """The number that the pictures of this game begin with: 0 where any replay has a picture 0, else 1."""
        return 0 if any((replay.screens / "0.png").exists() for replay in self.replays()) else 1

    def silent(self) -> list[str]:
        """Numbers of folders of pictures without a trajectory."""
        folders = (self.root / "screens" / self.folder).glob("*/")
        numbers = {folder.name for folder in folders if folder.name.isdecimal()}
        return sorted(numbers - self._texts.keys(), key=int)

    @cached_property
    def _texts(self) -> dict[str, Path]:
        """The rows of each replay, by number."""
        texts = {path.stem: path for path in self._trajectories.glob("*.txt") if path.stem.isdecimal()}
        return dict(sorted(texts.items(), key=lambda item: (int(item[0]), item[0])))

    @property
    def _trajectories(self) -> Path:
        return self.root / "trajectories" / self.folder

    def _source(self, palette: Palette | None, shifts: dict[str, int]) -> Source:
        path = self._trajectories / "source.json"
        if not path.exists():
            geometry = ALE if palette == "ale" else GEOMETRIES.get(self.game, ALE)
            return Source(self.game, palette or "agc", geometry, replace(Timing(), **shifts))
        told = read_json(path, "source")
        for name, allowed in (("palette", tuple(PALETTES)), ("geometry", ("ale",))):
            if told.get(name) not in allowed:
                raise UsageError(f"{path} has {name} {told.get(name)!r}, allowed are {', '.join(allowed)}")
        try:
            self._about = dict(told["episodes"])
            declared = Timing(*(int(told[name]) for name in ("action_shift", "reward_shift", "first_row")))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} cannot be used: {error!r}") from None
        return Source(self.game, palette or told["palette"], ALE, replace(declared, **shifts))


def _root(path: Path) -> Path:
    """The folder that has `trajectories`: the one given, or the only one in it that has."""
    if (path / "trajectories").is_dir():
        return path
    inner = sorted(folder.parent for folder in path.glob("*/trajectories/"))
    if len(inner) == 1:
        return inner[0]
    if inner:
        raise UsageError(f"{path} holds {len(inner)} data sets: give one of {', '.join(map(str, inner))}")
    raise UsageError(
        f"no replays at {path}: it should hold trajectories/<game>/<N>.txt and screens/<game>/<N>/<k>.png, "
        "as `atari-dream download` leaves them"
    )


def _game(root: Path, name: str | None) -> str:
    folders = {str(game.agc or game.name): game.name for game in GAMES.values()}
    there = [
        folders[path.name] for path in sorted((root / "trajectories").glob("*/")) if path.name in folders
    ]
    if name is None:
        if len(there) == 1:
            return there[0]
        raise UsageError(
            f"{root} holds {len(there)} games, choose with --game: {', '.join(there) or 'none known'}"
        )
    if name not in there:
        raise unknown(f"game in {root}", name, there or ["none"])
    return name
