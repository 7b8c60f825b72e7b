"""Cloned states as bytes and files, to be taken up by another process: no code is run by reading one."""

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from atari_dream.dream import DreamState
from atari_dream.envs.lanes import Lanes
from atari_dream.envs.shadow import Shadow
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, whole
from atari_dream.predictor import State

_OWN = [name for name in Lanes._fields if name not in ("dream", "shadow")]
_REAL = [name for name in Shadow._fields if name != "game"]
_FORMAT = "format"
_DIGEST = hashlib.sha256().digest_size


def state_to_bytes(state: Lanes) -> bytes:
    """A state that `clone_state` gave, as bytes."""
    tensors = {f"predictor.{place}": part for place, part in enumerate(state.dream.predictor)}
    if state.shadow:
        tensors |= {f"game.{place}": part for place, part in enumerate(state.shadow.game)}
        tensors |= {f"shadow.{name}": getattr(state.shadow, name) for name in _REAL}
    tensors |= {"dream.key": state.dream.key, "dream.t": state.dream.t}
    tensors |= {name: getattr(state, name) for name in _OWN}
    tensors[_FORMAT] = torch.tensor(FORMAT)
    payload = save({name: part.cpu().contiguous() for name, part in tensors.items()})
    return hashlib.sha256(payload).digest() + payload


def state_from_bytes(data: bytes) -> Lanes:
    """The state that `state_to_bytes` made bytes of, on the CPU; `restore_state` takes it to its device.

    Raises:
        UsageError: If it is no state, damaged, or of a later format.
    """
    digest, payload = data[:_DIGEST], data[_DIGEST:]
    try:
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError("its hash is another")
        tensors = load(payload)
        found = int(tensors.pop(_FORMAT))
        if found > FORMAT:
            raise UsageError(
                f"the state has format {found}, this version reads {FORMAT}: pip install --upgrade atari-dream"
            )
        predictor, game = _numbered(tensors, "predictor"), _numbered(tensors, "game")
        dreaming = DreamState(predictor, tensors.pop("dream.key"), tensors.pop("dream.t"))
        shadow = Shadow(game, *(tensors.pop(f"shadow.{name}") for name in _REAL)) if game else ()
        return Lanes(dream=dreaming, shadow=shadow, **tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise UsageError(f"these {len(data)} bytes are no state, or a damaged one ({told})") from None


def save_state(state: Lanes, path: str | os.PathLike[str]) -> None:
    """Writes a state, whole or not at all."""
    with whole(Path(path)) as fresh:
        fresh.write_bytes(state_to_bytes(state))


def load_state(path: str | os.PathLike[str]) -> Lanes:
    """Reads a state.

    Raises:
        UsageError: If there is no such file, or it is no state.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"no state at {file}: write one with save_state(env.unwrapped.clone_state(), path)")
    try:
        return state_from_bytes(file.read_bytes())
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def _numbered(tensors: dict[str, Tensor], name: str) -> State:
    """Takes the tensors `name.0`, `name.1`, ... out of a table."""
    count = sum(key.startswith(f"{name}.") for key in tensors)
    return tuple(tensors.pop(f"{name}.{place}") for place in range(count))
