"""Search for memory with which the emulator shows what a replay shows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from atari_dream.emulator import Emulator

_FIRST, _LAST = 8, 16
"""Frames that a search looks at: so many at first, and at most."""
_BACK = (1, 3, 8, 20, 50)
"""How many frames before it goes wrong a run is mended."""
_AHEAD, _FAR = 24, 120
"""Frames after it that a mended run is judged by, and after which no other mend is looked for."""
_PATCHES = 7
"""Patches of wrong pixels looked at apart."""


class Beside:
    """The emulator beside a replay: memory is injected, the recorded actions played, the pictures compared.

    Attributes:
        end: Number of the last frame.
        trials: Injections tried.
        played: Frames played for them.
    """

    def __init__(self, game: str, frames: np.ndarray, actions: np.ndarray, seen_rows: int) -> None:
        self._frames, self._actions, self._seen = frames, actions, seen_rows
        self._emulator = Emulator(game)
        self._booted = self._emulator.save()
        self._emulator.step([0])
        self._after_boot = self._emulator.frame
        self.end, self.trials, self.played = len(frames) - 1, 0, 0

    def inject(self, ram: np.ndarray) -> None:
        """Puts memory into a console that has just been switched on.

        Wrong memory can stop the processor or leave a picture half drawn, which no restored state undoes: then the
        console is really switched on again.
        """
        self._emulator.restore(self._booted)
        self._emulator.step([0])
        if not np.array_equal(self._emulator.frame, self._after_boot):
            self._emulator.reset()
        self._emulator.restore(self._booted)
        self._emulator.set_ram(ram)
        self.trials += 1

    def step(self, frame: int) -> np.ndarray:
        """Plays the action at a frame; tells where the next picture is another than the replay's, bool (rows, 160)."""
        self._emulator.step(self._actions[frame : frame + 1])
        self.played += 1
        return self._emulator.frame[: self._seen] != self._frames[frame + 1][: self._seen]

    def exact(self, ram: np.ndarray, frame: int, most: int | None = None) -> int:
        """How many frames after a frame are the replay's, to the last pixel, when it has that memory."""
        self.inject(ram)
        stop = self.end if most is None else min(self.end, frame + most)
        for now in range(frame, stop):
            if self._emulator.over or self.step(now).any():
                return now - frame
        return stop - frame

    def wrong(self, ram: np.ndarray, frame: int, count: int, bound: int = 2**62) -> int:
        """Wrong pixels in the next frames; counting stops when `bound` is reached."""
        self.inject(ram)
        total = 0
        for now in range(frame, min(self.end, frame + count)):
            total += int(np.count_nonzero(self.step(now)))
            if total >= bound:
                break
        return total

    def where(self, ram: np.ndarray, frame: int, count: int) -> np.ndarray:
        """Which pixels are wrong in any of the next frames, bool (210, 160)."""
        self.inject(ram)
        found = np.zeros(self._frames.shape[1:], bool)
        for now in range(frame, min(self.end, frame + count)):
            found[: self._seen] |= self.step(now)
        return found

    def memories(self, ram: np.ndarray, frame: int, count: int) -> np.ndarray:
        """Memory at a frame and after each of the next, uint8 (count + 1, 128)."""
        self.inject(ram)
        rows = [ram]
        for now in range(frame, frame + count):
            self.step(now)
            rows.append(self._emulator.ram)
        return np.stack(rows)

    def picture(self, frame: int) -> np.ndarray:
        """A frame of the replay, the rows that it has, uint8 (rows, 160)."""
        return self._frames[frame][: self._seen]


class Climb:
    """Memory that gets better: a change is kept if fewer pixels of the next frames are wrong.

    Attributes:
        ram: The best memory so far, uint8 (128,).
        wrong: Its wrong pixels.
    """

    def __init__(self, beside: Beside, ram: np.ndarray, frame: int, count: int, budget: int) -> None:
        self.beside, self.ram, self.frame, self.count = beside, ram.copy(), frame, count
        self._until = beside.played + budget
        self.wrong = beside.wrong(ram, frame, count)

    @property
    def done(self) -> bool:
        """Whether nothing is left to gain, or its frames are used up."""
        return self.wrong == 0 or self.beside.played >= self._until

    def lengthen(self, most: int) -> None:
        """Looks at twice as many frames as long as all are right."""
        while self.wrong == 0 and self.count < most:
            self.count *= 2
            self.wrong = self.beside.wrong(self.ram, self.frame, self.count)

    def offer(self, places: np.ndarray | int, values: np.ndarray | int, spare: int = 0) -> bool:
        """Tries other values at some places, and keeps them if fewer pixels are wrong, less what they may spare."""
        tried = self.ram.copy()
        tried[places] = values
        if (tried == self.ram).all():
            return False
        wrong = self.beside.wrong(tried, self.frame, self.count, self.wrong + spare)
        if wrong >= self.wrong + spare:
            return False
        self.ram, self.wrong = tried, wrong
        return True


def neighbours(climb: Climb, places: Iterable[int]) -> None:
    """Offers every flip of one bit, and values a few higher or lower."""
    for place in places:
        for bit in range(8):
            climb.offer(place, int(climb.ram[place]) ^ 1 << bit)
        for difference in (1, -1, 2, -2, 3, -3, 4, -4):
            climb.offer(place, (int(climb.ram[place]) + difference) % 256)
        if climb.done:
            return


def every_value(climb: Climb, places: Iterable[int]) -> None:
    """Offers all 256 values of a byte."""
    for place in places:
        for value in range(256):
            climb.offer(place, value)
        if climb.done:
            return


def graft(climb: Climb, donors: "Donors", count: int = 12) -> None:
    """Offers the memory of recordings that look right where this one is wrong: all of it, then ever smaller parts."""
    for region in _regions(climb.beside.where(climb.ram, climb.frame, climb.count)):
        for donor in donors.alike(climb.beside.picture(climb.frame), region, count):
            parts = [np.flatnonzero(donor != climb.ram)]
            while parts and not climb.done:
                part = parts.pop(0)
                before = climb.ram
                if climb.offer(part, donor[part]):
                    _take_back(climb, before, part)
                elif len(part) > 1:
                    parts += np.array_split(part, 2)


def _take_back(climb: Climb, before: np.ndarray, places: np.ndarray) -> None:
    """Undoes what a change of many bytes did not need."""
    for place in places.tolist() if len(places) > 1 else ():
        climb.offer(place, int(before[place]), spare=1)


def _regions(wrong: np.ndarray) -> Iterator[np.ndarray]:
    """All that is wrong, then one patch at a time, each with its surroundings, bool (210, 160)."""
    if not wrong.any():
        return
    patches, labels = cv2.connectedComponents(cv2.dilate(wrong.astype(np.uint8), np.ones((9, 9), np.uint8)))
    yield labels > 0
    for patch in range(1, min(patches, _PATCHES) if patches > 2 else 1):
        yield labels == patch


class Donors:
    """Pictures of the emulator's own play, uint8 (N, 210, 160), with the memory behind them, uint8 (N, 128).

    Attributes:
        places: The bytes of memory, those first that vary in it.
    """

    def __init__(self, frames: np.ndarray, ram: np.ndarray) -> None:
        self.frames, self.ram = frames, ram
        self.places: list[int] = np.argsort((ram == ram[0]).all(0), kind="stable").tolist()

    def alike(self, picture: np.ndarray, region: np.ndarray, count: int) -> np.ndarray:
        """Memory of the pictures most alike within a region, bool (210, 160), uint8 (count, 128)."""
        region = region[: len(picture)]
        rows, columns = (slice(found.min(), found.max() + 1) for found in np.nonzero(region))
        inside = region[rows, columns]
        differ = self.frames[:, rows, columns][:, inside] != picture[rows, columns][inside]
        return self.ram[np.argsort(differ.sum(1), kind="stable")[:count]]

    def nearest(self, picture: np.ndarray, count: int) -> np.ndarray:
        """Memory of the pictures most alike, uint8 (count, 128)."""
        return self.alike(picture, np.ones((210, 160), bool), count)


def refine(beside: Beside, ram: np.ndarray, frame: int, donors: Donors, budget: int) -> np.ndarray:
    """Changes memory until the next frames are the replay's, or no change makes them more so.

    Args:
        beside: The replay.
        ram: Memory proposed, uint8 (128,).
        frame: Number of the frame at which it is to stand.
        donors: The emulator's own play.
        budget: Emulator frames to play for it, about 15,000 a second.

    Returns:
        The memory, uint8 (128,).
    """
    climb = Climb(beside, ram, frame, _FIRST, budget)
    moves: list[Callable[[], None]] = [
        lambda: graft(climb, donors),
        lambda: neighbours(climb, donors.places),
        lambda: every_value(climb, donors.places),
    ]
    stale = 0
    while stale < len(moves):
        climb.lengthen(_LAST)
        if climb.done:
            break
        before = climb.wrong
        moves[stale]()
        stale = 0 if climb.wrong < before else stale + 1
    return climb.ram


class Run(NamedTuple):
    """Memory at a frame, and the last frame up to which the emulator then shows what the replay does.

    Attributes:
        frame: Number of the frame at which it stands.
        ram: uint8 (128,).
        last: Number of the last frame that is right.
    """

    frame: int
    ram: np.ndarray
    last: int


def run(beside: Beside, ram: np.ndarray, frame: int) -> Run:
    """Follows the replay from a frame as far as every pixel is right."""
    return Run(frame, ram, frame + beside.exact(ram, frame))


def mend(beside: Beside, broken: Run, budget: int) -> Run | None:
    """Changes bytes shortly before a run goes wrong so that it goes on: one, or if that does not do, several.

    Only bytes are changed of which a bit, changed then or later, shows in the first wrong picture and in none before.

    Returns:
        The run that gets furthest, or None if none gets further.
    """
    until = beside.played + budget
    memories = beside.memories(broken.ram, broken.frame, broken.last - broken.frame)
    best, places = broken, list[int]()
    for change in (_singly, _together):
        for back in _BACK:
            frame = max(broken.frame, broken.last - back)
            ram = memories[frame - broken.frame]
            if change is _singly:
                found = _hidden(beside, ram, frame, broken.last)
                places += [place for place in found if place not in places]
            tried = change(beside, ram, frame, broken.last, places, until)
            best = max(best, *tried, key=lambda one: one.last)
            if best.last >= min(beside.end, broken.last + _FAR):
                return best
            if frame == broken.frame or beside.played >= until:
                break
    return best if best.last > broken.last else None


def _hidden(beside: Beside, ram: np.ndarray, frame: int, last: int) -> list[int]:
    """Bytes of which a bit shows in the picture after `last` and in none before."""
    beside.exact(ram, frame, last - frame)
    shown = beside.step(last) if last < beside.end else None
    found = []
    for place in range(len(ram)):
        for bit in range(8):
            tried = ram.copy()
            tried[place] ^= 1 << bit
            if (
                beside.exact(tried, frame, last - frame) == last - frame
                and (beside.step(last) != shown).any()
            ):
                found.append(place)
                break
    return found


def _singly(
    beside: Beside, ram: np.ndarray, frame: int, last: int, places: Sequence[int], until: int
) -> list[Run]:
    """Runs beyond `last` with one byte changed."""
    found = []
    for place in places:
        for value in range(256 if beside.played < until else 0):
            tried = ram.copy()
            tried[place] = value
            one = run(beside, tried, frame)
            if one.last > last:
                found.append(one)
    return found or [Run(frame, ram, last)]


def _together(
    beside: Beside, ram: np.ndarray, frame: int, last: int, places: Sequence[int], until: int
) -> list[Run]:
    """The run with bytes changed one after the other as long as fewer pixels are wrong."""
    climb = Climb(beside, ram, frame, last - frame + _AHEAD, until - beside.played)
    before = climb.wrong + 1
    while climb.wrong < before and not climb.done:
        before = climb.wrong
        every_value(climb, places)
    return [run(beside, climb.ram, frame)]


def follow(beside: Beside, first: Run, budget: int) -> list[Run]:
    """Goes on from a run to the end of the replay, mending it wherever it goes wrong, with a budget for each mend.

    Returns:
        Runs of which each begins within the one before.
    """
    runs = [first]
    while runs[-1].last < beside.end:
        longer = mend(beside, runs[-1], budget)
        if longer is None:
            break
        if longer.frame == runs[-1].frame:
            runs.pop()
        runs.append(longer)
    return runs
