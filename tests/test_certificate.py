"""Certificates hold where nothing has changed, and only there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_checkpoint
from torch import Tensor

from atari_dream import certificate
from atari_dream.bundled import bundled_pool, revisions
from atari_dream.certificate import FORCED, FREE, STARTS, forced, kind, verify, write_certificate
from atari_dream.checkpoint import load_checkpoint
from atari_dream.cli import run
from atari_dream.cli import verify as command
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import read_json, write_json
from atari_dream.games import GAMES
from atari_dream.models.copy_last import CopyLast
from atari_dream.predictor import Domain, Predictor, State
from atari_dream.starts import StartPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool() -> StartPool:
    return bundled_pool("pacman")


@pytest.fixture(scope="module")
def certified(store: EpisodeStore, pool: StartPool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with its certificate."""
    folder = Path(make_checkpoint(tmp_path_factory.mktemp("certified") / "tiny", store))
    write_certificate(folder, load_checkpoint(folder), pool)
    return folder


@pytest.fixture
def weights(certified: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(certified, tmp_path / "tiny"))


def turned(predictor: Predictor, by: float) -> Predictor:
    for parameter in predictor.parameters():
        parameter.add_(by * torch.randn_like(parameter))
    return predictor


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    other = kind() | {"instructions": "NEON"}
    monkeypatch.setattr(certificate, "kind", lambda: other)


def test_it_holds_where_it_was_made(weights: Path, pool: StartPool) -> None:
    verdict = verify(weights, load_checkpoint(weights), pool)
    assert verdict == (True, "frame hashes", f"{STARTS} of {STARTS} rollouts of {FREE} steps equal")


@pytest.mark.parametrize("abroad", [False, True])
def test_other_weights_do_not_hold(
    abroad: bool, weights: Path, pool: StartPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = turned(load_checkpoint(weights), 0.3)
    if abroad:
        elsewhere(monkeypatch)
    verdict = verify(weights, predictor, pool)
    assert not verdict.holds and verdict.how == ("teacher-forced frames" if abroad else "frame hashes")


def test_elsewhere_rounding_is_allowed(
    weights: Path, pool: StartPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch)
    verdict = verify(weights, turned(load_checkpoint(weights), 1e-6), pool)
    assert verdict.holds and "0.1% allowed (instructions NEON, not " in verdict.told


def test_each_forced_step_begins_from_the_real_frame(pool: StartPool) -> None:
    class Still(CopyLast):
        def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
            return frame.clone(), state[1]

    shown = forced(Still(Domain()), pool)
    assert shown.shape == (FORCED, STARTS, 210, 160)
    start = pool.batch(np.arange(STARTS)).frames[:, -1].numpy()
    np.testing.assert_array_equal(shown[0], start)
    assert (shown[1:] != start).any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("frames", "certificate.npz is missing or not what certificate.json was written for"),
        ("starts", "the certificate of .* is of other starts than "),
        ("none", "no certificate at .*: certificate.json is missing"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    change: str, told: str, weights: Path, pool: StartPool
) -> None:
    if change == "frames":
        (weights / "certificate.npz").write_bytes(b"none")
    elif change == "none":
        (weights / "certificate.json").unlink()
    else:
        facts = read_json(weights / "certificate.json", "certificate")
        write_json(weights / "certificate.json", {**facts, "starts": "0"})
    with pytest.raises(UsageError, match=told):
        verify(weights, load_checkpoint(weights), pool)


def test_the_bundled_weights_hold(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["verify", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert not ended.value.code and all(row["holds"] for row in rows)
    wanted = [(game, revision) for game in GAMES for revision in revisions(game)]
    assert [(row["game"], row["revision"]) for row in rows] == wanted
    assert {game for game, _ in wanted} == set(GAMES)


def test_the_command_tells_what_differs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = certificate.Verdict(False, "frame hashes", "7 of 8 rollouts of 32 steps equal")
    monkeypatch.setattr(command, "verify_weights", lambda *_: wrong)
    with pytest.raises(SystemExit) as ended:
        run(["verify", "--game", "pacman"])
    assert ended.value.code == 1
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(revisions("pacman"))
    assert told[0] == "pacman r1: DIFFERS, by frame hashes: 7 of 8 rollouts of 32 steps equal"
