"""The real game: ALE behind reset, step, save and restore. The only file that imports `ale_py`."""

import hashlib
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import ale_py
import numpy as np
from ale_py import roms

from atari_dream.errors import UsageError
from atari_dream.games import Game, get_game

BOOT_FRAMES = 2
"""No-ops after power-on before a state may be saved: earlier ones do not restore exactly in Q*bert."""

NOOP_MAX = 30
"""Most no-ops after the boot that make power-on starts differ, as in ALE's evaluation protocol."""
RAM_SIZE = 128
INJECT = 255
"""In a recipe, where an action would stand: the next `RAM_SIZE` bytes become the console's memory."""
ALE_VERSION: str = ale_py.__version__


@cache
def rom_path(rom: str) -> Path:
    """Finds the ROM that comes with ale-py.

    Raises:
        UsageError: If ale-py has no such ROM.
    """
    with warnings.catch_warnings(action="ignore"):
        path = roms.get_rom_path(rom)
    if path is None:
        raise UsageError(f"ale-py has no ROM {rom!r}: it must be a name such as 'ms_pacman'")
    return Path(path)


@cache
def rom_hash(rom: str) -> str:
    """SHA-256 of the ROM's bytes, in hex."""
    return hashlib.sha256(rom_path(rom).read_bytes()).hexdigest()


def injections_in(recipe: np.ndarray) -> list[int]:
    """Positions of `INJECT` in a recipe, uint8 (R,); the memory that follows one may hold any byte."""
    found: list[int] = []
    for at in np.flatnonzero(recipe == INJECT).tolist():
        if not found or at > found[-1] + RAM_SIZE:
            found.append(at)
    return found


class Emulator:
    """One Atari console with one game in it, without sticky actions, stepped by raw frames of 1/60 s.

    After `restore`, `frame` and `ram` are stale until the next frame is played: keep them beside a state.

    Attributes:
        score: Points since power-on, as far as this object has played them.
    """

    def __init__(self, game: str | Game) -> None:
        self.game = get_game(game)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.setInt("random_seed", 0)
        self._ale.loadROM(rom_path(self.game.rom))
        self.score = 0.0
        self.reset()

    def reset(self, noops: int = 0) -> np.ndarray:
        """Switches the console on and plays the boot frames and further no-ops.

        Returns:
            Every raw action since power-on, uint8 (BOOT_FRAMES + noops,).
        """
        self._ale.reset_game()
        self.score = 0.0
        played = np.zeros(BOOT_FRAMES + noops, np.uint8)
        self.step(played)
        return played

    def step(self, actions: Iterable[int]) -> float:
        """Plays one raw frame per action code 0-17; none after the game's end.

        Returns:
            The points gained.

        Raises:
            UsageError: If a code is outside 0-17, which would end the process inside ALE.
        """
        gained = 0
        for code in actions:
            if not 0 <= code <= 17:
                raise UsageError(f"action code {code} given, allowed are 0-17 (ale_py.Action)")
            if self._ale.game_over():
                break
            gained += self._ale.act(int(code))
        self.score += gained
        return float(gained)

    def save(self) -> np.ndarray:
        """The console's state as bytes, uint8 (S,); S is constant for a game, about 7.7 kB."""
        return np.frombuffer(self._ale.cloneState().serialize(), np.uint8).copy()

    def restore(self, state: np.ndarray) -> None:
        """Takes up a saved state, of this or any other console with the same game."""
        self._ale.restoreState(ale_py.ALEState(state.tobytes()))

    def set_ram(self, ram: np.ndarray) -> None:
        """Overwrites the console's memory, uint8 (128,)."""
        for place, value in enumerate(ram.tolist()):
            self._ale.setRAM(place, value)

    def follow(self, recipe: np.ndarray) -> None:
        """Plays a recipe, uint8 (R,): action codes, and `INJECT` with the 128 bytes that then become the memory."""
        played = 0
        for at in injections_in(recipe):
            self.step(recipe[played:at])
            played = at + 1 + RAM_SIZE
            self.set_ram(recipe[at + 1 : played])
        self.step(recipe[played:])

    @property
    def frame(self) -> np.ndarray:
        """The picture on the screen as palette codes, uint8 (210, 160)."""
        return self._ale.getScreen().copy()

    @property
    def ram(self) -> np.ndarray:
        """The console's memory, uint8 (128,)."""
        return self._ale.getRAM().copy()

    @property
    def lives(self) -> int:
        """Lives left, as ALE counts them."""
        return int(self._ale.lives())

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self._ale.game_over())
