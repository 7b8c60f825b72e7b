"""Dreams as environments: Gymnasium's Env and VectorEnv, and stable-baselines3's VecEnv."""

from typing import TYPE_CHECKING, Any

from atari_dream.envs.mixing import Mixture, WakeUp
from atari_dream.envs.rewind import Rewind
from atari_dream.envs.single import DreamEnv
from atari_dream.envs.states import load_state, save_state, state_from_bytes, state_to_bytes
from atari_dream.envs.vector import DreamVectorEnv

if TYPE_CHECKING:
    from atari_dream.envs.sb3 import DreamVecEnv

__all__ = [
    "DreamEnv",
    "DreamVecEnv",
    "DreamVectorEnv",
    "Mixture",
    "Rewind",
    "WakeUp",
    "load_state",
    "save_state",
    "state_from_bytes",
    "state_to_bytes",
]


def __getattr__(name: str) -> Any:
    if name == "DreamVecEnv":  # imports stable-baselines3, which takes seconds
        from atari_dream.envs.sb3 import DreamVecEnv

        return DreamVecEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
