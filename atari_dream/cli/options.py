"""Options that several commands share."""

from typing import Any

import click

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
