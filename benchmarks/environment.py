"""What an environment costs beside its predictor, how fast it starts, whether its memory grows, and its shadow's drift.

Run: `python benchmarks/environment.py`, with nothing else running beside `overhead` and `seconds`; or some parts alone,
such as `python benchmarks/environment.py shadow memory`. What is measured takes its place in
`benchmarks/results/environment.json`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from ruler import resident

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import commit, open_predictor, versions
from atari_dream.envs import DreamVectorEnv
from atari_dream.files import FORMAT, read_json, write_json
from atari_dream.games import GAMES
from atari_dream.speed import Contender, predictor_contender, take_turns

RESULT = Path("benchmarks/results/environment.json")
LANES, SECONDS, REPEATS = 64, 30.0, 7
IMPORT, FIRST = (
    "import gymnasium",
    "import time; t = time.perf_counter(); import atari_dream, gymnasium as gym; "
    "env = gym.make('AtariDream-Pacman-v0'); env.reset(seed=0); print(time.perf_counter() - t)",
)


def main() -> None:
    """Measures, prints and writes, one part after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"[all: {', '.join(PARTS)}]"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="longest time of the memory run")
    parser.add_argument("--lane-steps", type=int, default=1_000_000, help="lane-steps of the memory run")
    parser.add_argument(
        "--shadow-steps", type=int, default=10_000, help="steps of each game beside its shadow"
    )
    options = parser.parse_args()
    for part in options.parts or PARTS:
        told = PARTS[part](options)
        print(part, told, flush=True)
        known = read_json(RESULT, "result") if RESULT.exists() else {"format": FORMAT}
        about = {"command": " ".join(["python", *sys.argv]), "cores": os.cpu_count()}
        write_json(RESULT, known | {part: {**told, **about, "commit": commit(), "versions": versions()}})


def overhead() -> dict[str, Any]:
    """Time of an environment's step over its predictor's with RGB frames, in pairs, at batch 64."""
    pool, cpu = bundled_pool("pacman"), torch.device("cpu")
    envs = DreamVectorEnv(LANES, "pacman", device="cpu", output="torch", horizon=None)
    envs.reset(seed=0)
    actions = torch.arange(LANES) % 9

    def run(steps: int) -> None:
        for _ in range(steps):
            envs.step(actions)

    alone = predictor_contender(open_predictor(None, pool).predictor, pool, cpu, LANES)
    rates = take_turns({"alone": alone, "env": Contender(LANES, run)}, SECONDS, REPEATS)
    ratios = [one / other - 1 for one, other in zip(rates["alone"], rates["env"], strict=True)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def start_up() -> dict[str, Any]:
    """Seconds of `import atari_dream` beyond Gymnasium's own, and from import to a first frame, files being warm."""
    call(FIRST)
    begun = [timed(f"{IMPORT}, atari_dream") - timed(IMPORT) for _ in range(REPEATS)]
    return {"import": median(begun), "first_frame": median(float(call(FIRST)) for _ in range(REPEATS))}


def timed(code: str) -> float:
    """Seconds that a fresh interpreter takes."""
    begin = time.perf_counter()
    call(code)
    return time.perf_counter() - begin


def call(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def shadow(game: str, steps: int) -> dict[str, float]:
    """The most that the emulator differs from its shadow under random actions, games begun anew as they end."""
    envs = DreamVectorEnv(
        1, game, checkpoint="emulator", device="cpu", shadow=True, autoreset_mode="SameStep"
    )
    envs.reset(seed=0)
    rng, worst, ends = np.random.default_rng(0), 0.0, 0
    for _ in range(steps):
        *_, infos = envs.step(rng.integers(envs.single_action_space.n, size=1))
        told = infos.get("final_info", infos)  # of a game that has just ended, what was before the next began
        worst, ends = max(worst, float(told["shadow"]["wrong_pixels"].max())), ends + ("final_obs" in infos)
    return {"steps": steps, "games": ends, "wrong_pixels": worst}


def memory(checkpoint: str, lane_steps: int, seconds: float) -> dict[str, Any]:
    """MiB that this process holds while lanes play, at 20 places, once every start is burned in."""
    envs = DreamVectorEnv(LANES, "pacman", checkpoint=checkpoint, device="cpu", output="torch", horizon=200)
    envs.reset(seed=0)
    envs.world.prepare()
    actions, begin, played = torch.arange(LANES) % 9, time.monotonic(), 0
    curve: list[list[float]] = []
    while played < lane_steps and time.monotonic() - begin < seconds:
        envs.step(actions)
        played += LANES
        share = max(played / lane_steps, (time.monotonic() - begin) / seconds)
        if share >= (len(curve) + 1) / 20:
            curve.append([played, round(resident(os.getpid()) / 2**20, 1)])
    return {"lane_steps": played, "minutes": round((time.monotonic() - begin) / 60, 1), "mebibytes": curve}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "overhead": lambda options: overhead(),
    "seconds": lambda options: start_up(),
    "shadow": lambda options: {game: shadow(game, options.shadow_steps) for game in GAMES},
    "memory": lambda options: {
        name: memory(name, options.lane_steps, 60 * options.minutes) for name in ("bundled", "copy_last")
    },
}


if __name__ == "__main__":
    main()
