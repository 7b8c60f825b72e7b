"""Policies: what a command line names plays, and what is none says what is."""

import pytest

from atari_dream.cli import policies
from atari_dream.cli.policies import make_player
from atari_dream.errors import UsageError
from atari_dream.players import RandomPlayer, TurnsPlayer


def test_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_single", lambda name, game: (name, game))
    assert make_player("random", "pacman") == ("random", "pacman")
    assert make_player("runs/lr=1,x/a.zip", "qbert") == ("runs/lr=1,x/a.zip", "qbert")
    mixed = make_player("random=1,a=b/weak.zip=2.5", "qbert")
    assert isinstance(mixed, TurnsPlayer)
    assert (mixed.players, mixed.weights) == ([("random", "qbert"), ("a=b/weak.zip", "qbert")], [1.0, 2.5])


def test_random_is_random() -> None:
    assert make_player("random", "pacman") == RandomPlayer()
    assert make_player("random=2", "pacman") == TurnsPlayer([RandomPlayer()], [2.0])


@pytest.mark.parametrize(
    "policy", ["best", "random=0", "random=-1", "random=nan", "random=1,other=2", "random,", ""]
)
def test_what_is_no_policy_tells_what_is(policy: str) -> None:
    with pytest.raises(UsageError, match=r"--policy: .* such as --policy random=1,PATH\.zip=3"):
        make_player(policy, "pacman")


def test_a_missing_agent_tells_how_to_train_one() -> None:
    with pytest.raises(
        UsageError, match=r"no agent at nowhere\.zip: train one with `atari-dream agent train"
    ):
        make_player("nowhere.zip", "pacman")
