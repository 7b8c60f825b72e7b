"""The real game behind the dream's interface: it must show zero drift, and so tests every measure."""

import atexit
from functools import cache

import numpy as np
import torch
from torch import Tensor

from atari_dream.emulator import Emulator
from atari_dream.predictor import Frames, Outcome, Predictor, Start, State
from atari_dream.registry import register_model


@cache
def _console(game: str) -> Emulator:
    """One console a game and process: a lane's state is restored before and saved after each step."""
    return Emulator(game)


atexit.register(_console.cache_clear)  # ale-py complains of a console that outlives it


@register_model("emulator")
class EmulatorControl(Predictor):
    """ALE, lane after lane on the CPU.

    State: ALE state uint8 (B, S), frame uint8 (B, 210, 160), lives int64 (B,), memory uint8 (B, 128), and the ALE state
    before the last step and the actions of that step, uint8 (B, frame_skip).
    """

    trainable = False
    batch_invariant = True
    exportable = False

    def init(self, start: Start) -> State:
        """Takes up the starts' emulator states."""
        shown = (start.frames[:, -1], start.lives, start.memory)
        return tuple(part.clone() for part in (start.ale, *shown, start.ale, start.actions[:, -1]))

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Plays the real game; a lane whose game is over stays as it is."""
        device = action.device
        ale, frames, lives, memory, before, last = (part.cpu().numpy().copy() for part in state)
        rewards, ended = np.zeros(len(ale), np.float32), np.zeros(len(ale), bool)
        console = _console(self.domain.game)
        for lane, codes in enumerate(action.cpu().numpy()):
            console.restore(ale[lane])
            if not console.over:
                rewards[lane] = console.step(codes)
                if console.over:
                    _draw(console, ale[lane], before[lane], last[lane], codes)
                before[lane], last[lane] = ale[lane], codes
                ale[lane], frames[lane] = console.save(), console.frame
                lives[lane], memory[lane] = console.lives, console.ram
            ended[lane] = console.over
        after = tuple(
            torch.from_numpy(part).to(device) for part in (ale, frames, lives, memory, before, last)
        )
        reward, terminated = (torch.from_numpy(part).to(device) for part in (rewards, ended))
        return after, Outcome(reward, terminated, after[2].clone())

    def decode(self, state: State) -> Frames:
        """The real frame."""
        return Frames(state[1])


def _draw(
    console: Emulator, now: np.ndarray, before: np.ndarray, last: np.ndarray, codes: np.ndarray
) -> None:
    """Plays the step that ended a game once more, from a step earlier.

    Q*bert can end within a frame that is not drawn to its end; what is below shows the frame before, which a console
    that has just been restored does not have.
    """
    if not np.array_equal(now, before):
        console.restore(before)
        console.step(last)
        console.step(codes)
