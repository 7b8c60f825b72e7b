"""A store as replays on disk, in the layout, the rows and the timing of the Atari Grand Challenge's version 1.

`ingest` gives the same episodes back, but for their emulator states.

Run: `atari-dream export --store stores/pacman --out agc`
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, whole, write_json
from atari_dream.games import get_game
from atari_dream.processes import processes
from atari_dream.replays.colours import Palette, to_picture
from atari_dream.replays.layout import Timing
from atari_dream.replays.trajectory import COLUMNS

TIMING = Timing(first_row=0)
"""As in the data set, but for the first rows, which tell of the console being switched on there, and of play here."""
_COUNTED = ("length", "score", "colours", "rewards", "sha256", "ending")
_OF_REPLAYS = ("replay", "rows", "first", "final_score", "unseen_rows", "timing")


def export(
    store: EpisodeStore,
    path: Path,
    palette: Palette = "ale",
    workers: int = 1,
    progress: Callable[[int], object] = lambda frames: None,
) -> Path:
    """Writes every episode of a store that the folder does not have yet; interrupted, it goes on.

    Args:
        store: Episodes of every emulator frame.
        path: The folder; it may hold other games.
        palette: Whose colours the pictures get.
        workers: Processes; 0 does it in this one.
        progress: Called with the frames of each episode written.

    Returns:
        The folder of the data set, `path/atari_v1`.

    Raises:
        UsageError: If the store leaves frames out, or the folder holds other episodes of the game.
    """
    if store.frame_skip != 1:
        raise UsageError(
            f"store {store.path} keeps every {store.frame_skip}th frame, replays have them all: "
            "record it with --frame-skip 1"
        )
    odd = {code for entry in store.entries for code in entry["colours"] if code % 2}
    if odd:
        raise UsageError(
            f"store {store.path} has odd palette codes such as {min(odd)}, which no colour stands for"
        )
    root, folder = path / "atari_v1", str(get_game(store.game).agc or store.game)
    source = root / "trajectories" / folder / "source.json"
    told = _source(store, palette)
    _check_same(source, told)
    write_json(source, told)
    with processes(workers, store.game) as executor:
        waiting = [
            executor.submit(export_episode, store, index, root, folder, palette)
            for index in range(len(store))
            if not (root / "trajectories" / folder / f"{index}.txt").exists()
        ]
        for future in waiting:
            progress(future.result())
    return root


def export_episode(store: EpisodeStore, index: int, root: Path, folder: str, palette: Palette) -> int:
    """Writes one episode, its pictures before its rows; for a worker process.

    Returns:
        Its frames.
    """
    length = store.entries[index]["length"]
    with whole(root / "screens" / folder / str(index)) as screens:
        screens.mkdir()
        for begin in range(0, length + 1, 64):
            for place, codes in enumerate(store.read(index, "frames", begin, begin + 64), begin):
                written, data = cv2.imencode(".png", to_picture(codes, palette))
                assert written
                (screens / f"{place}.png").write_bytes(data.tobytes())
    with whole(root / "trajectories" / folder / f"{index}.txt") as text:
        text.write_text("\n".join(_lines(store, index)) + "\n")
    return int(length) + 1


def _lines(store: EpisodeStore, index: int) -> list[str]:
    """The rows of an episode, as the data set has them."""
    actions, rewards = store.read(index, "actions"), store.read(index, "rewards").astype(np.int64)
    steps = len(actions)
    acted = np.zeros(steps + TIMING.reward_shift, np.int64)
    gained = np.zeros(len(acted), np.int64)
    over = np.zeros(len(acted), bool)
    acted[TIMING.action_shift : TIMING.action_shift + steps] = actions
    gained[TIMING.reward_shift :] = rewards
    over[-1] = store.entries[index]["ending"] == "terminated"
    columns = zip(gained.tolist(), gained.cumsum().tolist(), over.tolist(), acted.tolist(), strict=True)
    rows = [f"{frame}, " + ", ".join(map(str, row)) for frame, row in enumerate(columns)]
    return [f"db traj id : {index}", ",".join(COLUMNS), *rows]


def _source(store: EpisodeStore, palette: Palette) -> dict[str, Any]:
    """What replays do not say of themselves."""
    return {
        "format": FORMAT,
        "palette": palette,
        "geometry": "ale",
        "action_shift": TIMING.action_shift,
        "reward_shift": TIMING.reward_shift,
        "first_row": TIMING.first_row,
        "episodes": {str(index): _about(store, index) for index in range(len(store))},
    }


def _about(store: EpisodeStore, index: int) -> dict[str, Any]:
    entry = store.entries[index]
    kept = {name: value for name, value in entry.items() if name not in (*_COUNTED, *_OF_REPLAYS)}
    prelude, lives = store.read(index, "prelude"), store.read(index, "lives")
    if prelude is not None:
        kept["prelude"] = prelude.tolist()
    if lives is not None:
        changes = np.flatnonzero(np.diff(lives, prepend=lives[0] - 1))
        kept["lives"] = [[int(step), int(lives[step])] for step in changes]
    return kept | {"ending": entry["ending"]}


def _check_same(source: Path, told: dict[str, Any]) -> None:
    """Refuses to add to other replays than an earlier state of the same store's."""
    if source.exists():
        before = read_json(source, "source")
        same = before | {"episodes": None} == told | {"episodes": None}
        if same and before["episodes"].items() <= told["episodes"].items():
            return
    elif not source.parent.exists() or not any(source.parent.iterdir()):
        return
    raise UsageError(f"{source.parent} holds replays from elsewhere: give --out another folder")
