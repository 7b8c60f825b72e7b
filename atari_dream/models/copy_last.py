"""Copy-last, the first floor: nothing moves, nothing is gained, nothing ends."""

from torch import Tensor, zeros_like

from atari_dream.predictor import Frames, Outcome, Predictor, Start, State
from atari_dream.registry import register_model


@register_model("copy_last")
class CopyLast(Predictor):
    """Shows the start's frame for ever. State: frame uint8 (B, 210, 160), lives int64 (B,)."""

    trainable = False
    batch_invariant = True

    def init(self, start: Start) -> State:
        """Keeps the last frame."""
        return start.frames[:, -1].clone(), start.lives.clone()

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Changes nothing."""
        frame, lives = state
        reward = zeros_like(lives).float()
        return (frame.clone(), lives.clone()), Outcome(reward, reward.bool(), lives.clone())

    def decode(self, state: State) -> Frames:
        """The start's frame."""
        return Frames(state[0])
