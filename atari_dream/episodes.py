"""The store that keeps episodes: a folder of their files and an index.

A store is a folder: `index.json` with one entry an episode, and `episodes/<id>.zip`, a Zarr zip each. A file
appears whole or not at all, so a store that was interrupted is a smaller store.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import ZipStore

from atari_dream.episode import Episode
from atari_dream.episode_writer import write_episode
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, write_json

HELD_OUT = 0.1
"""Share of the episodes in the test split, and in the validation split."""
_ARRAYS = ("frames", "actions", "rewards", "lives", "prelude", "state_steps", "states")
_OPEN_EPISODES = 200


def assign_splits(entries: Sequence[dict[str, Any]]) -> None:
    """Gives each index entry without a split one, by the rank of its hash.

    Splits are by episode and, once given, stay. From three episodes up none is empty. Entries of one `group`, such as
    the parts of one game, count as one episode.
    """
    known = {_group(entry): entry["split"] for entry in entries if entry.get("split") is not None}
    ranks: dict[str, str] = {}
    for entry in entries:
        if _group(entry) not in known:
            ranks[_group(entry)] = min(entry["sha256"], ranks.get(_group(entry), entry["sha256"]))
    held = max(1, round(len(ranks) * HELD_OUT)) if len(ranks) >= 3 else 0
    for rank, group in enumerate(sorted(ranks, key=lambda name: ranks[name])):
        known[group] = "test" if rank < held else "validation" if rank < 2 * held else "train"
    for entry in entries:
        if entry.get("split") is None:
            entry["split"] = known[_group(entry)]


def _group(entry: dict[str, Any]) -> str:
    return str(entry.get("group") or entry["id"])


class EpisodeStore(Sequence[Episode]):
    """A folder of episodes, read lazily; memory does not grow with the store.

    Attributes:
        path: The folder.
        game: Name of the game.
        frame_skip: Emulator frames per action.
        entries: The index, one dict an episode: id, length, score, ending, split, sha256 and more.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        index = read_json(self.path / "index.json", "episode store")
        self.game: str = index["game"]
        self.frame_skip: int = index["frame_skip"]
        self.source: str = index["source"]
        self.entries: list[dict[str, Any]] = index["episodes"]
        self._open_splits = {entry["id"] for entry in self.entries if entry.get("split") is None}
        assign_splits(self.entries)
        self._open: OrderedDict[tuple[int, int], tuple[zarr.Group, dict[str, Any]]] = OrderedDict()

    @classmethod
    def create(cls, path: str | os.PathLike[str], game: str, frame_skip: int, source: str) -> "EpisodeStore":
        """Makes an empty store, or opens an equal one to add to it.

        Raises:
            UsageError: If the folder holds a store of another game, frame skip or source.
        """
        folder = Path(path)
        wanted = {"game": game, "frame_skip": frame_skip, "source": source}
        if not (folder / "index.json").exists():
            if folder.exists() and any(folder.iterdir()):
                raise UsageError(f"{folder} is not empty and not an episode store: give --out another folder")
            write_json(folder / "index.json", {"format": FORMAT, **wanted, "episodes": []})
        store = cls(folder)
        held = {name: getattr(store, name) for name in wanted}
        if held != wanted:
            raise UsageError(f"store {folder} holds {held}, not {wanted}: give --out another folder")
        return store

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.entries)

    def __iter__(self) -> Iterator[Episode]:
        """All episodes, one in memory at a time."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """One episode, whole, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self.entries[index]
        arrays = {name: self.read(index, name) for name in _ARRAYS}
        return Episode(**arrays, ending=entry["ending"], meta=self._meta(entry))

    def __getstate__(self) -> dict[str, Any]:
        """Leaves open files behind, so that worker processes open their own."""
        return {**self.__dict__, "_open": OrderedDict()}

    @property
    def frames(self) -> int:
        """Number of frames in all episodes."""
        return sum(entry["length"] + 1 for entry in self.entries)

    def of_split(self, split: str) -> list[int]:
        """Positions of the episodes of a split."""
        return [index for index, entry in enumerate(self.entries) if entry["split"] == split]

    def digest(self) -> str:
        """One hash of all episodes and their splits, in hex."""
        lines = sorted(f"{entry['sha256']} {entry['split']}" for entry in self.entries)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def read(self, index: int, name: str, start: int | None = None, stop: int | None = None) -> Any:
        """Reads one array of one episode, or a stretch of it.

        Returns:
            The array, or None if the episode has no such array.

        Raises:
            UsageError: If the episode's file is missing or damaged; the message names it.
        """
        try:
            array = self._array(index, name)
            return None if array is None else array[start:stop].copy()
        except Exception as error:
            path = self._file(self.entries[index])
            raise UsageError(
                f"episode {self.entries[index]['id']!r} of {self.path} is damaged ({path.name}): {error}"
            ) from error

    def add(self, episode: Episode) -> None:
        """Writes an episode and its index entry; both appear whole or not at all.

        Raises:
            UsageError: If the store has an episode of that id.
        """
        identity = episode.meta["id"]
        if any(known["id"] == identity for known in self.entries):
            raise UsageError(f"store {self.path} already has an episode {identity!r}")
        self.admit(write_episode(self.file_of(identity), episode))

    def admit(self, *entries: dict[str, Any]) -> None:
        """Adds the index entries of episode files that are already in place, all or none."""
        self.entries += entries
        self._open_splits |= {entry["id"] for entry in entries if entry.get("split") is None}
        self._write_index()

    def close(self) -> None:
        """Fixes the splits of what was added."""
        self.entries = self._unsplit()
        self._open_splits.clear()
        assign_splits(self.entries)
        self._write_index()

    def file_of(self, identity: str) -> Path:
        """Where the file of an episode is, or will be."""
        return self.path / "episodes" / f"{identity}.zip"

    def _file(self, entry: dict[str, Any]) -> Path:
        return self.file_of(entry["id"])

    def _meta(self, entry: dict[str, Any]) -> dict[str, Any]:
        return {"game": self.game, "frame_skip": self.frame_skip, "source": self.source, **entry}

    def _write_index(self) -> None:
        index = {"format": FORMAT, "game": self.game, "frame_skip": self.frame_skip, "source": self.source}
        write_json(self.path / "index.json", {**index, "episodes": self._unsplit()})

    def _unsplit(self) -> list[dict[str, Any]]:
        """The index entries, without the splits that are not fixed yet."""
        return [
            entry | {"split": None} if entry["id"] in self._open_splits else entry for entry in self.entries
        ]

    def _array(self, index: int, name: str) -> Any:
        """An array of an episode: one number a step is kept in memory, what is larger is read when sliced."""
        key = (os.getpid(), index)
        if key not in self._open:
            group = zarr.open_group(ZipStore(self._file(self.entries[index]), mode="r"), mode="r")
            self._open[key] = (group, {})
            if len(self._open) > _OPEN_EPISODES:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        group, arrays = self._open[key]
        if name not in arrays:
            array: Any = group.get(name)
            arrays[name] = array[:] if array is not None and array.ndim == 1 else array
        return arrays[name]
