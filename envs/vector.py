"""The dream as a vector environment: one batch through the predictor, whatever the number of lanes."""

import copy
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from atari_dream import dream
from atari_dream.envs.infos import hand_out, tell, tell_dense
from atari_dream.envs.inputs import (
    read_actions,
    read_mask,
    read_seeds,
    read_starts,
    take_actions,
)
from atari_dream.envs.lanes import Lanes, Transition, World, broken, fork_lanes, form_of
from atari_dream.envs.options import Options, read_mode, whole_number, with_horizon
from atari_dream.envs.watch import Watch
from atari_dream.errors import UsageError, brief, unknown
from atari_dream.games import FRAME_RATE, FRAME_SKIP, HEIGHT, WIDTH
from atari_dream.observation import SIZE, STACK
from atari_dream.start_query import matching

OUTPUTS = ("numpy", "torch")
RESET_OPTIONS = ("reset_mask", "start")
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": FRAME_RATE // FRAME_SKIP}


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
        if not whole_number(num_envs):
            raise UsageError(f"num_envs must be a whole number from 1, got {num_envs!r}")
        if output not in OUTPUTS:
            raise unknown("output", output, OUTPUTS)
        self.options = Options.of(game, vector=True, **with_horizon(options, max_episode_steps))
        self.world = World(self.options)
        self.num_envs, self.output = num_envs, output
        self.autoreset_mode = read_mode(autoreset_mode)
        self.render_mode = self.options.render_mode
        self.metadata = copy.deepcopy(METADATA) | {
            "autoreset_mode": self.autoreset_mode,
            "render_fps": round(FRAME_RATE / self.world.frame_skip),
        }
        self.single_observation_space = observation_space(self.options)
        self.single_action_space = spaces.Discrete(len(self.options.codes))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.lanes: Lanes | None = None
        self._lazy = output == "torch" and self.world.device.type == "cuda" and not self.options.validate
        self._watch()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins dreams.

        Args:
            seed: Lane i gets seed + i; a list gives each lane its own; without one a lane counts its resets.
            options: `"reset_mask"`, bool (B,): the lanes to reset; `"start"`: position or id of the
                start, for all lanes or for each, or a query such as `{"lives": 2, "score": (0, 500)}`, among whose
                starts each lane draws by its seed, in this reset alone.

        Returns:
            Observations and infos.

        Raises:
            UsageError: If the seed is malformed, or an option unknown or malformed.
            ResetNeeded: If some lanes are masked out before all have been reset once.
        """
        mask, start, among = self._read_options(options or {})
        seeds = read_seeds(seed, self.num_envs)
        if seed is not None and not isinstance(seed, list | tuple | np.ndarray):
            self._np_random, self._np_random_seed = seeding.np_random(seeds[0])
        if self.lanes is None:
            if not mask.all():
                raise ResetNeeded("the first reset must be of all lanes: call reset() without reset_mask")
            drawn = self._tensor([self._draw() if one is None else one for one in seeds])
            self.lanes = self.world.begin(drawn, torch.zeros_like(drawn), start, among)
        else:
            known = self._tensor([one is not None for one in seeds])
            self.lanes = self.world.restart(self.lanes, mask & ~known, None, start, among)
            fresh = self._tensor([one or 0 for one in seeds])
            self.lanes = self.world.restart(self.lanes, mask & known, fresh, start, among)
        return self._out(self.world.observe(self.lanes)), self._infos(self.lanes, mask)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Dreams one agent step in every lane.

        Args:
            actions: Positions in the action space, (B,): an array, a tensor or a list.

        Returns:
            Observations, rewards float32 (B,), terminations and truncations bool (B,), infos.

        Raises:
            ResetNeeded: Before the first reset; or, with autoreset disabled, where a lane has ended.
            UsageError: If the actions are not B whole numbers in the action space.
            RuntimeError: If the predictor gives NaN or Inf.

        With torch output on a GPU all but a missing first reset are told up to 64 steps later, unless
        `validate=True`.
        """
        action = self._read_actions(actions)
        if self.lanes is None:
            raise ResetNeeded("step() before reset(): call reset() first")
        pending = self.lanes.over
        if self.autoreset_mode == AutoresetMode.DISABLED:
            self._refuse_ended(pending)
        after, moved = self.world.step(self.lanes, action)
        self._check(broken(after, moved))
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            after = self._again(after, pending)
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
        """Takes up a cloned state, of this environment or an equal one; it counts as a reset.

        Raises:
            UsageError: If the state is of another kind of environment, or of another number of lanes.
        """
        if not isinstance(state, Lanes):
            raise UsageError(f"restore_state() takes what clone_state() gave, got {brief(state)}")
        zeros = torch.zeros(self.num_envs, dtype=torch.int64, device=self.world.device)
        mine = self.lanes or self.world.begin(zeros, zeros, zeros)
        if form_of(state) != form_of(mine) or not torch.equal(state.world.cpu(), mine.world.cpu()):
            raise UsageError(
                f"restore_state() got {len(state.seed)} lanes of another kind of environment: this one has "
                f"{self.num_envs} lanes, game {self.options.game!r}, observation "
                f"{self.options.observation!r}, revision {self.world.revision!r}"
            )
        self.lanes = dream.tree_map(lambda part: part.to(self.world.device, copy=True), state)

    def observe(self) -> tuple[Any, dict[str, Any]]:
        """What the agents see now, and the infos: what a reset or the last step has shown, or a restored state."""
        if self.lanes is None:
            raise ResetNeeded("observe() before reset(): call reset() first")
        return self._out(self.world.observe(self.lanes)), self._infos(self.lanes)

    def fork(self, copies: int, fresh: bool = False) -> "DreamVectorEnv":
        """Another environment with every lane's state several times over; this one stays as it is.

        Copies of a lane lie side by side and have the same future under the same actions: play other actions.

        Args:
            copies: How many of each lane.
            fresh: Whether each copy but the first draws random numbers of its own until its next reset, for other
                futures under the same actions.

        Raises:
            UsageError: If `copies` is not a whole number from 1.
            ResetNeeded: Before the first reset.
        """
        if not whole_number(copies):
            raise UsageError(f"fork() takes a whole number of copies from 1, got {copies!r}")
        state = self.clone_state()
        other = copy.copy(self)
        other.num_envs = self.num_envs * copies
        other.metadata = copy.deepcopy(self.metadata)
        other.observation_space = batch_space(self.single_observation_space, other.num_envs)
        other.action_space = batch_space(self.single_action_space, other.num_envs)
        other._np_random = copy.deepcopy(self._np_random)
        other._watch()
        other.lanes = fork_lanes(state, copies, fresh)
        return other

    def resync(self, mask: Any = None) -> tuple[Any, dict[str, Any]]:
        """Brings dreams back to the states of the real games beside them; needs `shadow=True`.

        Args:
            mask: The lanes, bool (B,); all if not given.

        Returns:
            Observations and infos, as `observe`.

        Raises:
            UsageError: If there is no shadow, or the real game of such a lane has ended.
            ResetNeeded: Before the first reset.
        """
        if self.lanes is None:
            raise ResetNeeded("resync() before reset(): call reset() first")
        chosen = read_mask(mask, self.num_envs).to(self.world.device)
        self.lanes = self.world.resync(self.lanes, chosen)
        return self.observe()

    def stagger(self) -> None:
        """Lets the present episode of lane i be cut after (i + 1) / num_envs of the horizon."""
        horizon = self.options.horizon
        assert self.lanes is not None and horizon is not None
        lane = torch.arange(self.num_envs, device=self.world.device)
        spent = horizon - (lane + 1) * horizon // self.num_envs
        self.lanes = self.lanes._replace(elapsed=spent.clamp(max=horizon - 1))

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the processes that play the real games."""
        self.world.twin.close()

    def _finish(self, after: Lanes, moved: Transition) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Resets the lanes that ended in this very step and keeps what they last showed in the infos."""
        ended = after.over
        final: dict[str, Any] = {}
        if self._dense or ended.any():
            observation, infos = self._out(self.world.observe(after)), self._infos(after, ended)
            final = {"final_obs": observation, "final_info": infos}
            if not self._dense:
                rows = np.empty(self.num_envs, dtype=object)
                for lane in ended.nonzero()[:, 0].tolist():
                    rows[lane] = observation[lane]
                final["final_obs"] = rows
            final |= {"_final_obs": self._out(ended), "_final_info": self._out(ended)}
            self.lanes = self._again(after, ended)
        assert self.lanes is not None
        return self._result(moved, self._infos(self.lanes) | final)

    def _again(self, lanes: Lanes, mask: Tensor) -> Lanes:
        """Begins anew in the lanes in `mask`, bool (B,)."""
        lazy = self._lazy and not lanes.shadow
        return self.world.renew(lanes, mask) if lazy else self.world.restart(lanes, mask)

    def _refuse_ended(self, over: Tensor) -> None:
        if not self._lazy:
            lanes, told = over.nonzero()[:, 0].tolist(), ""
        else:
            found = self._over_watch.look(over)
            lanes, told = ([], "") if found is None else ([found[1]], f" before step {found[0]}")
        if lanes:
            raise ResetNeeded(
                f"lanes {lanes} have ended{told}: call reset(options={{'reset_mask': mask}}) for them"
            )

    def _result(self, moved: Transition, infos: dict[str, Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        assert self.lanes is not None
        return self._out(self.world.observe(self.lanes)), *(self._out(part) for part in moved), infos

    def _infos(self, lanes: Lanes, mask: Tensor | None = None) -> dict[str, Any]:
        """The infos of the lanes in `mask`, all by default."""
        return tell_dense(self.world, lanes) if self._dense else tell(self.world, lanes, mask)

    def _out(self, tensor: Tensor) -> Any:
        return hand_out(tensor, self._dense)

    @property
    def _dense(self) -> bool:
        return self.output == "torch"

    def _tensor(self, numbers: list[Any]) -> Tensor:
        return torch.tensor(numbers, device=self.world.device)

    def _draw(self) -> int:
        return int(self.np_random.integers(2**31))

    def _watch(self) -> None:
        """Begins to look for wrong actions, for NaN or Inf, and for steps of lanes that have ended."""
        self._action_watch, self._state_watch, self._over_watch = (
            Watch(self.world.device, at_once=not self._lazy) for _ in range(3)
        )

    def _read_actions(self, actions: Any) -> Tensor:
        count = len(self.options.codes)
        if not (self._lazy and isinstance(actions, Tensor) and actions.device.type == "cuda"):
            return read_actions(actions, (self.num_envs,), count).to(self.world.device)
        action, wrong = take_actions(actions, self.num_envs, count)
        found = self._action_watch.look(wrong)
        if found is not None:
            raise UsageError(
                f"the action of lane {found[1]} at step {found[0]} was outside 0 to {count - 1}: make the "
                "environment with validate=True to be told at once"
            )
        return action

    def _check(self, bad: Tensor) -> None:
        found = self._state_watch.look(bad)
        if found is not None:
            raise RuntimeError(
                f"the predictor of revision {self.world.revision!r} gave NaN or Inf in lane {found[1]} at step "
                f"{found[0]} of this environment"
            )

    def _read_options(self, options: dict[str, Any]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The lanes to reset, their starts if given, and those to draw from if a query is."""
        for name in options:
            if name not in RESET_OPTIONS:
                raise unknown("option", name, RESET_OPTIONS, "reset(options={{'{}': ...}})")
        device, start = self.world.device, options.get("start")
        mask = read_mask(options.get("reset_mask"), self.num_envs).to(device)
        if isinstance(start, dict):
            return mask, None, torch.from_numpy(matching(self.world.pool, start)).to(device)
        places = read_starts(start, self.num_envs, self.world.pool)
        return mask, None if places is None else places.to(device), None


def observation_space(options: Options) -> spaces.Box:
    """The observation space of one lane."""
    shape = (HEIGHT, WIDTH, 3) if options.observation == "rgb" else (STACK, SIZE, SIZE)
    return spaces.Box(0, 255, shape, np.uint8)
