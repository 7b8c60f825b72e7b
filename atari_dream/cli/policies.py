"""Players as command lines name them."""

import math

from atari_dream.errors import UsageError
from atari_dream.games import get_game
from atari_dream.players import Player, RandomPlayer, TurnsPlayer


def make_player(policy: str, game: str) -> Player:
    """Makes the player that `--policy` names.

    Raises:
        UsageError: If it is neither a policy nor a mixture, or an agent does not fit the game.
    """
    if policy == "random" or policy.endswith(".zip"):
        return _single(policy, game)
    shares = dict(_share(part) for part in policy.split(","))
    return TurnsPlayer([_single(name, game) for name in shares], list(shares.values()))


def _single(name: str, game: str) -> Player:
    if name == "random":
        return RandomPlayer()
    from atari_dream.agents.loading import load_agent
    from atari_dream.agents.players import AgentPlayer

    load_agent(name, get_game(game))
    return AgentPlayer(name)


def _share(part: str) -> tuple[str, float]:
    name, _, weight = part.rpartition("=")
    try:
        share = float(weight)
    except ValueError:
        share = math.nan
    if not (name == "random" or name.endswith(".zip")) or not 0 < share < math.inf:
        raise UsageError(
            f"--policy: {part!r} is neither a policy nor a share: allowed are random, PATH.zip, and mixtures "
            "with weights above 0 such as --policy random=1,PATH.zip=3"
        )
    return name, share
