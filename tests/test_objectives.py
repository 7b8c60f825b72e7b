"""The objective feeds back real frames first and the predictor's own later, and counts only what was played."""

import pytest
import torch
from model_cases import small
from torch import Tensor

from atari_dream import noise
from atari_dream.dream import tree_map
from atari_dream.episodes import EpisodeStore
from atari_dream.objectives import Rollout
from atari_dream.predictor import Batch, Domain, Lesson, Noise, Predictor, Start, State, Target
from atari_dream.registry import create_model
from atari_dream.windows import Windows, domain_of

CONTEXT, HORIZON, LANES = 2, 5, 32


class Counter(Predictor):
    """Shows 7, 8, ... and writes down what it was shown. State: frame uint8 (B, 210, 160)."""

    noise = {"hum": Noise("normal", (2,))}

    def __init__(self) -> None:
        super().__init__(Domain())
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.begun: list[Start] = []
        self.fed: list[Tensor] = []
        self.told: list[tuple[Tensor, Target, Tensor]] = []

    def init(self, start: Start) -> State:
        self.begun.append(start)
        return (start.frames[:, -1],)

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        self.fed.append(state[0][:, 0, 0])
        self.told.append((action, target, noise["hum"]))
        own = torch.full_like(state[0], len(self.told) + 6)
        value = target.frame[:, 0, 0].float() * self.scale
        return Lesson((own,), {"pixels": value, "reward": target.reward * self.scale})

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        return (torch.where(mask[:, None, None], frame, state[0]),)


def make_batch() -> Batch:
    """Frames that tell their place in their first pixel: 100, 101, ..."""
    length = CONTEXT + HORIZON
    frames = torch.zeros(LANES, length, 210, 160, dtype=torch.uint8)
    frames[:, :, 0, 0] = 100 + torch.arange(length)
    return Batch(
        frames=frames,
        actions=torch.arange(length, dtype=torch.uint8).expand(LANES, length)[..., None].repeat(1, 1, 4),
        rewards=torch.arange(length).float().expand(LANES, length),
        lives=torch.full((LANES, length), 3),
        ended=torch.zeros(LANES, length, dtype=torch.bool),
        valid=torch.ones(LANES, length, dtype=torch.bool),
        lane=torch.arange(LANES),
    )


KEY = noise.fold(noise.key_of(3), torch.arange(LANES))
REAL, OWN = [102, 103, 104, 105], [7, 8, 9, 10]


def fed(progress: float) -> Tensor:
    """What each step but the first goes on from, (LANES, HORIZON - 1)."""
    predictor = Counter()
    Rollout(predictor, CONTEXT)(make_batch(), KEY, progress)
    assert predictor.fed[0].tolist() == [101] * LANES
    return torch.stack(predictor.fed[1:], dim=1)


def test_at_first_every_lane_goes_on_from_the_real_frame() -> None:
    assert fed(0.0).tolist() == [REAL] * LANES


@pytest.mark.parametrize("progress", [0.5, 0.75, 1.0])
def test_from_half_of_the_training_on_every_lane_goes_on_from_its_own(progress: float) -> None:
    assert fed(progress).tolist() == [OWN] * LANES


def test_in_between_a_share_of_them_does() -> None:
    early, late = (fed(progress) == torch.tensor(OWN) for progress in (0.1, 0.35))
    assert 0.1 < early.float().mean() < 0.3 and 0.6 < late.float().mean() < 0.8
    assert (late | ~early).all()  # who goes alone early does so later
    assert (fed(0.35)[~late].view(-1) > 100).all()
    assert early.any(0).all() and not early.all(0).any()


def test_steps_are_told_by_arrival() -> None:
    predictor = Counter()
    batch = make_batch()
    Rollout(predictor, CONTEXT)(batch, KEY, 0.0)
    (start,) = predictor.begun
    assert start.frames[:, :, 0, 0].tolist() == [[100, 101]] * LANES
    for step, (action, target, _) in enumerate(predictor.told):
        assert action[0].tolist() == [CONTEXT + step] * 4
        assert target.frame[0, 0, 0] == 102 + step and target.reward[0] == 2 + step
        assert torch.equal(target.lives, batch.lives[:, 2 + step]) and not target.terminated.any()
    hums = torch.stack([hum for _, _, hum in predictor.told])
    assert hums.flatten().unique().numel() == HORIZON * LANES * 2


def test_the_loss_is_the_weighted_mean_per_step() -> None:
    losses, terms = Rollout(Counter(), CONTEXT, {"pixels": 0.5})(make_batch(), KEY, 0.0)
    assert terms == {"pixels": torch.tensor(104.0), "reward": torch.tensor(4.0)}
    assert set(losses) == {"model"} and losses["model"].item() == 0.5 * 104 + 4
    assert losses["model"].requires_grad and not any(term.requires_grad for term in terms.values())
    losses, _ = Rollout(Counter(), CONTEXT)(make_batch(), KEY, 0.0)
    assert losses["model"].item() == pytest.approx(0.01 * 104 + 4)


def test_steps_that_were_not_played_do_not_count() -> None:
    batch = make_batch()
    batch.valid[:, 4] = False
    batch.valid[: LANES // 2, 5] = False
    _, terms = Rollout(Counter(), CONTEXT)(batch, KEY, 0.0)
    assert terms["reward"].item() == pytest.approx((2 + 3 + 0 + 5 / 2 + 6) / 5)
    wild = batch._replace(rewards=torch.where(batch.valid, batch.rewards, 1e6))
    _, same = Rollout(Counter(), CONTEXT)(wild, KEY, 0.0)
    assert same == terms


@pytest.mark.parametrize("name", ["tiny", "c_lstm_vae"])
def test_halves_of_a_batch_average_to_the_whole(name: str, store: EpisodeStore) -> None:
    torch.manual_seed(0)
    config = {"c_lstm_vae": {"channels": 8, "deep": 8, "latent": 2}}.get(name, {})
    predictor = create_model(name, domain_of(store, 4), **config)
    objective = Rollout(predictor, CONTEXT)
    batch = Windows(store, "train", CONTEXT, 2, 4, 4)[0]

    def gradient(rows: list[int]) -> Tensor:
        predictor.zero_grad()
        part = tree_map(lambda column: column[rows], batch)
        objective(part, noise.fold(noise.key_of(0), part.lane), 0.3)[0]["model"].backward()
        return torch.cat(
            [weight.grad.flatten() for weight in predictor.parameters() if weight.grad is not None]
        )

    whole, halves = gradient([0, 1, 2, 3]), (gradient([0, 2]) + gradient([1, 3])) / 2
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(halves, whole, rtol=1e-4, atol=1e-5)


def test_the_key_decides(store: EpisodeStore) -> None:
    torch.manual_seed(0)
    predictor = create_model("c_lstm_vae", domain_of(store, 4), channels=8, deep=8, latent=2)
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    batch = Windows(store, "train", CONTEXT, 2, 2, 4)[0]
    one, two, other = (
        Rollout(predictor, CONTEXT)(batch, noise.fold(noise.key_of(seed), batch.lane), 0.5)[0]["model"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("name", ["c_ae", "multi_scale_gan"])
def test_losses_of_the_last_image_count_by_their_weight(name: str, store: EpisodeStore) -> None:
    torch.manual_seed(0)
    predictor = create_model(name, domain_of(store, 4), **small(name))
    batch = Windows(store, "train", CONTEXT, 2, 2, 4)[0]
    keys = noise.fold(noise.key_of(0), batch.lane)
    plain, terms = Rollout(predictor, CONTEXT, {})(batch, keys, 0.5)
    weights = {"gdl": 2.0, "ssim": 3.0, "tv": 0.0}
    told, more = Rollout(predictor, CONTEXT, weights)(batch, keys, 0.5)
    assert more.keys() - terms.keys() == {"gdl", "ssim"}  # the last weighs nothing
    assert 0 < more["ssim"] < 1 and more["gdl"] > 0
    wanted = plain["model"] + 2 * more["gdl"] + 3 * more["ssim"]
    torch.testing.assert_close(told["model"], wanted)
    gradients = torch.autograd.grad(told["model"] - plain["model"].detach(), list(predictor.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_free_bits_cost_nothing(store: EpisodeStore) -> None:
    torch.manual_seed(0)
    predictor = create_model("c_vae", domain_of(store, 4), **small("c_vae"))
    batch = Windows(store, "train", CONTEXT, 2, 2, 4)[0]
    keys = noise.fold(noise.key_of(0), batch.lane)
    _, terms = Rollout(predictor, CONTEXT)(batch, keys, 0.5)
    _, freed = Rollout(predictor, CONTEXT, free=1000.0)(batch, keys, 0.5)
    assert 0 < terms["kl"] < 1000 == freed["kl"]
