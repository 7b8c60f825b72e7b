"""Human replays as real emulator states: memory is proposed, injected, mended, verified, and made into a start pool.

A state counts only as far as the emulator, from power-on and by its recipe alone, shows every pixel that the replay
shows, frame by frame under the human's actions, and pays the same points.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from atari_dream.emulator import ALE_VERSION, BOOT_FRAMES, INJECT, RAM_SIZE, Emulator, rom_hash
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, sha256, whole, write_json
from atari_dream.games import FRAME_SKIP, HEIGHT, get_game
from atari_dream.pool_building import STRATUM_STEPS, choose_starts, most_frequent, stratum_of, write_arrays
from atari_dream.replays.ram_reader import FRAMES, RamReader
from atari_dream.replays.search import Beside, Donors, Run, follow, refine, run
from atari_dream.starts import CONTEXT, StartPool, state_entry

EXACT = 60
"""Frames that must be exact after an injection, and after a start."""

_BEFORE = CONTEXT * FRAME_SKIP
_STRIDE = 32
"""Frames from one attempt that failed to the next."""
_SURE = 0.95


class Passage(NamedTuple):
    """What a replay shows and what was pressed.

    Attributes:
        frames: Palette codes, uint8 (T + 1, 210, 160).
        actions: ALE codes, uint8 (T,).
        rewards: Points, float32 (T,).
        seen_rows: Rows, from the top, of which the replay has data.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    seen_rows: int

    @classmethod
    def of(cls, store: EpisodeStore, index: int) -> "Passage":
        """A whole episode of a store of replays.

        Raises:
            UsageError: If the store does not keep every frame.
        """
        if store.frame_skip != 1:
            raise UsageError(
                f"store {store.path} has frame skip {store.frame_skip}: lifting takes every frame, "
                "as `atari-dream ingest` writes them"
            )
        frames, actions, rewards = (store.read(index, name) for name in ("frames", "actions", "rewards"))
        return cls(frames, actions, rewards, store.entries[index].get("unseen_rows", [HEIGHT])[0])


class Proposer:
    """Proposes memory for a frame: what the reader says, the nearest recording's, and both together."""

    def __init__(self, reader: RamReader, donors: Donors) -> None:
        self.reader, self.donors = reader, donors

    def __call__(self, passage: Passage, frame: int) -> dict[str, np.ndarray]:
        """Memory by the name of who proposes it, uint8 (128,) each."""
        sure = self.reader.read(passage.frames[frame - FRAMES + 1 : frame + 1])
        read = np.packbits(sure > 0.5)
        doubt = np.abs(sure - 0.5).reshape(RAM_SIZE, 8).min(1) < _SURE - 0.5
        nearest = self.donors.nearest(passage.frames[frame][: passage.seen_rows], 1)[0]
        return {"reader": read, "nearest": nearest, "both": np.where(doubt, nearest, read)}


class Attempt(NamedTuple):
    """One search for the memory at a frame.

    Attributes:
        frame: Number of the frame.
        proposer: Whose proposal led furthest.
        exact: Frames that are right after it, before anything is mended.
    """

    frame: int
    proposer: str
    exact: int


def attempt(
    beside: Beside, passage: Passage, frame: int, propose: Proposer, budget: int
) -> tuple[Attempt, Run]:
    """Looks for the memory at a frame, from one proposal after the other, until 60 frames are exact."""
    proposed = propose(passage, frame)
    best = Attempt(frame, "none", 0), Run(frame, proposed["nearest"], frame)
    for name in sorted(proposed, key=lambda name: beside.wrong(proposed[name], frame, 8)):
        found = run(beside, refine(beside, proposed[name], frame, propose.donors, budget), frame)
        if found.last > best[1].last:
            best = Attempt(frame, name, found.last - frame), found
        if found.last - frame >= EXACT:
            break
    return best


def lift(
    game: str,
    passage: Passage,
    propose: Proposer,
    budget: int,
    progress: Callable[[int], object] = lambda frames: None,
) -> tuple[list[Attempt], list[list[Run]]]:
    """Looks for memory along a replay and follows what is found as far as it goes.

    Args:
        game: Name of the game.
        passage: The replay.
        propose: Who proposes memory.
        budget: Emulator frames to play for each search and each mend, about 15,000 a second.
        progress: Called with the frames done.

    Returns:
        The attempts, and what was found: runs in a row, each taking over within the one before.
    """
    beside = Beside(game, passage.frames, passage.actions, passage.seen_rows)
    attempts: list[Attempt] = []
    chains: list[list[Run]] = []
    frame = FRAMES - 1
    while frame + EXACT <= beside.end:
        tried, found = attempt(beside, passage, frame, propose, budget)
        attempts.append(tried)
        chain = follow(beside, found, budget) if found.last > frame else [found]
        reached = frame + _STRIDE
        if any(part.last - part.frame >= EXACT for part in chain):
            chains.append(chain)
            reached = max(reached, chain[-1].last + 1)
        progress(min(reached, beside.end) - frame)
        frame = reached
    progress(max(0, beside.end - frame))
    return attempts, chains


class Lifted(NamedTuple):
    """A part of a replay that the emulator plays by a recipe, to the last pixel and point.

    Attributes:
        begin: Number of the replay's frame at which the first injection stands.
        frame: Number of the frame at which the last one stands.
        last: Number of the last frame that is right.
        recipe: Actions and injections from power-on to `frame`, uint8 (R,).
    """

    begin: int
    frame: int
    last: int
    recipe: np.ndarray

    def starts(self) -> range:
        """Frames that may be starts: with context since the first injection, and 60 right frames after them."""
        return range(max(self.frame + 1, self.begin + _BEFORE), self.last - EXACT + 1, _BEFORE)

    def tape(self, passage: Passage) -> np.ndarray:
        """The recipe and all actions that are verified, uint8 (R,)."""
        return np.concatenate([self.recipe, passage.actions[self.frame : self.last]])


def verify(game: str, passage: Passage, chain: Sequence[Run]) -> Iterator[Lifted]:
    """Plays a chain from power-on, by recipe, and yields what holds for 60 frames and more after an injection.

    Rows that the replay lacks are filled in from the emulator, in place.
    """
    recipe = np.zeros(BOOT_FRAMES, np.uint8)
    for part, after in zip(chain, [*chain[1:], None], strict=True):
        recipe = np.concatenate([recipe, np.array([INJECT], np.uint8), part.ram])
        last = _right(game, passage, recipe, part.frame)
        if last - part.frame >= EXACT:
            yield Lifted(chain[0].frame, part.frame, last, recipe)
        if after is None or last < after.frame:
            return
        recipe = np.concatenate([recipe, passage.actions[part.frame : after.frame]])


def _right(game: str, passage: Passage, recipe: np.ndarray, begin: int) -> int:
    """Number of the last frame after a recipe up to which pixels and points are right.

    What the emulator pays in the first frame is all the points since power-on, and says nothing.
    """
    emulator = Emulator(game)
    emulator.follow(recipe[BOOT_FRAMES:])
    for frame in range(begin, len(passage.actions)):
        gained = emulator.step(passage.actions[frame : frame + 1])
        shown, wanted = emulator.frame, passage.frames[frame + 1]
        same = np.array_equal(shown[: passage.seen_rows], wanted[: passage.seen_rows])
        if not same or (frame > begin and gained != passage.rewards[frame]):
            return frame
        wanted[passage.seen_rows :] = shown[passage.seen_rows :]
    return len(passage.actions)


class Found(NamedTuple):
    """What was found in one replay.

    Attributes:
        episode: Its position in the store.
        attempts: The searches.
        chains: Memory in a row, as `lift` gives it.
    """

    episode: int
    attempts: list[Attempt]
    chains: list[list[Run]]

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        chains = [
            [[part.frame, part.ram.tobytes().hex(), part.last] for part in chain] for chain in self.chains
        ]
        write_json(
            path, {"format": FORMAT, "attempts": [list(one) for one in self.attempts], "chains": chains}
        )

    @classmethod
    def load(cls, path: Path, episode: int) -> "Found":
        """Reads it."""
        data = read_json(path, "lift")
        chains = [
            [Run(frame, np.frombuffer(bytes.fromhex(ram), np.uint8), last) for frame, ram, last in chain]
            for chain in data["chains"]
        ]
        return cls(episode, [Attempt(*one) for one in data["attempts"]], chains)


def lift_pool(
    store: EpisodeStore, found: Sequence[Found], path: str | os.PathLike[str], count: int, seed: int = 0
) -> StartPool:
    """Makes a pool of verified human situations; each is played from power-on once more.

    Args:
        store: The replays.
        found: What was found in them.
        path: Folder of the pool; it appears whole or not at all.
        count: Most starts to take.
        seed: Seed of the draw.

    Raises:
        UsageError: If nothing was verified.
    """
    candidates = [start for one in found for start in _candidates(store, one)]
    if not candidates:
        raise UsageError(f"no state of {store.path} was lifted: give the search more with --budget")
    chosen = choose_starts(candidates, min(count, len(candidates)), seed)
    header, arrays = _collect(store, {one.episode: one for one in found}, chosen)
    with whole(Path(path)) as fresh:
        fresh.mkdir()
        write_arrays(fresh / "pool.zip", arrays)
        write_json(fresh / "pool.json", {**header, "sha256": sha256(fresh / "pool.zip")})
    return StartPool.load(path, store.game)


def lifted_parts(store: EpisodeStore, found: Found) -> tuple[Passage, list[Lifted]]:
    """A replay, rows that it lacks filled in where it is lifted, and its verified parts."""
    passage = Passage.of(store, found.episode)
    return passage, [part for chain in found.chains for part in verify(store.game, passage, chain)]


def _candidates(store: EpisodeStore, found: Found) -> Iterator[tuple[str, int, int]]:
    """Every start of a replay, as (stratum, episode, frame)."""
    passage, parts = lifted_parts(store, found)
    for part in parts:
        for frame, emulator in _visit(store.game, passage, part, part.starts()):
            yield _happens(emulator, passage.actions[frame : part.last]), found.episode, frame


def _visit(
    game: str, passage: Passage, part: Lifted, frames: Sequence[int]
) -> Iterator[tuple[int, Emulator]]:
    """The emulator at frames of a part, in their order; it may be played with."""
    emulator = Emulator(game)
    emulator.follow(part.recipe[BOOT_FRAMES:])
    now = part.frame
    for frame in frames:
        emulator.step(passage.actions[now:frame])
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
    store: EpisodeStore, found: dict[int, Found], chosen: Sequence[tuple[str, int, int]]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Plays up to the chosen starts and gathers what a pool holds."""
    entries: list[dict[str, Any]] = []
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("frames", "actions", "ale", "ram", "tapes")}
    begin = 0
    for episode, group in groupby(chosen, key=lambda item: item[1]):
        strata = {frame: stratum for stratum, _, frame in group}
        passage, lifted = lifted_parts(store, found[episode])
        scores = np.concatenate([[0.0], np.cumsum(passage.rewards)])
        for part in lifted:
            tape = part.tape(passage)
            here = [frame for frame in part.starts() if frame in strata]
            strata_here = {frame: strata.pop(frame) for frame in here}
            for frame, emulator in _visit(store.game, passage, part, here):
                name = store.entries[episode]["id"]
                identity = {"episode": name, "step": frame, "stratum": strata_here[frame]}
                played = len(part.recipe) + frame - part.frame
                state = state_entry(emulator, begin, played, begin + len(tape))
                entries.append({"id": f"{name}@{frame}", **identity, **state, "score": float(scores[frame])})
                parts["frames"].append(passage.frames[frame - _BEFORE + FRAME_SKIP : frame + 1 : FRAME_SKIP])
                parts["actions"].append(_by_step(passage.actions[frame - _BEFORE : frame]))
                parts["ale"].append(emulator.save())
                parts["ram"].append(emulator.ram)
            parts["tapes"].append(tape if here else tape[:0])
            begin += len(parts["tapes"][-1])
    arrays = {name: np.stack(part) for name, part in parts.items() if name != "tapes"}
    arrays["tapes"] = np.concatenate(parts["tapes"])
    arrays["usual"] = most_frequent(arrays["frames"].reshape(-1, *arrays["frames"].shape[2:]))
    header = {
        "format": FORMAT,
        "game": store.game,
        "frame_skip": FRAME_SKIP,
        "rom": rom_hash(get_game(store.game).rom),
    }
    return {**header, "ale_py": ALE_VERSION, "starts": entries}, arrays


def summary(store: EpisodeStore, found: Sequence[Found]) -> dict[str, int]:
    """How much is lifted: replays, frames, searches; only what is verified counts."""
    parts = {one.episode: lifted_parts(store, one)[1] for one in found}
    every = [part for lifted in parts.values() for part in lifted]
    return {
        "replays": len(found),
        "lifted": sum(bool(lifted) for lifted in parts.values()),
        "frames": sum(store.entries[one.episode]["length"] for one in found),
        "exact_frames": sum(_union(lifted) for lifted in parts.values()),
        "attempts": sum(len(one.attempts) for one in found),
        "injections": len(every),
        "possible_starts": sum(len(part.starts()) for part in every),
    }


def _union(parts: Sequence[Lifted]) -> int:
    """Number of frames in any of the parts."""
    return len({frame for part in parts for frame in range(part.frame + 1, part.last + 1)})
