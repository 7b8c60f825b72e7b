"""Predictors as ONNX: a graph that burns in and a graph of one step, for onnxruntime and what runs elsewhere.

Noise is an input: who draws it, as `atari_dream.noise` does or by any other means, decides what is dreamt.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atari_dream import dream
from atari_dream.certificate import forced
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, whole, write_json
from atari_dream.predictor import Frames, Noise, Outcome, Predictor, Start, State
from atari_dream.rollout import noise_keys
from atari_dream.starts import StartPool

EQUAL = 0.999
"""Least share of pixels that frames in onnxruntime must have in common with those in torch."""


class Init(nn.Module):
    """From `frames`, `actions` and `lives` of a start to the state."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, frames: Tensor, actions: Tensor, lives: Tensor) -> tuple[Tensor, ...]:
        """The parts of the state; learnt predictors never read the emulator's, nor memory unless told to."""
        nothing = torch.zeros(len(lives), 0, dtype=torch.uint8)
        return self.predictor.init(Start(frames, actions, lives, ale=nothing, memory=nothing))


class Step(nn.Module):
    """From the state, an action and noise to the next state, what the step brought, and the frame."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Takes and gives what `names` says."""
        own = len(parts) - 1 - len(self.predictor.noise)
        drawn = dict(zip(self.predictor.noise, parts[own + 1 :], strict=True))
        after, outcome = self.predictor.step(tuple(parts[:own]), parts[own], drawn)
        return (*after, *outcome, self.predictor.decode(after).indices())


def export_onnx(
    predictor: Predictor, pool: StartPool, folder: Path, lanes: int = 1, steps: int = 100
) -> float:
    """Writes `init.onnx`, `step.onnx` and `onnx.json`, which tells of them, once onnxruntime dreams the same.

    Args:
        predictor: What is written, on the CPU.
        pool: Starts to compare from.
        folder: Where to.
        lanes: The batch, which is fixed.
        steps: Steps to compare, each from the real frame.

    Returns:
        Share of pixels that are equal.

    Raises:
        UsageError: If it cannot be exported, a package is missing, or too many pixels differ.
    """
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {', '.join(missing)}: pip install 'atari-dream[onnx]'")
    if not predictor.exportable:
        raise UsageError(f"{type(predictor).__name__} cannot be exported: it plays the real game")
    start = _watched(predictor, pool.batch(np.arange(lanes)))
    state = predictor.init(start)
    drawn = dream.draw(predictor, noise_keys(np.arange(lanes)), torch.zeros(lanes, dtype=torch.int64))
    parts = [f"state.{place}" for place in range(len(state))]
    told = {
        "init": (["frames", "actions", "lives"], parts),
        "step": (
            [*parts, "action", *(f"noise.{name}" for name in drawn)],
            [*(f"next.{name}" for name in parts), "reward", "terminated", "lives", "frame"],
        ),
    }
    with whole(folder) as fresh:
        fresh.mkdir()
        _write(Init(predictor), tuple(start[:3]), *told["init"], fresh / "init.onnx")
        _write(
            Step(predictor),
            (*state, start.actions[:, -1], *drawn.values()),
            *told["step"],
            fresh / "step.onnx",
        )
        share = agreement(predictor, pool, fresh, lanes, steps)
        if share < EQUAL:
            raise UsageError(
                f"onnxruntime dreams otherwise: {share:.3%} of pixels are equal, {EQUAL:.1%} are needed"
            )
        about = {name: {"inputs": inputs, "outputs": outputs} for name, (inputs, outputs) in told.items()}
        noise = {name: _kind(spec) for name, spec in predictor.noise.items()}
        write_json(
            fresh / "onnx.json", {"format": FORMAT, "lanes": lanes, **about, "noise": noise, "equal": share}
        )
    return share


class OnnxPredictor(Predictor):
    """What was written, run by onnxruntime; its state ends with the frame that it shows.

    Args:
        written: What it was written from.
        folder: The graphs.
    """

    def __init__(self, written: Predictor, folder: Path) -> None:
        super().__init__(written.domain)
        self.written, self.noise = written, written.noise
        self._init, self._step = (_session(folder / f"{name}.onnx") for name in ("init", "step"))

    def init(self, start: Start) -> State:
        """Runs `init.onnx`."""
        return (*_run(self._init, _watched(self.written, start)[:3]), start.frames[:, -1])

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Runs `step.onnx`."""
        *after, reward, terminated, lives, frame = _run(self._step, (*state[:-1], action, *noise.values()))
        return (*after, frame), Outcome(reward, terminated, lives)

    def decode(self, state: State) -> Frames:
        """The frame that the last step gave."""
        return Frames(state[-1])

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets lanes go on from a given frame."""
        return (*self.written.show(state[:-1], frame, mask), frame)


def agreement(predictor: Predictor, pool: StartPool, folder: Path, lanes: int, steps: int) -> float:
    """Share of pixels that are equal in onnxruntime and in torch, over steps that each begin from the real frame."""
    mine, theirs = (
        forced(each, pool, lanes, steps) for each in (predictor, OnnxPredictor(predictor, folder))
    )
    return float((mine == theirs).mean())


def _watched(predictor: Predictor, start: Start) -> Start:
    """The part of a start's context that a predictor watches."""
    frames, actions = (part[:, -predictor.context :] for part in start[:2])
    return start._replace(frames=frames, actions=actions)


def _write(
    module: nn.Module, given: tuple[Tensor, ...], inputs: list[str], outputs: list[str], path: Path
) -> None:
    with _quiet():
        program = torch.onnx.export(
            module.eval(), given, dynamo=True, input_names=inputs, output_names=outputs, verbose=False
        )
        assert program is not None
        program.save(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run(session: Any, given: tuple[Tensor, ...]) -> list[Tensor]:
    names = [one.name for one in session.get_inputs()]
    arrays = {name: part.numpy() for name, part in zip(names, given, strict=True)}
    return [torch.from_numpy(part) for part in session.run(None, arrays)]


def _kind(spec: Noise) -> dict[str, Any]:
    return {"kind": spec.kind, "shape": list(spec.shape)}
