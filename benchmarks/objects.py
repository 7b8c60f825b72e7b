"""How well objects are read from pixels: on real frames, against the console's memory; what survives in the emulator.

Run: `python benchmarks/objects.py [GAME ...]`, which prints a table and writes `benchmarks/results/objects.json`.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from atari_dream.bundled import bundled_pool
from atari_dream.objects.scene import UNKNOWN, Scene, scene_reader
from atari_dream.objects.survival import WINDOW, fates
from atari_dream.processes import processes
from atari_dream.rollout import continued
from atari_dream.truth import Script, load_truth, truths

STARTS, STEPS = 100, 50
CACHE = Path("out/truth")


def scenes(game: str) -> list[tuple[list[str], np.ndarray, np.ndarray]]:
    """Real frames and memories after each of 100 starts, to the game's end."""
    pool = bundled_pool(game)
    starts = pool.sample(STARTS).tolist()
    scripts = [Script.of(pool, start, continued(pool, start, STEPS)[None]) for start in starts]
    with processes(2, game) as executor:
        paths = truths(scripts, CACHE, executor)
    found = []
    for start, path in zip(starts, paths, strict=True):
        truth = load_truth(path)
        last = int(truth.ended[0].argmax()) + 1 if truth.ended[0].any() else STEPS
        found.append((pool.entries[start]["id"], truth.frames[0, :last], truth.ram[0, :last]))
    return found


def main(games: list[str]) -> None:
    for game in games:
        reader = scene_reader(game)
        errors: dict[str, list[float]] = {name: [] for name in reader.objects}
        tally: dict[str, Counter] = {name: Counter() for name in reader.objects}
        failures: dict[str, list[Any]] = {name: [] for name in reader.objects}
        for identity, frames, rams in scenes(game):
            real = [reader.of_ram(ram) for ram in rams]
            seen = [reader.of_frame(frame) for frame in frames]
            for name, fate in fates(real, seen, seen).items():
                tally[name]["starts"] += fate.judged
                if fate.step is not None:
                    failures[name].append((identity, fate.step, fate.cause))
            for name in reader.tracks:
                for t, (truth, shown) in enumerate(zip(real, seen)):
                    there, places = truth.points[name], shown.points[name]
                    places = np.empty((0, 2)) if places is None else places
                    if there is None:
                        tally[name]["unknown"] += 1
                    elif not len(there):
                        tally[name]["away"] += 1
                        tally[name]["false"] += len(places) > 0
                    else:
                        tally[name]["there"] += 1
                        tally[name]["found"] += len(places) > 0
                        near = [s.points[name] for s in seen[max(0, t - WINDOW + 1) : t + 1]]
                        tally[name]["found_in_window"] += any(n is not None and len(n) for n in near)
                        if len(places):
                            errors[name].append(np.hypot(*(places - there[0]).T).min())
                        tally[name]["several"] += len(places) > 1
            for name in reader.readings:
                for truth, shown in zip(real, seen):
                    a, b = truth.readings[name], shown.readings[name]
                    tally[name]["known"] += int((a != UNKNOWN).sum())
                    tally[name]["legible"] += int(((a != UNKNOWN) & (b != UNKNOWN)).sum())
                    tally[name]["wrong"] += int(((a != UNKNOWN) & (b != UNKNOWN) & (a != b)).sum())
        print(f"== {game}")
        for name in reader.objects:
            e = np.array(errors[name]) if errors[name] else np.array([np.nan])
            print(
                f"{name:16s} {dict(tally[name])} error px median {np.median(e):.1f} p95 {np.percentile(e, 95):.1f} "
                f"max {e.max():.1f}; emulator fails in {len(failures[name])} starts: {failures[name][:6]}"
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["pacman", "pinball", "qbert", "revenge", "space_invaders"])
