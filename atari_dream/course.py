"""What a predictor learns from: windows of a store that it is rolled out over, or play that branches off a store."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader, Dataset

from atari_dream.adversary import objective_of
from atari_dream.console.branches import Branches, Play
from atari_dream.console.causes import find_causes
from atari_dream.console.changes import turned_by
from atari_dream.console.new_games import NewGames
from atari_dream.dream import tree_map
from atari_dream.drills import Drills, Lanes, noted
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.models.console import Console
from atari_dream.objectives import PIXEL_WEIGHT, Rollout
from atari_dream.players import Player
from atari_dream.predictor import Batch, Predictor
from atari_dream.registry import model_class
from atari_dream.training_config import TrainingConfig
from atari_dream.windows import Windows

_COLOUR_WEIGHT = 0.1
_SURVEY_CLIPS, _SURVEY_STEPS = 200, 16
_PRIMED_WINDOWS, _PRIMED_STEPS = 16, 48
_BRANCHES, _BRANCH_STEPS, _COUNTED = 16, 24, 32
_WEAR = 6
"""Steps that are learnt from for each that is played meanwhile: what is gone over more often is learnt by heart."""


class Course(Protocol):
    """What a predictor learns from, and how."""

    def survey(self) -> dict[str, Any]:
        """What the model is to be built with, as the data suggests."""

    def prime(self, predictor: Predictor, device: torch.device) -> None:
        """What it learns before the first update."""

    def objective(self, predictor: Predictor, context: int, device: torch.device) -> Any:
        """What it is trained with."""

    def batches(self, context: int, first: int, rank: int, world: int, pinned: bool) -> Iterator[Any]:
        """A batch for each update from `first` on, this process's share."""


class Windowed:
    """Rollouts over windows of recorded play."""

    def __init__(self, config: TrainingConfig, store: EpisodeStore) -> None:
        self._config, self._store = config, store

    def survey(self) -> dict[str, Any]:
        """What the model is to be built with, as short windows suggest."""
        windows = self._windows(_SURVEY_STEPS, 1, 1, 0)
        return model_class(self._config.model).survey(map(windows.__getitem__, range(_SURVEY_CLIPS)))

    def prime(self, predictor: Predictor, device: torch.device) -> None:
        """Single steps of `config.prime` frames, if any."""
        if self._config.prime:
            windows = self._windows(1, _PRIMED_STEPS, _PRIMED_WINDOWS, self._config.seed)
            count = -(-self._config.prime // (_PRIMED_WINDOWS * _PRIMED_STEPS))
            predictor.to(device)
            predictor.prime(moved(windows[k], device) for k in range(count))

    def objective(self, predictor: Predictor, context: int, device: torch.device) -> Rollout:
        """A rollout's loss."""
        config = self._config
        return objective_of(
            predictor,
            context,
            _weights(config),
            config.free_bits,
            config.adversary,
            config.adversary_share,
        )

    def batches(self, context: int, first: int, rank: int, world: int, pinned: bool) -> Iterator[Batch]:
        """Windows from update `first` on, this process's share of each batch."""
        config = self._config
        windows = self._windows(context, config.horizon, config.batch, config.seed, rank=rank, world=world)
        return iter(_loader(windows, range(first, len(windows)), config.workers, pinned))

    def _windows(self, context: int, horizon: int, size: int, seed: int, **share: int) -> Windows:
        return Windows(self._store, "train", context, horizon, size, self._config.frame_skip, seed, **share)


class InTurns(Dataset[Play]):
    """Items of several datasets, of each in turn."""

    def __init__(self, datasets: list[Dataset[Play]]) -> None:
        self._datasets = datasets

    def __len__(self) -> int:
        """As many as are asked for."""
        return 2**31

    def __getitem__(self, k: int) -> Play:
        """Item k."""
        turn, which = divmod(k, len(self._datasets))
        return self._datasets[which][turn]


class Branched:
    """Single steps of play that branches off the store; with a player, every other item is of new games."""

    def __init__(self, config: TrainingConfig, store: EpisodeStore, player: Player | None) -> None:
        if config.prime < _BRANCHES * _BRANCH_STEPS:
            raise UsageError(
                f"model {config.model!r} learns from play that branches off the store, {config.prime} frames asked "
                f"for: give --prime 60000, at least {_BRANCHES * _BRANCH_STEPS}"
            )
        self._config, self._store = config, store
        sizes = _BRANCHES, _BRANCH_STEPS, config.frame_skip, config.seed
        plays: list[Dataset[Play]] = [Branches(store, "train", *sizes)]
        if player is not None:
            plays.append(NewGames(store.game, player, *sizes))
        self._played = InTurns(plays)

    def survey(self) -> dict[str, Any]:
        """What the model is to be built with, as some of the play suggests."""
        plays = list(self._plays(_COUNTED))
        told = model_class(self._config.model).survey(plays)
        causes = find_causes(self._store.game, plays)
        changing = [byte for byte, changes in enumerate(told["changes"]) if len(changes) > 1]
        return {
            **told,
            "idle": causes.idle,
            "circuits": causes.circuits(changing, turned_by(told["changes"])),
        }

    def prime(self, predictor: Predictor, device: torch.device) -> None:
        """What is found by counting, in some of the play."""
        predictor.prime(self._plays(_COUNTED))

    def objective(self, predictor: Predictor, context: int, device: torch.device) -> Drills:
        """Drills over notes of all play."""
        learner = cast(Console, predictor)
        return Drills(learner, noted(learner, (moved(play, device) for play in self._plays())))

    def batches(self, context: int, first: int, rank: int, world: int, pinned: bool) -> Iterator[Lanes]:
        """Lanes, this process's share of each batch, and what is played meanwhile."""
        lanes = torch.arange(rank, self._config.batch, world)
        played = self._due(first)
        plays = iter(_loader(self._played, range(played, len(self._played)), self._config.workers, pinned))
        for update in count(first):
            due = self._due(update)
            yield Lanes(lanes, tuple(next(plays) for _ in range(played, due)))
            played = due

    def _due(self, update: int) -> int:
        """Items that were played by an update."""
        begun = -(-self._config.prime // (_BRANCHES * _BRANCH_STEPS))
        return begun + update * self._config.batch // (_WEAR * _BRANCHES * _BRANCH_STEPS)

    def _plays(self, most: int | None = None) -> Iterator[Play]:
        return islice(_loader(self._played, range(self._due(0)), self._config.workers, False), most)


def course_of(config: TrainingConfig, store: EpisodeStore, player: Player | None = None) -> Course:
    """What the model that is asked for learns from; some models learn from new games of a player, too.

    Raises:
        UsageError: If there is a player for a model that learns from recordings alone, or without a policy's name.
    """
    if (player is None) != (config.policy is None):
        raise UsageError(
            f"policy {config.policy!r} and player {player!r} given: the one names the other, give both or neither"
        )
    if model_class(config.model).branches:
        return Branched(config, store, player)
    if player is not None:
        raise UsageError(
            f"model {config.model!r} learns from recordings alone: call without --policy, or record more with "
            f"atari-dream record --game {store.game} --policy {config.policy} --steps 100000 --out {config.data}"
        )
    return Windowed(config, store)


def moved(parts: Any, device: torch.device) -> Any:
    """Nested tuples of tensors on a device."""
    return tree_map(lambda part: part.to(device, non_blocking=True), parts)


def _loader(dataset: Any, items: range, workers: int, pinned: bool) -> Any:
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=items,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pinned,
    )


def _weights(config: TrainingConfig) -> dict[str, float]:
    """Factors of the loss terms in nats a frame: pixels are many, outcomes few."""
    return {
        "pixels": PIXEL_WEIGHT,
        "cells": PIXEL_WEIGHT,
        "ways": 4 * PIXEL_WEIGHT,
        "touches": PIXEL_WEIGHT / 4,
        "colours": _COLOUR_WEIGHT,
        "kl": PIXEL_WEIGHT * config.beta,
        **config.image_losses,
    }
