"""The Multi-Scale GAN: four scales, trained on moving crops, recursive; published widths in its reference form."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atari_dream import dream, noise
from atari_dream.layers import rgb_of
from atari_dream.models.multi_scale_gan import MultiScaleGAN, _crop, _moving
from atari_dream.multi_scale import CROP, KERNELS, MAPS, MultiScaleCritic, ReferenceGenerator, pyramid
from atari_dream.predictor import Domain, Start, Target
from atari_dream.registry import create_model
from atari_dream.starts import StartPool

LANES = 3
KEY = noise.key_of(torch.arange(LANES))
ACTION = torch.tensor([[3] * 4, [4] * 4, [2] * 4], dtype=torch.uint8)


@pytest.fixture
def predictor(start: Start) -> MultiScaleGAN:
    torch.manual_seed(0)
    made = create_model("multi_scale_gan", Domain(colours=tuple(start.frames.unique().tolist())), divide=32)
    assert isinstance(made, MultiScaleGAN)
    return made


def lesson(predictor: MultiScaleGAN, start: Start, compete: bool = True) -> dict[str, object]:
    target = Target(
        start.frames[:, -3], torch.zeros(LANES), torch.zeros(LANES, dtype=torch.bool), start.lives
    )
    drawn = dream.draw_practice(predictor, KEY, torch.zeros_like(KEY))
    return predictor.learn(predictor.init(start), ACTION, target, drawn, compete)._asdict()


def test_the_published_layers() -> None:
    with torch.device("meta"):
        form = ReferenceGenerator()
        made = form(torch.empty(1, 4, 3, 210, 160))
    for maps, kernels, scale in zip(MAPS, KERNELS, form.scales, strict=True):
        layers = [layer for layer in scale if isinstance(layer, nn.Conv2d)]
        assert tuple(layer.out_channels for layer in layers) == maps
        assert tuple(layer.kernel_size[0] for layer in layers) == kernels
    assert [tuple(part.shape[2:]) for part in made] == [(26, 20), (52, 40), (105, 80), (210, 160)]


@torch.no_grad()
def test_untrained_it_holds_still(predictor: MultiScaleGAN, start: Start) -> None:
    state = dream.init(predictor, start, KEY)
    for _ in range(2):
        state, _ = dream.step(predictor, state, ACTION)
        frames = dream.decode(predictor, state)
        assert torch.equal(frames.indices(), start.frames[:, -1])
        assert torch.equal(
            frames.rgb().permute(0, 3, 1, 2), (rgb_of(start.frames[:, -1]) * 255).round().byte()
        )


@torch.no_grad()
def test_it_goes_on_from_the_nearest_colours_and_shows_its_own(
    predictor: MultiScaleGAN, start: Start
) -> None:
    bias = predictor.scales.last(-1).bias
    assert bias is not None
    bias.fill_(0.02)
    state, _ = dream.step(predictor, dream.init(predictor, start, KEY), ACTION)
    frames = dream.decode(predictor, state)
    assert torch.equal(frames.indices(), start.frames[:, -1])
    off = frames.rgb().int() - (rgb_of(start.frames[:, -1]) * 255).round().int().permute(0, 2, 3, 1)
    assert off.abs().max() <= 3 and off.float().mean() > 1


def test_crops_lie_where_something_changes() -> None:
    changed = torch.zeros(2, 210, 160, dtype=torch.bool)
    changed[0, 100, 50] = changed[1, 209, 159] = True
    top, left = _moving(changed, torch.rand(2, 30, 20))
    for lane, (row, column) in enumerate(((100, 50), (209, 159))):
        assert top[lane] <= row < top[lane] + CROP and left[lane] <= column < left[lane] + CROP
    images = torch.arange(2 * 3 * 210 * 160).view(2, 3, 210, 160)
    crop = _crop(images, top, left)
    assert crop.shape == (2, 3, CROP, CROP)
    for lane in range(2):
        rows, columns = slice(top[lane], top[lane] + CROP), slice(left[lane], left[lane] + CROP)
        assert torch.equal(crop[lane], images[lane, :, rows, columns])


def test_a_lesson_is_of_a_crop_and_goes_on_from_the_real_frame(
    predictor: MultiScaleGAN, start: Start
) -> None:
    told = lesson(predictor, start)
    assert isinstance(told["state"], tuple) and torch.equal(told["state"][0], start.frames[:, -3])
    assert torch.equal(told["state"][1], start.frames[:, -1])
    image, truth = told["image"], told["truth"]
    assert isinstance(image, Tensor) and isinstance(truth, Tensor)
    assert image.shape == truth.shape == (LANES, 3, CROP, CROP)
    rivals = told["rivals"]
    assert isinstance(rivals, dict)
    sides = [4, 8, 16, 32]
    for parts in rivals["image"]:
        assert [tuple(part.shape) for part in parts] == [(LANES, 3, side, side) for side in sides]
    assert not lesson(predictor, start, compete=False)["rivals"]


def test_every_scale_is_judged(predictor: MultiScaleGAN) -> None:
    critic = predictor.critics()["image"]
    assert isinstance(critic, MultiScaleCritic)
    present, patches = (
        [torch.rand(2, 3, side, side, requires_grad=True) for side in (4, 8, 16, 32)] for _ in range(2)
    )
    scores = critic(*present, *patches)
    assert scores.shape == (2, 4)
    for level, patch in enumerate(patches):
        (gradient,) = torch.autograd.grad(scores[:, level].sum(), patch, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_a_pyramid_is_by_area(pool: StartPool) -> None:
    images = rgb_of(pool.batch(np.arange(1)).frames[:, -1])[:, :, :208]
    levels = pyramid(images)
    assert torch.equal(levels[-1], images)
    torch.testing.assert_close(levels[0].mean(), images.mean())
