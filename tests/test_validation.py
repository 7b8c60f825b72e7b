"""Validation by free-running rollouts: an untrained model is its own floor, the real game is faultless."""

import numpy as np
import pytest
import torch
from torch import Tensor

from atari_dream.dream import tree_map
from atari_dream.episodes import EpisodeStore
from atari_dream.models.copy_last import CopyLast
from atari_dream.predictor import Batch, Domain, Outcome, Start, State
from atari_dream.registry import create_model
from atari_dream.validation import validate
from atari_dream.windows import Windows, domain_of

CONTEXT, HORIZON = 8, 6


@pytest.fixture(scope="module")
def batches(store: EpisodeStore) -> list[Batch]:
    windows = Windows(store, "train", CONTEXT, HORIZON, 4, 4)
    return [windows[k] for k in range(2)]


class Recorded(CopyLast):
    """Knows the windows by heart. State: that of `CopyLast`, and the lane and the step."""

    context = CONTEXT

    def __init__(self, batches: list[Batch], gains: float = 1.0) -> None:
        super().__init__(Domain())
        self.batches, self.gains = batches, gains

    def init(self, start: Start) -> State:
        place = next(
            place
            for place, batch in enumerate(self.batches)
            if torch.equal(batch.frames[:, : self.context], start.frames)
        )
        where = torch.full_like(start.lives, place)
        return *super().init(start), where, torch.full_like(where, self.context)

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        batch, t = self.batches[int(state[2][0])], int(state[3][0])
        assert torch.equal(batch.actions[:, t], action)
        frame, lives = batch.frames[:, t].clone(), state[1].clone()
        outcome = Outcome(batch.rewards[:, t] * self.gains, batch.ended[:, t], lives)
        return (frame, lives, state[2], state[3] + 1), outcome


def test_the_floor_by_hand(batches: list[Batch]) -> None:
    predictor = CopyLast(Domain())
    predictor.context = CONTEXT
    told = validate(predictor, batches)
    wrong, total = np.zeros(HORIZON), np.zeros(HORIZON)
    for batch in batches:
        first, after = batch.frames[:, CONTEXT - 1 : CONTEXT].numpy(), batch.frames[:, CONTEXT:].numpy()
        moving = (after != first).any(1)
        for t in range(HORIZON):
            for lane in range(4):
                if batch.valid[lane, CONTEXT + t]:
                    wrong[t] += (after[lane, t] != first[lane, 0])[moving[lane]].sum()
                    total[t] += moving[lane].sum()
    share = wrong / total
    assert told["copy_last"] == told["wrong_moving"] == pytest.approx(share.mean(), rel=1e-5)
    assert told["copy_last_first"] == pytest.approx(share[0], rel=1e-5)
    assert told["copy_last_last"] == pytest.approx(share[-1], rel=1e-5)
    assert 0 < share[0] < share[-1] < 1
    returns = torch.cat([batch.rewards[:, CONTEXT:].sum(1) for batch in batches])
    assert told["reward_accuracy"] == (returns == 0).float().mean()


@pytest.mark.parametrize("name", ["tiny", "c_lstm_vae"])
def test_an_untrained_model_is_the_floor(name: str, store: EpisodeStore, batches: list[Batch]) -> None:
    config = {"c_lstm_vae": {"channels": 8, "deep": 8, "latent": 2}}.get(name, {})
    torch.manual_seed(0)
    predictor = create_model(name, domain_of(store, 4), **config).eval()
    cut = CONTEXT - predictor.context
    mine = [
        Batch(*(part[:, cut:] for part in batch[:-1]), batch.lane) for batch in batches
    ]  # context as it needs
    told = validate(predictor, mine)
    for end in ("", "_first", "_last"):
        assert told[f"wrong_moving{end}"] == told[f"copy_last{end}"] > 0


def test_knowing_the_future_is_faultless(batches: list[Batch]) -> None:
    told = validate(Recorded(batches), batches)
    assert (told["wrong_moving"], told["wrong_moving_first"], told["wrong_moving_last"]) == (0, 0, 0)
    assert told["reward_accuracy"] == 1 and told["copy_last"] > 0
    double = validate(Recorded(batches, gains=2.0), batches)
    returns = torch.cat([batch.rewards[:, CONTEXT:].sum(1) for batch in batches])
    assert double["wrong_moving"] == 0
    assert double["reward_accuracy"] == (returns == 0).float().mean() < 1


def test_steps_that_were_not_played_do_not_count(batches: list[Batch]) -> None:
    wasted = [batch._replace(valid=batch.valid.clone()) for batch in batches]
    rewritten = [batch._replace(frames=batch.frames.clone()) for batch in wasted]
    for batch in (*wasted, *rewritten):
        batch.valid[0, CONTEXT + 3 :] = False
    predictor = CopyLast(Domain())
    predictor.context = CONTEXT
    last = [validate(predictor, some) for some in (batches, wasted)]
    assert last[0]["copy_last_first"] == last[1]["copy_last_first"]
    assert last[0]["copy_last_last"] != last[1]["copy_last_last"]
    for batch, other in zip(rewritten, wasted, strict=True):
        batch.frames[0, CONTEXT + 3 :] = other.frames[0, CONTEXT + 2]
    known = validate(Recorded(wasted), rewritten)
    assert known["wrong_moving"] == 0


def test_twice_gives_equal_numbers(store: EpisodeStore, batches: list[Batch]) -> None:
    torch.manual_seed(1)
    predictor = create_model("c_lstm_vae", domain_of(store, 4), channels=8, deep=8, latent=2).eval()
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    one, two = (validate(predictor, tree_map(Tensor.clone, tuple(batches))) for _ in range(2))
    assert one == two and one["wrong_moving"] != one["copy_last"]
