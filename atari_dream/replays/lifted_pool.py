"""A start pool of human situations: what was lifted of replays, verified, its starts drawn by stratum.

Run: `atari-dream lift --store stores/pacman-human --out pools/pacman-human`
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from atari_dream.emulator import BOOT_FRAMES, Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import FRAME_SKIP, HEIGHT
from atari_dream.pool_building import STRATUM_STEPS, choose_starts, stratum_of, write_pool
from atari_dream.replays.lifting import BEFORE, Found, Lifted, lifted_parts
from atari_dream.starts import StartPool, state_entry


class Verified(NamedTuple):
    """What holds of one replay, played from power-on.

    Attributes:
        episode: Its position in the store.
        attempts: Number of searches in it.
        parts: What the emulator plays by a recipe.
        unseen: Rows that the replay lacks, as the emulator shows them before each start, uint8 (CONTEXT, rows, 160), by
            the start's frame.
    """

    episode: int
    attempts: int
    parts: list[Lifted]
    unseen: dict[int, np.ndarray]

    @classmethod
    def of(cls, store: EpisodeStore, found: Found) -> "Verified":
        """Verifies what was found in a replay.

        Raises:
            UsageError: If the store does not keep every frame.
        """
        passage, parts = lifted_parts(store, found)
        unseen = {
            frame: passage.frames[slice(*_context(frame), FRAME_SKIP), passage.seen_rows :].copy()
            for part in parts
            for frame in part.starts()
        }
        return cls(found.episode, len(found.attempts), parts, unseen)


def lift_pool(
    store: EpisodeStore,
    verified: Sequence[Verified],
    path: str | os.PathLike[str],
    count: int,
    seed: int = 0,
) -> StartPool:
    """Makes a pool of verified human situations.

    Args:
        store: The replays.
        verified: What holds of them.
        path: Folder of the pool; it appears whole or not at all.
        count: Most starts to take.
        seed: Seed of the draw.

    Raises:
        UsageError: If nothing was verified.
    """
    candidates = [start for one in verified for start in _candidates(store, one)]
    if not candidates:
        raise UsageError(f"no state of {store.path} was lifted: give the search more with --budget")
    chosen = choose_starts(candidates, min(count, len(candidates)), seed)
    entries, parts = _collect(store, {one.episode: one for one in verified}, chosen)
    return write_pool(path, store.game, FRAME_SKIP, entries, parts)


def _candidates(store: EpisodeStore, verified: Verified) -> Iterator[tuple[str, int, int]]:
    """Every start of a replay, as (stratum, episode, frame)."""
    actions = store.read(verified.episode, "actions")
    for part in verified.parts:
        for frame, emulator in _visit(store.game, actions, part, part.starts()):
            yield _happens(emulator, actions[frame : part.last]), verified.episode, frame


def _visit(
    game: str, actions: np.ndarray, part: Lifted, frames: Iterable[int]
) -> Iterator[tuple[int, Emulator]]:
    """The emulator at frames of a part, in their order; it may be played with."""
    emulator = Emulator(game)
    emulator.follow(part.recipe[BOOT_FRAMES:])
    now = part.frame
    for frame in frames:
        emulator.step(actions[now:frame])
        now, state = frame, emulator.save()
        yield frame, emulator
        emulator.restore(state)


def _happens(emulator: Emulator, actions: np.ndarray) -> str:
    """The stratum of an emulator's state under the actions after it."""
    rewards, lives = [], [emulator.lives]
    for codes in _by_step(actions)[:STRATUM_STEPS]:
        rewards.append(emulator.step(codes))
        lives.append(emulator.lives)
    return stratum_of(np.array(rewards), np.array(lives), emulator.over, 0)


def _by_step(actions: np.ndarray) -> np.ndarray:
    """Raw actions in agent steps, uint8 (T, FRAME_SKIP); an incomplete last one is left out."""
    return actions[: len(actions) // FRAME_SKIP * FRAME_SKIP].reshape(-1, FRAME_SKIP)


def _collect(
    store: EpisodeStore, verified: dict[int, Verified], chosen: Sequence[tuple[str, int, int]]
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]]]:
    """Plays up to the chosen starts and gathers what `write_pool` takes."""
    entries: list[dict[str, Any]] = []
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("frames", "actions", "ale", "ram", "tapes")}
    begin = 0
    for episode, group in groupby(chosen, key=lambda item: item[1]):
        strata = {frame: stratum for stratum, _, frame in group}
        name, actions = store.entries[episode]["id"], store.read(episode, "actions")
        scores = np.concatenate([[0.0], np.cumsum(store.read(episode, "rewards"))])
        for part in verified[episode].parts:
            here = {frame: strata.pop(frame) for frame in part.starts() if frame in strata}
            tape = part.tape(actions) if here else actions[:0]
            for frame, emulator in _visit(store.game, actions, part, here):
                identity = {"episode": name, "step": frame, "stratum": here[frame]}
                played = len(part.recipe) + frame - part.frame
                state = state_entry(emulator, begin, played, begin + len(tape))
                entries.append({"id": f"{name}@{frame}", **identity, **state, "score": float(scores[frame])})
                parts["frames"].append(_frames(store, verified[episode], frame))
                parts["actions"].append(_by_step(actions[frame - BEFORE : frame]))
                parts["ale"].append(emulator.save())
                parts["ram"].append(emulator.ram)
            parts["tapes"].append(tape)
            begin += len(tape)
    return entries, parts


def _frames(store: EpisodeStore, verified: Verified, frame: int) -> np.ndarray:
    """The context of a start, uint8 (CONTEXT, 210, 160)."""
    frames, unseen = store.read(verified.episode, "frames", *_context(frame)), verified.unseen[frame]
    return np.concatenate([frames[::FRAME_SKIP, : HEIGHT - unseen.shape[1]], unseen], axis=1)


def _context(frame: int) -> tuple[int, int]:
    """The first of a start's frames of context, and the one after the last."""
    return frame - BEFORE + FRAME_SKIP, frame + 1


def summary(store: EpisodeStore, verified: Sequence[Verified]) -> dict[str, int]:
    """How much is lifted: replays, frames, searches; only what is verified counts."""
    every = [part for one in verified for part in one.parts]
    return {
        "replays": len(verified),
        "lifted": sum(bool(one.parts) for one in verified),
        "frames": sum(store.entries[one.episode]["length"] for one in verified),
        "exact_frames": sum(_union(one.parts) for one in verified),
        "attempts": sum(one.attempts for one in verified),
        "injections": len(every),
        "possible_starts": sum(len(part.starts()) for part in every),
    }


def _union(parts: Sequence[Lifted]) -> int:
    """Number of frames in any of the parts."""
    return len({frame for part in parts for frame in range(part.frame + 1, part.last + 1)})
