"""Starts out of a store's episodes, with what was played after them: no emulator state, so nothing can be played on.

What a dream is measured with on replays, as a start pool and its truth are in the game.
"""

from typing import Any

import numpy as np

from atari_dream.emulator import ALE_VERSION
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.pool_building import most_frequent
from atari_dream.starts import CONTEXT, StartPool
from atari_dream.truth import Truth
from atari_dream.windows import Windows


def replay_starts(
    store: EpisodeStore, split: str, count: int, horizon: int, frame_skip: int, seed: int = 0
) -> tuple[StartPool, np.ndarray, list[Truth]]:
    """Draws starts, in any phase of the stride, that have a whole context and, unless the game ends, a whole horizon.

    Args:
        store: The episodes.
        split: Split to draw from.
        count: Starts to draw, or as many as there are.
        horizon: Agent steps that follow, H.
        frame_skip: Emulator frames per agent step.
        seed: Seed of the draw.

    Returns:
        A pool without emulator states, the actions after each start, uint8 (N, H, frame_skip), and what happened under
        them; its memory is not known and left empty.

    Raises:
        UsageError: If the split has no such start.
    """
    places = _places(store, split, horizon, frame_skip)
    if not places:
        raise UsageError(
            f"the {split} split of {store.path} has no step with {CONTEXT} agent steps before it and {horizon} after it"
        )
    rng = np.random.default_rng(seed)
    chosen = [places[place] for place in np.sort(rng.permutation(len(places))[:count])]
    windows = Windows(store, split, CONTEXT, horizon, 1, frame_skip)
    entries: list[dict[str, Any]] = []
    truths, contexts, before, after = [], [], [], []
    for episode, step in chosen:
        frames, actions, rewards, lives, ended, _ = windows.window(episode, step)
        entry = store.entries[episode]
        entries.append(
            {
                "id": f"{entry['id']}@{step}",
                "episode": entry["id"],
                "stratum": "replay",
                "lives": int(lives[CONTEXT - 1]),
            }
        )
        contexts.append(frames[:CONTEXT])
        before.append(actions[:CONTEXT])
        after.append(actions[CONTEXT:])
        truths.append(
            Truth(
                frames[CONTEXT - 1],
                frames[None, CONTEXT:],
                np.empty((1, horizon, 0), np.uint8),
                rewards[None, CONTEXT:].astype(np.float64),
                lives[None, CONTEXT:],
                np.logical_or.accumulate(ended[CONTEXT:])[None],
            )
        )
    nothing = np.empty((len(chosen), 0), np.uint8)
    arrays = {
        "frames": np.stack(contexts),
        "actions": np.stack(before),
        "ale": nothing,
        "ram": nothing,
        "usual": most_frequent(np.concatenate(contexts)),
    }
    header = {"game": store.game, "frame_skip": frame_skip, "ale_py": ALE_VERSION, "starts": entries}
    return StartPool(header, arrays, str(store.path)), np.stack(after), truths


def _places(store: EpisodeStore, split: str, horizon: int, frame_skip: int) -> list[tuple[int, int]]:
    """Every (episode, step) that will do."""
    stride = frame_skip // store.frame_skip
    found = []
    for episode in store.of_split(split):
        entry = store.entries[episode]
        last = entry["length"] - (1 if entry["ending"] == "terminated" else horizon * stride)
        found += [(episode, step) for step in range(CONTEXT * stride, last + 1)]
    return found
