"""A card says what a checkpoint is worth, and what it ships with can be measured again."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import make_checkpoint

from atari_dream.bundled import ROOT, bundled_pool
from atari_dream.certificate import kind
from atari_dream.cli import run
from atari_dream.doubt import Doubt
from atari_dream.drift import measure
from atari_dream.drift_card import MEASURED
from atari_dream.episodes import EpisodeStore
from atari_dream.files import read_json, write_json
from atari_dream.metrics import FRAME_SUMS
from atari_dream.protocol import Protocol, open_entries

pytestmark = pytest.mark.slow

STARTS, STEPS = 8, 5
ELSEWHERE = 0.2
"""How far the sums of eight starts may be off, as a share, on a computer of another kind."""
METRICS = {
    "step": 1234,
    "minutes": 5.0,
    "validation": {"wrong_moving": 0.25},
    "training": {
        "batch": 8,
        "context": 4,
        "horizon": 6,
        "precision": "32-true",
        "device": "cpu",
        "init": None,
    },
}


def call(capsys: pytest.CaptureFixture[str], words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        run(words.split())
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out + told.err


@pytest.fixture(scope="module")
def checkpoint(store: EpisodeStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(make_checkpoint(tmp_path_factory.mktemp("carded") / "tiny", store))
    write_json(folder / "metrics.json", METRICS)
    return folder


@pytest.fixture(scope="module")
def drift(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drift")
    counts = "--starts 4 --horizon 6 --control 0 --long 0 --workers 0 --device cpu"
    with pytest.raises(SystemExit, match="0"):
        run(f"drift --game pacman --checkpoint {checkpoint} {counts} --out {out}".split())
    return out


def test_the_card_and_what_it_ships_with(
    checkpoint: Path, drift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = Path(shutil.copytree(checkpoint, tmp_path / "tiny")), tmp_path / "cards" / "card.md"
    weights = read_json(folder / "config.json", "checkpoint")["weights_sha256"]
    level = {
        "coverage": 0.95,
        "coverage_ci95": [0.93, 0.97],
        "starts": 500,
        "median_step": 9,
        "median_bound": 7,
    }
    Doubt(0.1, 50, 3, torch.tensor([1])).save(folder, weights, {"test": level})
    code, _ = call(capsys, f"card --game pacman --checkpoint {folder} --drift {drift} --out {page}")
    text = page.read_text()
    assert code == 0 and "# AtariDream-Pacman-v0, tiny: drift card" in text
    assert "1,234 updates of 8 windows of 4 + 6 steps, 5 minutes, 32-true on cpu." in text
    assert "`max_doubt=0.05` stops in time in 95.0% [93.0%, 97.0%] of 500 starts, at step 7" in text
    assert "| Share of wrong moving pixels (`wrong_moving`) | step 1 | step 5 |" in text
    assert "| measure | not better than both floors at step |" in text and "`emulator`" not in text
    for rank in ("median", "worst"):
        assert cv2.imread(str(page.with_name(f"card-{rank}.png"))).shape[1] > 600
        assert page.with_name(f"card-{rank}.gif").read_bytes()[:3] == b"GIF" and f"(card-{rank}.gif)" in text
    assert (folder / "per_start.npz").read_bytes() == (drift / "per_start.npz").read_bytes()
    kept, made = (read_json(place / "drift.json", "drift measurement") for place in (folder, drift))
    assert kept == made | {"kind": kind()}


def test_a_measurement_of_another_checkpoint_is_refused(
    checkpoint: Path, drift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    code, told = call(
        capsys, f"card --game pacman --checkpoint {other} --drift {drift} --out {tmp_path / 'c.md'}"
    )
    assert code == 2 and "is not of 'other', but of tiny, tiny:mode" in told
    assert not (tmp_path / "c.md").exists() and not (Path(other) / "drift.json").exists()


@pytest.mark.parametrize(
    "weights", sorted(ROOT.glob("*/weights/r*/per_start.npz")), ids=lambda path: str(path.parent)
)
def test_what_bundled_weights_ship_with_comes_out_again(weights: Path, tmp_path: Path) -> None:
    game, revision = weights.parts[-4], weights.parent.name
    told = read_json(weights.with_name(MEASURED[0]), "drift measurement")
    pool, name = bundled_pool(game), f"bundled@{revision}"
    protocol = Protocol.of(pool, STARTS, STEPS, told["protocol"]["seed"], told["protocol"]["actions"])
    found: dict[str, Any] = measure(protocol, pool, open_entries([name], pool), 0, cache=tmp_path).starts[
        name
    ]
    with np.load(weights, allow_pickle=False) as kept:
        starts = [
            pool.entries[start]["id"] for start in pool.sample(STARTS, told["protocol"]["seed"]).tolist()
        ]
        assert kept["starts"][:STARTS].tolist() == starts
        for key in (*FRAME_SUMS, "reward_right", "score_off", "end_right"):  # the others look further ahead
            values, expected = found[key], kept[f"{name}/starts/{key}"][:STARTS, :STEPS]
            if told["kind"] == kind():
                np.testing.assert_array_equal(values, expected, err_msg=key)
            else:
                assert abs(values.sum() - expected.sum()) <= ELSEWHERE * abs(expected.sum()) + STARTS, key
