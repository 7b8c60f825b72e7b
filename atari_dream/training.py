"""Learning a predictor from a store. Device, precision and processes are Lightning Fabric's; the loop is ours.

Run: `atari-dream train --model c_lstm_vae --game pacman --data stores/pacman --out runs/pacman --minutes 60`,
or under `torchrun --nproc-per-node 2 -m atari_dream train ...` on several devices. Every batch and every random
number depends on the seed and the step alone, so a run that was interrupted goes on to the same numbers.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from atari_dream import noise
from atari_dream.checkpoint import load_checkpoint, save_checkpoint
from atari_dream.course import course_of, moved
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.files import read_json, whole
from atari_dream.players import Player
from atari_dream.predictor import Batch, Predictor
from atari_dream.registry import create_model, model_class
from atari_dream.training_config import TrainingConfig
from atari_dream.validation import validate
from atari_dream.windows import Windows, domain_of

_KEEP_SECONDS = 45.0
_EMA = 0.999
_CLOCKS: dict[str, Callable[[], float]] = {"wall": time.monotonic, "cpu": time.process_time}


VALIDATION_HORIZON = 10
"""Short on purpose: over longer rollouts the share of wrong pixels prefers a model that erases what it is unsure of."""


class Trainer:
    """One training run: its predictor, optimisers, logs and place in time.

    Args:
        config: How to train.
        report: Called after each update with (progress 0 to 1, metrics).
        player: Who plays new games, for `config.policy`.

    Raises:
        UsageError: If the store, the model or the state to resume from do not fit.
    """

    def __init__(
        self,
        config: TrainingConfig,
        report: Callable[[float, dict[str, float]], object] = lambda *_: None,
        player: Player | None = None,
    ) -> None:
        self.config, self._report = config, report
        self._store = _open_store(config)
        torch.manual_seed(config.seed)
        self.course = course_of(config, self._store, player)
        self.built = self._built()
        self.predictor = create_model(config.model, domain_of(self._store, config.frame_skip), **self.built)
        self.fabric = _fabric(
            config, in_turns=config.adversary_share > 0 and bool(self.predictor.adversaries)
        )
        if config.init:
            self._begin_with(Path(config.init))
        self.predictor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.step, self.elapsed, self.best = 0, 0.0, float("inf")
        if not (config.init or config.resume):
            self._prime()
        self.context = min(config.context or self.predictor.context, self.predictor.context)
        self.average = AveragedModel(self.predictor, multi_avg_fn=_average)
        self.average.to(self.fabric.device)
        self.predictor.to(self.fabric.device)
        objective = self.course.objective(self.predictor, self.context, self.fabric.device)
        groups = objective.groups()
        self.objective = self.fabric.setup_module(objective)
        self.optimizers = {
            name: self.fabric.setup_optimizers(objective.optimizer(parameters, config.learning_rate))
            for name, parameters in groups.items()
        }
        if config.resume:
            self._resume()

    def run(self) -> dict[str, float]:
        """Trains to the end, keeping the best checkpoint and, every 45 seconds, the state to resume from.

        Returns:
            Metrics of the last validation.

        Raises:
            KeyboardInterrupt: After the state was kept.
        """
        validation = self._validation_batches()
        metrics: dict[str, float] = {}
        clock = _CLOCKS[self.config.clock]
        begun, kept = clock() - self.elapsed, time.monotonic()
        try:
            for batch in self._batches():
                losses = self.update(batch)
                self.step += 1
                self.elapsed = clock() - begun
                if self.step % self.config.validate_every == 0 or self.progress >= 1:
                    metrics = self._validate(validation)
                self._log(losses)
                if time.monotonic() - kept > _KEEP_SECONDS:
                    self._keep()
                    kept = time.monotonic()
                if self.progress >= 1:
                    break
        finally:
            self._keep()
            self.fabric.logger.save()
        return metrics

    @property
    def progress(self) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.elapsed / (60 * (self.config.minutes or 1.0)))

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of every optimiser whose turn it is, on this process's share of a joint batch."""
        key = noise.fold(
            noise.fold(noise.key_of(self.config.seed), self.step).to(batch.lane.device), batch.lane
        )
        losses, metrics = self.objective(batch, key, self.progress)
        turns = {name: self.optimizers[name] for name in losses}
        for optimizer in turns.values():
            for group in optimizer.param_groups:
                group["lr"] = self.config.learning_rate * (1 - 0.99 * self.progress)
            optimizer.zero_grad()
        if losses:
            self.fabric.backward(sum(losses.values()))
        for optimizer in turns.values():
            self._clip(optimizer)
            optimizer.step()
        if "model" in turns:
            self.average.update_parameters(self.predictor)
        return {name: value.detach() for name, value in {**losses, **metrics}.items()}

    def _clip(self, optimizer: Any) -> None:
        try:
            self.fabric.clip_gradients(
                self.objective, optimizer, max_norm=self.config.clip, error_if_nonfinite=True
            )
        except RuntimeError as error:
            raise UsageError(
                f"the gradient is not finite at update {self.step + 1}: "
                f"train anew with a --learning-rate below {self.config.learning_rate:g}"
            ) from error

    def _built(self) -> dict[str, Any]:
        """What the model is built with: as asked; the rest as the checkpoint to begin with, or as the data suggests."""
        config = self.config
        if config.init:
            told = read_json(Path(config.init) / "config.json", "checkpoint")["config"]
        else:
            told = self.course.survey()
        return {**told, **config.config}

    def _batches(self) -> Iterator[Batch]:
        share = self.fabric.global_rank, self.fabric.world_size
        pinned = self.fabric.device.type == "cuda"
        for batch in self.course.batches(self.context, self.step, *share, pinned):
            yield self._to_device(batch)

    def _prime(self) -> None:
        begun = _CLOCKS[self.config.clock]()
        self.course.prime(self.predictor, self.fabric.device)
        self.elapsed = _CLOCKS[self.config.clock]() - begun

    def _validation_batches(self) -> list[Batch]:
        size = min(32, self.config.validation_windows)
        windows = Windows(
            self._store,
            "validation",
            self.predictor.context,
            VALIDATION_HORIZON,
            size,
            self.config.frame_skip,
        )
        return [self._to_device(windows[k]) for k in range(-(-self.config.validation_windows // size))]

    def _to_device(self, batch: Batch) -> Batch:
        return moved(batch, self.fabric.device)

    def _validate(self, batches: list[Batch]) -> dict[str, float]:
        """Measures the averaged weights and keeps them as the checkpoint if they are the best so far.

        While the objective is not whole, the latest are kept.
        """
        predictor = cast(Predictor, self.average.module.eval())
        with self.fabric.autocast():
            metrics = validate(predictor, batches)
        self.fabric.log_dict({f"validation/{name}": value for name, value in metrics.items()}, self.step)
        if metrics["wrong_moving"] < self.best:
            self.best = (
                metrics["wrong_moving"] if self.objective.module.whole(self.progress) else float("inf")
            )
            if self.fabric.is_global_zero:
                facts = {
                    "validation": metrics,
                    "step": self.step,
                    "minutes": self.elapsed / 60,
                    "training": asdict(self.config),
                }
                save_checkpoint(
                    Path(self.config.out),
                    predictor,
                    self.config.model,
                    self.built,
                    facts,
                    self._store.digest(),
                )
        return metrics

    def _log(self, losses: dict[str, Tensor]) -> None:
        if self.step % 20 == 0 or self.step == 1:
            numbers = {name: float(value) for name, value in losses.items()}
            self.fabric.log_dict({f"train/{name}": value for name, value in numbers.items()}, self.step)
            self._report(self.progress, numbers | {"step": self.step, "best": self.best})

    def _keep(self) -> None:
        """Writes the state to resume from, in full precision."""
        if self.fabric.is_global_zero:
            state = {
                "objective": self.objective.module.state_dict(),
                "average": self.average.state_dict(),
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                "place": {"step": self.step, "elapsed": self.elapsed, "best": self.best},
                "run": _identity(self.config, self._store),
            }
            with whole(self.config.state_folder / "state.pt") as fresh:
                torch.save(state, fresh)

    def _begin_with(self, checkpoint: Path) -> None:
        other = load_checkpoint(checkpoint)
        if type(other) is not type(self.predictor) or other.domain != self.predictor.domain:
            raise UsageError(
                f"--init {checkpoint} holds {type(other).__name__} for {other.domain.game!r} with other colours, "
                f"rewards or frame skip than {self._store.path}: train anew, without --init"
            )
        try:
            self.predictor.load_state_dict(other.state_dict())
        except RuntimeError:
            raise UsageError(
                f"--init {checkpoint} has layers of other sizes than the model asked for"
            ) from None

    def _resume(self) -> None:
        path = self.config.state_folder / "state.pt"
        if not path.is_file():
            raise UsageError(f"nothing to resume at {path}: call without --resume")
        state = torch.load(path, map_location=self.fabric.device, weights_only=True)
        wanted = _identity(self.config, self._store)
        changed = [name for name in wanted if wanted[name] != state["run"].get(name)]
        if changed:
            raise UsageError(
                f"{path} was made with another {', '.join(changed)}: resume with the same, or call without --resume"
            )
        self.objective.module.load_state_dict(state["objective"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.step, self.elapsed, self.best = (state["place"][name] for name in ("step", "elapsed", "best"))


def _identity(config: TrainingConfig, store: EpisodeStore) -> dict[str, Any]:
    """What must stay the same for a run to go on to the same numbers."""
    names = (
        "model",
        "config",
        "batch",
        "context",
        "horizon",
        "frame_skip",
        "learning_rate",
        "beta",
        "free_bits",
        "image_losses",
        "adversary",
        "adversary_share",
        "clip",
        "seed",
        "init",
        "prime",
        "policy",
    )
    return {**{name: getattr(config, name) for name in names}, "data": store.digest()}


def _open_store(config: TrainingConfig) -> EpisodeStore:
    if not model_class(config.model).trainable:
        raise UsageError(f"model {config.model!r} is a control and does not learn")
    if config.clock == "cpu" and config.workers:
        raise UsageError("--clock cpu counts this process alone: give --workers 0")
    if (config.steps is None) == (config.minutes is None):
        raise UsageError("give either --steps or --minutes")
    store = EpisodeStore(config.data)
    if store.game != config.game:
        raise UsageError(
            f"store {config.data} is of game {store.game!r}, not {config.game!r}: give --game {store.game}"
        )
    return store


def _fabric(config: TrainingConfig, in_turns: bool) -> Any:
    """Fabric, launched; where parameters learn in turns, an update leaves some of them out."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.loggers import TensorBoardLogger
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}: pip install 'atari-dream[train]'") from None
    processes = int(os.environ.get("WORLD_SIZE", 1))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    precision: Any = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if device == "cuda" else "32-true"
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=processes // here,
        strategy="auto" if processes == 1 else "ddp_find_unused_parameters_true" if in_turns else "ddp",
        precision=precision,
        loggers=TensorBoardLogger(config.state_folder, name="log", version=""),
    )
    fabric.launch()
    return fabric


def _average(averages: Any, current: Any, updates: Tensor | int) -> None:
    """Moves the averaged weights towards the current ones, faster at first."""
    decay = min(_EMA, (1 + int(updates)) / (10 + int(updates)))
    torch._foreach_lerp_(averages, current, 1 - decay)
