"""Autoencoders beyond what every predictor keeps, by C-LSTM-VAE: latent, own frames, lives; and that all learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atari_dream import dream, noise
from atari_dream.episodes import EpisodeStore
from atari_dream.models.c_lstm_vae import CLSTMVAE
from atari_dream.predictor import Start, State, Target
from atari_dream.registry import create_model
from atari_dream.starts import StartPool
from atari_dream.windows import domain_of

LANES = 3


@pytest.fixture
def predictor(store: EpisodeStore) -> CLSTMVAE:
    """Tiny, with weights that make a difference."""
    torch.manual_seed(0)
    made = fresh(store).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return made


def fresh(store: EpisodeStore) -> CLSTMVAE:
    made = create_model("c_lstm_vae", domain_of(store, 4), channels=8, deep=8, latent=2)
    assert isinstance(made, CLSTMVAE)
    return made


@pytest.fixture
def state(predictor: CLSTMVAE, start: Start) -> State:
    with torch.no_grad():
        return predictor.init(start)


@pytest.fixture
def target(start: Start) -> Target:
    return Target(
        frame=start.frames[:, -5],
        reward=torch.tensor([0.0, 10.0, 10.0]),
        terminated=torch.tensor([False, True, False]),
        lives=torch.tensor([2, -1, 3]),
    )


ACTION = torch.tensor([[3] * 4, [4] * 4, [2] * 4], dtype=torch.uint8)
KEY = noise.key_of(torch.arange(LANES))


def drawn(predictor: CLSTMVAE, t: int = 0) -> dict[str, Tensor]:
    return dream.draw_practice(predictor, KEY, torch.full_like(KEY, t))


def equal(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@contextmanager
def watching(module: nn.Module) -> Iterator[list[tuple[tuple[Tensor, ...], Tensor]]]:
    """What goes into a module and what comes out."""
    seen: list[tuple[tuple[Tensor, ...], Tensor]] = []
    handle = module.register_forward_hook(lambda module, given, result: seen.append((given, result)))
    yield seen
    handle.remove()


@torch.no_grad()
def test_a_step_is_decided_by_its_noise(predictor: CLSTMVAE, state: State) -> None:
    one, two = (predictor.step(state, ACTION, drawn(predictor)) for _ in range(2))
    assert equal(one[0], two[0]) and equal(one[1], two[1])
    other, _ = predictor.step(state, ACTION, drawn(predictor, t=1))
    assert not torch.equal(one[0][0], other[0])
    assert set(predictor.noise) == {"latent", "reward", "terminated", "lives"}
    assert predictor.noise["latent"].shape == (2, 15, 10)


@torch.no_grad()
def test_temperature_0_is_the_mode(predictor: CLSTMVAE, state: State) -> None:
    begun = dream.DreamState(state, KEY, torch.zeros_like(KEY))
    with (
        watching(predictor.prior) as prior,
        watching(predictor.imagine) as imagined,
        watching(predictor.pixels) as pixels,
        watching(predictor.outcome) as outcomes,
    ):
        after, outcome = dream.step(predictor, begun, ACTION, temperature=0)
    assert torch.equal(imagined[0][0][0][:, 8:], prior[0][1][:, :2])  # the latent is the prior's mean
    best = pixels[0][1].argmax(-1)
    colours = torch.tensor([0, *predictor.domain.colours], dtype=torch.uint8)
    assert torch.equal(after.predictor[0], torch.where(best == 0, state[0], colours[best]))
    kinds = len(predictor.domain.rewards)
    logits = outcomes[0][1]
    assert outcome.reward.tolist() == [predictor.domain.rewards[i] for i in logits[:, :kinds].argmax(1)]
    assert torch.equal(outcome.terminated, logits[:, kinds : kinds + 2].argmax(1) == 1)
    lives = state[-1] + logits[:, kinds + 2 :].argmax(1) - 1
    assert torch.equal(outcome.lives, lives.clamp(min=0)) and torch.equal(after.predictor[-1], outcome.lives)


@torch.no_grad()
def test_lives_never_fall_below_0(predictor: CLSTMVAE, state: State) -> None:
    predictor.outcome.vote.weight.zero_()
    predictor.outcome.vote.bias.zero_()  # type: ignore[union-attr]
    predictor.outcome.vote.bias[-3] = 1e3  # type: ignore[index]  # one life less
    after, outcome = predictor.step((*state[:-1], torch.tensor([0, 1, 3])), ACTION, drawn(predictor))
    assert outcome.lives.tolist() == after[-1].tolist() == [0, 0, 2]


@torch.no_grad()
def test_init_watches_its_context_and_nothing_before(predictor: CLSTMVAE, start: Start) -> None:
    state = predictor.init(start)
    changed = start.frames.clone()
    changed[:, : -predictor.context] = 0
    assert equal(predictor.init(start._replace(frames=changed)), state)
    changed[:, -predictor.context] = 0
    later = predictor.init(start._replace(frames=changed))
    assert torch.equal(later[0], state[0]) and not torch.equal(later[2], state[2])
    turned = start.actions.clone()
    turned[:, -1] = 17
    assert not torch.equal(predictor.init(start._replace(actions=turned))[2], state[2])
    assert torch.equal(state[0], start.frames[:, -1]) and torch.equal(state[1], start.frames[:, -2])


@torch.no_grad()
def test_learning_goes_on_from_its_own_frames(predictor: CLSTMVAE, state: State, target: Target) -> None:
    with watching(predictor.pixels) as pixels, watching(predictor.embed) as seen:
        after = predictor.learn(state, ACTION, target, drawn(predictor)).state
        own = predictor.pixels.choose(pixels[0][1], state[0])
        assert torch.equal(after[0], own) and not torch.equal(own, target.frame)
        assert torch.equal(after[1], state[0])
        shown = predictor.show(after, target.frame, torch.tensor([False, True, False]))
        predictor.learn(shown, ACTION, target, drawn(predictor, t=1))
    first, watched, second, _ = (given for given, _ in seen)
    assert torch.equal(first[0], state[0]) and torch.equal(watched[0], target.frame)
    assert torch.equal(second[0][[0, 2]], own[[0, 2]]) and torch.equal(second[0][1], target.frame[1])
    assert torch.equal(second[1], state[0])


@torch.no_grad()
def test_only_learning_sees_what_follows(predictor: CLSTMVAE, state: State, target: Target) -> None:
    other = target._replace(frame=target.frame.flip(0))
    with watching(predictor.imagine) as latents, watching(predictor.posterior) as posterior:
        terms = predictor.learn(state, ACTION, target, drawn(predictor)).terms
        predictor.learn(state, ACTION, other, drawn(predictor))
        predictor.step(state, ACTION, drawn(predictor))
    assert len(posterior) == 2 and terms["kl"].min() > 0
    ours, theirs = (given[0][:, 8:] for given, _ in latents[:2])
    assert not torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    assert set(terms) == {"pixels", "kl", "reward", "terminated", "lives"}


@torch.no_grad()
def test_lives_that_are_not_known_are_kept_and_teach_nothing(
    predictor: CLSTMVAE, state: State, target: Target
) -> None:
    after, terms, *_ = predictor.learn(state, ACTION, target, drawn(predictor))
    assert after[-1].tolist() == [2, state[-1][1], 3]
    assert terms["lives"][1] == 0 < terms["lives"][2]


def test_it_learns_and_steps_in_bf16(predictor: CLSTMVAE, start: Start, target: Target) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        state = predictor.init(start)
        with torch.no_grad():
            after, outcome = predictor.step(state, ACTION, drawn(predictor))
        state, terms, *_ = predictor.learn(state, ACTION, target, drawn(predictor))
        state, more, *_ = predictor.learn(state, ACTION, target, drawn(predictor, t=1))
        loss = sum((term.sum() for part in (terms, more) for term in part.values()), torch.zeros(()))
    assert after[0].dtype == torch.uint8 and outcome.reward.dtype == torch.float32
    assert loss.dtype == torch.float32 and loss.isfinite()
    loss.backward()
    for name, parameter in predictor.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


@torch.no_grad()
def test_untrained_it_copies_the_last_frame(store: EpisodeStore, pool: StartPool) -> None:
    start = pool.batch(np.arange(LANES))
    predictor = fresh(store).eval()
    state = dream.init(predictor, start, KEY)
    for _ in range(3):
        state, _ = dream.step(predictor, state, ACTION)
        assert torch.equal(dream.decode(predictor, state).indices(), start.frames[:, -1])
