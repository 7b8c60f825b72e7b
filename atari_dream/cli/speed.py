"""`atari-dream speed`: agent steps per second beside the emulator."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import GameName, json_option
from atari_dream.errors import UsageError
from atari_dream.files import write_json
from atari_dream.speed import REPEATS, measure, table


class Batches(click.ParamType):
    """Numbers of lanes, separated by commas."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Checks the numbers."""
        if isinstance(value, tuple):
            return value
        if not all(part.isdecimal() and int(part) for part in value.split(",")):
            raise UsageError(f"--batch {value!r}: give numbers of lanes from 1, such as --batch 1,8,64")
        return tuple(int(part) for part in value.split(","))


@click.command()
@click.option("--game", type=GameName(), default="pacman", help="The game that is dreamt and played.")
@click.option("--checkpoint", help="A folder, bundled, emulator, copy_last or background. [default: bundled]")
@click.option("--device", default="auto", help="Torch device that dreams.")
@click.option("--batch", "batches", type=Batches(), default="1,8,64", help="Numbers of lanes.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    help="Time for each contender at each number of lanes, besides the warm-up.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for speed.json.")
@json_option
def speed(out: Path, as_json: bool, **options: Any) -> None:
    """Time agent steps, summed over lanes, beside the real emulator in the same run.

    The predictor alone (a step and its RGB frames on the device) and the dream's vector environment (NumPy)
    take turns with the emulator's environment and vector environment (RGB, no sticky actions).

    Example: atari-dream speed --game pacman --batch 1,8,64 --out out/speed
    """
    with tqdm(total=len(options["batches"]) * REPEATS, unit="round", leave=False, disable=None) as bar:
        report = measure(**options, progress=bar.update)
    report["command"] = shlex.join(["atari-dream", *sys.argv[1:]])
    write_json(out / "speed.json", report)
    click.echo(json.dumps(report, indent=1) if as_json else f"{table(report)}\n{out / 'speed.json'}")
