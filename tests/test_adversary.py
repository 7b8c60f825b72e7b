"""Adversaries: gradients come through the discriminator, turns alternate, shares hold, a run is not the plain one."""

import pytest
import torch
from model_cases import small
from torch import Tensor

from atari_dream import noise
from atari_dream.adversary import ALONE, WARM, Adversarial, objective_of
from atari_dream.episodes import EpisodeStore
from atari_dream.losses import ADVERSARIAL
from atari_dream.objectives import Rollout
from atari_dream.predictor import Batch
from atari_dream.registry import create_model, list_models, model_class
from atari_dream.windows import Windows, domain_of

CONTEXT = 2
SPACES = {
    name: list(create_model(name).critics())
    for name in list_models()
    if model_class(name).trainable and create_model(name, **small(name)).critics()
}
"""Adversaries of the models that have any."""
WEIGHTS = {"pixels": 0.01}

rivals = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "c_gia_ae" else [pytest.mark.slow]) for name in SPACES]
)


@pytest.fixture(scope="module")
def batch(store: EpisodeStore) -> Batch:
    return Windows(store, "train", CONTEXT, 2, 2, 4)[0]


def objective(name: str, store: EpisodeStore, **options: object) -> Adversarial:
    torch.manual_seed(0)
    predictor = create_model(name, domain_of(store, 4), **small(name))
    made = Adversarial(predictor, CONTEXT, WEIGHTS, **options)  # type: ignore[arg-type]
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


def play(made: Rollout, batch: Batch, progress: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    losses, told = made(batch, noise.fold(noise.key_of(0), batch.lane), progress)
    return losses, told


def test_the_families_have_the_adversaries_of_their_names() -> None:
    letters = {"ga": ["image"], "ia": ["latent"], "gia": ["image", "latent"]}
    wanted = {f"{layers}_{name}_ae": spaces for name, spaces in letters.items() for layers in ("c", "fc")}
    assert wanted | {"multi_scale_gan": ["image"]} == SPACES


@rivals
def test_first_the_model_then_the_discriminators_then_both_in_turns(
    name: str, store: EpisodeStore, batch: Batch
) -> None:
    made, spaces = objective(name, store), set(SPACES[name])
    assert set(made.groups()) == {"model", *spaces}
    assert [set(play(made, batch, 0.0)[0]) for _ in range(2)] == [{"model"}] * 2
    assert [set(play(made, batch, (ALONE + WARM) / 2)[0]) for _ in range(2)] == [spaces] * 2
    turns = [set(play(made, batch, 0.9)[0]) for _ in range(4)]
    assert turns == [spaces, {"model"}] * 2


@rivals
def test_the_models_gradient_comes_through_the_discriminator(
    name: str, store: EpisodeStore, batch: Batch
) -> None:
    made = objective(name, store)
    made.turn += 1

    def gradients() -> list[Tensor]:
        made.zero_grad()
        losses, told = play(made, batch, 0.9)
        assert set(losses) == {"model"} and all(f"fool_{space}" in told for space in SPACES[name])
        losses["model"].backward()
        made.turn -= 1
        return [
            torch.zeros(1) if part.grad is None else part.grad.clone() for part in made.predictor.parameters()
        ]

    before = gradients()
    for space in SPACES[name]:
        kept = {label: part.clone() for label, part in made.critics[space].state_dict().items()}
        for parameter in made.critics[space].parameters():
            torch.nn.init.normal_(parameter)
        after = gradients()
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)), space
        made.critics[space].load_state_dict(kept)


@rivals
def test_judging_teaches_the_discriminators_alone(name: str, store: EpisodeStore, batch: Batch) -> None:
    made = objective(name, store)
    losses, _ = play(made, batch, 0.9)
    sum(losses.values(), torch.zeros(())).backward()
    assert all(parameter.grad is None for parameter in made.predictor.parameters())
    for critic in made.critics.values():
        assert all(part.grad is not None and part.grad.isfinite().all() for part in critic.parameters())


@rivals
def test_its_share_of_the_gradient_is_what_was_asked(name: str, store: EpisodeStore, batch: Batch) -> None:
    for share in (0.1, 0.5):
        made = objective(name, store, share=share)
        made.turn += 1
        _, told = play(made, batch, 0.9)
        for space in SPACES[name]:
            assert told[f"share_{space}"] == pytest.approx(share, abs=1e-3)
            assert told[f"weight_{space}"] > 0


def test_a_weight_does_not_chase_a_gradient_that_vanishes(store: EpisodeStore, batch: Batch) -> None:
    made = objective("c_ia_ae", store)
    made.turn += 1
    _, first = play(made, batch, 0.9)
    for parameter in made.critics["latent"].parameters():
        torch.nn.init.constant_(parameter, 1e-6)
    made._balance("latent", *_terms(made, batch))
    assert made.get_buffer("weight_latent") <= first["weight_latent"]
    assert made.get_buffer("share_latent") < 0.2


def _terms(made: Adversarial, batch: Batch) -> tuple[Tensor, Tensor]:
    key = noise.fold(noise.key_of(0), batch.lane)
    terms, lesson = made._roll(batch, key, 0.9, compete=True)
    fooled = made.critics["latent"](*lesson.rivals["latent"].fake)
    return made._sum(terms), 1e-6 * made.loss.fool(fooled).mean()


def test_a_discriminator_that_is_sure_waits(store: EpisodeStore, batch: Batch) -> None:
    made = objective("c_gia_ae", store)
    made.get_buffer("accuracy_image").fill_(1.0)
    assert set(play(made, batch, 0.9)[0]) == {"latent"}


@rivals
def test_noise_grows_while_a_discriminator_is_sure_and_fades_again(
    name: str, store: EpisodeStore, batch: Batch
) -> None:
    made = objective(name, store)
    for accuracy, grows in ((1.0, True), (0.5, False)):
        hazes = []
        for _ in range(3):
            for space in SPACES[name]:
                made.get_buffer(f"accuracy_{space}").fill_(accuracy)
            told = play(made, batch, (ALONE + WARM) / 2)[1]
            hazes.append([told[f"haze_{space}"].item() for space in SPACES[name]])
        assert hazes == sorted(hazes, reverse=not grows) and (hazes[0] != hazes[-1])
    assert hazes[-1] == [0.0] * len(SPACES[name])


@rivals
def test_noise_is_on_what_is_judged_alone_and_lets_gradients_through(
    name: str, store: EpisodeStore, batch: Batch
) -> None:
    made = objective(name, store)
    key = noise.fold(noise.key_of(0), batch.lane)
    _, lesson = made._roll(batch, key, 0.9, compete=True)
    for space, clear in lesson.rivals.items():
        assert made._hazy(space, clear, key) is clear
        made.get_buffer(f"haze_{space}").fill_(0.5)
        hazy = made._hazy(space, clear, key)
        assert hazy.given is clear.given and len(hazy.fake) == len(clear.fake)
        fog = [
            (ours - theirs).detach()
            for ours, theirs in zip(hazy.real + hazy.fake, clear.real + clear.fake, strict=True)
        ]
        assert [part.std().item() for part in fog] == [pytest.approx(0.5, rel=0.2)] * len(fog)
        assert not torch.equal(fog[0], fog[len(clear.real)])
        assert hazy.fake[-1].requires_grad
        made.turn += 1
        assert not torch.equal(made._hazy(space, clear, key).fake[-1], hazy.fake[-1])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_a_discriminator_learns_to_tell(loss: str, store: EpisodeStore, batch: Batch) -> None:
    made = objective("c_gia_ae", store, loss=loss)
    optimizer = torch.optim.Adam(made.critics.parameters(), lr=3e-3)
    for _ in range(25):
        losses, told = play(made, batch, WARM - 1e-6)
        if losses:
            optimizer.zero_grad()
            sum(losses.values(), torch.zeros(())).backward()
            optimizer.step()
    assert told["accuracy_image"] > 0.7 and told["accuracy_latent"] > 0.7


@pytest.mark.slow
def test_a_run_with_an_adversary_is_not_the_plain_run(store: EpisodeStore, batch: Batch) -> None:
    ends = {}
    for share in (0.0, 0.3):
        torch.manual_seed(0)
        predictor = create_model("c_ga_ae", domain_of(store, 4), **small("c_ga_ae"))
        made = objective_of(predictor, CONTEXT, WEIGHTS, 0.0, "bce", share)
        assert isinstance(made, Adversarial) == (share > 0)
        optimizers = {name: torch.optim.Adam(part, lr=1e-2) for name, part in made.groups().items()}
        for _ in range(4):
            for name, loss in play(made, batch, 0.9)[0].items():
                optimizers[name].zero_grad()
                loss.backward()
                optimizers[name].step()
        ends[share] = predictor.pixels.pixels.weight.detach()  # type: ignore[union-attr]
    assert not torch.allclose(ends[0.0], ends[0.3])
