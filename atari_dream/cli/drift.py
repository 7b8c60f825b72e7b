"""`atari-dream drift`: drift against the emulator."""

import json
import shlex
import sys
from pathlib import Path

import click
from tqdm import tqdm

from atari_dream.bundled import bundled_pool, has_weights
from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.drift import Protocol, load_drift, measure, open_entries, save_drift, summarise
from atari_dream.drift_report import STEPS, TABLE, rows, save_report, verdicts
from atari_dream.envs.options import pick_device
from atari_dream.errors import UsageError
from atari_dream.starts import StartPool


@click.command()
@game_option
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    help="Folder or bundled; may be repeated. [default: bundled]",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the results.")
@click.option("--starts", type=int, default=100, help="Starts, drawn by stratum without replacement.")
@click.option("--horizon", type=int, default=50, help="Agent steps.")
@seed_option
@click.option(
    "--compare",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Earlier results to pair with; may be repeated.",
)
@click.option("--pool", help="Folder of another start pool. [default: the bundled one]")
@click.option("--device", default="auto", help="Where checkpoints dream.")
@click.option("--workers", type=click.IntRange(min=1), default=2, help="Processes that replay the real game.")
@json_option
def drift(
    game: str,
    checkpoints: tuple[str, ...],
    out: Path,
    starts: int,
    horizon: int,
    seed: int,
    compare: tuple[Path, ...],
    pool: str | None,
    device: str,
    workers: int,
    as_json: bool,
) -> None:
    """Measure how far dreams drift from the real game, beside the controls; writes drift.json, plots and a page.

    Example: atari-dream drift --game pacman --checkpoint runs/pacman --starts 100 --horizon 50 --out out/drift
    """
    source = StartPool.load(pool, game) if pool else bundled_pool(game)
    protocol = Protocol.of(source, starts, horizon, seed)
    wanted = list(checkpoints) or (["bundled"] if has_weights(game) else [])
    entries = open_entries(wanted, source, pick_device(device))
    listed = [(entry.name, str(entry.kind)) for entry in entries]
    earlier = [load_drift(folder, protocol) for folder in compare]
    for names, _ in earlier:
        for name, kind in names:
            if name in dict(listed):
                raise UsageError(f"--compare brings a second entry named {name!r}: leave one out")
            listed.append((name, kind))
    with tqdm(total=starts, unit="start", leave=False, disable=None) as bar:
        sums = measure(protocol, source, entries, workers, bar.update)
    for _, theirs in earlier:
        sums |= theirs
    summary = summarise(protocol, listed, sums, f"atari-dream {shlex.join(sys.argv[1:])}")
    chosen = [source.entries[start]["id"] for start in source.sample(starts, seed)]
    save_drift(out, summary, sums, chosen)
    save_report(out, summary, protocol, source, entries, sums)
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    steps = [step for step in STEPS if step <= horizon]
    for key in TABLE:
        click.echo(f"{key:<20}" + "".join(f"{'step ' + str(step):>24}" for step in steps))
        for name, cells in rows(summary, key):
            click.echo(f"  {name:<18}" + "".join(f"{cell:>24}" for cell in cells))
    click.echo("\n".join([*verdicts(summary), f"{out / 'report.html'}"]))
