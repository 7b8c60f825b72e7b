"""`atari-dream agent`: stable-baselines3 in the dream or the real game, evaluated in either."""

import json
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import game_option, json_option, seed_option

PLACES = click.Choice(("dream", "real"))

place_option = click.option("--in", "place", type=PLACES, required=True, help="The dream or the real game.")
sticky_option = click.option(
    "--sticky",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Chance, per frame, that the last action repeats.",
)
checkpoint_option = click.option(
    "--checkpoint", help="What dreams: a folder, or a control. [default: bundled]"
)
horizon_option = click.option(
    "--horizon",
    type=click.IntRange(min=1),
    help="Steps until a game is cut. [default: 1000 from pool starts, none from power-on]",
)
device_option = click.option("--device", default="auto", help="Torch device of agent and dream.")


@click.group()
def agent() -> None:
    """Train and evaluate stable-baselines3 agents.

    Example: atari-dream agent train --game pacman --in dream --steps 50000 --out agent.zip
    """


@agent.command()
@click.option("--algo", type=click.Choice(("ppo",)), default="ppo", help="Algorithm.")
@game_option
@place_option
@click.option("--steps", type=click.IntRange(min=1), help="Agent steps, over all lanes.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after this time.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Zip of the agent.")
@checkpoint_option
@click.option("--envs", type=click.IntRange(min=1), default=8, help="Lanes side by side.")
@seed_option
@sticky_option
@horizon_option
@device_option
@json_option
def train(
    algo: str,
    steps: int | None,
    minutes: float | None,
    out: Path,
    envs: int,
    seed: int,
    as_json: bool,
    **place: Any,
) -> None:
    """Train an agent in the dream or in the real game.

    It is saved every minute; Ctrl-C saves it and ends.

    Example: atari-dream agent train --algo ppo --game pacman --in dream --steps 50000 --out agent.zip
    """
    from atari_dream.agents.ppo import Budget, train_ppo
    from atari_dream.agents.venue import Venue

    venue, budget = Venue(**place), Budget(steps, minutes)
    with tqdm(total=steps, unit="step", disable=None) as bar:

        def progress(played: int, score: float | None) -> None:
            bar.update(played)
            bar.set_postfix(score="-" if score is None else round(score), refresh=False)

        report = train_ppo(venue, out, budget, envs, seed, progress)
    if as_json:
        click.echo(json.dumps({"out": str(out), **report}, indent=1))
    else:
        click.echo(f"{out}: {algo} after {report['steps']} steps in {report['seconds']:.0f} s")
