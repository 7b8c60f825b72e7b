"""Records play of the emulator into an episode store, with worker processes.

Run: `atari-dream record --game pacman --steps 10000 --out stores/pacman`
"""

import copy
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atari_dream.emulator import NOOP_MAX, Emulator
from atari_dream.episode import Episode
from atari_dream.episode_writer import write_episode
from atari_dream.episodes import EpisodeStore
from atari_dream.games import FRAME_RATE, FRAME_SKIP, get_game
from atari_dream.players import Player
from atari_dream.processes import spawn


@dataclass(frozen=True)
class Recording:
    """How games are recorded.

    Attributes:
        game: Name of the game.
        player: Who plays.
        frame_skip: Emulator frames per recorded step.
        longest: Emulator frames after which a game is truncated.
        state_every: Emulator frames between two saved emulator states.
        split: Split of all episodes; None leaves it to the store.
    """

    game: str
    player: Player
    frame_skip: int = FRAME_SKIP
    longest: int = 300 * FRAME_RATE
    state_every: int = 64
    split: str | None = None

    def play(self, seed: int) -> Episode:
        """Plays one game from power-on, after 0-30 further no-ops drawn from the seed."""
        rng = np.random.default_rng(seed)
        emulator = Emulator(self.game)
        player = copy.deepcopy(self.player)
        prelude = emulator.reset(int(rng.integers(NOOP_MAX + 1)))
        player.begin(get_game(self.game), self.frame_skip, rng)
        tape = _Tape(emulator, prelude, max(1, self.state_every // self.frame_skip))
        while not emulator.over and len(tape.actions) < self.longest // self.frame_skip:
            tape.step(player.act(tape.frames[-1]), self.frame_skip)
        meta = {
            "id": game_id(self.game, seed),
            "seed": seed,
            "player": repr(self.player),
            "split": self.split,
        }
        return tape.episode(meta)


class _Tape:
    """What has been played of one game."""

    def __init__(self, emulator: Emulator, prelude: np.ndarray, state_every: int) -> None:
        self._emulator, self._prelude, self._state_every = emulator, prelude, state_every
        self.frames, self.lives = [emulator.frame], [emulator.lives]
        self.actions: list[int] = []
        self.rewards: list[float] = []
        self.states = {0: emulator.save()}

    def step(self, action: int, frame_skip: int) -> None:
        self.rewards.append(self._emulator.step([action] * frame_skip))
        self.actions.append(action)
        self.frames.append(self._emulator.frame)
        self.lives.append(self._emulator.lives)
        if len(self.actions) % self._state_every == 0:
            self.states[len(self.actions)] = self._emulator.save()

    def episode(self, meta: dict[str, Any]) -> Episode:
        return Episode(
            frames=np.stack(self.frames),
            actions=np.array(self.actions, np.uint8),
            rewards=np.array(self.rewards, np.float32),
            lives=np.array(self.lives, np.int16),
            ending="terminated" if self._emulator.over else "truncated",
            meta=meta,
            prelude=self._prelude,
            state_steps=np.array(list(self.states)),
            states=np.stack(list(self.states.values())),
        )


def record(
    recording: Recording,
    store: EpisodeStore,
    steps: int,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int], object] = lambda steps: None,
) -> int:
    """Records whole games until the store has grown by `steps` steps.

    Games are numbered by seeds `seed`, `seed` + 1, ... and taken in that order, so what is recorded does not
    depend on the number of workers. An interrupted recording keeps every finished game.

    Args:
        recording: How games are played.
        store: Where they go; it must be for the same game and frame skip.
        steps: Steps to record, at least.
        seed: Seed of the first game.
        workers: Processes.
        progress: Called with the steps of each finished game.

    Returns:
        Steps recorded.
    """
    done = 0
    with _Games(recording, store, seed, workers) as games:
        try:
            while done < steps:
                done += _take(games.next(), store, progress)
        except KeyboardInterrupt:
            for entry in games.finish():
                _take(entry, store, progress)
            raise
        finally:
            store.close()
    return done


def _take(entry: dict[str, Any], store: EpisodeStore, progress: Callable[[int], object]) -> int:
    store.admit(entry)
    progress(entry["length"])
    return int(entry["length"])


class _Games:
    """Games played by worker processes, handed over in order of their seeds as index entries."""

    def __init__(self, recording: Recording, store: EpisodeStore, seed: int, workers: int) -> None:
        self._recording, self._store, self._seed = recording, store, seed
        self._known = {entry["id"] for entry in store.entries}
        self._ahead: deque[Future[dict[str, Any]]] = deque()
        self._depth = 2 * workers
        self._pool = spawn(workers, recording.game)

    def next(self) -> dict[str, Any]:
        while len(self._ahead) < self._depth:
            self._submit()
        entry = self._ahead[0].result()
        self._ahead.popleft()
        return entry

    def finish(self) -> list[dict[str, Any]]:
        """Starts no more games and waits for those under way; what failed has written nothing."""
        running = [future for future in self._ahead if not future.cancel()]
        self._ahead.clear()
        return [future.result() for future in running if future.exception() is None]

    def _submit(self) -> None:
        identity = game_id(self._recording.game, self._seed)
        if identity not in self._known:
            path = self._store.file_of(identity)
            self._ahead.append(self._pool.submit(_record_game, self._recording, self._seed, path))
        self._seed += 1

    def __enter__(self) -> "_Games":
        return self

    def __exit__(self, *_: object) -> None:
        surplus = self.finish()
        self._pool.shutdown()
        for entry in surplus:
            self._store.file_of(entry["id"]).unlink()


def game_id(game: str, seed: int) -> str:
    """Id of the episode that a seed gives."""
    return f"{game}-{seed:010d}"


def _record_game(recording: Recording, seed: int, path: Path) -> dict[str, Any]:
    return write_episode(path, recording.play(seed))
