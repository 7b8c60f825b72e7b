"""`atari-dream card`: the drift card of a checkpoint."""

from pathlib import Path

import click

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import checkpoint_folder
from atari_dream.cli.options import game_option
from atari_dream.drift_card import save_card


@click.command()
@game_option
@click.option("--checkpoint", help="The folder or bundled that was measured. [default: bundled]")
@click.option(
    "--drift", "measured", type=click.Path(path_type=Path), required=True, help="Folder that `drift` wrote."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The page, a Markdown file.")
def card(game: str, checkpoint: str | None, measured: Path, out: Path) -> None:
    """Write a page of what a checkpoint is, how far it drifts and where it fails, with its median and worst case.

    The measurement is copied into the checkpoint's folder, so that anyone can repeat its first starts.

    Example: atari-dream card --game pacman --drift out/drift --out docs/cards/pacman-r1.md
    """
    folder = checkpoint_folder(checkpoint, game)
    save_card(out, checkpoint or "bundled", folder, measured, bundled_pool(game))
    click.echo(f"{out}\n{folder}")
