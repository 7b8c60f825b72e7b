"""Small replays in the format of the Atari Grand Challenge, for tests to damage."""

from pathlib import Path

import cv2
import numpy as np

from atari_dream.games import get_game
from atari_dream.replays.colours import Palette, to_picture

ROWS = 14
ACTIONS = [0, 0, 0, 3, 3, 4, 4, 2, 2, 5, 5, 0, 0, 3]
REWARDS = [0, 0, 0, 0, 0, 10, 0, 0, 50, 0, 0, 0, 10, 0]


def codes(place: int) -> np.ndarray:
    """A picture that tells its place, uint8 (210, 160)."""
    frame = np.zeros((210, 160), np.uint8)
    frame[20:60, 20:100] = 2 * (place + 10)
    frame[100, 50] = 2 * ((7 * place + 3) % 128)
    return frame


def write_pictures(
    folder: Path, count: int = ROWS, first: int = 0, palette: Palette = "agc", begin: int = 0
) -> None:
    """Writes pictures named from `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(count):
        cv2.imwrite(str(folder / f"{place + first}.png"), to_picture(codes(place + begin), palette))


def lines(version: int = 1, play: str = "77") -> list[str]:
    """The rows of version 1 or 2."""
    scores = np.cumsum(REWARDS)
    rows = [(frame, REWARDS[frame], scores[frame], False, ACTIONS[frame]) for frame in range(ROWS)]
    if version == 1:
        told = [f"{frame}, {gain}, {score}, {over}, {act}" for frame, gain, score, over, act in rows]
    else:
        told = [f"{frame},{gain},{score},{int(over)},{act}" for frame, gain, score, over, act in rows]
    return [f"db traj id : {play}", "frame,reward,score,terminal,action", *told]


def write_rows(root: Path, number: str, text: list[str] | None = None, game: str = "qbert") -> Path:
    """Writes the rows of a replay and gives their path."""
    path = root / "trajectories" / str(get_game(game).agc) / f"{number}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text or lines()) + "\n")
    return path


def write_replay(
    root: Path, number: str, text: list[str] | None = None, game: str = "qbert", begin: int = 0
) -> Path:
    """Writes a replay and gives the folder of its pictures."""
    write_rows(root, number, text, game)
    screens = root / "screens" / str(get_game(game).agc) / number
    write_pictures(screens, begin=begin)
    return screens
