"""Replays as they are, as they are read, and as ALE draws the same memory; and the table of what is in them.

Run: `python benchmarks/replays.py [--agc DIR]`, which writes `benchmarks/results/replays.json` and `replays.png`. The
picture is of the replays that the tests have; the table is of DIR, or of those as well. Both shifts are measured.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ruler import GAMES

from atari_dream.checkpoint import commit, versions
from atari_dream.files import FORMAT, write_json
from atari_dream.games import get_game
from atari_dream.palette import to_rgb
from atari_dream.replays.census import table
from atari_dream.replays.layout import ReplayFolder
from atari_dream.replays.reader import read_frame

DATA, WORK = Path("tests/data"), Path("out/replays")
RESULT, PICTURE = Path("benchmarks/results/replays.json"), Path("benchmarks/results/replays.png")
GAP, SCALE = 6, 2


def main() -> None:
    """Reads everything, and writes the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agc", type=Path, help="folder of the replays")
    given = parser.parse_args().agc
    shutil.rmtree(WORK, ignore_errors=True)
    with tarfile.open(DATA / "replays.tar.xz") as archive:
        archive.extractall(WORK, filter="data")
    games = {game: ingest(given or WORK, game) for game in GAMES}
    for line in table(list(games.values())):
        print(line)
    truth = np.load(DATA / "truth.npz")
    columns, wrong = zip(*(column(game, truth) for game in GAMES), strict=True)
    cv2.imwrite(str(PICTURE), np.concatenate(columns, axis=1)[..., ::-1])
    pixels = dict(zip(GAMES, wrong, strict=True))
    for game, counts in pixels.items():
        print(f"{game}: pixels that differ from ALE's, in {len(counts)} frames: {counts}")
        print("\n".join(f"{game}: {what} {told}" for what, told in games[game]["alignment"].items()))
    found = {"games": games, "wrong_pixels": pixels, "commit": commit(), "versions": versions()}
    write_json(RESULT, {"format": FORMAT, **found})


def ingest(folder: Path, game: str) -> dict[str, Any]:
    """Reads the replays of a game with the command, and gives what it says."""
    words = f"ingest --agc {folder} --game {game} --out {WORK / 'stores' / game} --check-alignment --json"
    done = subprocess.run(
        [sys.executable, "-m", "atari_dream", *words.split()], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout), store=game)


def column(game: str, truth: Any) -> tuple[np.ndarray, list[int]]:
    """Pictures of one game, below each other: the replay, what is read from it, ALE's own, and where they differ.

    Returns:
        RGB, uint8 (H, W, 3), and the number of differing pixels in each frame that ALE's own is known of.
    """
    folder = ReplayFolder(WORK / "atari_v1", game)
    (replay,) = folder.replays()
    pictures = replay.pictures()
    places = truth[f"{game}_places"].tolist()
    read = [read_frame(pictures[place], folder.source) for place in places]
    wrong = [int((mine != own).sum()) for mine, own in zip(read, truth[f"{game}_frames"], strict=True)]
    place = places[len(places) // 2] if places else len(pictures) // 2
    raw = cv2.imread(str(pictures[place]))
    assert raw is not None
    mine = read_frame(pictures[place], folder.source)
    shown = [raw[..., ::-1], to_rgb(mine)]
    if places:
        own = truth[f"{game}_frames"][len(places) // 2]
        shown += [to_rgb(own), np.where((mine != own)[..., None], 255, 0).repeat(3, axis=2).astype(np.uint8)]
    else:
        shown += [np.full((210, 160, 3), 128, np.uint8)] * 2
    labels = [
        "replay",
        "read",
        "ALE's own" if places else "not known",
        "difference" if places else "not known",
    ]
    cells = [cell(one, f"{get_game(game).title}: {label}") for one, label in zip(shown, labels, strict=True)]
    return np.concatenate(cells, axis=0), wrong


def cell(picture: np.ndarray, label: str) -> np.ndarray:
    """A picture, twice as large, with a margin and a label above."""
    large = picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    framed = np.pad(large, ((22, GAP), (GAP, GAP), (0, 0)), constant_values=255)
    return cv2.putText(framed, label, (GAP, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
