"""The protocol of a drift measurement: what makes two of them comparable, and who is measured."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from atari_dream.checkpoint import CONTROLS, from_memory, open_predictor
from atari_dream.errors import UsageError, unknown
from atari_dream.games import ACTION_NAMES, get_game
from atari_dream.predictor import Predictor
from atari_dream.rollout import PLANS
from atari_dream.starts import CONTINUATION, StartPool

FEWEST = 2
"""Starts without which there is no interval."""


@dataclass(frozen=True)
class Protocol:
    """What makes two measurements comparable.

    Attributes:
        game: The game.
        starts: Number of starts, equally many of each stratum, drawn without replacement.
        horizon: Agent steps.
        context: Agent steps of context in a start.
        frame_skip: Emulator frames per agent step.
        pool: Hash of the starts' ids and frames.
        seed: Seed of the draw, of the noise, and of the actions past a recording's end.
        actions: What is played: `"continuation"`, then held random actions; `"random"` ones at once; or the name of
            one action that is held.
        control_starts: From so many starts every action is held, to see whether the dream obeys.
        long_starts: From so many, dreams run on for 1,000 steps.
        sampling: How often each start is dreamt.
        name: The protocol's version.
    """

    game: str
    starts: int
    horizon: int
    context: int
    frame_skip: int
    pool: str
    seed: int = 0
    actions: str = "continuation"
    control_starts: int = 0
    long_starts: int = 0
    sampling: str = "one sample per start"
    name: str = "drift-v1"

    @classmethod
    def of(
        cls,
        pool: StartPool,
        starts: int,
        horizon: int,
        seed: int = 0,
        actions: str = "continuation",
        control_starts: int = 0,
        long_starts: int = 0,
    ) -> "Protocol":
        """The protocol for a pool.

        Raises:
            UsageError: If a number is out of range, or there is no such action.
        """
        if not 1 <= horizon <= CONTINUATION:
            raise UsageError(
                f"horizon {horizon} asked, allowed are 1 to {CONTINUATION} steps: "
                "the truth goes no further than a start's continuation"
            )
        if starts < FEWEST:
            raise UsageError(
                f"{starts} starts asked, {FEWEST} is the fewest that give an interval; 100 are usual"
            )
        pool.sample(starts, seed)
        for option, count in (("control", control_starts), ("long", long_starts)):
            if not 0 <= count <= len(pool) or count == 1:
                raise UsageError(
                    f"--{option} {count}: allowed are 0 (not measured) and {FEWEST} to the pool's {len(pool)} starts"
                )
        return cls(
            pool.game,
            starts,
            horizon,
            pool.context,
            pool.frame_skip,
            hashlib.sha256(_identity(pool).encode()).hexdigest(),
            seed,
            _plan(pool.game, actions),
            control_starts,
            long_starts,
        )

    @classmethod
    def again(cls, pool: StartPool, told: dict[str, Any]) -> "Protocol":
        """The protocol that a measurement tells of, for a pool; `load_drift` refuses one of other starts."""
        counts = (told["control_starts"], told["long_starts"])
        return cls.of(pool, told["starts"], told["horizon"], told["seed"], told["actions"], *counts)

    def digest(self) -> str:
        """Hash of everything above, in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def _identity(pool: StartPool) -> str:
    return "\n".join(f"{entry['id']} {entry['frame']}" for entry in pool.entries)


def _plan(game: str, actions: str) -> str:
    names = [ACTION_NAMES[code] for code in get_game(game).actions]
    if actions not in (*PLANS, *names):
        raise unknown("actions", actions, (*PLANS, *names), "--actions {}")
    return actions


@dataclass(frozen=True)
class Entry:
    """One that is measured.

    Attributes:
        name: Its name in the results.
        kind: A checkpoint or a control.
        predictor: What dreams.
        temperature: Scale of its noise.
        samples: How often each start is dreamt; the best is scored.
    """

    name: str
    kind: Literal["checkpoint", "control"]
    predictor: Predictor
    temperature: float = 1.0
    samples: int = 1


def open_entries(
    checkpoints: list[str],
    pool: StartPool,
    device: str | torch.device = "cpu",
    best_of: int = 1,
    mode: bool = True,
    memory: bool = True,
) -> list[Entry]:
    """The three controls and each checkpoint: as sampled and, if asked for, otherwise.

    That is as its mode, begun from the console's memory (of those that keep it), and as its best of several.

    Raises:
        UsageError: If a checkpoint cannot be opened or two have one name.
    """
    entries = [Entry(name, "control", open_predictor(name, pool).predictor) for name in CONTROLS]
    for checkpoint in checkpoints:
        if checkpoint in CONTROLS:
            continue
        opened = open_predictor(checkpoint, pool, device)
        if opened.name in [entry.name for entry in entries]:
            raise UsageError(f"two checkpoints are named {opened.name!r}: rename a folder")
        entries.append(Entry(opened.name, "checkpoint", opened.predictor))
        if mode:
            entries.append(Entry(f"{opened.name}:mode", "checkpoint", opened.predictor, 0.0))
        if memory and opened.predictor.keeps_memory:
            told = from_memory(opened)
            entries.append(Entry(told.name, "checkpoint", told.predictor))
        if best_of > 1:
            name = f"{opened.name}:best{best_of}"
            entries.append(Entry(name, "checkpoint", opened.predictor, samples=best_of))
    return entries
