"""Certificates: what bundled weights dream, so that anyone can see whether they dream the same elsewhere.

On a computer of the same kind the frames of free rollouts are equal bit for bit, by their hashes. Elsewhere rounding
differs, and a rollout that goes on from its own frames may end up anywhere; there each step begins from the real
frame, and nearly all pixels have to be equal.
"""

import hashlib
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from atari_dream import dream
from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, sha256, whole, write_json
from atari_dream.predictor import Predictor
from atari_dream.registry import create_model
from atari_dream.rollout import continued, noise_keys, one_thread, roll_lanes
from atari_dream.starts import StartPool

STARTS, FREE, FORCED = 8, 32, 8
"""Starts, steps of a free rollout, and steps that each begin from the real frame."""
TOLERANCE = 1e-3
"""Share of pixels that may differ on a computer of another kind."""


class Verdict(NamedTuple):
    """What came out: whether it holds, how it was judged, and what is to be told of it."""

    holds: bool
    how: str
    told: str


def kind() -> dict[str, str]:
    """What bits depend on: the architecture, its instruction sets, and torch."""
    return {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__.partition("+")[0],
    }


def write_certificate(weights: Path, predictor: Predictor, pool: StartPool) -> None:
    """Writes the certificate of weights into their folder."""
    frames = weights / "certificate.npz"
    with whole(frames) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, forced=forced(predictor, pool))
    facts = {
        "starts": pool.digest,
        "kind": kind(),
        "free": free(predictor, pool),
        "forced_sha256": sha256(frames),
    }
    write_json(weights / "certificate.json", {"format": FORMAT, **facts})


def verify(weights: Path, predictor: Predictor, pool: StartPool) -> Verdict:
    """Dreams what a certificate tells of, and compares.

    Raises:
        UsageError: If there is no certificate, it is damaged, or it is of other starts.
    """
    told = read_json(weights / "certificate.json", "certificate")
    frames = weights / "certificate.npz"
    if not frames.is_file() or sha256(frames) != told["forced_sha256"]:
        raise UsageError(f"{frames} is missing or not what certificate.json was written for")
    if told["starts"] != pool.digest:
        raise UsageError(f"the certificate of {weights} is of other starts than {pool.name}")
    here = kind()
    if told["kind"] == here:
        right = [one == other for one, other in zip(free(predictor, pool), told["free"], strict=True)]
        return Verdict(all(right), "frame hashes", f"{sum(right)} of {STARTS} rollouts of {FREE} steps equal")
    with np.load(frames) as kept:
        off = float((forced(predictor, pool) != kept["forced"]).mean())
    changed = ", ".join(
        f"{name} {here[name]}, not {value}" for name, value in told["kind"].items() if here[name] != value
    )
    line = f"{off:.4%} of pixels differ from one step to the next, {TOLERANCE:.1%} allowed ({changed})"
    return Verdict(off <= TOLERANCE, "teacher-forced frames", line)


def free(predictor: Predictor, pool: StartPool) -> list[str]:
    """SHA-256 of all frames of a free rollout from each of the first starts, in hex."""
    starts = np.arange(STARTS)
    with one_thread():
        rollouts = roll_lanes(predictor, pool, starts, _actions(pool, FREE), noise_keys(starts))
    return [hashlib.sha256(rollout.frames.tobytes()).hexdigest() for rollout in rollouts]


@torch.no_grad()
def forced(predictor: Predictor, pool: StartPool, count: int = STARTS, steps: int = FORCED) -> np.ndarray:
    """What is predicted from each real frame after the first starts, palette codes, uint8 (steps, count, 210, 160)."""
    starts, actions, shown = np.arange(count), _actions(pool, steps, count), []
    emulator = create_model("emulator", predictor.domain)
    real = roll_lanes(emulator, pool, starts, actions, noise_keys(starts))
    with one_thread():
        state = dream.init(predictor, pool.batch(starts), noise_keys(starts))
        for step, codes in enumerate(actions, 1):
            state, _ = dream.step(predictor, state, torch.from_numpy(codes))
            shown.append(dream.decode(predictor, state).indices().numpy())
            frame = torch.from_numpy(np.stack([rollout.frames[step] for rollout in real]))
            everyone = torch.ones(count, dtype=torch.bool)
            state = state._replace(predictor=predictor.show(state.predictor, frame, everyone))
    return np.stack(shown)


def _actions(pool: StartPool, steps: int, count: int = STARTS) -> np.ndarray:
    """The actions after the first starts, uint8 (steps, count, frame_skip)."""
    return np.stack([continued(pool, start, steps) for start in range(count)], axis=1)
