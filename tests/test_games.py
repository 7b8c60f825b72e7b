"""The table of games is the contract's, and agrees with ALE."""

from collections.abc import Iterator

import ale_py
import gymnasium
import pytest

import atari_dream
from atari_dream.emulator import Emulator, rom_path
from atari_dream.errors import UsageError
from atari_dream.games import ACTION_NAMES, GAMES, Game, add_game, get_game

CONTRACT = {
    "pacman": ("AtariDream-Pacman-v0", "ALE/MsPacman-v5", "ms_pacman", "mspacman", 9),
    "pinball": ("AtariDream-Pinball-v0", "ALE/VideoPinball-v5", "video_pinball", "pinball", 9),
    "qbert": ("AtariDream-Qbert-v0", "ALE/Qbert-v5", "qbert", "qbert", 6),
    "revenge": ("AtariDream-Revenge-v0", "ALE/MontezumaRevenge-v5", "montezuma_revenge", "revenge", 18),
    "space_invaders": (
        "AtariDream-SpaceInvaders-v0",
        "ALE/SpaceInvaders-v5",
        "space_invaders",
        "spaceinvaders",
        6,
    ),
}
BREAKOUT = Game("breakout", "Breakout", "ALE/Breakout-v5", "breakout", (0, 1, 3, 4))


@pytest.fixture
def breakout() -> Iterator[Game]:
    yield atari_dream.register_game(BREAKOUT)
    del GAMES[BREAKOUT.name], gymnasium.registry[BREAKOUT.env_id]


def test_the_table_is_the_contracts() -> None:
    table = {
        game.name: (game.env_id, game.twin, game.rom, game.agc, len(game.actions)) for game in GAMES.values()
    }
    assert table == CONTRACT


@pytest.mark.parametrize("name", CONTRACT)
def test_actions_and_rom_are_ales(name: str) -> None:
    game = GAMES[name]
    assert rom_path(game.rom).is_file()
    assert game.actions == tuple(int(action.value) for action in Emulator(name)._ale.getMinimalActionSet())


@pytest.mark.parametrize("name", CONTRACT)
def test_the_twin_is_the_same_game(name: str) -> None:
    gymnasium.register_envs(ale_py)
    game, spec = GAMES[name], gymnasium.spec(GAMES[name].twin)
    assert spec.kwargs["game"] == game.rom
    assert spec.kwargs["frameskip"] == 4


def test_action_names_are_ales() -> None:
    assert (
        tuple(action.name for action in sorted(ale_py.Action, key=lambda action: action.value))[:18]
        == ACTION_NAMES
    )


def test_every_game_is_registered_by_string() -> None:
    for game in GAMES.values():
        spec = gymnasium.spec(game.env_id)
        assert (spec.entry_point, spec.vector_entry_point) == (
            "atari_dream.envs:DreamEnv",
            "atari_dream.envs:DreamVectorEnv",
        )
        assert spec.max_episode_steps is None and not spec.order_enforce


def test_a_game_is_found_by_name_id_or_itself() -> None:
    pacman = GAMES["pacman"]
    assert get_game("pacman") is get_game("AtariDream-Pacman-v0") is get_game(pacman) is pacman


def test_an_unknown_game_names_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"unknown game 'packman': allowed are pacman, .*nearest is 'pacman'"
    ):
        get_game("packman")


def test_one_declaration_adds_a_game(breakout: Game) -> None:
    assert get_game("breakout") is breakout
    assert gymnasium.spec("AtariDream-Breakout-v0").kwargs == {"game": "breakout"}
    emulator = Emulator("breakout")
    emulator.step([1, 1, 3, 3])
    assert emulator.frame.any()


@pytest.mark.parametrize("actions", [(0, 0), (0, 18), (-1,)])
def test_actions_that_are_not_distinct_codes_are_refused(actions: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="distinct codes 0-17"):
        add_game(Game("bad", "Bad", "ALE/Bad-v5", "bad", actions))
    assert "bad" not in GAMES


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_every_action_has_one_in_the_minimal_set(game: Game) -> None:
    assert all(game.minimal(code) in game.actions for code in range(18))
    assert all(game.minimal(code) == code for code in game.actions)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("pacman", "RIGHTFIRE", "RIGHT"),
        ("pacman", "UPLEFTFIRE", "UPLEFT"),
        ("pacman", "FIRE", "NOOP"),
        ("space_invaders", "UPRIGHTFIRE", "RIGHTFIRE"),
        ("space_invaders", "DOWN", "NOOP"),
        ("qbert", "DOWNFIRE", "DOWN"),
        ("qbert", "UPRIGHT", "NOOP"),
        ("pinball", "UPLEFTFIRE", "FIRE"),
    ],
)
def test_the_direction_is_kept(name: str, given: str, expected: str) -> None:
    code = GAMES[name].minimal(ACTION_NAMES.index(given))
    assert ACTION_NAMES[code] == expected
