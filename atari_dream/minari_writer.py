"""Writes an episode store as a data set of Minari, the format of the Farama Foundation: lossless, and whole or not.

Frames are RGB observations of the real twin, deflated one by one, which any HDF5 reader takes. What Minari has no place
for stands beside its `data`, in `atari_dream`: the store's index, and `<id>.npz` with an episode's prelude and states.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from atari_dream.emulator import ALE_VERSION
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, whole, write_json
from atari_dream.games import ACTION_NAMES, HEIGHT, WIDTH, get_game
from atari_dream.palette import to_rgb

BESIDE = "atari_dream"
"""Folder of a data set with what Minari has no place for."""
OBSERVATIONS = Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
"""Observation space of the real twins."""
EMULATOR = ("prelude", "state_steps", "states")
_PIECE = 512
"""Steps in memory at once: as RGB, at 100 kB a frame, a long episode would not fit."""


def to_minari(
    store: EpisodeStore,
    dataset_id: str,
    root: Path,
    full_action_space: bool = False,
    author: str | None = None,
    author_email: str | None = None,
    code_permalink: str | None = None,
    progress: Callable[[int], object] = lambda steps: None,
) -> Path:
    """Writes a store as a Minari data set; memory does not grow with it.

    Observations are uint8 (T + 1, 210, 160, 3) and actions int64 (T,), in the spaces of the real twin; rewards are
    float32 (T,), and `infos["lives"]` is int16 (T + 1,) where lives are known. A cut episode is truncated for Minari;
    its metadata has `ending`, `split` and `name`.

    Args:
        store: What is exported.
        dataset_id: `(namespace/)name-vN`, such as `"atari/pacman-random-v0"`.
        root: Folder of data sets; Minari looks there if `MINARI_DATASETS_PATH` names it.
        full_action_space: Whether actions are ALE's 18 codes, not positions in the game's minimal set.
        author: Who made the recordings.
        author_email: Where to reach them.
        code_permalink: Link to the code that made the recordings.
        progress: Called with the steps of each episode written.

    Returns:
        The data set's folder, `root / dataset_id`.

    Raises:
        UsageError: If Minari is missing, the id is malformed or taken, or an episode would not come back.
    """
    require_minari()
    _check_id(dataset_id)
    codes = range(len(ACTION_NAMES)) if full_action_space else get_game(store.game).actions
    _check_episodes(store, codes)
    with whole(unused(Path(root) / dataset_id)) as fresh:
        _write_beside(store, fresh / BESIDE)
        storage = _new_storage(store, fresh / "data", len(codes), full_action_space)
        credit = {
            "author": author and {author},
            "author_email": author_email and {author_email},
            "code_permalink": code_permalink,
        }
        given = {name: value for name, value in credit.items() if value}
        storage.update_metadata({"dataset_id": dataset_id, **_about(store), **given})
        for index, entry in enumerate(store.entries):
            _write_episode(storage, store, index, codes)
            progress(entry["length"])
    return Path(root) / dataset_id


def require_minari() -> None:
    """Makes sure that Minari and h5py can be imported.

    Raises:
        UsageError: If one cannot.
    """
    try:
        import h5py  # type: ignore[import-untyped]  # noqa: F401
        import minari  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise UsageError(f"Minari data sets need {error.name}: pip install 'atari-dream[minari]'") from None


def unused(path: Path) -> Path:
    """Gives back a path at which there is nothing.

    Raises:
        UsageError: If there is something.
    """
    if path.exists():
        raise UsageError(f"{path} exists: give another name, or remove it first")
    return path


def _check_id(dataset_id: str) -> None:
    from minari.dataset.minari_dataset import parse_dataset_id  # type: ignore[import-untyped]

    try:
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError):
        raise UsageError(
            f"data set id {dataset_id!r} given, allowed is (namespace/)name-vN of letters, digits, - and _, the "
            "namespace at least two long: "
            "try 'atari/pacman-random-v0'"
        ) from None


def _check_episodes(store: EpisodeStore, codes: Sequence[int]) -> None:
    """Refuses, before anything is written, what would not come back."""
    for index, entry in enumerate(store.entries):
        name = f"episode {entry['id']!r} of {store.path}"
        if not entry["length"]:
            raise UsageError(f"{name} has no steps, which Minari cannot keep")
        if any(code % 2 for code in entry["colours"]):
            raise UsageError(f"{name} has odd palette codes, allowed are ALE's, even ones from 0 to 254")
        if strange := set(store.read(index, "actions").tolist()) - set(codes):
            raise UsageError(
                f"{name} has action {ACTION_NAMES[min(strange)]}, which is not in the minimal set of {store.game}: "
                "give full_action_space=True"
            )


def _write_beside(store: EpisodeStore, folder: Path) -> None:
    index = {"format": FORMAT, "game": store.game, "frame_skip": store.frame_skip, "source": store.source}
    write_json(folder / "index.json", {**index, "episodes": store.entries})
    for number, entry in enumerate(store.entries):
        arrays = {name: store.read(number, name) for name in EMULATOR}
        known = {name: array for name, array in arrays.items() if array is not None}
        np.savez_compressed(folder / f"{entry['id']}.npz", allow_pickle=False, **known)


def _new_storage(store: EpisodeStore, folder: Path, actions: int, full_action_space: bool) -> Any:
    from minari.dataset.minari_storage import MinariStorage  # type: ignore[import-untyped]

    twin = gymnasium.spec(get_game(store.game).twin)  # ALE's, registered by the import of `emulator`
    mode = {
        "frameskip": store.frame_skip,
        "repeat_action_probability": 0.0,
        "full_action_space": full_action_space,
    }
    spec = replace(twin, kwargs=twin.kwargs | mode)
    return MinariStorage.new(folder, OBSERVATIONS, Discrete(actions), spec, "hdf5", jpeg_encoding=False)


def _about(store: EpisodeStore) -> dict[str, Any]:
    """What Minari's metadata tells of a data set."""
    from minari import __version__

    players = sorted({entry["player"] for entry in store.entries if "player" in entry})
    return {
        "minari_version": __version__,
        "algorithm_name": ", ".join(players) or store.source,
        "description": f"{get_game(store.game).title}, {store.frame_skip} emulator frames per action, no sticky "
        f"actions, source {store.source}, from an episode store of atari-dream; lossless, the last raw frame of each.",
        "requirements": [f"ale-py>={ALE_VERSION}"],
    }


def _write_episode(storage: Any, store: EpisodeStore, index: int, codes: Sequence[int]) -> None:
    _reserve_frames(storage, index)
    storage.update_episodes(_pieces(store, index, codes))
    entry = store.entries[index]
    names = {"total_steps": "length", "ending": "ending", "split": "split", "name": "id"}
    storage.update_episode_metadata([{name: entry[key] for name, key in names.items()}], [index])


def _reserve_frames(storage: Any, index: int) -> None:
    """Makes the compressed array that Minari, which has no option for it, will append an episode's frames to."""
    import h5py

    shape = OBSERVATIONS.shape
    with h5py.File(storage.data_path / "main_data.hdf5", "a", track_order=True) as file:
        file.create_dataset(
            f"episode_{index}/observations",
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(1, *shape),
            dtype=np.uint8,
            compression="gzip",
        )


def _pieces(store: EpisodeStore, index: int, codes: Sequence[int]) -> Iterator[Any]:
    """An episode in pieces, which Minari appends to each other."""
    from minari.data_collector import EpisodeBuffer  # type: ignore[import-untyped]

    entry, positions = store.entries[index], np.zeros(len(ACTION_NAMES), np.int64)
    positions[list(codes)] = np.arange(len(codes))
    for start in range(0, entry["length"], _PIECE):
        stop = min(start + _PIECE, entry["length"])
        shown = (start + 1 if start else 0, stop + 1)
        lives = store.read(index, "lives", *shown)
        last = np.arange(start + 1, stop + 1) == entry["length"]
        yield EpisodeBuffer(
            id=index,
            observations=to_rgb(store.read(index, "frames", *shown)),
            actions=positions[store.read(index, "actions", start, stop)],
            rewards=store.read(index, "rewards", start, stop),
            terminations=last & (entry["ending"] == "terminated"),
            truncations=last & (entry["ending"] != "terminated"),
            infos={} if lives is None else {"lives": lives},
        )
