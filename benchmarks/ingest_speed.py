"""How fast replays are read, and in how much memory: 300,000 frames of the emulator, exported and ingested to the end.

Run: `python benchmarks/ingest_speed.py`, which writes `benchmarks/results/ingest_speed.json`. What it makes in
`out/ingest_speed` (about 2.4 GB) stays and is not made again. Run nothing else meanwhile.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ruler import GAMES, resident

from atari_dream.checkpoint import commit, versions
from atari_dream.episodes import EpisodeStore
from atari_dream.files import FORMAT, write_json

WORK, RESULT = Path("out/ingest_speed"), Path("benchmarks/results/ingest_speed.json")
STEPS = 60_000
ALL_OF_IT = 8_370_523
"""Frames of the Atari Grand Challenge, version 1."""


def main() -> None:
    """Makes the replays, reads them, and writes what it took."""
    for game in GAMES:
        make(game)
    games = {game: read(game) for game in GAMES}
    frames, seconds = (sum(row[name] for row in games.values()) for name in ("frames", "seconds"))
    rate = frames / seconds
    told = {
        "frames": frames,
        "seconds": round(seconds, 1),
        "frames_per_minute": round(60 * rate),
        "mebibytes": max(row["mebibytes"] for row in games.values()),
        "minutes_for_all": round(ALL_OF_IT / rate / 60),
        "bytes_per_frame": round(sum(row["bytes"] for row in games.values()) / frames),
    }
    for name, row in {**games, "all": told}.items():
        print(name, row)
    about = {"command": "python benchmarks/ingest_speed.py", "cores": os.cpu_count()}
    write_json(
        RESULT,
        {"format": FORMAT, **told, "games": games, **about, "commit": commit(), "versions": versions()},
    )


def make(game: str) -> None:
    """Records and exports frames of a game."""
    store = WORK / "recorded" / game
    call(
        f"record --game {game} --steps {STEPS} --frame-skip 1 --longest 10800 --state-every 10800 --out {store}",
        store,
    )
    call(f"export --store {store} --palette agc --out {WORK / 'replays'}")


def call(words: str, made: Path | None = None) -> None:
    """Runs a command of `atari-dream`, unless what it makes is there."""
    if made is None or not made.exists():
        subprocess.run([sys.executable, "-m", "atari_dream", *words.split()], check=True)


def read(game: str) -> dict[str, Any]:
    """Ingests the replays of a game: seconds, and the most memory in the first and in the last third of them."""
    out = WORK / "stores" / game
    shutil.rmtree(out, ignore_errors=True)
    words = f"ingest --agc {WORK / 'replays'} --game {game} --out {out}"
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "atari_dream", *words.split()], stdout=subprocess.DEVNULL
    )
    memory = []
    while process.poll() is None:
        memory.append(resident(process.pid) // 2**20)
        time.sleep(0.1)
    seconds = time.monotonic() - begin
    if process.returncode:
        sys.exit(process.returncode)
    third = len(memory) // 3
    return {
        "frames": EpisodeStore(out).frames,
        "seconds": round(seconds, 1),
        "mebibytes": max(memory),
        "mebibytes_second_third": max(memory[third : 2 * third]),
        "mebibytes_last_third": max(memory[2 * third :]),
        "bytes": sum(path.stat().st_size for path in out.rglob("*.zip")),
    }


if __name__ == "__main__":
    main()
