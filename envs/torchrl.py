"""The dream as TorchRL's EnvBase: a thin shell around the vector environment, tensors in and out (extra `torchrl`)."""

from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from atari_dream.envs.vector import DreamVectorEnv, observation_space
from atari_dream.errors import UsageError


class DreamTorchRLEnv(EnvBase):
    """Dreams side by side for TorchRL, which resets the lanes that have ended.

    Entries: `pixels` uint8, `lives` int64, `score` and, where it is calibrated, `doubt` float32; `reward` in game
    points.

    Args:
        game: Name of the game, or its environment id.
        num_envs: Number of lanes, the batch size.
        options: The keywords of `gym.make`, and `max_episode_steps` as another name for `horizon`.

    Raises:
        UsageError: If a keyword is unknown or its value not supported.
    """

    def __init__(self, game: str, num_envs: int = 1, **options: Any) -> None:
        for name in ("output", "autoreset_mode"):
            if name in options:
                raise UsageError(
                    f"keyword {name!r} is not for DreamTorchRLEnv: TorchRL takes tensors and resets"
                )
        envs = DreamVectorEnv(
            num_envs, game, output="torch", autoreset_mode=AutoresetMode.DISABLED, **options
        )
        lanes = (num_envs,)
        super().__init__(device=envs.world.device, batch_size=torch.Size(lanes))
        self.envs = envs
        self._seed: int | None = None
        shape = observation_space(envs.options).shape
        told = ("score",) if envs.world.doubt is None else ("score", "doubt")
        self.observation_spec = Composite(
            pixels=Bounded(0, 255, shape=(*lanes, *shape), dtype=torch.uint8),
            lives=Unbounded(shape=(*lanes, 1), dtype=torch.int64),
            **{name: Unbounded(shape=(*lanes, 1)) for name in told},
            shape=lanes,
            device=self.device,
        )
        self.action_spec = Categorical(len(envs.options.codes), shape=lanes, device=self.device)
        self.reward_spec = Unbounded(shape=(*lanes, 1), device=self.device)
        flag = Binary(1, shape=(*lanes, 1), dtype=torch.bool, device=self.device)
        self.done_spec = Composite(
            done=flag, terminated=flag.clone(), truncated=flag.clone(), shape=lanes, device=self.device
        )

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        options = dict(kwargs.get("options") or {})
        if mask is not None and self.envs.lanes is not None:
            options["reset_mask"] = mask.view(-1)
        pixels, infos = self.envs.reset(seed=self._seed, options=options)
        self._seed = None
        over = torch.zeros(self.batch_size, dtype=torch.bool, device=self.device)
        return self._told(pixels, infos, over, over)

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        pixels, reward, terminated, truncated, infos = self.envs.step(tensordict["action"])
        told = self._told(pixels, infos, terminated, truncated)
        return told.set("reward", reward[:, None])

    def _set_seed(self, seed: int | None) -> None:
        self._seed = seed

    def _told(
        self, pixels: torch.Tensor, infos: dict[str, Any], terminated: torch.Tensor, truncated: torch.Tensor
    ) -> TensorDict:
        told = ("lives", "score", "doubt")
        entries: dict[str, torch.Tensor] = {name: infos[name] for name in told if name in infos}
        entries |= {
            "terminated": terminated,
            "truncated": truncated,
            "done": terminated | truncated,
        }
        columns = {name: value[:, None] for name, value in entries.items()}
        return TensorDict({"pixels": pixels, **columns}, batch_size=self.batch_size, device=self.device)
