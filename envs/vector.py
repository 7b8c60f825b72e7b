"""The dream as a vector environment: one batch through the predictor, whatever the number of lanes."""

import copy
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from atari_dream import dream
from atari_dream.envs.lanes import Lanes, Transition, World
from atari_dream.envs.options import DEFAULT_HORIZON, Options
from atari_dream.errors import UsageError, unknown
from atari_dream.games import FRAME_RATE, FRAME_SKIP, HEIGHT, WIDTH
from atari_dream.observation import SIZE, STACK

OUTPUTS = ("numpy", "torch")
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": FRAME_RATE / FRAME_SKIP}


class DreamVectorEnv(VectorEnv):
    """Dreams side by side, as `gym.make_vec` makes them.

    Lane i of `reset(seed=s)` is the single environment's `reset(seed=s + i)`.

    Args:
        num_envs: Number of lanes.
        game: Name of the game, or its environment id.
        max_episode_steps: Another name for `horizon`.
        output: `"numpy"`, or `"torch"` for tensors that stay on the device.
        autoreset_mode: When a lane that ended begins anew: an `AutoresetMode` or its value.
        options: The keywords of `gym.make`.

    Raises:
        UsageError: If a keyword is unknown or its value not supported.
    """

    metadata: dict[str, Any] = {**METADATA, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        num_envs: int,
        game: str,
        max_episode_steps: int | None = None,
        output: str = "numpy",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **options: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise UsageError(f"num_envs must be a whole number from 1, got {num_envs!r}")
        if output not in OUTPUTS:
            raise unknown("output", output, OUTPUTS)
        self.options = Options.of(game, **_with_horizon(options, max_episode_steps))
        self.world = World(self.options)
        self.num_envs, self.output = num_envs, output
        self.autoreset_mode = _mode(autoreset_mode)
        self.render_mode = self.options.render_mode
        self.metadata = copy.deepcopy(METADATA) | {
            "autoreset_mode": self.autoreset_mode,
            "render_fps": FRAME_RATE / self.world.frame_skip,
        }
        self.single_observation_space = observation_space(self.options)
        self.single_action_space = spaces.Discrete(len(self.options.codes))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.lanes: Lanes | None = None

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins dreams.

        Args:
            seed: Lane i gets seed + i; a list gives each lane its own; lanes without one go on counting resets.
            options: `"reset_mask"`, bool (B,): the lanes to reset; `"start"`: position or id of the start to begin at.

        Returns:
            Observations and infos.

        Raises:
            UsageError: If an option is unknown or malformed.
            ResetNeeded: If some lanes are masked out before all have been reset once.
        """
        mask, start = self._read_options(options or {})
        seeds = self._seeds(seed)
        if self.lanes is None:
            if not mask.all():
                raise ResetNeeded("the first reset must be of all lanes: call reset() without reset_mask")
            self.lanes = self.world.begin(seeds, torch.zeros_like(seeds), start)
        elif seed is None:
            self.lanes = self.world.restart(self.lanes, mask, start=start)
        else:
            known = torch.tensor(
                [given is not None for given in self._seed_list(seed)], device=self.world.device
            )
            self.lanes = self.world.restart(self.lanes, mask & ~known, start=start)
            self.lanes = self.world.restart(self.lanes, mask & known, seeds, start)
        return self._out(self.world.observe(self.lanes)), self._infos(self.lanes)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Dreams one agent step in every lane.

        Args:
            actions: Positions in the action space, (B,): an array, a tensor or a list.

        Returns:
            Observations, rewards float32 (B,), terminations and truncations bool (B,), infos.

        Raises:
            ResetNeeded: Before the first reset; or, with autoreset disabled, where a lane has ended.
            UsageError: If the actions are not B whole numbers in the action space.
        """
        action = self._read_actions(actions)
        if self.lanes is None:
            raise ResetNeeded("step() before reset(): call reset() first")
        pending = self.lanes.over
        if self.autoreset_mode == AutoresetMode.DISABLED and pending.any():
            lanes = pending.nonzero()[:, 0].tolist()
            raise ResetNeeded(
                f"lanes {lanes} have ended: call reset(options={{'reset_mask': mask}}) for them"
            )
        after, moved = self.world.step(self.lanes, action)
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and pending.any():
            after = dream.where(pending, self.world.restart(self.lanes, pending), after)
            moved = dream.where(~pending, moved, dream.tree_map(torch.zeros_like, moved))
        self.lanes = after
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            return self._finish(after, moved)
        return self._result(moved, self._infos(after))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The frame of each lane, uint8 (210, 160, 3), where `render_mode="rgb_array"`."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() without a render mode: make the environment with render_mode='rgb_array'"
            )
            return None
        if self.lanes is None:
            raise ResetNeeded("render() before reset(): call reset() first")
        return tuple(self.world.frames(self.lanes).cpu().numpy())

    def clone_state(self) -> Lanes:
        """A copy of everything that lies ahead: restored, it gives the same future under the same actions."""
        if self.lanes is None:
            raise ResetNeeded("clone_state() before reset(): call reset() first")
        return dream.tree_map(torch.clone, self.lanes)

    def restore_state(self, state: Lanes) -> None:
        """Takes up a cloned state, of this environment or an equal one; it counts as a reset."""
        if state.seed.shape != (self.num_envs,):
            raise UsageError(
                f"a state of {len(state.seed)} lanes was given to an environment of {self.num_envs}"
            )
        self.lanes = dream.tree_map(lambda part: part.to(self.world.device, copy=True), state)

    def _finish(self, after: Lanes, moved: Transition) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Resets the lanes that ended in this very step and keeps what they last showed in the infos."""
        dense = self.output == "torch"
        ended = after.over
        final: dict[str, Any] = {}
        if dense or ended.any():
            observation, infos = self._out(self.world.observe(after)), self._infos(after, ended)
            final = {"final_obs": observation, "final_info": infos}
            if not dense:
                rows = np.empty(self.num_envs, dtype=object)
                for lane in ended.nonzero()[:, 0].tolist():
                    rows[lane] = observation[lane]
                final["final_obs"] = rows
            final |= {"_final_obs": self._out(ended), "_final_info": self._out(ended)}
            self.lanes = self.world.restart(after, ended)
        assert self.lanes is not None
        return self._result(moved, self._infos(self.lanes) | final)

    def _result(self, moved: Transition, infos: dict[str, Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        assert self.lanes is not None
        return self._out(self.world.observe(self.lanes)), *(self._out(part) for part in moved), infos

    def _infos(self, lanes: Lanes, mask: Tensor | None = None) -> dict[str, Any]:
        """The infos of the lanes in `mask`, all by default, as `SyncVectorEnv` lays them out."""
        numbers = {"lives": self._out(lanes.lives), "score": self._out(lanes.score)}
        if self.output == "torch":
            return {"start": lanes.start.clone(), **numbers, "revision": self.world.revision}
        ids = [self.world.pool.entries[start]["id"] for start in lanes.start.tolist()]
        infos = {
            "start": np.array(ids, dtype=object),
            **numbers,
            "revision": np.array([self.world.revision] * self.num_envs, dtype=object),
        }
        present = np.ones(self.num_envs, bool) if mask is None else self._out(mask)
        return infos | {f"_{name}": present.copy() for name in infos}

    def _out(self, tensor: Tensor) -> Any:
        return tensor.clone() if self.output == "torch" else tensor.cpu().numpy().copy()

    def _seed_list(self, seed: int | list[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
            seeds: list[int | None] = [int(seed) + lane for lane in range(self.num_envs)]
        else:
            seeds = list(cast(list[int | None], seed))
        if len(seeds) != self.num_envs or any(given is not None and given < 0 for given in seeds):
            raise UsageError(
                f"seed must be a number from 0 or a list of {self.num_envs} of them, got {seed!r}"
            )
        return seeds

    def _seeds(self, seed: int | list[int | None] | None) -> Tensor:
        """A seed for every lane; those that were given none draw one from `np_random`."""
        given = self._seed_list(seed)
        if isinstance(seed, int):
            self._np_random, self._np_random_seed = gymnasium.utils.seeding.np_random(seed)
        seeds = [
            int(self.np_random.integers(2**31)) if one is None and self.lanes is None else one or 0
            for one in given
        ]
        return torch.tensor(seeds, dtype=torch.int64, device=self.world.device)

    def _read_options(self, options: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        for name in options:
            if name not in ("reset_mask", "start"):
                raise unknown("option", name, ("reset_mask", "start"), "reset(options={{'{}': ...}})")
        mask = torch.as_tensor(options.get("reset_mask", [True] * self.num_envs), device=self.world.device)
        if mask.dtype != torch.bool or mask.shape != (self.num_envs,) or not mask.any():
            raise UsageError(f"reset_mask must hold {self.num_envs} bools, at least one of them true")
        return mask, self._read_start(options.get("start"))

    def _read_start(self, start: Any) -> Tensor | None:
        if start is None:
            return None
        if isinstance(start, dict):
            raise UsageError("option start={...} as a query is not built yet: give a position or an id")
        places = [start] * self.num_envs if isinstance(start, int | np.integer | str) else list(start)
        pool = self.world.pool
        found = [pool.find(place) if isinstance(place, str) else int(place) for place in places]
        if len(found) != self.num_envs or not all(0 <= place < len(pool) for place in found):
            raise UsageError(
                f"option start must be one position from 0 to {len(pool) - 1} or an id, or {self.num_envs} of them"
            )
        return torch.tensor(found, dtype=torch.int64, device=self.world.device)

    def _read_actions(self, actions: Any) -> Tensor:
        action = torch.as_tensor(np.asarray(actions) if not isinstance(actions, Tensor) else actions)
        count = len(self.options.codes)
        if action.shape != (self.num_envs,) or action.is_floating_point() or action.dtype == torch.bool:
            raise UsageError(
                f"actions must be {self.num_envs} whole numbers from 0 to {count - 1}, got {actions!r}"
            )
        action = action.to(self.world.device, torch.int64)
        if bool(((action < 0) | (action >= count)).any()):
            raise UsageError(f"actions must be from 0 to {count - 1}, got {action.tolist()}")
        return action


def observation_space(options: Options) -> spaces.Box:
    """The observation space of one lane."""
    shape = (HEIGHT, WIDTH, 3) if options.observation == "rgb" else (STACK, SIZE, SIZE)
    return spaces.Box(0, 255, shape, np.uint8)


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise unknown("autoreset_mode", mode, [known.value for known in AutoresetMode]) from None


def _with_horizon(options: dict[str, Any], max_episode_steps: int | None) -> dict[str, Any]:
    if max_episode_steps is None:
        return options
    horizon = options.get("horizon", max_episode_steps)
    if horizon != max_episode_steps:
        raise UsageError(
            f"horizon={horizon} and max_episode_steps={max_episode_steps} mean the same: give one of them "
            f"(default {DEFAULT_HORIZON})"
        )
    return {**options, "horizon": max_episode_steps}
