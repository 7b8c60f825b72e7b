"""The commands of `atari-dream`, one file each, imported when called.

A command's file holds a click command of the command's name, with an example in its help. A `UsageError` or a bad
option ends with exit code 2 and one line.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from atari_dream.errors import UsageError

COMMANDS = {
    "record": "Play the emulator and write episodes with ALE states.",
    "download": "Fetch human replays of the Atari Grand Challenge.",
    "ingest": "Read human replays into a store.",
    "export": "Write a store as replays or for Minari.",
    "lift": "Find the emulator states of human replays.",
    "starts": "Make a start pool from a store.",
    "train": "Learn a predictor from a store.",
    "dream": "Draw a rollout: real game, dream, difference.",
    "drift": "Measure the drift from the emulator.",
    "doubt": "Calibrate how far dreams can be trusted.",
    "card": "Write a page of what a checkpoint is worth.",
    "speed": "Time agent steps beside the emulator.",
    "onnx": "Write a checkpoint as ONNX.",
    "agent": "Train and evaluate stable-baselines3 agents.",
    "verify": "Replay rollouts of the bundled weights, compare.",
    "models": "List every predictor.",
}


class _Commands(click.Group):
    """Imports a command's file when it is called: `--help` alone stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command = getattr(import_module(f"atari_dream.cli.{cmd_name}"), cmd_name)
            assert isinstance(command, click.Command)
            return command
        close = get_close_matches(cmd_name, COMMANDS, n=1)
        hint = f"; nearest is {close[0]!r}" if close else ""
        raise UsageError(f"unknown command {cmd_name!r}: allowed are {', '.join(COMMANDS)}{hint}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="atari-dream")
def cli() -> None:
    """Learnt Atari games as Gymnasium environments, with their drift measured.

    Example: atari-dream dream --game pacman --out out/pacman.gif
    """


def run(arguments: list[str] | None = None) -> Any:
    """Runs a command line and ends the process: 0 done, 2 bad usage, 130 interrupted."""
    try:
        sys.exit(cli(arguments, prog_name="atari-dream", standalone_mode=False) or 0)
    except UsageError as error:
        sys.exit(_fail(str(error)))
    except click.ClickException as error:
        sys.exit(_fail(error.format_message()))
    except (click.Abort, KeyboardInterrupt):
        click.echo("atari-dream: interrupted", err=True)
        sys.exit(130)


def _fail(message: str) -> int:
    click.echo(f"atari-dream: {' '.join(message.split())}", err=True)
    return 2
