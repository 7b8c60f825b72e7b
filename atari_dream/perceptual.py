"""Perceptual distances, extras of a drift measurement: LPIPS, and the Fréchet distance of videos (FVD).

Their networks are TorchScript files that the user brings (`NETWORKS`); nothing is downloaded. A TorchScript file is a
program: open only one that you trust.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from atari_dream.errors import UsageError, unknown
from atari_dream.palette import to_rgb
from atari_dream.rollout import Rollout

_PAIRS = 8
"""Pairs of frames at once: the features of a frame take 16 MB."""


class Network(NamedTuple):
    """A network that the field agrees on: what it measures, what its file is, and how it is called."""

    measure: str
    file: str
    takes: str
    call: dict[str, bool]

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.call.items())
        return (
            f"{self.measure} takes the TorchScript file known as {self.file}, called as "
            f"network({self.takes} in 0..255, {options}) -> features (N, F); it is not downloaded"
        )


NETWORKS = {
    "lpips": Network(
        "LPIPS",
        "vgg16.pt of the metrics of NVIDIA's StyleGAN2-ADA and StyleGAN3",
        "frames (N, 3, H, W)",
        {"resize_images": False, "return_lpips": True},
    ),
    "fvd": Network(
        "FVD",
        "i3d_torchscript.pt of StyleGAN-V's metrics",
        "clips (N, 3, T, H, W)",
        {"rescale": True, "resize": True, "return_features": True},
    ),
}


def load_network(
    path: str | Path, kind: str, device: str | torch.device = "cpu", steps: int = 16
) -> torch.jit.ScriptModule:
    """Opens a network and tries it on black frames.

    Args:
        path: File of `torch.jit.save`.
        kind: One of `NETWORKS`.
        device: Where it computes.
        steps: Frames of the clips that it will be asked about; the I3D known as `fvd` takes 9 or more.

    Raises:
        UsageError: If the file is missing, is no TorchScript, or does not take the call.
    """
    if kind not in NETWORKS:
        raise unknown("perceptual network", kind, NETWORKS, "load_network(path, {!r})")
    if not Path(path).is_file():
        raise UsageError(f"no file {path}: {NETWORKS[kind]}")
    try:
        with warnings.catch_warnings():  # for the files that the field shares there is no other way
            warnings.filterwarnings("ignore", "`torch.jit.load`", DeprecationWarning)
            network = torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise UsageError(f"{path} is no TorchScript file: {NETWORKS[kind]}") from error
    shape = (2, 210, 160, 3) if kind == "lpips" else (1, steps, 210, 160, 3)
    try:
        _features(network, np.zeros(shape, np.uint8), kind)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return network


def _features(network: torch.nn.Module, frames: np.ndarray, kind: str) -> Tensor:
    """What a network makes of colours, uint8 (N, ..., 3): (N, F)."""
    device = next(chain(network.parameters(), network.buffers()), torch.empty(0)).device
    batch = torch.from_numpy(np.moveaxis(frames, -1, 1).astype(np.float32, order="C"))
    try:
        with torch.no_grad():
            features = network(batch.to(device), **NETWORKS[kind].call)
    except (RuntimeError, torch.jit.Error) as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise UsageError(f"the network refuses {tuple(batch.shape)} ({reason}): {NETWORKS[kind]}") from error
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(batch):
        given = tuple(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
        raise UsageError(f"the network makes {given} of {tuple(batch.shape)}: {NETWORKS[kind]}")
    if not features.isfinite().all():
        raise UsageError(f"the network's features are not finite: {NETWORKS[kind]}")
    return features


def lpips(network: torch.nn.Module, real: np.ndarray, dreamt: np.ndarray) -> np.ndarray:
    """Learned perceptual distances (Zhang et al. 2018) of pairs of frames, 0 for equal ones.

    Args:
        network: Of kind `lpips`; its features' squared distance is LPIPS.
        real: Colours, uint8 (N, 210, 160, 3).
        dreamt: Likewise.

    Returns:
        float64 (N,).
    """
    found = [np.zeros(0)]
    for first in range(0, len(real), _PAIRS):
        pairs = [side[first : first + _PAIRS] for side in (real, dreamt)]
        one, other = _features(network, np.concatenate(pairs), "lpips").chunk(2)
        found.append((one - other).square().sum(1, dtype=torch.float64).cpu().numpy())
    return np.concatenate(found)


def video_features(network: torch.nn.Module, frames: Iterable[np.ndarray]) -> np.ndarray:
    """Features of clips, float64 (N, F), by a network of kind `fvd`.

    Args:
        network: What makes them, of one clip at a time.
        frames: Clips in colours, uint8 (N, T, 210, 160, 3), or one (T, 210, 160, 3) after the other.
    """
    return np.concatenate([_features(network, clip[None], "fvd").double().cpu().numpy() for clip in frames])


def frechet_distance(real: np.ndarray, dreamt: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of features (Heusel et al. 2017).

    Of a video network's features it is FVD (Unterthiner et al. 2019). Few clips bias it upwards: 100 of them span 99
    of I3D's 400 directions. So compare it only between equal numbers of clips of equal length, never with published
    values.

    Args:
        real: Features (N, F).
        dreamt: Features (M, F).

    Raises:
        UsageError: If a set has fewer than two.
    """
    (mean, root), (other_mean, other_root) = _gaussian(real), _gaussian(dreamt)
    # tr sqrt(A'A B'B) is the sum of the singular values of A B', which no singular covariance upsets
    shared = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = np.square(root).sum() + np.square(other_root).sum() - 2 * shared
    return float(np.square(mean - other_mean).sum() + max(spread, 0.0))


def _gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (F,) of features (N, F) and a matrix R with R'R their covariance."""
    if len(features) < 2:
        raise UsageError(f"a Fréchet distance of {len(features)} clips asked, 2 is the fewest; 100 are usual")
    mean = features.mean(0, dtype=np.float64)
    return mean, np.linalg.qr((features - mean) / np.sqrt(len(features) - 1)).R


class Perception:
    """Perceptual distances of dreams from the real game, gathered while they are measured.

    Args:
        networks: By kind.
        steps: Agent steps at which LPIPS is taken; those past the horizon are left out.
    """

    def __init__(self, networks: Mapping[str, torch.nn.Module], steps: Sequence[int]) -> None:
        self._networks, self._steps = networks, steps
        self._lpips: dict[str, list[np.ndarray]] = {}
        self._features: dict[str, list[np.ndarray]] = {}

    def watch(self, dreams: dict[str, list[Rollout]]) -> None:
        """Looks at dreams of some starts, by entry, with the emulator's; a game that is over stands, and counts."""
        real = dreams["emulator"]
        for name, rollouts in dreams.items():
            if "lpips" in self._networks:
                self._lpips.setdefault(name, []).append(self._distances(real, rollouts))
            if "fvd" in self._networks:
                clips = (to_rgb(rollout.frames[1:]) for rollout in rollouts)
                self._features.setdefault(name, []).append(video_features(self._networks["fvd"], clips))

    def summary(self, name: str) -> dict[str, Any]:
        """`{"lpips": {step: mean over starts}, "fvd": value over whole clips}` of an entry, or less."""
        found: dict[str, Any] = {}
        if name in self._lpips:
            means = np.concatenate(self._lpips[name], axis=1).mean(1)
            found["lpips"] = {str(step): float(mean) for step, mean in zip(self._steps, means, strict=False)}
        if name in self._features:
            sides = [np.concatenate(self._features[side]) for side in ("emulator", name)]
            found["fvd"] = frechet_distance(*sides)
        return found

    def _distances(self, real: list[Rollout], dreamt: list[Rollout]) -> np.ndarray:
        """LPIPS at each step, (S, B)."""
        steps = [step for step in self._steps if step <= real[0].steps]
        sides = [
            [to_rgb(np.stack([one.frames[step] for one in side])) for step in steps]
            for side in (real, dreamt)
        ]
        return np.stack([lpips(self._networks["lpips"], *pair) for pair in zip(*sides, strict=True)])
