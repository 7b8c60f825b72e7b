"""How well a predictor dreams on while it learns: free-running rollouts on validation episodes."""

import torch
from torch import Tensor

from atari_dream import dream, noise
from atari_dream.predictor import Batch, Predictor


@torch.no_grad()
def validate(predictor: Predictor, batches: list[Batch]) -> dict[str, float]:
    """Rolls a predictor out from the contexts of windows, under their actions, on its own frames.

    Args:
        predictor: What dreams; its mode is left as it is.
        batches: Windows of its context and a horizon H, on its device.

    Returns:
        `wrong_moving`, the share of wrong pixels among those that differ from the start frame at any step, mean over
        the horizon; `copy_last`, the same for a still picture; their first and last steps; `reward_accuracy`, the
        share of windows whose cumulative reward is right at the last step.
    """
    wrong = still = total = right = count = torch.zeros(())
    for index, batch in enumerate(batches):
        dreamt, kept, moving, exact = (part.cpu() for part in _roll(predictor, batch, index))
        wrong, still, total = wrong + dreamt, still + kept, total + moving
        right, count = right + exact.sum(), count + len(exact)
    shares, floor = wrong / total.clamp(min=1), still / total.clamp(min=1)
    return {
        "wrong_moving": shares.mean().item(),
        "wrong_moving_first": shares[0].item(),
        "wrong_moving_last": shares[-1].item(),
        "copy_last": floor.mean().item(),
        "copy_last_first": floor[0].item(),
        "copy_last_last": floor[-1].item(),
        "reward_accuracy": (right / count).item(),
    }


def _roll(predictor: Predictor, batch: Batch, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Wrong pixels of the dream and of a still picture, and moving pixels, each (H,); exact returns, (B,)."""
    context = predictor.context
    first, after = batch.frames[:, context - 1], batch.frames[:, context:]
    moving = (after != first[:, None]).any(1)
    state = dream.init(
        predictor, batch.start(context), noise.fold(noise.key_of(index), batch.lane.cpu()).to(first.device)
    )
    earned = torch.zeros_like(batch.rewards[:, 0])
    rows = []
    for step in range(after.shape[1]):
        state, outcome = dream.step(predictor, state, batch.actions[:, context + step])
        earned = earned + outcome.reward * batch.valid[:, context + step]
        mask = moving & batch.valid[:, context + step, None, None]
        shown = dream.decode(predictor, state).indices()
        rows.append([((picture != after[:, step]) & mask).sum() for picture in (shown, first)] + [mask.sum()])
    wrong, still, total = torch.tensor([[float(cell) for cell in row] for row in rows]).T
    return wrong, still, total, earned == batch.rewards[:, context:].sum(1)
