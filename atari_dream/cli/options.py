"""Options that several commands share."""

from typing import Any

import click
from click.core import ParameterSource

from atari_dream.errors import UsageError
from atari_dream.games import get_game


class GameName(click.ParamType):
    """A game's name; the error names the nearest."""

    name = "game"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the name."""
        return get_game(value).name


game_option = click.option(
    "--game", type=GameName(), required=True, help="pacman, pinball, qbert, revenge or space_invaders."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Seed of everything drawn at random."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def refuse_options(names: tuple[str, ...], other: str) -> None:
    """Refuses options of the running command that say nothing beside another.

    Raises:
        UsageError: If one of them was given.
    """
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option.opts[0]} does not go with {other}: leave one of them out")
