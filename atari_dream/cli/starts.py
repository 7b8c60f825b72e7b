"""`atari-dream starts`: makes a start pool from a store."""

import json
from collections import Counter
from pathlib import Path

import click

from atari_dream.cli.options import json_option, seed_option
from atari_dream.episodes import EpisodeStore
from atari_dream.pool_building import STRATA, build_pool


@click.command()
@click.option("--store", type=click.Path(path_type=Path), required=True, help="Folder of a recorded store.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the pool.")
@click.option("--starts", "count", type=click.IntRange(min=1), default=256, help="Number of starts.")
@click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    default="test",
    help="Split of the episodes they come from.",
)
@seed_option
@json_option
def starts(store: Path, out: Path, count: int, split: str, seed: int, as_json: bool) -> None:
    """Draw start states from recorded games, by what happens next, and check that each one replays.

    Example: atari-dream starts --store stores/pacman --out pools/pacman --starts 64
    """
    pool = build_pool(EpisodeStore(store), out, count, split, seed)
    strata = Counter(entry["stratum"] for entry in pool.entries)
    episodes = len({entry["episode"] for entry in pool.entries})
    counts = {"starts": len(pool), "episodes": episodes, "strata": {name: strata[name] for name in STRATA}}
    if as_json:
        click.echo(json.dumps({"pool": str(out), "game": pool.game, **counts}, indent=1))
    else:
        parts = ", ".join(f"{name} {strata[name]}" for name in STRATA)
        click.echo(f"{out}: {len(pool)} starts of {pool.game} from {episodes} episodes: {parts}")
