"""`atari-dream models`: every predictor, one line each."""

import json

import click

from atari_dream.cli.options import json_option
from atari_dream.registry import list_models, model_class


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List every predictor, one line each.

    Example: atari-dream models
    """
    rows = [
        {"name": name, "kind": "model" if model_class(name).trainable else "control", "about": _about(name)}
        for name in list_models()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo("{name:<16} {kind:<8} {about}".format(**row))


def _about(name: str) -> str:
    return (model_class(name).__doc__ or "").strip().split("\n")[0]
