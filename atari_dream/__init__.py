"""AtariDream: learnt Atari games as Gymnasium environments, their drift from the real emulator measured.

Importing it registers `AtariDream-<Game>-v0` with Gymnasium, and imports neither torch nor stable-baselines3.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from atari_dream.games import GAMES, Game, add_game

if TYPE_CHECKING:
    from atari_dream.episode import Episode
    from atari_dream.episodes import EpisodeStore
    from atari_dream.registry import create_model, list_models, register_model

__version__ = "0.1.0"
__all__ = [
    "GAMES",
    "Episode",
    "EpisodeStore",
    "Game",
    "create_model",
    "list_models",
    "register_game",
    "register_model",
]

_LAZY = {
    "Episode": "episode",
    "EpisodeStore": "episodes",
    "create_model": "registry",
    "list_models": "registry",
    "register_model": "registry",
}

if not (
    Path(__file__).parent / "envs"
).is_dir():  # a bare checkout, where envs and agents lie beside this folder
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def register_game(game: Game) -> Game:
    """Adds an ALE game, with its environment id."""
    add_game(game)
    _register_env(game)
    return game


def _register_env(game: Game) -> None:
    gymnasium.register(
        game.env_id,
        entry_point="atari_dream.envs:DreamEnv",
        vector_entry_point="atari_dream.envs:DreamVectorEnv",
        order_enforce=False,
        kwargs={"game": game.name},
    )


for _game in GAMES.values():
    _register_env(_game)
