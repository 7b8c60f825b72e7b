"""Reads a Minari data set of an Atari game into an episode store.

An export of `to_minari` comes back as an equal store, from what stands beside Minari's data. A data set of others comes
as far as it tells: it has no preludes and no emulator states, and lives only where its infos have them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Discrete

from atari_dream.episode import Ending, Episode
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import read_json, whole
from atari_dream.games import ACTION_NAMES, GAMES, get_game
from atari_dream.minari_writer import BESIDE, OBSERVATIONS, require_minari, unused
from atari_dream.replays.colours import UNKNOWN, to_codes


def from_minari(
    folder: Path,
    path: Path,
    game: str | None = None,
    frame_skip: int | None = None,
    progress: Callable[[int], object] = lambda steps: None,
) -> EpisodeStore:
    """Reads a Minari data set into a new store, whole or not at all; one episode is in memory at a time.

    Args:
        folder: The data set's folder, which holds `data`.
        path: The store's folder; it must not exist.
        game: Name of the game, where the data set does not tell.
        frame_skip: Emulator frames per action, where the data set does not tell.
        progress: Called with the steps of each episode read.

    Returns:
        The store.

    Raises:
        UsageError: If Minari is missing, or the data set is damaged, lossy, not of ALE's screen, or does not tell its
            game or frame skip.
    """
    folder, path = Path(folder), unused(Path(path))
    dataset = _open(folder)
    index = _index(dataset, folder)
    _settle(index, "game", game and get_game(game).name, folder)
    _settle(index, "frame_skip", frame_skip, folder)
    codes = _codes(dataset, index["game"])
    with whole(path) as fresh:
        store = EpisodeStore.create(fresh, index["game"], index["frame_skip"], index["source"])
        for number, entry in enumerate(index["episodes"]):
            episode = _episode(dataset, folder, number, entry, codes)
            store.add(episode)
            progress(len(episode))
        store.close()
    return EpisodeStore(path)


def _open(folder: Path) -> Any:
    """Opens a data set that has ALE's screen, exactly."""
    require_minari()
    from minari import MinariDataset  # type: ignore[import-untyped]

    try:
        dataset = MinariDataset(folder / "data")
    except Exception as error:
        raise UsageError(f"{folder} cannot be read as a Minari data set: {error}") from error
    if dataset.observation_space != OBSERVATIONS:
        raise UsageError(f"{folder} has observations {dataset.observation_space}, allowed are {OBSERVATIONS}")
    if dataset.storage.jpeg_encoding:
        raise UsageError(
            f"{folder} has JPEG frames, whose colours are not exact (its metadata has no jpeg_encoding: false): "
            "record it again with jpeg_encoding=False"
        )
    return dataset


def _index(dataset: Any, folder: Path) -> dict[str, Any]:
    """The index of the store: what an export kept, or what a foreign data set tells."""
    kept = folder / BESIDE / "index.json"
    if not kept.exists():
        name = dataset.id.replace("/", "-")
        entries = [{"id": f"{name}-{number:06d}", "split": None} for number in range(len(dataset))]
        return {**_told(dataset.env_spec), "source": f"minari {dataset.id}", "episodes": entries}
    index: dict[str, Any] = read_json(kept, "index of the export")
    if len(index["episodes"]) != len(dataset):
        raise _changed(folder, f"has {len(dataset)} episodes, not {len(index['episodes'])}")
    return index


def _told(spec: EnvSpec | None) -> dict[str, Any]:
    """Game and frame skip by the environment's specification; a wrapper may have skipped frames as well."""
    if spec is None:
        return {"game": None, "frame_skip": None}
    games = {game.rom: name for name, game in GAMES.items()}
    skip = None if spec.additional_wrappers else spec.kwargs.get("frameskip")
    return {
        "game": games.get(spec.kwargs.get("game", "")),
        "frame_skip": skip if isinstance(skip, int) else None,
    }


def _settle(index: dict[str, Any], key: str, given: Any, folder: Path) -> None:
    """Puts into the index what is given, where it has nothing."""
    if index[key] is None:
        index[key] = given
    if index[key] is None:
        raise UsageError(f"{folder} does not tell its {key}: give {key}=...")
    if given not in (None, index[key]):
        raise UsageError(f"{folder} has {key} {index[key]!r}, not {given!r}: leave {key} out")


def _codes(dataset: Any, game: str) -> np.ndarray:
    """The ALE code of each action, uint8 (A,)."""
    minimal = get_game(game).actions
    for codes in (minimal, range(len(ACTION_NAMES))):
        if dataset.action_space == Discrete(len(codes)):
            return np.array(codes, np.uint8)
    raise UsageError(
        f"{dataset.id} has actions {dataset.action_space}, allowed are Discrete({len(minimal)}), the minimal set of "
        f"{game}, and Discrete({len(ACTION_NAMES)})"
    )


def _episode(dataset: Any, folder: Path, number: int, entry: dict[str, Any], codes: np.ndarray) -> Episode:
    try:
        data = dataset[number]
    except Exception as error:
        raise UsageError(f"episode {number} of {folder} is damaged: {error}") from error
    lives = (data.infos or {}).get("lives")
    exported = "sha256" in entry
    episode = Episode(
        frames=_frames(data.observations, f"episode {number} of {folder}"),
        actions=codes[data.actions],
        rewards=data.rewards.astype(np.float32),
        lives=None if lives is None else np.asarray(lives, np.int16),
        ending=entry["ending"] if exported else _ending(data),
        meta=entry,
        **(_read_beside(folder, entry) if exported else {}),
    )
    if exported and episode.digest() != entry["sha256"]:
        raise _changed(folder, f"has another episode {number}")
    return episode


def _frames(observations: np.ndarray, name: str) -> np.ndarray:
    """Palette codes, uint8 (T + 1, 210, 160), of observations, uint8 (T + 1, 210, 160, 3)."""
    frames = np.empty(observations.shape[:-1], np.uint8)
    for step, observation in enumerate(observations):
        frames[step] = to_codes(np.ascontiguousarray(observation[..., ::-1]), "ale")
        if (unknown := frames[step] == UNKNOWN).any():
            colour = observation[unknown][0].tobytes().hex()
            raise UsageError(
                f"{name} has colour #{colour} in frame {step}, which is none of ALE's 128: allowed are frames in ALE's "
                "NTSC palette, neither scaled nor pooled"
            )
    return frames


def _ending(data: Any) -> Ending:
    return "terminated" if data.terminations[-1] else "truncated" if data.truncations[-1] else "cut"


def _read_beside(folder: Path, entry: dict[str, Any]) -> dict[str, np.ndarray]:
    path = folder / BESIDE / f"{entry['id']}.npz"
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile) as error:
        raise UsageError(
            f"{path} is missing or damaged: copy the whole folder of the data set ({error})"
        ) from error


def _changed(folder: Path, how: str) -> UsageError:
    return UsageError(
        f"{folder} is not what was exported, it {how}: remove {folder / BESIDE} to read it as any other data set"
    )
