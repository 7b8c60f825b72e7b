"""Replays into an episode store: in parallel, each picture read once, and only what is not there yet.

Run: `atari-dream ingest --agc agc --game pacman --out stores/pacman-human`
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from atari_dream.episode import Ending
from atari_dream.episode_writer import CHUNK, EpisodeWriter
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.games import HEIGHT, get_game
from atari_dream.processes import processes
from atari_dream.replays.damage import Damage, UnreadableError
from atari_dream.replays.layout import Replay, ReplayFolder, Source
from atari_dream.replays.reader import DamagedError, ForeignError, Steps, final_score, read_frame, steps_of
from atari_dream.replays.trajectory import Trajectory, read_trajectory

_BLOCK = 4 * CHUNK
_APART = ("ending", "lives", "prelude")
"""What `source.json` tells that does not go into the index as it is."""


@dataclass(frozen=True)
class Ingestion:
    """How replays are taken in.

    Attributes:
        source: What they look like.
        first_picture: The number that pictures begin with.
        folder: Where episodes are written.
        strict: Whether a picture that is no frame of the game costs the whole replay, not only its own step.
        minimal: Whether actions are mapped to the game's minimal set.
        split: Split of all episodes; None leaves it to the store.
    """

    source: Source
    first_picture: int
    folder: Path
    strict: bool = True
    minimal: bool = False
    split: str | None = None


@dataclass(frozen=True)
class Taken:
    """What became of one replay.

    Attributes:
        number: Its name in the data set.
        entries: Index entries of the episodes made of it.
        damage: What was wrong with it.
        skipped: Why nothing was made of it, or an empty string.
    """

    number: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    damage: Damage = field(default_factory=Damage)
    skipped: str = ""


def ingest(
    replays: ReplayFolder,
    store: EpisodeStore,
    strict: bool = True,
    minimal: bool = False,
    split: str | None = None,
    workers: int = 1,
    progress: Callable[[Taken], object] = lambda taken: None,
) -> list[Taken]:
    """Adds every replay that the store does not have yet; the store is the same for any number of workers.

    Interrupted, it keeps every finished replay. A replay whose rows equal those of an earlier one is skipped.

    Args:
        replays: Where they are.
        store: Where they go.
        strict: Whether a foreign picture costs the whole replay.
        minimal: Whether actions are mapped to the game's minimal set.
        split: Split of all episodes.
        workers: Processes; 0 does it in this one.
        progress: Called with what became of each replay.

    Returns:
        What became of each replay that the store did not have.

    Raises:
        UsageError: If the store was made with another timing, or the disk is full.
    """
    how = Ingestion(replays.source, replays.first_picture, store.path / "episodes", strict, minimal, split)
    _check_timing(store, how)
    known = {entry["replay"] for entry in store.entries}
    rows = {entry["rows"]: str(entry["replay"]) for entry in store.entries}
    done = [Taken(number, skipped="pictures without a trajectory") for number in replays.silent()]
    with processes(workers, replays.game) as executor:
        todo = (replay for replay in replays.replays() if replay.identity not in known)
        for taken in _in_order(executor, how, todo, 1 + 2 * workers):
            done.append(_admit(store, taken, rows))
            progress(done[-1])
    store.close()
    return done


def _check_timing(store: EpisodeStore, how: Ingestion) -> None:
    wanted = [how.source.timing.action_shift, how.source.timing.reward_shift]
    for entry in store.entries:
        if entry["timing"] != wanted:
            raise UsageError(
                f"store {store.path} holds replays read with action and reward shift {entry['timing']}, "
                f"not {wanted}: give --out another folder"
            )


def _in_order(executor: Executor, how: Ingestion, todo: Iterable[Replay], ahead: int) -> Iterator[Taken]:
    """What becomes of replays, in their order, while a few more are under way."""
    waiting: deque[Future[Taken]] = deque()
    for replay in todo:
        waiting.append(executor.submit(take_in, how, replay))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _admit(store: EpisodeStore, taken: Taken, rows: dict[str, str]) -> Taken:
    """Puts episodes into the index, unless the same play is there."""
    if not taken.entries:
        return taken
    first = rows.setdefault(taken.entries[0]["rows"], taken.number)
    if first != taken.number:
        for entry in taken.entries:
            store.file_of(entry["id"]).unlink()
        return Taken(taken.number, skipped=f"the same rows as {first}")
    store.admit(*taken.entries)
    return taken


def take_in(how: Ingestion, replay: Replay) -> Taken:
    """Writes the episodes of one replay, all or none; for a worker process."""
    damage = Damage()
    try:
        rows = read_trajectory(replay.trajectory, damage)
        pictures = {number - how.first_picture: path for number, path in replay.pictures().items()}
        if not pictures:
            raise UnreadableError(f"no pictures in {replay.screens}")
        _compare(rows, pictures, damage, bool(replay.about))
        steps = steps_of(rows, how.source, max(pictures) + 1)
        parts = _parts(how, steps, pictures, damage)
        if not parts:
            raise UnreadableError("no step has its pictures, its action and its reward")
    except UnreadableError as error:
        return Taken(replay.number, damage=damage, skipped=str(error))
    return Taken(replay.number, [_save(how, replay, rows, steps, part) for part in parts], damage)


def _compare(rows: Trajectory, pictures: dict[int, Path], damage: Damage, exported: bool) -> None:
    """Notes pictures without rows and, where it is not meant so, rows without pictures."""
    count = max(pictures) + 1
    damage.note("picture without a row", f"picture {len(rows)}", count - len(rows))
    if not exported:
        damage.note("row without a picture", f"row {count}", len(rows) - count)


@dataclass
class _Part:
    """Frames that follow each other without a gap, from picture `first` on."""

    first: int
    writer: EpisodeWriter = field(default_factory=EpisodeWriter)
    block: list[np.ndarray] = field(default_factory=list)

    def add(self, frame: np.ndarray) -> None:
        self.block.append(frame)
        if len(self.block) == _BLOCK:
            self.flush()

    def flush(self) -> None:
        if self.block:
            self.writer.add(np.stack(self.block))
            self.block.clear()


def _parts(how: Ingestion, steps: Steps, pictures: dict[int, Path], damage: Damage) -> list[_Part]:
    """The stretches of a replay in which no step is lost."""
    damage.note("reset of the console", f"picture {steps.resets.argmax()}", int(steps.resets.sum()))
    into, out = np.pad(steps.usable, (1, 0)), np.pad(steps.usable, (0, 1))
    parts: list[_Part] = []
    goes_on = False
    for place in np.flatnonzero(into | out).tolist():
        frame = _frame(how, pictures, place, damage)
        if frame is None:
            goes_on = False
            continue
        if not (goes_on and into[place]):
            parts.append(_Part(place))
        parts[-1].add(frame)
        goes_on = bool(out[place])
    for part in parts:
        part.flush()
    return [part for part in parts if part.writer.length > 1]


def _frame(how: Ingestion, pictures: dict[int, Path], place: int, damage: Damage) -> np.ndarray | None:
    """The frame of a picture; None, noted, if there is none."""
    name = f"{place + how.first_picture}.png"
    try:
        if place not in pictures:
            raise DamagedError("missing PNG")
        return read_frame(pictures[place], how.source)
    except DamagedError as error:
        damage.note(str(error), name)
    except ForeignError as error:
        if how.strict:
            raise
        damage.note(f"foreign PNG ({error})", name)
    return None


def _save(how: Ingestion, replay: Replay, rows: Trajectory, steps: Steps, part: _Part) -> dict[str, Any]:
    """Writes a part and gives its index entry."""
    length = part.writer.length - 1
    stretch = slice(part.first, part.first + length)
    actions = steps.actions[stretch]
    if how.minimal:
        actions = np.array([get_game(how.source.game).minimal(code) for code in range(18)], np.uint8)[actions]
    ending: Ending = "cut"
    if steps.ends[stretch][-1]:
        ending = "terminated"
    elif length == len(steps.usable):
        ending = replay.about.get("ending", "cut")
    meta = _meta(how, replay, rows, part)
    path = how.folder / f"{meta['id']}.zip"
    prelude = replay.about.get("prelude") if part.first == 0 else None
    return part.writer.save(
        path,
        actions,
        steps.rewards[stretch],
        _lives(replay, part),
        ending,
        meta,
        prelude=None if prelude is None else np.array(prelude, np.uint8),
    )


def _meta(how: Ingestion, replay: Replay, rows: Trajectory, part: _Part) -> dict[str, Any]:
    """What the index says of a part beside what is counted from it."""
    timing = how.source.timing
    told = {name: value for name, value in replay.about.items() if name not in _APART}
    group = replay.identity if rows.play is None or replay.about else f"play-{rows.play}"
    meta = {"group": group, "split": None, **told}
    if how.split is not None:
        meta["split"] = how.split
    return meta | {
        "id": f"{replay.identity}@{part.first}" if part.first > 1 else replay.identity,
        "replay": replay.identity,
        "rows": rows.digest,
        "first": part.first,
        "final_score": final_score(rows, how.source.game),
        "unseen_rows": [how.source.geometry.seen_rows, HEIGHT],
        "timing": [timing.action_shift, timing.reward_shift],
    }


def _lives(replay: Replay, part: _Part) -> np.ndarray | None:
    """The lives that `source.json` tells as pairs of a step and the lives from it on."""
    changes = replay.about.get("lives")
    if changes is None:
        return None
    steps, lives = np.array(changes).T
    places = np.searchsorted(steps, np.arange(part.first, part.first + part.writer.length), side="right") - 1
    return lives[places].astype(np.int16)
