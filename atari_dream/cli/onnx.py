"""`atari-dream onnx`: writes a checkpoint as ONNX."""

import json
from pathlib import Path

import click

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import open_predictor
from atari_dream.cli.options import game_option, json_option
from atari_dream.onnx_export import export_onnx


@click.command()
@game_option
@click.option("--checkpoint", help="A folder or bundled. [default: bundled]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the graphs.")
@click.option("--lanes", type=click.IntRange(min=1), default=1, help="The batch, which is fixed.")
@click.option("--steps", type=click.IntRange(min=1), default=100, help="Steps to compare with torch.")
@json_option
def onnx(game: str, checkpoint: str | None, out: Path, lanes: int, steps: int, as_json: bool) -> None:
    """Write a checkpoint as ONNX: init.onnx, step.onnx, and onnx.json, which says what goes in and out.

    Nothing is written unless onnxruntime dreams the same frames as torch, each step from the real one (extra onnx).

    Example: atari-dream onnx --game pacman --out out/onnx
    """
    pool = bundled_pool(game)
    share = export_onnx(open_predictor(checkpoint, pool).predictor, pool, out, lanes, steps)
    if as_json:
        click.echo(json.dumps({"out": str(out), "lanes": lanes, "steps": steps, "equal": share}, indent=1))
    else:
        click.echo(
            f"{out}: {share:.4%} of pixels equal in onnxruntime and torch over {steps} steps at batch {lanes}"
        )
