"""`atari-dream dream`: a rollout to look at."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from tqdm import tqdm

from atari_dream import pictures
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import FLOORS, Loaded, open_predictor
from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.envs.options import pick_device
from atari_dream.errors import UsageError
from atari_dream.games import FRAME_RATE
from atari_dream.predictor import Predictor
from atari_dream.rollout import PLANS, Rollout, roll
from atari_dream.speed import predictor_contender, take_turns
from atari_dream.starts import StartPool

MEASURED_LANES, MEASURED_SECONDS = (1, 8), 3.0
MEASURED_STARTS, MEASURED_STEPS = 24, (1, 5, 10)


@click.command()
@game_option
@click.option("--checkpoint", help="A folder, bundled, emulator, copy_last or background. [default: bundled]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .gif, .mp4 or .png (a strip).")
@click.option("--steps", type=click.IntRange(min=1), default=150, help="Agent steps.")
@seed_option
@click.option("--start", help="Id or position of the start in the pool. [default: drawn by the seed]")
@click.option("--pool", help="Folder of the start pool. [default: the game's bundled one]")
@click.option("--device", default="auto", help="Torch device that dreams.")
@click.option(
    "--memory", is_flag=True, help="Begin from the console's memory, not from what is read off frames."
)
@click.option("--deterministic", is_flag=True, help="Take the mode of each distribution.")
@click.option("--temperature", type=click.FloatRange(min=0), default=1.0, help="Scale of the noise.")
@click.option(
    "--actions",
    type=click.Choice(list(PLANS)),
    default="continuation",
    help="What was played after the start, then random actions, held for random times; or these at once.",
)
@click.option("--measure", is_flag=True, help="Then measure the speed, and the drift beside both floors.")
@json_option
def dream(
    game: str,
    checkpoint: str | None,
    out: Path,
    steps: int,
    seed: int,
    start: str | None,
    pool: str | None,
    device: str,
    memory: bool,
    deterministic: bool,
    temperature: float,
    actions: str,
    measure: bool,
    as_json: bool,
) -> None:
    """Draw the real game, a dream and their difference, from one start under the same actions.

    A GIF counts time in 10 ms: at frame skip 4 it shows a step for 70 ms, where the game takes 66.7.

    Example: atari-dream dream --game pacman --out out/pacman.gif
    """
    pictures.check_format(out)
    starts = StartPool.load(pool, game) if pool else bundled_pool(game)
    place = pick_device(device)
    dreamer = open_predictor(checkpoint, starts, place, memory)
    index = _position(starts, start, seed)
    codes = PLANS[actions](starts, index, steps, seed)
    scale = 0.0 if deterministic else temperature
    real = roll(open_predictor("emulator", starts).predictor, starts, index, codes)
    with tqdm(codes, desc="dreaming", unit="step", leave=False, disable=None) as bar:
        dreamt = roll(dreamer.predictor, starts, index, bar, seed, scale)
    pictures.save(out, real, dreamt, dreamer.name, starts.frame_skip)
    begun = {"start": starts.entries[index]["id"], "stratum": starts.entries[index]["stratum"], "seed": seed}
    report: dict[str, Any] = {"path": str(out), "game": game, **begun, "steps": steps}
    report |= {"checkpoint": dreamer.name, "revision": dreamer.revision}
    report |= {"real": _outcome(real), "dream": _outcome(dreamt)}
    if not as_json:
        click.echo("\n".join(_lines(report, starts.frame_skip)))
    if measure:
        report["steps_per_second"] = _speed(dreamer.predictor, starts, place)
        report["drift"] = _drift(dreamer, starts, seed, scale)
    if measure and not as_json:
        click.echo("\n".join(_measured(report)))
    if as_json:
        click.echo(json.dumps(report, indent=1))


def _speed(predictor: Predictor, pool: StartPool, device: torch.device) -> dict[str, float]:
    """Agent steps per second, summed over lanes, by number of lanes."""
    rivals = {str(lanes): predictor_contender(predictor, pool, device, lanes) for lanes in MEASURED_LANES}
    return {lanes: median(rates) for lanes, rates in take_turns(rivals, MEASURED_SECONDS).items()}


def _drift(dreamer: Loaded, pool: StartPool, seed: int, scale: float) -> dict[str, Any]:
    """Share of wrong pixels among moving ones, by agent steps and dreamer, the floors included."""
    from atari_dream import drift, metrics, protocol

    entries = [protocol.Entry(name, "control", open_predictor(name, pool).predictor) for name in FLOORS]
    if dreamer.name not in FLOORS:
        entries.insert(0, protocol.Entry(dreamer.name, "checkpoint", dreamer.predictor, scale))
    asked = protocol.Protocol.of(pool, min(MEASURED_STARTS, len(pool)), max(MEASURED_STEPS), seed)
    with tqdm(total=drift.work(asked), desc="measuring", unit="start", leave=False, disable=None) as bar:
        measured = drift.measure(asked, pool, entries, progress=bar.update)
    once = np.ones((1, asked.starts))
    wrong = {
        name: metrics.pool(sums, once, metrics.FRAME_MEASURES)["wrong_moving"][0]
        for name, sums in measured.starts.items()
    }
    by_step = {str(h): {name: float(values[h - 1]) for name, values in wrong.items()} for h in MEASURED_STEPS}
    return {"starts": asked.starts, "wrong_moving": by_step}


def _measured(report: dict[str, Any]) -> list[str]:
    rates = [f"{rate:,.0f} at batch {lanes}" for lanes, rate in report["steps_per_second"].items()]
    told = [f"agent steps per second, summed over lanes: {', '.join(rates)}"]
    for step, wrong in report["drift"]["wrong_moving"].items():
        shares = ", ".join(f"{name} {share:.1%}" for name, share in wrong.items())
        told.append(f"wrong moving pixels at step {step}: {shares} ({report['drift']['starts']} starts)")
    return told


def _position(pool: StartPool, given: str | None, seed: int) -> int:
    """Position of the start that is asked for."""
    if given is None:
        return int(pool.sample(1, seed)[0])
    if not given.lstrip("-").isdecimal():
        return pool.find(given)
    if not 0 <= int(given) < len(pool):
        raise UsageError(f"--start {given}: pool {pool.name} has starts 0 to {len(pool) - 1}")
    return int(given)


def _outcome(rollout: Rollout) -> dict[str, Any]:
    ended = int(rollout.ended.argmax()) if rollout.ended[-1] else None
    return {"score": float(rollout.scores[-1]), "lives": int(rollout.lives[-1]), "ended_at": ended}


def _lines(report: dict[str, Any], frame_skip: int) -> list[str]:
    lines = ["{path}", "{game}, start {start} ({stratum}), {steps} steps"]
    if report["path"].lower().endswith(".gif"):
        lines[1] += (
            f", {pictures.frame_ms(frame_skip)} ms each (the game takes {1000 * frame_skip / FRAME_RATE:.1f})"
        )
    told = [line.format(**report) for line in lines]
    for name, who in (("real", "real game"), ("dream", f"dream of {report['checkpoint']}")):
        ended = "" if report[name]["ended_at"] is None else f", ended at step {report[name]['ended_at']}"
        told.append(f"{who}: {report[name]['score']:+.10g}, lives {report[name]['lives']}{ended}")
    return told
