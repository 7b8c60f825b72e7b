"""The ruler against itself: the real emulator measured as if it were a dream, in five games; it has to be exact.

Run: `python benchmarks/ruler.py`, which measures each game twice, first from an empty cache and then with the truth
there, and writes `benchmarks/results/ruler.json`. Run nothing else meanwhile: it also says how long that takes and how
much memory.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from atari_dream.checkpoint import FLOORS, commit, versions
from atari_dream.files import FORMAT, read_json, write_json

GAMES = ("pacman", "pinball", "qbert", "revenge", "space_invaders")
STEPS = (1, 5, 10, 25, 50)
WORK, RESULT = Path("out/ruler"), Path("benchmarks/results/ruler.json")
CACHE = WORK / "cache"


def main() -> None:
    """Measures everything and writes the table."""
    shutil.rmtree(CACHE, ignore_errors=True)
    cold, warm = ({game: measure(game) for game in GAMES} for _ in range(2))
    games = {game: look(game, cold[game], warm[game]) for game in GAMES}
    for name, runs in (("cold", cold), ("warm", warm)):
        seconds = sum(run["seconds"] for run in runs.values())
        memory = max(run["mebibytes"] for run in runs.values())
        print(f"{name} cache: {seconds:.0f} s for {len(GAMES)} games, at most {memory} MiB")
    write_json(RESULT, {"format": FORMAT, "games": games, "commit": commit(), "versions": versions()})
    print(RESULT)


def measure(game: str) -> dict[str, float]:
    """Measures a game in a process of its own: seconds, and the most memory of it and its workers together."""
    words = f"drift --game {game} --checkpoint emulator --starts 100 --horizon 50 --out {WORK / game}"
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "atari_dream", *words.split()],
        env={**os.environ, "ATARI_DREAM_CACHE": str(CACHE)},
        stdout=subprocess.DEVNULL,
    )
    most = 0
    while process.poll() is None:
        most = max(most, resident(process.pid))
        time.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)
    return {"seconds": round(time.monotonic() - begin, 1), "mebibytes": most // 2**20}


def resident(pid: int) -> int:
    """Bytes in memory of a process and its children; pages that they share count for each."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


def look(game: str, cold: dict[str, float], warm: dict[str, float]) -> dict[str, Any]:
    """The emulator's worst value of each measure, the floors, how well objects are read, and what it cost."""
    drift = read_json(WORK / game / "drift.json", "drift measurement")
    entries = {entry["name"]: entry for entry in drift["entries"]}
    emulator = entries["emulator"]
    signs = {"total_variation", "wrong_pixels", "wrong_moving", "palette_violations", "score_error"}
    tables = emulator["per_step"] | emulator["control"]["per_step"]
    worst = {
        key: (max if key in signs else min)(known)
        for key, values in tables.items()
        if key != "n" and (known := [value for value in values if value is not None])
    }
    floors = {
        name: {
            key: [entries[name]["per_step"][key][step - 1] for step in STEPS]
            for key in ("wrong_moving", "object_survival")
        }
        for name in FLOORS
    }
    facts = {"command": drift["command"], "commit": drift["commit"], "cold": cold, "warm": warm}
    return facts | {
        "worst": worst,
        "lag": emulator["control"]["lag"],
        "floors": floors,
        "objects": drift["objects"],
    }


if __name__ == "__main__":
    main()
