"""The rows of the table of predictors: where the files of each are, and what is known of a finished one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atari_dream.checkpoint import commit, load_checkpoint
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, whole, write_json

PLAIN = ("c_ae", "c_lstm_ae", "c_lstm_vae", "c_vae", "c_td_ae", "c_td_vae", "fc_ae", "fc_vae")
ADVERSARIAL = {
    "c_ia_ae": "c_ae",
    "c_ga_ae": "c_ae",
    "c_gia_ae": "c_ae",
    "fc_ia_ae": "fc_ae",
    "fc_ga_ae": "fc_ae",
    "fc_gia_ae": "fc_ae",
}
"""Predictors with adversaries, and the same without."""
MODELS = (*PLAIN, *ADVERSARIAL, "multi_scale_gan")
"""In the order of the jobs."""
PUBLISHED = {
    "c_ae": 895_587,
    "c_vae": 1_136_883,
    "fc_ae": 19_759_587,
    "fc_vae": 33_367_572,
    "c_td_ae": 8_902_707,
    "c_td_vae": 11_292_123,
    "c_lstm_ae": 8_946_393,
    "c_lstm_vae": 11_376_903,
}
"""Parameters and running statistics of the published stacks, where the reference tells them."""
ADVERSARIES = tuple(
    f"{kind}_{where}" for where in ("image", "latent") for kind in ("accuracy", "share", "haze")
)
"""What training logs of adversaries: how often a discriminator is right, its share of the gradient, and its noise."""
WORK, KEPT = Path("out/predictors"), Path("benchmarks/results/predictors")
"""What is being made, and what is finished, which is small and stays in the repository."""


@dataclass(frozen=True)
class Row:
    """A predictor of a game, and where its files are."""

    game: str
    model: str

    @property
    def folder(self) -> Path:
        """Everything of it until it is finished."""
        return WORK / self.game / self.model

    @property
    def kept(self) -> Path:
        """What stays of it: the measurement and, written last, what is known of it."""
        return KEPT / self.game / self.model

    @property
    def checkpoint(self) -> Path:
        """Named as the model: so is the entry of the drift."""
        return self.folder / self.model

    @property
    def state(self) -> Path:
        """There when a training was begun."""
        return Path(f"{self.checkpoint}.training/state.pt")

    @property
    def drift(self) -> Path:
        """The measurement."""
        return self.folder / "drift"

    @property
    def result(self) -> Path:
        """There when the row is finished."""
        return self.kept / "row.json"

    def read(self) -> dict[str, Any]:
        """What is known of the finished row."""
        return dict(read_json(self.result, "row"))

    def finish(self, plan: dict[str, str]) -> None:
        """Writes down the commands, the size, how it was trained, and how its adversaries fared."""
        metrics = read_json(self.checkpoint / "metrics.json", "checkpoint")
        parameters = sum(part.numel() for part in load_checkpoint(self.checkpoint).parameters())
        facts = {
            "parameters": parameters,
            "updates": read_json(self.folder / "trained.json", "training")["updates"],
            "best": {name: metrics[name] for name in ("step", "minutes", "validation")},
            "settings": metrics["training"],
            "adversaries": _adversaries(self.state.parent / "log"),
            "commit": commit(),
        }
        keep_drift(self.drift, self.kept, self.model)
        write_json(self.result, {"format": FORMAT, "game": self.game, "model": self.model, **plan, **facts})


def keep_drift(drift: Path, kept: Path, model: str) -> None:
    """Copies what a measurement holds of one entry, so that `load_drift` can pair it with others."""
    summary = read_json(drift / "drift.json", "drift measurement")
    told = {name: summary[name] for name in ("format", "game", "protocol", "command", "commit", "versions")}
    write_json(kept / "drift.json", told | {"entries": [{"name": model, "kind": "checkpoint"}]})
    with (
        np.load(drift / "per_start.npz", allow_pickle=False) as arrays,
        whole(kept / "per_start.npz") as fresh,
    ):
        own = {
            name: arrays[name] for name in arrays.files if name == "starts" or name.startswith(f"{model}/")
        }
        np.savez_compressed(fresh, allow_pickle=False, **own)


def finished(game: str) -> list[Row]:
    """The finished rows of a game, in the order of `MODELS`.

    Raises:
        UsageError: If there is none, or they are not of one budget.
    """
    rows = [row for row in (Row(game, model) for model in MODELS) if row.result.exists()]
    if not rows:
        raise UsageError(f"no row of {game} is finished: python benchmarks/predictors.py run --games {game}")
    budgets = {row.model: row.read()["budget"] for row in rows}
    if len(set(budgets.values())) > 1:
        raise UsageError(f"rows of {game} are of several budgets: {budgets}")
    return rows


def dreamers(game: str) -> list[Row]:
    """Those of them whose checkpoints are here.

    Raises:
        UsageError: If there is none.
    """
    rows = [row for row in finished(game) if row.checkpoint.is_dir()]
    if not rows:
        raise UsageError(f"no checkpoint of {game} is in {WORK}: remove {KEPT / game}, and run it again")
    return rows


def _adversaries(log: Path) -> dict[str, list[list[float]]]:
    """Pairs of update and value, by name, of those of `ADVERSARIES` that a TensorBoard log has."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(log))
    events.Reload()
    known = set(events.Tags()["scalars"])
    return {
        name: [[event.step, round(event.value, 4)] for event in events.Scalars(f"train/{name}")]
        for name in ADVERSARIES
        if f"train/{name}" in known
    }
