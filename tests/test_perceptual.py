"""Perceptual distances by hand, with tiny networks that are called as the field's are."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream.errors import UsageError
from atari_dream.palette import PALETTE
from atari_dream.perceptual import (
    NETWORKS,
    Perception,
    frechet_distance,
    load_network,
    lpips,
    video_features,
)
from atari_dream.rollout import Rollout


def perceive(
    networks: dict[str, torch.nn.Module], real: np.ndarray, dreamt: np.ndarray, steps: list[int]
) -> dict[str, Any]:
    """What is told of clips, uint8 (N, T, 210, 160), that are watched one after the other."""
    perception = Perception(networks, steps)
    for pair in zip(real, dreamt, strict=True):
        perception.watch(dict(zip(("emulator", "mine"), map(rolled, pair), strict=True)))
    return perception.summary("mine")


def rolled(clip: np.ndarray) -> list[Rollout]:
    """A rollout with the frames of a clip after its start."""
    frames = np.concatenate([np.full_like(clip[:1], 7), clip])
    return [Rollout(frames, *np.zeros((3, len(frames))))]


class Rows(torch.nn.Module):
    """Mean colour of each row in 0..1, red once, green twice, blue three times, (N, 630)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, img: Tensor, resize_images: bool = True, return_lpips: bool = False) -> Tensor:
        assert return_lpips and not resize_images
        assert img.dtype == torch.float32 and img.is_contiguous()
        assert img.shape[1:] == [3, 210, 160] and len(img) <= 16
        rows = img.mean(3) / 255 * self.weight[:, None]
        return self.dropout(rows.flatten(1))


class Motion(torch.nn.Module):
    """Mean colour in -1..1 and mean change from frame to frame, (N, 6)."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        assert rescale and resize and return_features
        assert x.dtype == torch.float32 and x.shape[1] == 3 and x.shape[3:] == [210, 160]
        if x.shape[2] < 9:
            raise RuntimeError("a clip is shorter than the kernel")
        x = x / 255 * 2 - 1
        change = (x[:, :, 1:] - x[:, :, :-1]).abs()
        return torch.cat([x.mean((2, 3, 4)), change.mean((2, 3, 4))], 1)


class Maps(torch.nn.Module):
    def forward(self, img: Tensor, resize_images: bool = True, return_lpips: bool = False) -> Tensor:
        return img


class Merged(torch.nn.Module):
    def forward(self, img: Tensor, resize_images: bool = True, return_lpips: bool = False) -> Tensor:
        return img.flatten(1).mean(0, keepdim=True)


class Several(torch.nn.Module):
    def forward(self, img: Tensor, resize_images: bool = True, return_lpips: bool = False) -> list[Tensor]:
        return [img]


class Infinite(torch.nn.Module):
    def forward(self, img: Tensor, resize_images: bool = True, return_lpips: bool = False) -> Tensor:
        return 1 / img.flatten(1)


def saved(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():  # TorchScript is deprecated, but it is what the field's files are
        warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network of each kind; both were saved while they trained."""
    folder = tmp_path_factory.mktemp("networks")
    return {"lpips": saved(Rows(), folder / "vgg16.pt"), "fvd": saved(Motion(), folder / "i3d.pt")}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def networks(files: dict[str, Path]) -> dict[str, torch.nn.Module]:
    return {kind: load_network(path, kind) for kind, path in files.items()}


def told(path: Path, kind: str, steps: int = 16) -> str:
    with pytest.raises(UsageError) as caught:
        load_network(path, kind, steps=steps)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(f": {NETWORKS[kind]}") and str(path) in text
    return text.removesuffix(f": {NETWORKS[kind]}")


def test_it_says_which_networks_it_takes() -> None:
    assert str(NETWORKS["lpips"]) == (
        "LPIPS takes the TorchScript file known as vgg16.pt of the metrics of NVIDIA's StyleGAN2-ADA and StyleGAN3, "
        "called as network(frames (N, 3, H, W) in 0..255, resize_images=False, return_lpips=True) "
        "-> features (N, F); it is not downloaded"
    )
    assert "i3d_torchscript.pt of StyleGAN-V's metrics" in str(NETWORKS["fvd"])
    assert "network(clips (N, 3, T, H, W) in 0..255, rescale=True, resize=True, return_features=True)" in str(
        NETWORKS["fvd"]
    )


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_path_without_a_file_is_told(kind: str, tmp_path: Path) -> None:
    assert told(tmp_path / "vgg.pt", kind) == f"no file {tmp_path / 'vgg.pt'}"
    assert told(tmp_path, kind) == f"no file {tmp_path}"


@pytest.mark.parametrize("content", ["text", "nothing", "weights"])
def test_a_file_that_is_no_torchscript_is_told(content: str, tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pt"
    if content == "weights":
        torch.save(Rows().state_dict(), path)
    else:
        path.write_text("" if content == "nothing" else "<html>")
    assert told(path, "lpips") == f"{path} is no TorchScript file"


@pytest.mark.parametrize(("kind", "takes"), [("lpips", "bool rescale"), ("fvd", "bool resize_images")])
def test_the_network_of_another_measure_is_told(kind: str, takes: str, files: dict[str, Path]) -> None:
    other = files["fvd" if kind == "lpips" else "lpips"]
    text = told(other, kind)
    assert text.startswith(f"{other}: the network refuses (") and takes in text


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Maps, "the network makes (2, 3, 210, 160) of (2, 3, 210, 160)"),
        (Merged, "the network makes (1, 100800) of (2, 3, 210, 160)"),
        (Several, "the network makes a list of (2, 3, 210, 160)"),
        (Infinite, "the network's features are not finite"),
    ],
)
def test_features_of_another_shape_are_told(
    module: type[torch.nn.Module], reason: str, tmp_path: Path
) -> None:
    path = saved(module(), tmp_path / "vgg16.pt")
    assert told(path, "lpips") == f"{path}: {reason}"


def test_clips_that_are_too_short_are_told(
    files: dict[str, Path], networks: dict[str, torch.nn.Module]
) -> None:
    reason = (
        "the network refuses (1, 3, 8, 210, 160) (builtins.RuntimeError: a clip is shorter than the kernel)"
    )
    assert told(files["fvd"], "fvd", steps=8) == f"{files['fvd']}: {reason}"
    assert not load_network(files["fvd"], "fvd", steps=9).training
    with pytest.raises(UsageError) as caught:
        video_features(networks["fvd"], np.zeros((2, 8, 210, 160, 3), np.uint8))
    assert str(caught.value) == f"{reason}: {NETWORKS['fvd']}"


def test_an_unknown_kind_is_told(files: dict[str, Path]) -> None:
    with pytest.raises(
        UsageError, match=r"^unknown perceptual network 'lpip': allowed are lpips, fvd; nearest"
    ):
        load_network(files["lpips"], "lpip")


def test_lpips_by_hand(networks: dict[str, torch.nn.Module]) -> None:
    black = np.zeros((3, 210, 160, 3), np.uint8)
    other = black.copy()
    other[0, :, :, 2] = 255
    other[1, 7, :40, :] = 255
    # blue counts three times in each of 210 rows; a quarter of one row is white
    expected = [210 * 9, (1 + 4 + 9) / 16, 0]
    distances = lpips(networks["lpips"], black, other)
    assert distances.dtype == np.float64 and distances.tolist() == pytest.approx(expected)
    assert lpips(networks["lpips"], other, black).tolist() == distances.tolist()


def test_equal_frames_are_at_no_distance_and_it_grows_with_the_difference(
    networks: dict[str, torch.nn.Module], rng: np.random.Generator
) -> None:
    frames = rng.integers(0, 100, (5, 210, 160, 3), np.uint8)
    assert lpips(networks["lpips"], frames, frames.copy()).tolist() == [0] * 5
    near, far = (lpips(networks["lpips"], frames, frames + np.uint8(shift)) for shift in (10, 100))
    assert (near > 0).all() and far == pytest.approx(100 * near)


def test_many_pairs_are_as_one_by_one(networks: dict[str, torch.nn.Module], rng: np.random.Generator) -> None:
    real, dreamt = rng.integers(0, 256, (2, 19, 210, 160, 3), np.uint8)
    pairs = zip(real[:, None], dreamt[:, None], strict=True)
    singly = [lpips(networks["lpips"], *pair).item() for pair in pairs]
    assert len(set(singly)) == 19
    assert lpips(networks["lpips"], real, dreamt) == pytest.approx(singly)
    assert lpips(networks["lpips"], real[:0], dreamt[:0]).shape == (0,)


def test_features_of_clips_by_hand(networks: dict[str, torch.nn.Module]) -> None:
    clips = np.zeros((2, 9, 210, 160, 3), np.uint8)
    clips[0, ..., 0] = 255
    clips[1, 4, :105, :, 1] = 255
    features = video_features(networks["fvd"], clips)
    # the second flashes green in half of one frame: two changes of 2 in half of the pixels, of 8 changes
    expected = [[1, -1, -1, 0, 0, 0], [-1, -1 + 1 / 9, -1, 0, 2 / 8, 0]]
    assert features.dtype == np.float64 and features == pytest.approx(np.array(expected), abs=1e-6)
    assert (video_features(networks["fvd"], iter(clips)) == features).all()


def normal(rng: np.random.Generator, mean: np.ndarray, root: np.ndarray, count: int = 50) -> np.ndarray:
    """Features whose mean is exactly this and whose covariance, of N - 1, is `root @ root.T`."""
    drawn = rng.standard_normal((count, len(mean)))
    drawn -= drawn.mean(0)
    white = np.linalg.qr(drawn)[0] * np.sqrt(count - 1)
    return mean + white @ root.T


def test_frechet_distance_of_independent_features_by_hand(rng: np.random.Generator) -> None:
    real = normal(rng, np.array([1.0, -2.0, 0.5]), np.diag([1.0, 2.0, 3.0]))
    dreamt = normal(rng, np.array([1.0, 1.0, 4.5]), np.diag([1.0, 5.0, 0.0]), count=80)
    assert frechet_distance(real, dreamt) == pytest.approx(3**2 + 4**2 + 3**2 + 3**2)
    assert frechet_distance(dreamt, real) == pytest.approx(frechet_distance(real, dreamt))


def test_frechet_distance_of_correlated_features_by_hand(rng: np.random.Generator) -> None:
    roots = [np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 3.0]])]
    one, other = (root @ root.T for root in roots)
    assert not np.allclose(one @ other, other @ one)
    product = one @ other
    shared = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))  # of a 2x2 matrix
    expected = 25 + np.trace(one) + np.trace(other) - 2 * shared
    sets = [normal(rng, mean, root) for mean, root in zip(np.array([[0.0, 0], [3, 4]]), roots, strict=True)]
    assert frechet_distance(*sets) == pytest.approx(expected)


def test_covariances_may_be_singular(rng: np.random.Generator) -> None:
    real = np.zeros((5, 400))
    real[:, :200] = rng.standard_normal((5, 200))
    assert frechet_distance(real, real.copy()) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, real + 0.5) == pytest.approx(400 / 4)
    elsewhere = real[:, ::-1] - real.mean(0)[::-1] + real.mean(0)
    assert frechet_distance(real, elsewhere) == pytest.approx(2 * real.var(0, ddof=1).sum())
    assert frechet_distance(real * 0 + 3, real * 0) == pytest.approx(400 * 9)


def test_it_is_never_negative(rng: np.random.Generator) -> None:
    for scale in (1e-3, 1.0, 1e6):
        features = rng.standard_normal((30, 20)) * scale
        assert 0 <= frechet_distance(features, features[::-1]) < 1e-9 * scale**2


def test_few_clips_bias_it_upwards(rng: np.random.Generator) -> None:
    few, many = (frechet_distance(*rng.standard_normal((2, count, 20))) for count in (20, 2000))
    assert few > 10 * many


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_clips_are_told(count: int) -> None:
    sets = np.ones((3, 6)), np.ones((count, 6))
    for pair in (sets, sets[::-1]):
        with pytest.raises(UsageError, match=rf"^a Fréchet distance of {count} clips asked, 2 is the fewest"):
            frechet_distance(*pair)


WHITE = 0x0E
GREY = PALETTE[WHITE, 0] / 255


@pytest.fixture(scope="module")
def clips() -> tuple[np.ndarray, np.ndarray]:
    """Black ones, and two that turn white at steps 3 and 9, palette codes, uint8 (2, 9, 210, 160)."""
    real = np.zeros((2, 9, 210, 160), np.uint8)
    dreamt = real.copy()
    dreamt[0, 2:], dreamt[1, 8:] = WHITE, WHITE
    return real, dreamt


def test_the_summary_by_hand(
    networks: dict[str, torch.nn.Module], clips: tuple[np.ndarray, np.ndarray]
) -> None:
    summary = perceive(networks, *clips, steps=[1, 3, 9, 10])
    one = 210 * (1 + 4 + 9) * GREY**2
    assert summary["lpips"] == pytest.approx({"1": 0, "3": one / 2, "9": one})
    # white for 7 and for 1 of 9 frames, by one change of 8 each; real clips are all alike, so they add no spread
    means = 2 * GREY * np.array([7, 1]) / 9
    change = 2 * GREY / 8
    assert summary["fvd"] == pytest.approx(3 * (means.mean() ** 2 + change**2 + means.var(ddof=1)), rel=1e-5)
    assert type(summary["fvd"]) is float and all(type(value) is float for value in summary["lpips"].values())


def test_exact_dreams_are_at_no_distance(
    networks: dict[str, torch.nn.Module], clips: tuple[np.ndarray, np.ndarray]
) -> None:
    summary = perceive(networks, clips[1], clips[1].copy(), steps=[9])
    assert summary == {"lpips": {"9": 0.0}, "fvd": pytest.approx(0, abs=1e-9)}


@pytest.mark.parametrize("kinds", [(), ("lpips",), ("fvd",)])
def test_only_what_has_a_network_is_measured(
    kinds: tuple[str, ...], networks: dict[str, torch.nn.Module], clips: tuple[np.ndarray, np.ndarray]
) -> None:
    asked = {kind: networks[kind] for kind in kinds}
    assert set(perceive(asked, *clips, steps=[1])) == set(kinds)
