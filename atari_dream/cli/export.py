"""`atari-dream export`: a store as replays, or as a data set of Minari."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import json_option, refuse_options
from atari_dream.episodes import EpisodeStore
from atari_dream.minari_writer import to_minari
from atari_dream.replays.export import export as write_all

_OF = {"agc": ("palette", "workers"), "minari": ("identity", "full_action_space")}
"""Options that mean something for one form only."""
_KEPT = {"agc": "keeps what is finished", "minari": "keeps nothing of it: a data set is whole or not there"}
"""What the folder holds of an export that was stopped."""


@click.command()
@click.option(
    "--store", "path", type=click.Path(path_type=Path), required=True, help="Folder of a store of episodes."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; it may hold others.")
@click.option(
    "--to",
    "form",
    type=click.Choice(("agc", "minari")),
    default="agc",
    help="The Atari Grand Challenge's layout, for which the store has to keep every emulator frame, or Minari's.",
)
@click.option(
    "--palette", type=click.Choice(("ale", "agc")), default="ale", help="agc: whose colours pictures get."
)
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="agc: processes.")
@click.option("--id", "identity", help="minari: name of the data set. [default: atari/GAME-v0]")
@click.option(
    "--full-action-space",
    is_flag=True,
    help="minari: actions are ALE's 18 codes, not the game's minimal set.",
)
@json_option
def export(
    path: Path,
    out: Path,
    form: str,
    palette: Any,
    workers: int,
    identity: str | None,
    full_action_space: bool,
    as_json: bool,
) -> None:
    """Write a store as replays, or as a data set of Minari; `ingest` reads both back.

    As replays, frames, actions, rewards, lives and endings come back the same, and emulator states do not; Ctrl-C keeps
    every finished episode, and called again, it goes on. As a data set of Minari, everything comes back; Ctrl-C leaves
    nothing.

    Example: atari-dream export --store stores/pacman-60hz --out replays
    """
    refuse_options(_OF[({"agc", "minari"} - {form}).pop()], f"--to {form}")
    store = EpisodeStore(path)
    with tqdm(total=store.frames, unit="frame", disable=None) as bar:
        try:
            if form == "minari":
                name = identity or f"atari/{store.game.replace('_', '')}-v0"
                root = to_minari(store, name, out, full_action_space, progress=bar.update)
            else:
                root = write_all(store, out, palette, workers, bar.update)
        except KeyboardInterrupt:
            bar.close()
            click.echo(f"atari-dream: interrupted, {out} {_KEPT[form]}", err=True)
            sys.exit(130)
    told = {"game": store.game, "episodes": len(store), "frames": store.frames}
    if as_json:
        click.echo(json.dumps({"folder": str(root), **told}, indent=1))
    else:
        click.echo(f"{root}: {len(store)} episodes of {store.game}, {store.frames} frames")
