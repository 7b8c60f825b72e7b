"""`atari-dream doubt`: calibrates how far a checkpoint's dreams can be trusted."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.calibration import LEVEL, calibrate, episodes_of, follow, halves, judge, passing, stopping
from atari_dream.calibration_plot import draw
from atari_dream.checkpoint import commit, open_predictor, versions
from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.doubt import FILE, Doubt
from atari_dream.envs.options import pick_device
from atari_dream.files import read_json
from atari_dream.starts import StartPool


@click.command()
@game_option
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), required=True, help="Folder that gets doubt.json."
)
@click.option(
    "--starts",
    "pool_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Start pool, of test episodes.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for reliability.png.")
@click.option(
    "--bound",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    help="Drift that is asked about: shares of wrong pixels, summed over steps.",
)
@click.option("--horizon", type=click.IntRange(min=1), default=50, help="Steps that dreams are followed.")
@click.option("--least", type=click.IntRange(min=20), default=500, help="Starts that each half must have.")
@click.option("--device", default="auto", help="Torch device that dreams.")
@seed_option
@json_option
def doubt(
    game: str,
    checkpoint: Path,
    pool_folder: Path,
    out: Path,
    bound: float,
    horizon: int,
    least: int,
    device: str,
    seed: int,
    as_json: bool,
) -> None:
    """Calibrate doubt: info["doubt"] and max_doubt of a checkpoint's dreams.

    Half of the episodes set how likely drift has passed the bound at so much evidence, the others judge it. What it
    promises holds for starts and actions like those of the pool.

    Example: atari-dream doubt --game pacman --checkpoint runs/pacman --starts pools/doubt --out out/doubt
    """
    pool = StartPool.load(pool_folder, game)
    mine, other = halves(pool, least, seed)
    weights = read_json(checkpoint / "config.json", "checkpoint")["weights_sha256"]
    predictor = open_predictor(str(checkpoint), pool, pick_device(device)).predictor
    with tqdm(total=len(pool), unit="start", leave=False, disable=None) as bar:
        learnt, test = (follow(predictor, pool, starts, horizon, bar.update) for starts in (mine, other))
    calibrated = calibrate(learnt, bound)
    report = judge(calibrated, test, episodes_of(pool)[other])
    made = {"command": shlex.join(["atari-dream", *sys.argv[1:]]), "commit": commit(), "versions": versions()}
    calibrated.save(checkpoint, weights, {"test": report, "pool": pool.digest, **made})
    draw(out / "reliability.png", report, passing(test, bound), stopping(test, calibrated, LEVEL), horizon)
    click.echo(json.dumps(report, indent=1) if as_json else _told(checkpoint, calibrated, report))


def _told(checkpoint: Path, calibrated: Doubt, report: dict[str, Any]) -> str:
    low, high = report["coverage_ci95"]
    rank = report["rank_correlation"]
    return (
        f"{checkpoint / FILE}: a drift of {calibrated.bound:g} frames is passed in {report['passed']:.0%} of "
        f"{report['starts']} test starts within {calibrated.horizon} steps, at step {report['median_step']:g} in the "
        f"median; max_doubt={LEVEL} stops in time in {report['coverage']:.1%} [{low:.1%}, {high:.1%}], at step "
        f"{report['median_bound']:g} in the median; rank correlation {'undefined' if rank is None else f'{rank:.2f}'}"
    )
