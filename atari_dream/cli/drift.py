"""`atari-dream drift`: drift against the emulator."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.bundled import bundled_pool, has_weights
from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.domain_gap import compare_domains, measure_replays
from atari_dream.drift import measure, work
from atari_dream.drift_report import save_report
from atari_dream.drift_tables import STEPS, TABLE, Row, gap_rows, lines, readings, rows, shown_steps, verdicts
from atari_dream.envs.options import pick_device
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.perceptual import NETWORKS, Perception, load_network
from atari_dream.protocol import Protocol, open_entries
from atari_dream.results import load_drift, save_drift
from atari_dream.starts import StartPool
from atari_dream.summary import summarise


@click.command()
@game_option
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    help="Folder or bundled; may be repeated. [default: bundled]",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the results.")
@click.option("--starts", type=int, default=100, help="Starts, equally many of each stratum.")
@click.option("--horizon", type=int, default=50, help="Agent steps.")
@seed_option
@click.option(
    "--actions",
    default="continuation",
    help="What was played after each start; random, held for random times; or one action held, such as FIRE.",
)
@click.option("--control", type=int, default=20, help="Starts from which every action is held; 0 for none.")
@click.option("--long", "long_runs", type=int, default=4, help="Runs of 1,000 steps; 0 for none.")
@click.option(
    "--best-of", type=click.IntRange(min=1), default=1, help="Also score the best of so many samples."
)
@click.option("--mode/--no-mode", default=True, help="Also measure each checkpoint's likeliest dream.")
@click.option(
    "--memory/--no-memory",
    default=True,
    help="Also measure dreams begun from the console's memory, of checkpoints that keep it.",
)
@click.option(
    "--compare",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Earlier results to pair with; may be repeated.",
)
@click.option("--lpips", type=click.Path(path_type=Path), help=f"Also LPIPS: {NETWORKS['lpips'].file}.")
@click.option("--fvd", type=click.Path(path_type=Path), help=f"Also FVD: {NETWORKS['fvd'].file}.")
@click.option(
    "--replays",
    type=click.Path(path_type=Path),
    help="Store of replays whose test split tells the domain gap; none may have been learnt from.",
)
@click.option("--pool", help="Folder of another start pool. [default: the bundled one]")
@click.option("--device", default="auto", help="Where checkpoints dream.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=2,
    help="Processes that replay the real game and score; 0 does it in this one.",
)
@json_option
def drift(
    game: str,
    checkpoints: tuple[str, ...],
    out: Path,
    starts: int,
    horizon: int,
    seed: int,
    actions: str,
    control: int,
    long_runs: int,
    best_of: int,
    mode: bool,
    memory: bool,
    compare: tuple[Path, ...],
    lpips: Path | None,
    fvd: Path | None,
    replays: Path | None,
    pool: str | None,
    device: str,
    workers: int,
    as_json: bool,
) -> None:
    """Measure how far dreams drift from the real game, beside the controls; writes drift.json, plots and a page.

    What the real game does is kept in the user's cache, or in the folder that ATARI_DREAM_CACHE names. The networks of
    LPIPS and FVD are TorchScript files, which are programs: open only one that you trust.

    Example: atari-dream drift --game pacman --checkpoint runs/pacman --starts 100 --horizon 50 --out out/drift
    """
    source = StartPool.load(pool, game) if pool else bundled_pool(game)
    protocol = Protocol.of(source, starts, horizon, seed, actions, control, long_runs)
    wanted = list(checkpoints) or (["bundled"] if has_weights(game) else [])
    entries = open_entries(wanted, source, pick_device(device), best_of, mode, memory)
    listed = [(entry.name, str(entry.kind)) for entry in entries]
    earlier = [load_drift(folder, protocol) for folder in compare]
    for names, _ in earlier:
        for name, kind in names:
            if name in dict(listed):
                raise UsageError(f"--compare brings a second entry named {name!r}: leave one out")
            listed.append((name, kind))
    held_out = None if replays is None else _held_out(replays, game)
    given = {kind: file for kind, file in (("lpips", lpips), ("fvd", fvd)) if file is not None}
    networks = {kind: load_network(file, kind, pick_device(device), horizon) for kind, file in given.items()}
    perception = Perception(networks, STEPS)
    with tqdm(total=work(protocol), unit="start", leave=False, disable=None) as bar:
        measured = measure(protocol, source, entries, workers, bar.update, watch=perception.watch)
    on_replays = None if held_out is None else measure_replays(protocol, held_out, entries)
    for _, theirs in earlier:
        measured.join(theirs)
    summary = summarise(protocol, listed, measured, f"atari-dream {shlex.join(sys.argv[1:])}")
    for entry in summary["entries"]:
        entry |= {"perceptual": told} if (told := perception.summary(entry["name"])) else {}
    if on_replays is not None:
        summary["domain_gap"] = {"store": str(replays), **compare_domains(measured.starts, *on_replays)}
    chosen = [source.entries[start]["id"] for start in source.sample(starts, seed)]
    save_drift(out, summary, measured, chosen)
    save_report(out, summary, protocol, source, entries, measured)
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    for key in TABLE:
        _show(summary, key, rows(summary, key), 24)
    if "domain_gap" in summary:
        _show(summary, "from replays to ALE", gap_rows(summary), 36)
    for name, line in lines(summary):
        click.echo(f"{name}: {line}")
    for reading in readings(summary):
        click.echo(f"reading real frames: {reading}")
    click.echo("\n".join([*verdicts(summary), f"{out / 'report.html'}"]))


def _show(summary: dict[str, Any], title: str, table: list[Row], width: int) -> None:
    """Prints a table: a row an entry, a column a step."""
    margin = max(20, *(len(name) + 4 for name, _ in table))
    steps = [f"step {step}" for step in shown_steps(summary)]
    click.echo(f"{title:<{margin}}" + "".join(f"{step:>{width}}" for step in steps))
    for name, cells in table:
        click.echo(f"  {name:<{margin - 2}}" + "".join(f"{cell:>{width}}" for cell in cells))


def _held_out(path: Path, game: str) -> EpisodeStore:
    store = EpisodeStore(path)
    if store.game != game:
        raise UsageError(f"store {path} is of game {store.game!r}, not {game!r}")
    return store
