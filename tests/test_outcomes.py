"""Outcomes: drawn by their logits, taught by what followed; what is not known teaches nothing."""

import torch

from atari_dream.outcomes import OutcomePredictor, lives_after
from atari_dream.predictor import Domain, Target

LIVES = torch.tensor([3, 2, 0])


def predictor() -> OutcomePredictor:
    return OutcomePredictor(Domain(rewards=(0.0, 10.0, 50.0)))


def silent(count: int = 3) -> dict[str, torch.Tensor]:
    sizes = predictor().outcomes
    return {name: torch.zeros(count, size) for name, size in sizes.items()}


def test_the_likeliest_is_told_without_noise() -> None:
    logits = torch.full((3, 8), -9.0)
    logits[torch.arange(3), torch.tensor([1, 2, 0])] = 9.0
    logits[torch.arange(3), torch.tensor([3, 4, 3])] = 9.0
    logits[torch.arange(3), torch.tensor([6, 5, 5])] = 9.0
    reward, terminated, lives = predictor().tell(logits, LIVES, silent())
    assert reward.tolist() == [10.0, 50.0, 0.0]
    assert terminated.tolist() == [False, True, False]
    assert lives.tolist() == [3, 1, 0]  # never below 0


def test_noise_draws_by_the_logits() -> None:
    told = predictor()
    count = 4000
    noise = {
        name: -torch.log(-torch.log(torch.rand(count, size, generator=torch.Generator().manual_seed(0))))
        for name, size in told.outcomes.items()
    }
    logits = torch.tensor([0.2, 0.5, 0.3, 0.9, 0.1, 0.1, 0.8, 0.1]).log().expand(count, -1)
    reward, terminated, lives = told.tell(logits, torch.full((count,), 3), noise)
    shares = [(reward == value).float().mean().item() for value in (0.0, 10.0, 50.0)]
    assert all(abs(a - b) < 0.03 for a, b in zip(shares, (0.2, 0.5, 0.3), strict=True))
    assert abs(terminated.float().mean() - 0.1) < 0.02 and abs((lives == 2).float().mean() - 0.1) < 0.02


def test_the_terms_are_those_of_what_followed() -> None:
    logits = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    target = Target(
        torch.zeros(3, 210, 160, dtype=torch.uint8),
        torch.tensor([0.0, 48.0, 10.0]),
        torch.tensor([True, False, False]),
        torch.tensor([2, -1, 1]),
    )
    terms = predictor().outcome_terms(logits, LIVES, target)
    parts = [part.log_softmax(1) for part in logits.split([3, 2, 3], dim=1)]
    wanted = {
        "reward": [-parts[0][0, 0], -parts[0][1, 2], -parts[0][2, 1]],
        "terminated": [-parts[1][0, 1], -parts[1][1, 0], -parts[1][2, 0]],
        "lives": [-parts[2][0, 0], torch.tensor(0.0), -parts[2][2, 2]],
    }
    for name, values in wanted.items():
        torch.testing.assert_close(terms[name], torch.stack(values))
    assert lives_after(LIVES, target).tolist() == [2, 2, 1]
