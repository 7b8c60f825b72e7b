"""Writes the file of one episode: a Zarr zip, compressed and chunked, that appears whole or not at all."""

import hashlib
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from atari_dream.episode import Ending, Episode, digest_of
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, whole
from atari_dream.games import HEIGHT, WIDTH

CHUNK = 16
"""Frames compressed together: near frames differ little, and a window decodes few it does not need."""


class EpisodeWriter:
    """Takes an episode's frames in blocks, then the rest; in memory is what is compressed, no more.

    Attributes:
        length: Frames taken so far.
    """

    def __init__(self) -> None:
        self.length = 0
        self._members: dict[str, Buffer] = {}
        store: Store = MemoryStore(self._members)
        self._group = zarr.create_group(store, attributes={"format": FORMAT})
        self._frames = self._create("frames", np.empty((0, HEIGHT, WIDTH), np.uint8))
        self._hash = hashlib.sha256()
        self._colours = np.zeros(256, bool)

    def add(self, frames: np.ndarray) -> None:
        """Takes the next frames, palette codes, uint8 (N, 210, 160); N is best a multiple of `CHUNK`."""
        self._frames.append(frames)
        self._hash.update(np.ascontiguousarray(frames).data)
        self._colours[frames] = True
        self.length += len(frames)

    def save(
        self,
        path: Path,
        actions: np.ndarray,
        rewards: np.ndarray,
        lives: np.ndarray | None,
        ending: Ending,
        meta: dict[str, Any],
        **arrays: np.ndarray | None,
    ) -> dict[str, Any]:
        """Writes the file, of the frames and of the other attributes of an `Episode`.

        Returns:
            The episode's entry in the index of a store.

        Raises:
            UsageError: If the arrays do not fit together, or the disk does not take them.
        """
        self._check(actions, rewards, lives)
        for name, array in {"actions": actions, "rewards": rewards, "lives": lives, **arrays}.items():
            if array is not None:
                self._create(name, array)
        with whole(path) as fresh, ZipFile(fresh, "w") as zipped:
            for name, buffer in self._members.items():
                zipped.writestr(name, buffer.to_bytes())
        return {
            **meta,
            "length": len(actions),
            "score": float(rewards.sum()),
            "ending": ending,
            "colours": np.flatnonzero(self._colours).tolist(),
            "rewards": np.unique(rewards).tolist(),
            "sha256": digest_of(self._hash, actions, rewards, lives, ending),
        }

    def _create(self, name: str, data: np.ndarray) -> "zarr.Array[Any]":
        chunks: tuple[int, ...] | Literal["auto"] = "auto" if data.ndim == 1 else (CHUNK, *data.shape[1:])
        codec = ZstdCodec(level=9, checksum=True)
        return self._group.create_array(name, data=data, chunks=chunks, compressors=codec)

    def _check(self, actions: np.ndarray, rewards: np.ndarray, lives: np.ndarray | None) -> None:
        steps = len(actions)
        shapes = {"frames": ((self.length,), (steps + 1,)), "rewards": (rewards.shape, (steps,))}
        if lives is not None:
            shapes["lives"] = (lives.shape, (steps + 1,))
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise UsageError(f"episode has {name} {found} for {steps} actions, expected {expected}")
        if steps and actions.max() > 17:
            raise UsageError(f"episode has an action {actions.max()}, allowed are ALE codes 0-17")


def write_episode(path: Path, episode: Episode) -> dict[str, Any]:
    """Writes one episode's file, whole or not at all.

    Returns:
        Its entry in the index of a store.
    """
    writer = EpisodeWriter()
    rest = dict(vars(episode))
    writer.add(rest.pop("frames"))
    return writer.save(path, **rest)
