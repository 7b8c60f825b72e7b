"""Whatever learns keeps the contract: its loss falls, it is saved whole, it works in bf16, nothing grows."""

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import needs_gpu
from model_cases import LANES, NAMES, REFERENCE, actions, build, flat, play, small, trainables
from torch import Tensor, nn
from torch_optimizer import RAdam

from atari_dream import dream, noise
from atari_dream.checkpoint import load_checkpoint, save_checkpoint
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.objectives import Rollout
from atari_dream.predictor import Domain, Predictor, Start, Target
from atari_dream.reference import parameter_total
from atari_dream.registry import create_model, model_class
from atari_dream.windows import Windows, domain_of

KEY = noise.key_of(torch.arange(LANES))


def lesson_of(predictor: Predictor, starts: Start, compete: bool = False) -> dict[str, Tensor]:
    """The terms of one step of learning."""
    target = Target(
        starts.frames[:, -2], torch.zeros(LANES), torch.zeros(LANES, dtype=torch.bool), starts.lives
    )
    drawn = dream.draw_practice(predictor, KEY, torch.zeros_like(KEY))
    return predictor.learn(predictor.init(starts), actions(1)[0], target, drawn, compete).terms


@pytest.mark.slow
@trainables
def test_its_loss_falls(name: str, store: EpisodeStore) -> None:
    torch.manual_seed(0)
    size = (
        {"divide": 16} if name == "multi_scale_gan" else {}
    )  # a single map learns nothing in so few updates
    predictor = create_model(name, domain_of(store, 4), **small(name) | size)
    objective = Rollout(predictor.to(memory_format=torch.channels_last), context=2)
    optimizer = RAdam(objective.parameters(), lr=2e-2, betas=(0.9, 0.99))
    batch = Windows(store, "train", 2, 2, 2, 4)[0]
    keys, seen = noise.fold(noise.key_of(0), batch.lane), []
    for _ in range(24):
        losses, _ = objective(batch, keys, progress=0.0)
        optimizer.zero_grad()
        losses["model"].backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        seen.append(losses["model"].item())
    assert np.mean(seen[-3:]) < 0.9 * np.mean(seen[:3]), seen


@trainables
def test_saved_and_loaded_it_dreams_the_same(
    name: str, domain: Domain, starts: Start, tmp_path: Path
) -> None:
    predictor = build(name, domain)
    save_checkpoint(tmp_path / "kept", predictor, name, small(name), {}, "no data")
    loaded = load_checkpoint(tmp_path / "kept")
    assert isinstance(loaded, type(predictor)) and loaded.domain == domain
    one, other = (play(each, starts, KEY, actions(3)) for each in (predictor, loaded))
    assert all(torch.equal(a, b) for a, b in zip(flat(one[0]), flat(other[0]), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one[2], other[2], strict=True))


@trainables
def test_it_learns_in_bf16(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain).train().requires_grad_(True)
    for parameter in predictor.parameters():
        parameter.data.mul_(0.2)
    with torch.autocast("cpu", torch.bfloat16):
        terms = lesson_of(predictor, starts)
    assert all(term.dtype == torch.float32 and term.isfinite().all() for term in terms.values())
    sum((term.sum() for term in terms.values()), torch.zeros(())).backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in predictor.parameters()
    )


@pytest.mark.slow
@trainables
@torch.no_grad()
def test_a_step_leaves_nothing_behind(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain)
    state = dream.init(predictor, starts, KEY)
    counts = []
    for _ in range(4):
        state, outcome = dream.step(predictor, state, actions(1)[0])
        frames = dream.decode(predictor, state)
        del outcome, frames
        gc.collect()
        alive = [part for part in gc.get_objects() if type(part) in (Tensor, nn.Parameter)]
        counts.append((len(alive), sum(part.nbytes for part in alive)))
        del alive
    assert len(set(counts[1:])) == 1, counts


@needs_gpu
@trainables
@torch.no_grad()
def test_cpu_and_gpu_agree(name: str, domain: Domain, starts: Start) -> None:
    predictor = build(name, domain)
    drawn = dream.draw(predictor, KEY, torch.zeros_like(KEY))
    here, _ = predictor.step(predictor.init(starts), actions(1)[0], drawn)
    shown = predictor.decode(here).indices()
    predictor = predictor.cuda()
    there, _ = predictor.step(
        predictor.init(Start(*(part.cuda() for part in starts))),
        actions(1)[0].cuda(),
        {key: value.cuda() for key, value in drawn.items()},
    )
    assert (predictor.decode(there).indices().cpu() == shown).float().mean() > 0.999


@pytest.mark.parametrize("name", REFERENCE)
def test_each_has_the_form_that_was_published(name: str) -> None:
    with torch.device("meta"):
        form = create_model(name, reference=True)
    assert parameter_total(form) > parameter_total(create_model("c_ae")) / 2
    assert form.window in (1, 4, 10)


def test_a_reference_form_is_of_no_game() -> None:
    with pytest.raises(UsageError, match=r"no game .*: create_model\('c_ae', reference=True\)"):
        create_model("c_ae", Domain(), reference=True)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFERENCE])
def test_others_have_no_published_form(name: str) -> None:
    with pytest.raises(UsageError, match=r"has no published form: call create_model without reference=True"):
        create_model(name, reference=True)


@pytest.mark.parametrize("name", REFERENCE)
def test_its_file_says_where_it_comes_from_and_what_was_changed(name: str) -> None:
    path = Path(str(__import__(model_class(name).__module__, fromlist=["_"]).__file__))
    text = path.read_text()
    assert "Source: " in text and "Changed" in text
    assert len(text.split("\n")) <= 40 or name == "multi_scale_gan"
