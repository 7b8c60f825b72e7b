"""A checkpoint comes back as it was, and what was changed or does not fit is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atari_dream import bundled, dream, noise
from atari_dream.checkpoint import (
    CONTROLS,
    commit,
    frame_skip_of,
    load_checkpoint,
    open_predictor,
    save_checkpoint,
    versions,
)
from atari_dream.errors import UsageError
from atari_dream.predictor import Domain, Predictor
from atari_dream.registry import create_model
from atari_dream.starts import StartPool

DOMAIN = Domain("pacman", 4, colours=(0, 24, 42, 74, 144), rewards=(0.0, 10.0, 50.0))


def fresh(domain: Domain = DOMAIN, **config: Any) -> Predictor:
    torch.manual_seed(0)
    predictor = create_model("tiny", domain, **config).requires_grad_(False).eval()
    for parameter in predictor.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return predictor.to(memory_format=torch.channels_last)


def save(path: Path, predictor: Predictor, config: dict[str, Any] | None = None, **options: Any) -> Path:
    save_checkpoint(path, predictor, "tiny", config or {}, {"score": 1.5}, "d" * 64, **options)
    return path


def edit(path: Path, **changes: Any) -> None:
    told = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**told, **changes}))


def rollout(predictor: Predictor, pool: StartPool) -> list[torch.Tensor]:
    start, parts = pool.batch(np.arange(4)), []
    state = dream.init(predictor, start, noise.key_of(torch.arange(4)))
    for step in range(6):
        state, outcome = dream.step(predictor, state, start.actions[:, step])
        parts += [dream.decode(predictor, state).indices(), *outcome]
    return parts


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(tmp_path / "saved", fresh())


def test_a_loaded_predictor_dreams_the_same(saved: Path, pool: StartPool) -> None:
    expected = rollout(fresh(), pool)
    for loaded in (load_checkpoint(saved), open_predictor(str(saved), pool).predictor):
        for one, other in zip(rollout(loaded, pool), expected, strict=True):
            assert torch.equal(one, other)
        assert not loaded.training and not any(part.requires_grad for part in loaded.parameters())
    assert len({tuple(part.flatten().tolist()) for part in expected[1::4]}) > 1


def test_what_is_in_the_folder(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"weights.safetensors", "config.json", "metrics.json"}
    told = json.loads((saved / "config.json").read_text())
    assert told["format"] == 1 and told["model"] == "tiny" and told["frame_skip"] == 4
    assert told["domain"]["game"] == "pacman" and told["data_sha256"] == "d" * 64
    assert told["versions"] == versions() and "torch" in told["versions"]
    assert told["commit"] == commit()
    assert json.loads((saved / "metrics.json").read_text()) == {"score": 1.5}


def test_its_configuration_and_domain_come_back(tmp_path: Path) -> None:
    domain = Domain("qbert", 2, (0, 8), (0.0, 25.0))
    loaded = load_checkpoint(save(tmp_path / "a", fresh(domain, channels=7), {"channels": 7}))
    assert loaded.domain == domain
    assert loaded.act.table.shape == (2, 18, 7)  # type: ignore[union-attr]


def test_parameters_can_be_stored_at_half_the_size_and_buffers_stay(tmp_path: Path) -> None:
    path = save(tmp_path / "half", fresh(), dtype=torch.bfloat16)
    whole = save(tmp_path / "whole", fresh())
    saved = sum(parameter.numel() for parameter in fresh().parameters()) * 2
    sizes = [(folder / "weights.safetensors").stat().st_size for folder in (path, whole)]
    assert sizes[1] - sizes[0] == pytest.approx(saved, rel=0.05)
    parameters = dict(fresh().named_parameters())
    for name, tensor in load_checkpoint(path).state_dict().items():
        expected = fresh().state_dict()[name]
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected.bfloat16().float() if name in parameters else expected)


def test_matrices_can_be_stored_in_eight_bits_and_come_back_within_half_a_step(tmp_path: Path) -> None:
    paths = [save(tmp_path / str(dtype), fresh(), dtype=dtype) for dtype in (torch.int8, torch.float16)]
    small, half = ((path / "weights.safetensors").stat().st_size for path in paths)
    assert small < half
    parameters, loaded = dict(fresh().named_parameters()), load_checkpoint(paths[0])
    for name, tensor in loaded.state_dict().items():
        expected = fresh().state_dict()[name]
        assert tensor.dtype == expected.dtype and tensor.shape == expected.shape
        if name not in parameters:
            assert torch.equal(tensor, expected)
        elif tensor.ndim > 1:
            step = expected.flatten(1).abs().amax(1) / 127
            assert ((tensor - expected).flatten(1).abs() <= 0.56 * step[:, None] + 1e-7).all()
            assert not torch.equal(tensor, expected)
        else:
            assert torch.equal(tensor, expected.half().float())


def test_what_is_saved_again_takes_the_old_ones_place(saved: Path, pool: StartPool) -> None:
    first = open_predictor(str(saved), pool)
    assert open_predictor(str(saved), pool).predictor is first.predictor
    other = fresh()
    torch.nn.init.zeros_(next(other.parameters()))
    second = open_predictor(str(save(saved, other)), pool)
    assert (first.name, second.name) == ("saved", "saved") and first.revision != second.revision
    assert not next(second.predictor.parameters()).any() and next(first.predictor.parameters()).any()


@pytest.mark.slow
def test_two_processes_share_a_checkpoint() -> None:
    """Both at once, beside this one."""
    folder = bundled.bundled_checkpoint("pacman")
    code = (
        "import sys; from pathlib import Path; from atari_dream.checkpoint import load_checkpoint; "
        "parts = load_checkpoint(Path(sys.argv[1])).state_dict().values(); "
        "print(sum(part.double().sum().item() for part in parts))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
        )
        for _ in range(2)
    ]
    mine = sum(part.double().sum().item() for part in load_checkpoint(folder).state_dict().values())
    assert [float(process.communicate()[0]) for process in running] == [mine, mine]


@pytest.mark.parametrize("place", [0, 200, -1])
def test_tampered_weights_are_refused(saved: Path, place: int) -> None:
    file = saved / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(UsageError, match=r"checkpoint .*saved is refused: weights\.safetensors"):
        load_checkpoint(saved)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_truncated_weights_are_refused(saved: Path, pool: StartPool, keep: int) -> None:
    file = saved / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UsageError, match="is refused"):
        open_predictor(str(saved), pool)


def test_missing_weights_are_refused(saved: Path) -> None:
    (saved / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match="is refused"):
        load_checkpoint(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    edit(saved, config={"channels": 5})
    with pytest.raises(UsageError, match=r"checkpoint .*saved does not fit model 'tiny'"):
        load_checkpoint(saved)


def test_a_higher_format_is_refused_with_the_upgrade_command(saved: Path, pool: StartPool) -> None:
    edit(saved, format=2)
    with pytest.raises(UsageError, match=r"checkpoint .* format 2.*pip install --upgrade atari-dream"):
        open_predictor(str(saved), pool)


def test_an_unknown_model_is_refused(saved: Path) -> None:
    edit(saved, model="tinny")
    with pytest.raises(UsageError, match=r"unknown model 'tinny': .*nearest is 'tiny'"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("domain", "told"),
    [(Domain("pacman", 2), "'pacman' at frame skip 2"), (Domain("qbert", 4), "'qbert' at frame skip 4")],
)
def test_another_game_or_frame_skip_is_refused(
    tmp_path: Path, pool: StartPool, domain: Domain, told: str
) -> None:
    path = save(tmp_path / "other", fresh(domain))
    with pytest.raises(UsageError, match=rf"is of game {told}; the starts .* are of 'pacman' at 4"):
        open_predictor(str(path), pool)


def test_more_context_than_a_start_holds_is_refused(
    saved: Path, pool: StartPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(fresh()), "context", 17)
    with pytest.raises(UsageError, match="needs 17 context steps, a start holds 16"):
        open_predictor(str(saved), pool)


def test_no_checkpoint_tells_what_is_allowed(pool: StartPool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown checkpoint .*nowhere': allowed are bundled, "):
        open_predictor(str(tmp_path / "nowhere"), pool)
    with pytest.raises(UsageError, match="'tiny' is a model, not a checkpoint: train it first"):
        open_predictor("tiny", pool)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_are_opened_by_name(name: str, pool: StartPool) -> None:
    loaded = open_predictor(name, pool)
    assert (loaded.name, loaded.revision) == (name, name)
    assert loaded.predictor.domain == Domain("pacman", 4)
    if name == "background":
        assert np.array_equal(loaded.predictor.usual, pool.usual)  # type: ignore[arg-type]


def test_frame_skips_are_told(saved: Path, tmp_path: Path) -> None:
    assert frame_skip_of(str(saved), "pacman") == frame_skip_of("emulator", "pacman") == 4
    assert frame_skip_of(str(save(tmp_path / "two", fresh(Domain("pacman", 2)))), "pacman") == 2


def test_bundled_weights_are_the_newest_or_the_pinned(
    saved: Path, tmp_path: Path, pool: StartPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "ROOT", tmp_path / "bundled")
    with pytest.raises(
        UsageError, match="no weights are bundled for game 'pacman': train some with `atari-dream"
    ):
        open_predictor(None, pool)
    for revision in ("r1", "r2", "r10"):
        shutil.copytree(saved, tmp_path / "bundled" / "pacman" / "weights" / revision)
    assert open_predictor(None, pool)[1:3] == open_predictor("bundled", pool)[1:3] == ("bundled", "r10")
    assert open_predictor("bundled@r2", pool)[1:3] == ("bundled@r2", "r2")
    with pytest.raises(UsageError, match="have no revision 'r3': allowed are r1, r2, r10"):
        open_predictor("bundled@r3", pool)


def test_only_what_keeps_memory_can_begin_from_it(saved: Path, pool: StartPool) -> None:
    loaded = open_predictor(None, pool, memory=True)
    assert loaded.name == "bundled:memory" and loaded.predictor.from_memory and loaded.doubt is None
    assert not open_predictor(None, pool).predictor.from_memory
    for name in (str(saved), "copy_last", "emulator"):
        with pytest.raises(UsageError, match=r"keeps no memory of the console .* one of console") as caught:
            open_predictor(name, pool, memory=True)
        assert "\n" not in str(caught.value)
