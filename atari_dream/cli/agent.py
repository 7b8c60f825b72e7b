"""`atari-dream agent`: stable-baselines3 in the dream or the real game, evaluated in either."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.files import FORMAT, write_json
from atari_dream.games import get_game

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


@agent.command()
@click.option("--agent", "path", type=click.Path(path_type=Path), required=True, help="Zip of the agent.")
@game_option
@place_option
@click.option("--games", type=click.IntRange(min=2), default=30, help="Games for each player.")
@seed_option
@sticky_option
@checkpoint_option
@click.option(
    "--starts",
    type=click.Choice(("power-on", "pool", "both")),
    help="Where games begin. [default: pool in the dream, both in the real game]",
)
@horizon_option
@click.option("--deterministic", is_flag=True, help="Play the likeliest action instead of a sample.")
@device_option
@click.option("--out", type=click.Path(path_type=Path), help="JSON file of the result.")
@json_option
def evaluate(
    path: Path,
    games: int,
    seed: int,
    starts: str | None,
    deterministic: bool,
    out: Path | None,
    as_json: bool,
    **place: Any,
) -> None:
    """Score a saved agent beside a random one, in the dream or in the real game.

    From power-on a score is the unclipped score of a whole game; from the pool, the points gained within the
    horizon. Intervals hold the mean with 95 %.

    Example: atari-dream agent evaluate --agent agent.zip --game pacman --in real --games 30
    """
    from atari_dream.agents import evaluation
    from atari_dream.agents.loading import check_writable, load_agent
    from atari_dream.agents.venue import Venue
    from atari_dream.checkpoint import commit, versions

    if out:
        check_writable(out)
    venue = Venue(**place)
    saved = load_agent(path, get_game(venue.game), venue.policy_device)
    columns = _columns(starts, venue.place)
    with tqdm(total=2 * games * len(columns), unit="game", disable=None) as bar:
        results = {
            column: evaluation.evaluate(
                saved, replace(venue, starts=column), games, seed, deterministic, bar.update
            )
            for column in columns
        }
    report = {
        "format": FORMAT,
        **place,
        "agent": str(path),
        "origin": vars(saved).get("origin"),
        "games": games,
        "seed": seed,
        "deterministic": deterministic,
        "starts": results,
        "command": shlex.join(["atari-dream", *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions(),
    }
    if out:
        write_json(out, report)
    click.echo(json.dumps(report, indent=1) if as_json else _table(report))


def _columns(starts: str | None, place: str) -> tuple[str, ...]:
    if starts in ("power-on", "pool"):
        return (starts,)
    return ("pool",) if starts is None and place == "dream" else ("power-on", "pool")


def _table(report: dict[str, Any]) -> str:
    place = "the real game" if report["place"] == "real" else "a dream"
    lines = [f"{report['game']}, {place}, {report['games']} games each, seed {report['seed']}"]
    lines.append(
        f"{'starts':<10}{'player':<12}{'mean':>9}   {'95 % interval':<22}{'median':>8}{'game over':>11}"
    )
    for starts, result in report["starts"].items():
        for player in ("agent", "random", "difference"):
            lines.append(f"{starts:<10}{player:<12}{_row(result[player])}".rstrip())
    return "\n".join(lines)


def _row(score: dict[str, Any]) -> str:
    low, high = score["ci95"]
    row = f"{score['mean']:>9.1f}   {f'{low:.1f} to {high:.1f}':<22}"
    return row + (f"{score['median']:>8.0f}{score['terminated']:>11.0%}" if "median" in score else "")
