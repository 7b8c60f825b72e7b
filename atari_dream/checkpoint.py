"""Checkpoints: a folder with `weights.safetensors`, `config.json` and `metrics.json`, refused once tampered with."""

import copy
import importlib.metadata
import platform
import subprocess
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from atari_dream.bundled import bundled_checkpoint
from atari_dream.doubt import Doubt, load_doubt
from atari_dream.eight_bits import packed, unpacked
from atari_dream.errors import UsageError, unknown
from atari_dream.files import FORMAT, read_json, sha256, whole, write_json
from atari_dream.games import FRAME_SKIP, get_game
from atari_dream.predictor import Domain, Predictor
from atari_dream.registry import create_model, list_models, model_class
from atari_dream.starts import StartPool

FLOORS = ("copy_last", "background")
CONTROLS = ("emulator", *FLOORS)


class Loaded(NamedTuple):
    """A predictor ready to dream, the name and revision it goes by, and the doubt calibrated for it, if it was."""

    predictor: Predictor
    name: str
    revision: str
    doubt: Doubt | None = None


def save_checkpoint(
    path: Path,
    predictor: Predictor,
    model: str,
    config: dict[str, Any],
    metrics: dict[str, Any],
    data: str,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: Its folder.
        predictor: The model.
        model: Its name in the registry.
        config: What it was built with beyond its domain.
        metrics: What is known of its quality and its training.
        data: Hash of the store it learnt from.
        dtype: Type of the stored parameters, floating-point or int8, as `eight_bits` has it; buffers keep theirs.
    """
    parameters = dict(predictor.named_parameters())
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in predictor.state_dict().items():
        kept = tensor.to("cpu").contiguous()
        if name not in parameters:
            tensors[name] = kept
        elif dtype == torch.int8:
            tensors |= packed(name, kept)
        else:
            tensors[name] = kept.to(dtype)
    with whole(path) as fresh:
        fresh.mkdir()
        save_file(tensors, fresh / "weights.safetensors")
        description = {
            "format": FORMAT,
            "model": model,
            "domain": asdict(predictor.domain),
            "config": config,
            "frame_skip": predictor.domain.frame_skip,
            "actions": list(get_game(predictor.domain.game).actions),
            "weights_sha256": sha256(fresh / "weights.safetensors"),
            "data_sha256": data,
            "versions": versions(),
            "commit": commit(),
        }
        write_json(fresh / "config.json", description)
        write_json(fresh / "metrics.json", metrics)


def load_checkpoint(path: Path, device: str | torch.device = "cpu") -> Predictor:
    """Builds a predictor from a checkpoint, in float32 and ready to dream.

    Raises:
        UsageError: If the folder is no checkpoint, its weights were changed, or they do not fit the model.
    """
    description = read_json(path / "config.json", "checkpoint")
    weights = path / "weights.safetensors"
    if not weights.is_file() or sha256(weights) != description["weights_sha256"]:
        raise UsageError(
            f"checkpoint {path} is refused: {weights.name} is missing or not what config.json was written for"
        )
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in description["domain"].items()
    }
    predictor = create_model(description["model"], Domain(**fields), **description["config"])
    try:
        predictor.load_state_dict(unpacked(load_file(weights)))
    except RuntimeError as error:
        raise UsageError(f"checkpoint {path} does not fit model {description['model']!r}: {error}") from None
    predictor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return predictor.to(device).eval().requires_grad_(False)


def open_predictor(
    checkpoint: str | None, pool: StartPool, device: str | torch.device = "cpu", memory: bool = False
) -> Loaded:
    """Opens what the keyword `checkpoint` names: bundled weights, a checkpoint folder or a control.

    Args:
        checkpoint: `None` or `"bundled"`, `"bundled@r1"`, a folder, or one of `CONTROLS`.
        pool: The starts it will dream from; game and frame skip must agree, the context must suffice.
        device: Where it dreams.
        memory: Whether its dreams begin from the console's memory at a start instead of what they read off frames.

    Raises:
        UsageError: If there is no such checkpoint, it does not fit the pool, or it keeps no memory.
    """
    name = checkpoint or "bundled"
    loaded = _open(name, pool, torch.device(device))
    if memory:
        loaded = from_memory(loaded)
    domain, wanted = loaded.predictor.domain, (pool.game, pool.frame_skip)
    if (domain.game, domain.frame_skip) != wanted:
        raise UsageError(
            f"checkpoint {name!r} is of game {domain.game!r} at frame skip {domain.frame_skip}; "
            f"the starts {pool.name} are of {wanted[0]!r} at {wanted[1]}"
        )
    if loaded.predictor.context > pool.context:
        raise UsageError(
            f"checkpoint {name!r} needs {loaded.predictor.context} context steps, a start holds {pool.context}"
        )
    return loaded


def from_memory(loaded: Loaded) -> Loaded:
    """The same weights, whose dreams begin from the console's memory; what was calibrated for reading does not hold.

    Raises:
        UsageError: If they keep no memory.
    """
    if not loaded.predictor.keeps_memory:
        able = [name for name in list_models() if model_class(name).keeps_memory]
        raise UsageError(
            f"checkpoint {loaded.name!r} keeps no memory of the console to begin from: leave out memory, or take one "
            f"of {', '.join(able)}, as the newest bundled weights are"
        )
    told = copy.copy(loaded.predictor)
    told.from_memory = True
    return Loaded(told, f"{loaded.name}:memory", loaded.revision)


def frame_skip_of(checkpoint: str | None, game: str) -> int:
    """Frame skip that a checkpoint, as for `open_predictor`, was trained at; ALE's own for a control."""
    if checkpoint in CONTROLS:
        return FRAME_SKIP
    path = checkpoint_folder(checkpoint, game)
    return int(read_json(path / "config.json", "checkpoint")["frame_skip"])


def checkpoint_folder(checkpoint: str | None, game: str) -> Path:
    """Folder of a checkpoint, as for `open_predictor`, that is no control.

    Raises:
        UsageError: If no such weights are bundled.
    """
    name = checkpoint or "bundled"
    return bundled_checkpoint(game, name) if name.partition("@")[0] == "bundled" else Path(name)


def _open(name: str, pool: StartPool, device: torch.device) -> Loaded:
    if name in CONTROLS:
        return Loaded(_control(name, pool).to(device).eval(), name, name)
    path = checkpoint_folder(name, pool.game)
    if name.partition("@")[0] == "bundled":
        stamp = _stamp(path)
        return Loaded(_cached(path, stamp, device), name, path.name, load_doubt(path, stamp))
    if not (path / "config.json").is_file():
        if name in list_models():
            raise UsageError(
                f"{name!r} is a model, not a checkpoint: train it first with `atari-dream train --model {name}`"
            )
        raise unknown("checkpoint", name, ("bundled", *CONTROLS, "a checkpoint folder"))
    stamp = _stamp(path)
    return Loaded(_cached(path, stamp, device), path.resolve().name, stamp[:12], load_doubt(path, stamp))


def _control(name: str, pool: StartPool) -> Predictor:
    config = {"usual": torch.from_numpy(pool.usual)} if name == "background" else {}
    return model_class(name)(Domain(pool.game, pool.frame_skip), **config)


def _stamp(path: Path) -> str:
    return str(read_json(path / "config.json", "checkpoint")["weights_sha256"])


@cache
def _cached(path: Path, stamp: str, device: torch.device) -> Predictor:
    """Environments of one process share loaded weights; the hash in the key notices a changed folder."""
    return load_checkpoint(path, device)


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("atari-dream", "ale-py", "gymnasium", "numpy", "stable-baselines3", "torch")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Commit of the checkout that this package runs from, if it is one."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except OSError:
        return None
    return asked.stdout.strip() or None
