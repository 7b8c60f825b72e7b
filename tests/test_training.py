"""A run is decided by its seed and its place in time: interrupted, resumed or shared, it gets to the same weights."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream import training
from atari_dream.checkpoint import open_predictor
from atari_dream.cli import run
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.starts import StartPool
from atari_dream.training import Trainer
from atari_dream.training_config import TrainingConfig

SMALL = {"channels": 8, "deep": 8, "latent": 2}
WHERE = "objective"


@pytest.fixture
def config(store: EpisodeStore, tmp_path: Path) -> TrainingConfig:
    return TrainingConfig(
        model="tiny",
        data=str(store.path),
        out=str(tmp_path / "run"),
        game="pacman",
        steps=4,
        batch=2,
        horizon=2,
        device="cpu",
        workers=0,
        validate_every=2,
        validation_windows=1,
    )


def trained(config: TrainingConfig) -> dict[str, Tensor]:
    """Weights, averaged weights and optimiser of a run to its end."""
    trainer = Trainer(config)
    trainer.run()
    return kept(config)


def kept(config: TrainingConfig) -> dict[str, Tensor]:
    state = torch.load(config.state_folder / "state.pt", weights_only=True)
    moments = state["optimizers"]["model"]["state"]
    flat = {f"{part}.{name}": value for part in (WHERE, "average") for name, value in state[part].items()}
    flat |= {
        f"{place}.{name}": torch.as_tensor(value)
        for place in moments
        for name, value in moments[place].items()
    }
    return flat | {"step": torch.tensor(state["place"]["step"])}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def other_folder(config: TrainingConfig, name: str, **change: Any) -> TrainingConfig:
    return replace(config, out=str(Path(config.out).parent / name), **change)


def interrupted(config: TrainingConfig, steps: int) -> None:
    """Runs `steps` updates; the next is interrupted."""
    trainer = Trainer(config)
    update = trainer.update

    def stop(batch: Any) -> dict[str, Tensor]:
        if trainer.step == steps:
            raise KeyboardInterrupt
        return update(batch)

    trainer.update = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()


@pytest.mark.slow
def test_the_seed_decides(config: TrainingConfig) -> None:
    one = trained(config)
    assert one["step"] == 4
    assert equal(one, trained(other_folder(config, "again")))
    assert not equal(one, trained(other_folder(config, "other", seed=1)))
    begun = Trainer(other_folder(config, "begun")).predictor.state_dict()
    assert any(not torch.equal(one[f"{WHERE}.predictor.{name}"], weight) for name, weight in begun.items())


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny", "c_lstm_vae"])
def test_resuming_goes_on_to_the_same_numbers(model: str, config: TrainingConfig) -> None:
    config = replace(config, model=model, config=SMALL if model == "c_lstm_vae" else {}, context=2)
    halfway = other_folder(config, "halfway")
    interrupted(halfway, 3)
    assert kept(halfway)["step"] == 3
    assert equal(trained(replace(halfway, resume=True)), trained(config))
    told = [
        json.loads((Path(each.out) / "metrics.json").read_text())["validation"] for each in (config, halfway)
    ]
    assert told[0] == told[1]


def test_ctrl_c_in_the_report_keeps_the_state(config: TrainingConfig) -> None:
    seen: list[tuple[float, dict[str, float]]] = []

    def report(progress: float, metrics: dict[str, float]) -> NoReturn:
        seen.append((progress, metrics))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(config, report).run()
    assert kept(config)["step"] == 1
    ((progress, metrics),) = seen
    assert progress == 0.25 and metrics["step"] == 1
    assert {"model", "pixels", "reward", "terminated", "best"} <= set(metrics)
    again = trained(replace(config, resume=True))
    assert equal(again, trained(other_folder(config, "whole")))


def test_a_kill_loses_what_was_done_since_the_last_keeping(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_KEEP_SECONDS", 0.0)
    trainer = Trainer(config)
    seen = []
    keep = trainer._keep

    def count() -> None:
        keep()
        seen.append(int(kept(config)["step"]))

    trainer._keep = count  # type: ignore[method-assign]
    trainer.run()
    assert seen == [1, 2, 3, 4, 4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"batch": 4}, "batch"),
        ({"learning_rate": 1e-4, "seed": 3}, "learning_rate, seed"),
        ({"config": {"channels": 8}}, "config"),
    ],
)
def test_another_configuration_is_not_resumed(
    change: dict[str, Any], told: str, config: TrainingConfig
) -> None:
    interrupted(config, 1)
    with pytest.raises(
        UsageError, match=rf"state\.pt was made with another {told}: resume with the same"
    ) as caught:
        Trainer(replace(config, resume=True, **change))
    assert "\n" not in str(caught.value)


def test_there_must_be_something_to_resume(config: TrainingConfig) -> None:
    with pytest.raises(UsageError, match=r"^nothing to resume at .*state\.pt: call without --resume$"):
        Trainer(replace(config, resume=True))


def test_the_checkpoint_dreams(config: TrainingConfig, pool: StartPool, store: EpisodeStore) -> None:
    state = trained(config)
    opened = open_predictor(config.out, pool)
    assert opened.name == "run"
    frames = opened.predictor.init(pool.batch(np.arange(2)))[0]
    assert torch.equal(frames, pool.batch(np.arange(2)).frames[:, -1])
    facts = json.loads((Path(config.out) / "metrics.json").read_text())
    assert facts["step"] in (2, 4) and facts["training"]["seed"] == 0
    assert 0 < facts["validation"]["wrong_moving"] <= 1
    assert json.loads((Path(config.out) / "config.json").read_text())["data_sha256"] == store.digest()
    if facts["step"] == 4:  # the last was the best: then it is the average that was kept
        for name, weight in opened.predictor.state_dict().items():
            assert torch.equal(weight, state[f"average.module.{name}"])


def test_only_a_better_checkpoint_replaces_one(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.3, 0.4, 0.6])
    monkeypatch.setattr(training, "validate", lambda predictor, batches: {"wrong_moving": next(scores)})
    trainer = Trainer(replace(config, validate_every=1))
    assert trainer.run() == {"wrong_moving": 0.6}
    assert trainer.best == 0.3
    assert json.loads((Path(config.out) / "metrics.json").read_text())["step"] == 2


def test_the_best_checkpoint_of_an_adversarial_run_is_from_its_joint_phase(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.2, 0.3, 0.6, 0.5, 0.55])
    monkeypatch.setattr(training, "validate", lambda predictor, batches: {"wrong_moving": next(scores)})
    small = {"channels": 4, "deep": 8}
    trainer = Trainer(replace(config, model="c_ga_ae", config=small, steps=6, validate_every=1))
    trainer.run()
    assert trainer.best == 0.3
    facts = json.loads((Path(config.out) / "metrics.json").read_text())
    assert facts["step"] == 3 and facts["validation"] == {"wrong_moving": 0.3}


def test_the_learning_rate_falls_to_a_hundredth(config: TrainingConfig) -> None:
    trainer = Trainer(config)
    rates = []
    update = trainer.update

    def note(batch: Any) -> dict[str, Tensor]:
        told = update(batch)
        rates.append(trainer.optimizers["model"].param_groups[0]["lr"])
        return told

    trainer.update = note  # type: ignore[method-assign]
    trainer.run()
    assert rates == pytest.approx([2e-3 * (1 - 0.99 * done) for done in (0, 0.25, 0.5, 0.75)])


def test_minutes_end_a_run(config: TrainingConfig) -> None:
    trainer = Trainer(replace(config, steps=None, minutes=1e-4))
    metrics = trainer.run()
    assert trainer.step >= 1 and trainer.progress == 1 and trainer.elapsed >= 6e-3
    assert 0 < metrics["copy_last"] <= 1


def test_minutes_of_the_processor_are_not_those_of_the_wall(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(training._CLOCKS, "wall", iter(range(0, 10**6, 3600)).__next__)
    assert Trainer(replace(config, steps=None, minutes=60.0)).run() is not None
    trainer = Trainer(other_folder(config, "cpu", steps=None, minutes=2e-4, clock="cpu"))
    trainer.run()
    assert trainer.step >= 1 and 0.012 <= trainer.elapsed < 60


def test_a_gradient_that_is_not_finite_is_one_line(config: TrainingConfig) -> None:
    trainer = Trainer(config)
    with torch.no_grad():
        next(trainer.predictor.parameters()).fill_(torch.inf)
    with pytest.raises(UsageError, match=r"^the gradient is not finite at update 1: ") as caught:
        trainer.run()
    assert "\n" not in str(caught.value) and "--learning-rate below 0.002" in str(caught.value)


def test_what_is_measured_is_logged(config: TrainingConfig) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = Trainer(config)
    trainer.run()
    (file,) = config.state_folder.glob("log/**/events.out.tfevents.*")
    events = accumulator.EventAccumulator(str(file))
    events.Reload()
    assert [event.step for event in events.Scalars("train/pixels")] == [1]
    assert [event.step for event in events.Scalars("validation/wrong_moving")] == [2, 4]
    assert all(event.value > 0 for event in events.Scalars("validation/wrong_moving"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--model": "copy_last"}, "model 'copy_last' is a control and does not learn"),
        ({"--model": "c_lstm_vea"}, "unknown model 'c_lstm_vea': allowed are .*nearest is 'c_lstm_vae'"),
        ({"--game": "qbert"}, "store .* is of game 'pacman', not 'qbert': give --game pacman"),
        (
            {"--steps": None, "--minutes": "1", "--clock": "cpu", "--workers": "1"},
            "--clock cpu counts this process alone: give --workers 0",
        ),
        ({"--minutes": "1"}, "give either --steps or --minutes"),
        ({"--steps": None}, "give either --steps or --minutes"),
        ({"--frame-skip": "6"}, "frame skip 6 asked of store .*, allowed are multiples of 4"),
        ({"--data": "nowhere"}, "no episode store at nowhere: index.json is missing"),
        ({"--steps": "0"}, "Invalid value for '--steps': 0 is not in the range x>=1."),
    ],
)
def test_bad_usage_is_one_line(
    change: dict[str, str | None], told: str, config: TrainingConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "--model": "tiny",
        "--game": "pacman",
        "--data": config.data,
        "--out": config.out,
        "--steps": "1",
    }
    options |= {"--device": "cpu", "--workers": "0", **change}
    flat = [word for name, value in options.items() if value is not None for word in (name, value)]
    with pytest.raises(SystemExit) as ended:
        run(["train", *flat])
    lines = capsys.readouterr().err.strip().split("\n")
    assert ended.value.code == 2
    assert re.fullmatch(f"atari-dream: {told}", lines[-1].split("\r")[-1]), lines
    assert not Path(config.out).exists()


@pytest.mark.slow
def test_the_command_trains(config: TrainingConfig, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        f"train --model tiny --game pacman --data {config.data} --out {config.out} --steps 2 --batch 2"
    )
    with pytest.raises(SystemExit) as ended:
        run([*arguments.split(), *["--horizon", "2", "--device", "cpu", "--workers", "0", "--json"]])
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 2 and told["checkpoint"] == config.out
    facts = json.loads((Path(config.out) / "metrics.json").read_text())
    assert facts["validation"] == told["validation"]


def launch(config: TrainingConfig, script: Path, *before: str) -> None:
    """Trains in another process, or in several."""
    script.write_text(
        "from atari_dream.training import Trainer, TrainingConfig\n"
        f"if __name__ == '__main__':\n    Trainer({config!r}).run()\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *before, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_are_one_with_the_joint_batch(config: TrainingConfig, tmp_path: Path) -> None:
    config = replace(config, model="c_lstm_vae", config=SMALL, batch=4, context=2, precision="32-true")
    alone, together = other_folder(config, "alone"), other_folder(config, "together")
    launch(alone, tmp_path / "alone.py")
    processes = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    launch(together, tmp_path / "together.py", *processes)
    one, two = kept(alone), kept(together)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-5, msg=name)
    before = Trainer(other_folder(config, "begun")).predictor.state_dict()
    assert (
        max(
            (one[f"{WHERE}.predictor.{name}"] - before[name]).abs().max()
            for name in before
            if name.endswith("weight")
        )
        > 1e-4
    )
