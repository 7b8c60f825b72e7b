"""`atari-dream train`: learns a predictor from a store."""

import json
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import game_option, json_option, seed_option
from atari_dream.cli.policies import make_player
from atari_dream.training import Trainer
from atari_dream.training_config import TrainingConfig


@click.command()
@click.option("--model", required=True, help="Name of the model, as `atari-dream models` lists them.")
@game_option
@click.option("--data", required=True, help="Folder of the store to learn from.")
@click.option("--out", required=True, help="Folder of the checkpoint.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time to train for.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    help="What minutes are: cpu counts this process's own, fair on a shared machine.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Updates to train for.")
@click.option("--resume", is_flag=True, help="Go on from where an interrupted run stopped.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=16, help="Windows in a batch, over all processes."
)
@click.option(
    "--context",
    type=click.IntRange(min=1),
    help="Steps watched first; fewer than the model's own are cheaper.",
)
@click.option("--horizon", type=click.IntRange(min=1), default=12, help="Predicted steps of a window.")
@click.option("--frame-skip", type=click.IntRange(min=1), default=4, help="Emulator frames per step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-3,
    help="At the start; it falls to a hundredth.",
)
@click.option("--beta", type=click.FloatRange(min=0), default=1.0, help="Weight of the latent's divergence.")
@click.option("--free-bits", type=click.FloatRange(min=0), default=0.0, help="Nats of it that cost nothing.")
@click.option(
    "--gdl", type=click.FloatRange(min=0), default=0.0, help="Weight of the gradient difference loss."
)
@click.option("--ssim", type=click.FloatRange(min=0), default=0.0, help="Weight of 1 - SSIM.")
@click.option("--tv", type=click.FloatRange(min=0), default=0.0, help="Weight of the total variation.")
@click.option(
    "--adversary",
    type=click.Choice(["bce", "lsq"]),
    default="bce",
    help="Loss of adversaries: cross-entropy or least squares.",
)
@click.option(
    "--adversary-share",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.2,
    help="Share of the gradient of each adversary that the model has; 0 trains without.",
)
@click.option("--init", help="Checkpoint whose weights to begin with.")
@click.option(
    "--prime",
    type=click.IntRange(min=0),
    default=0,
    help="Frames from which vivid learns single steps first, and of the play that console learns from.",
)
@click.option(
    "--policy",
    help="Who plays new games, from which console learns besides: random, an agent's PATH.zip, or shares of turns "
    "such as random=1,PATH.zip=3. [default: no new games]",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", help="Where it learns."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "32-true", "bf16-mixed"]),
    default="auto",
    help="Number format; auto is bf16-mixed on cuda.",
)
@click.option("--workers", type=click.IntRange(min=0), default=1, help="Processes that decode windows.")
@click.option(
    "--validate-every", type=click.IntRange(min=1), default=500, help="Updates between validations."
)
@seed_option
@json_option
def train(as_json: bool, **options: Any) -> None:
    """Learn a predictor; the checkpoint is the best by free-running rollouts on validation episodes.

    Ctrl-C or a kill loses at most a minute: call again with --resume. TensorBoard logs are in OUT.training.

    Example: atari-dream train --model c_lstm_vae --game pacman --data stores/pacman --out runs/pacman --minutes 30
    """
    with tqdm(
        total=1.0,
        delay=1,
        disable=None,
        bar_format="{percentage:5.1f}% |{bar}| {elapsed}<{remaining} {postfix}",
    ) as bar:

        def report(progress: float, metrics: dict[str, float]) -> None:
            bar.set_postfix({name: f"{value:.4g}" for name, value in metrics.items()}, refresh=False)
            bar.update(progress - bar.n)

        image_losses = {name: options.pop(name) for name in ("gdl", "ssim", "tv")}
        config = TrainingConfig(**options, image_losses=image_losses)
        player = make_player(config.policy, config.game) if config.policy else None
        trainer = Trainer(config, report, player)
        metrics = trainer.run()
    if as_json:
        click.echo(
            json.dumps({"checkpoint": options["out"], "steps": trainer.step, "validation": metrics}, indent=1)
        )
    else:
        click.echo(
            f"{options['out']}: {trainer.step} updates, best wrong_moving {trainer.best:.4f} on validation"
        )
