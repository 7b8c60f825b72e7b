"""What an episode store costs: bytes a frame, random windows decoded a second on one core, memory whatever its size.

Run: `python benchmarks/store.py` (Linux, five minutes); it writes `benchmarks/results/store.json`.
"""

import argparse
import json
import os
import shlex
import sys
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
import zarr

from atari_dream.checkpoint import commit, versions
from atari_dream.episodes import EpisodeStore
from atari_dream.files import FORMAT, write_json
from atari_dream.games import FRAME_SKIP, GAMES
from atari_dream.players import RandomPlayer
from atari_dream.recorder import Recording, record
from atari_dream.windows import Windows

CONTEXT, HORIZON, BATCH = 8, 12, 16
"""Windows as training reads them."""
REPEATS = 5


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="steps recorded of each game")
    parser.add_argument("--batches", type=int, default=40, help="batches of windows in each repeat")
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames of the large store")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "store.json")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        report = measure(Path(folder), asked.steps, asked.batches, asked.frames)
    report |= {
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "versions": {**versions(), "zarr": zarr.__version__},
    }
    write_json(asked.out, report)
    print(
        json.dumps(
            {name: report[name] for name in ("bytes_per_frame", "frames_per_second", "memory")}, indent=1
        )
    )
    print(asked.out)


def measure(folder: Path, steps: int, batches: int, frames: int) -> dict[str, Any]:
    """Records the five games and measures their stores, and a large one of Ms. Pac-Man's episodes."""
    games: dict[str, dict[str, Any]] = {}
    for game in GAMES:
        store = record_game(folder / game, game, steps)
        games[game] = {
            "frames": store.frames,
            "bytes_per_frame": size_of(store.path) / store.frames,
            "frames_per_second": windows_per_second(store, batches),
        }
        print("{}: {frames} frames, {bytes_per_frame:.0f} bytes each".format(game, **games[game]), flush=True)
    return {
        "format": FORMAT,
        "policy": "random",
        "frame_skip": FRAME_SKIP,
        "windows": {"context": CONTEXT, "horizon": HORIZON, "batch": BATCH},
        "bytes_per_frame": sum(row["bytes_per_frame"] for row in games.values()) / len(games),
        "frames_per_second": {
            "median": median(row["frames_per_second"]["median"] for row in games.values()),
            "min": min(row["frames_per_second"]["min"] for row in games.values()),
        },
        "memory": memory(folder / "pacman", folder / "large", batches, frames),
        "games": games,
    }


def record_game(path: Path, game: str, steps: int) -> EpisodeStore:
    """Random play of one game."""
    store = EpisodeStore.create(path, game, FRAME_SKIP, "ale")
    record(Recording(game, RandomPlayer(), split="train"), store, steps, workers=os.cpu_count() or 1)
    return store


def size_of(path: Path) -> int:
    """Bytes of all files: episodes, their emulator states, the index."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def windows_per_second(store: EpisodeStore, batches: int) -> dict[str, float]:
    """Frames of random windows decoded a second by one process on one core, over several repeats."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    torch.set_num_threads(1)
    try:
        windows = random_windows(store)
        windows[0]
        rates = [_rate(windows, 1 + repeat * batches, batches) for repeat in range(REPEATS)]
    finally:
        os.sched_setaffinity(0, cores)
    return {"median": median(rates), "min": min(rates), "max": max(rates)}


def _rate(windows: Windows, first: int, batches: int) -> float:
    begun = perf_counter()
    frames = sum(windows[k].frames.shape[:2].numel() for k in range(first, first + batches))
    return frames / (perf_counter() - begun)


def random_windows(store: EpisodeStore) -> Windows:
    """Windows of every episode."""
    return Windows(store, "train", CONTEXT, HORIZON, BATCH, store.frame_skip)


def memory(small: Path, large: Path, batches: int, frames: int) -> dict[str, Any]:
    """Peak memory of a process that reads random windows, of a small store and of a large one."""
    multiply(EpisodeStore(small), large, frames)
    told: dict[str, Any] = {}
    for name, path in (("small", small), ("large", large)):
        with get_context("spawn").Pool(1) as pool:
            told[name] = pool.apply(peak, (str(path), batches))
    return told


def multiply(source: EpisodeStore, path: Path, frames: int) -> None:
    """Fills a store with links to another one's episodes, each under ids of its own."""
    store = EpisodeStore.create(path, source.game, source.frame_skip, source.source)
    store.file_of("").parent.mkdir()
    held = copies = 0
    while held < frames:
        for entry in source.entries:
            identity = f"{entry['id']}-{copies}"
            os.link(source.file_of(entry["id"]), store.file_of(identity))
            store.entries.append({**entry, "id": identity})
            held += entry["length"] + 1
        copies += 1
    store.close()


def peak(path: str, batches: int) -> dict[str, float]:
    """Peak resident memory in MiB, after opening a store and after reading windows of it, and how fast that was."""
    begun = perf_counter()
    store = EpisodeStore(path)
    told = {"frames": store.frames, "episodes": len(store), "opened_in_seconds": perf_counter() - begun}
    opened = _high_water()
    rates = windows_per_second(store, batches)
    return {**told, "opened_mib": opened, "read_mib": _high_water(), "frames_per_second": rates["median"]}


def _high_water() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
