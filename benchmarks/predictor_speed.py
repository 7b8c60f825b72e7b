"""Agent steps per second of the trained predictors, beside the emulator; see `predictors.py`."""

import os
from statistics import median

import torch
from predictor_rows import KEPT, dreamers

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import commit, open_predictor, versions
from atari_dream.files import FORMAT, write_json
from atari_dream.speed import REPEATS, device_name, predictor_contender, take_turns

LANES, SECONDS = (1, 64), 3.0
"""Batches, and the time for each predictor at each."""
COMMAND = "python benchmarks/predictors.py speed"


def main(games: list[str]) -> None:
    """Times the games one after the other; within one, predictors take turns."""
    cpu = torch.device("cpu")
    facts = {"device": device_name(cpu), "threads": torch.get_num_threads(), "cpus": os.cpu_count()}
    for game in games:
        rates = time_game(game, cpu)
        report = {"format": FORMAT, "game": game, **facts, "seconds": SECONDS, "repeats": REPEATS}
        made = {"command": COMMAND, "commit": commit(), "versions": versions()}
        write_json(KEPT / game / "speed.json", {**report, "steps_per_second": rates, **made})
        for name, row in rates.items():
            told = ", ".join(f"{row[lanes]['median']:,.0f} at batch {lanes}" for lanes in row)
            print(f"{game} {name}: {told}", flush=True)


def time_game(game: str, device: torch.device) -> dict[str, dict[str, dict[str, float]]]:
    """Median, min and max of agent steps per second, summed over lanes, by predictor and batch."""
    pool = bundled_pool(game)
    wanted = {"emulator": "emulator"} | {row.model: str(row.checkpoint) for row in dreamers(game)}
    predictors = {name: open_predictor(where, pool, device).predictor for name, where in wanted.items()}
    rates: dict[str, dict[str, dict[str, float]]] = {name: {} for name in predictors}
    for lanes in LANES:
        contenders = {
            name: predictor_contender(predictor, pool, device, lanes)
            for name, predictor in predictors.items()
        }
        for name, turns in take_turns(contenders, SECONDS).items():
            rates[name][str(lanes)] = {"median": median(turns), "min": min(turns), "max": max(turns)}
    return rates
