"""Human replays as real emulator states: memory is proposed, injected, mended and verified.

A state counts only as far as the emulator, from power-on and by its recipe alone, shows every pixel that the replay
shows, frame by frame under the human's actions, and pays the same points.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atari_dream.emulator import BOOT_FRAMES, INJECT, RAM_SIZE, Emulator
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, write_json
from atari_dream.games import FRAME_SKIP, HEIGHT
from atari_dream.replays.ram_reader import FRAMES, RamReader
from atari_dream.replays.search import Beside, Donors, Run, follow, refine, run
from atari_dream.starts import CONTEXT

EXACT = 60
"""Frames that must be exact after an injection, and after a start."""
BEFORE = CONTEXT * FRAME_SKIP
"""Frames of context that a start has."""

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
        return range(max(self.frame + 1, self.begin + BEFORE), self.last - EXACT + 1, BEFORE)

    def tape(self, actions: np.ndarray) -> np.ndarray:
        """The recipe and all of a replay's actions that are verified, uint8 (R,)."""
        return np.concatenate([self.recipe, actions[self.frame : self.last]])


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


def lifted_parts(store: EpisodeStore, found: Found) -> tuple[Passage, list[Lifted]]:
    """A replay, rows that it lacks filled in where it is lifted, and its verified parts."""
    passage = Passage.of(store, found.episode)
    return passage, [part for chain in found.chains for part in verify(store.game, passage, chain)]
