"""`atari-dream record`: plays the emulator into an episode store."""

import json
import sys
from pathlib import Path

import click
from tqdm import tqdm

from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.cli.policies import make_player
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import FRAME_SKIP
from atari_dream.recorder import Recording
from atari_dream.recorder import record as record_games


@click.command()
@game_option
@click.option(
    "--steps", type=click.IntRange(min=1), required=True, help="Steps to add; the last game is whole."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the store; it may exist."
)
@click.option(
    "--policy",
    default="random",
    help="random, an agent's PATH.zip, or a mixture that takes turns: random=1,PATH.zip=3.",
)
@seed_option
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Processes; the result is the same.")
@click.option(
    "--frame-skip", type=click.IntRange(min=1), default=FRAME_SKIP, help="Emulator frames per step."
)
@click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    help="Split of all episodes. [default: 80, 10, 10 % by hash]",
)
@click.option(
    "--state-every",
    type=click.IntRange(min=1),
    default=Recording.state_every,
    help="Emulator frames between two saved emulator states.",
)
@click.option(
    "--longest",
    type=click.IntRange(min=1),
    default=Recording.longest,
    help="Emulator frames after which a game is truncated.",
)
@json_option
def record(
    game: str,
    steps: int,
    out: Path,
    policy: str,
    seed: int,
    workers: int,
    frame_skip: int,
    split: str | None,
    state_every: int,
    longest: int,
    as_json: bool,
) -> None:
    """Play the emulator and write whole games, with ALE states, into a store.

    Ctrl-C keeps every finished episode; called again with the same store, it goes on.

    Example: atari-dream record --game pacman --steps 100000 --out stores/pacman --workers 2
    """
    if longest < frame_skip:
        raise UsageError(f"--longest {longest} is shorter than one step of --frame-skip {frame_skip}")
    player = make_player(policy, game)
    store = EpisodeStore.create(out, game, frame_skip, "ale")
    recording = Recording(game, player, frame_skip, longest, state_every, split)
    before = len(store)
    with tqdm(total=steps, unit="step", disable=None) as bar:
        try:
            done = record_games(recording, store, steps, seed, workers, bar.update)
        except KeyboardInterrupt:
            bar.close()
            click.echo(f"atari-dream: interrupted, {out} keeps its {len(store)} finished episodes", err=True)
            sys.exit(130)
    added = {"episodes": len(store) - before, "steps": done}
    if as_json:
        click.echo(json.dumps({"store": str(out), "game": game, **added, "frames": store.frames}, indent=1))
    else:
        click.echo(f"{out}: {added['episodes']} more episodes, {done} steps; {store.frames} frames in all")
