"""The ruler against itself: the real emulator measured as if it were a dream, in five games; it has to be exact.

Run: `python benchmarks/ruler.py`, which writes `benchmarks/results/ruler.json` from the folders in `out/ruler`. A game
whose folder is there is not measured again.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from atari_dream.checkpoint import commit, versions
from atari_dream.files import FORMAT, read_json, write_json

GAMES = ("pacman", "pinball", "qbert", "revenge", "space_invaders")
STEPS = (1, 5, 10, 25, 50)
WORK, RESULT = Path("out/ruler"), Path("benchmarks/results/ruler.json")


def main() -> None:
    """Measures what is missing and writes the table."""
    games = {game: look(measure(game)) for game in GAMES}
    write_json(RESULT, {"format": FORMAT, "games": games, "commit": commit(), "versions": versions()})
    print(RESULT)


def measure(game: str) -> dict[str, Any]:
    """The drift of the emulator and both floors."""
    folder = WORK / game
    if not (folder / "drift.json").exists():
        words = f"drift --game {game} --checkpoint emulator --starts 100 --horizon 50 --out {folder}"
        subprocess.run([sys.executable, "-m", "atari_dream", *words.split()], check=True)
    drift: dict[str, Any] = read_json(folder / "drift.json", "drift measurement")
    return drift


def look(drift: dict[str, Any]) -> dict[str, Any]:
    """The emulator's worst value of each measure over all steps, and the floors' wrong moving pixels."""
    entries = {entry["name"]: entry for entry in drift["entries"]}
    exact = {
        key: max(values) if key == "wrong_moving" else min(values)
        for key, values in entries["emulator"]["per_step"].items()
        if key != "n"
    }
    floors = {
        name: [entries[name]["per_step"]["wrong_moving"][step - 1] for step in STEPS]
        for name in ("copy_last", "background")
    }
    return {"command": drift["command"], "commit": drift["commit"], "worst": exact, "floors": floors}


if __name__ == "__main__":
    main()
