"""Scenes: what is where at one step, and who can tell it of a game."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np

NOWHERE: np.ndarray = np.empty((0, 2), np.float32)
"""Points of an object that is not there."""
UNKNOWN = -1
"""A reading that cannot be told."""


class Scene(NamedTuple):
    """What is where at one step.

    Attributes:
        points: Where each track is: centres as (x, y) in pixels, float32 (K, 2), none if it is not there; None where
            that cannot be told. The memory tells one point at most, pixels may show several.
        readings: Values of each reading, int64 (L,), `UNKNOWN` where one cannot be told.
    """

    points: dict[str, np.ndarray | None]
    readings: dict[str, np.ndarray]


class SceneReader(ABC):
    """Reads the scenes of one game.

    Attributes:
        tracks: Objects that have a place.
        readings: What has values instead, such as a count or the colours of a board, and how many values.
    """

    tracks: ClassVar[tuple[str, ...]] = ()
    readings: ClassVar[dict[str, int]] = {}

    @abstractmethod
    def of_ram(self, ram: np.ndarray) -> Scene:
        """What is really there, by the console's memory, uint8 (128,)."""

    @abstractmethod
    def of_frame(self, frame: np.ndarray) -> Scene:
        """What a picture shows, palette codes, uint8 (210, 160), by colour and shape alone."""

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the tracks, then of the readings."""
        return (*self.tracks, *self.readings)


Reader = TypeVar("Reader", bound=type[SceneReader])

_READERS: dict[str, type[SceneReader]] = {}


def register_reader(game: str) -> Callable[[Reader], Reader]:
    """Registers the reader of a game's scenes."""

    def register(reader: Reader) -> Reader:
        _READERS[game] = reader
        return reader

    return register


@cache
def scene_reader(game: str) -> SceneReader | None:
    """The reader of a game's scenes, or None for a game that has none."""
    import atari_dream.objects  # noqa: F401  (importing it registers them)

    return _READERS[game]() if game in _READERS else None


@cache
def ram_table(game: str) -> dict[str, int]:
    """The byte of each variable in the console's memory, by AtariARI (Anand et al. 2019, arXiv:1906.08226)."""
    table: dict[str, int] = json.loads((Path(__file__).parent / "ram.json").read_text())["games"][game]
    return table
