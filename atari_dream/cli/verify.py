"""`atari-dream verify`: whether bundled weights dream here what they dreamt where they were made."""

import json

import click

from atari_dream.bundled import bundled_pool, revisions
from atari_dream.certificate import verify as verify_weights
from atari_dream.checkpoint import load_checkpoint
from atari_dream.cli.options import GameName, json_option
from atari_dream.errors import UsageError
from atari_dream.games import GAMES


@click.command()
@click.option("--game", type=GameName(), help="One game. [default: all]")
@json_option
def verify(game: str | None, as_json: bool) -> int:
    """Replay a fixed rollout of each bundled weight and compare.

    On the kind of computer where a certificate was made, frame hashes must be equal; on another, nearly all pixels of
    steps that each begin from the real frame. Exit code 1 if any differ by more.

    Example: atari-dream verify
    """
    rows = []
    for name in [game] if game else GAMES:
        for revision, folder in revisions(name).items():
            verdict = verify_weights(folder, load_checkpoint(folder), bundled_pool(name))
            rows.append({"game": name, "revision": revision, **verdict._asdict()})
    if not rows:
        raise UsageError(f"no weights are bundled for game {game!r}")
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        for row in rows:
            told = "holds" if row["holds"] else "DIFFERS"
            click.echo(f"{row['game']} {row['revision']}: {told}, by {row['how']}: {row['told']}")
    return int(not all(row["holds"] for row in rows))
