"""What is written as ONNX dreams the same in onnxruntime, or is not written."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import make_checkpoint

from atari_dream import onnx_export
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import load_checkpoint, open_predictor
from atari_dream.cli import run
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import read_json
from atari_dream.onnx_export import export_onnx
from atari_dream.predictor import Predictor
from atari_dream.starts import StartPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool() -> StartPool:
    return bundled_pool("pacman")


@pytest.fixture(scope="module")
def tiny(store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load_checkpoint(Path(make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", store)))


def test_it_says_what_goes_in_and_out(tiny: Predictor, pool: StartPool, tmp_path: Path) -> None:
    assert export_onnx(tiny, pool, tmp_path / "out", lanes=2, steps=4) == 1.0
    told = read_json(tmp_path / "out" / "onnx.json", "export")
    assert told["lanes"] == 2 and told["noise"]["terminated"] == {"kind": "gumbel", "shape": [2]}
    for name in ("init", "step"):
        session = onnxruntime.InferenceSession(tmp_path / "out" / f"{name}.onnx")
        assert [one.name for one in session.get_inputs()] == told[name]["inputs"]
        assert [one.name for one in session.get_outputs()] == told[name]["outputs"]


def test_the_bundled_weights_dream_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(["onnx", "--game", "pacman", "--out", str(tmp_path / "out"), "--steps", "8"])
    told = capsys.readouterr()
    assert "100.0000% of pixels equal in onnxruntime and torch over 8 steps at batch 1" in told.out
    assert not told.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"init.onnx", "onnx.json", "step.onnx"}


def test_what_dreams_otherwise_is_not_written(
    tiny: Predictor, pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_session = onnx_export._run

    def spoil(session: object, given: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        told = run_session(session, given)
        return [*told[:-1], told[-1] + 2]

    monkeypatch.setattr(onnx_export, "_run", spoil)
    with pytest.raises(
        UsageError, match=r"onnxruntime dreams otherwise: .*% of pixels are equal, 99\.9% are needed"
    ):
        export_onnx(tiny, pool, tmp_path / "out", steps=2)
    assert not list(tmp_path.iterdir())


def test_the_real_game_cannot_be_written(pool: StartPool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be exported: it plays the real game"):
        export_onnx(open_predictor("emulator", pool).predictor, pool, tmp_path / "out")


def test_without_the_extra_it_says_which(
    tiny: Predictor, pool: StartPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name == "onnxruntime" else np)
    with pytest.raises(UsageError, match=r"ONNX needs onnxruntime: pip install 'atari-dream\[onnx\]'"):
        export_onnx(tiny, pool, tmp_path / "out")
