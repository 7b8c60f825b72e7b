"""Lanes of dreams: pure functions on tensors. The environments hold a `Lanes` and call a `World`."""

import hashlib
import os
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from atari_dream import dream, noise
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import frame_skip_of, open_predictor
from atari_dream.doubt import Doubt, evidence
from atari_dream.dream import DreamState, tree_map
from atari_dream.envs.burn_in import BurnIn, burn_in, stack_of
from atari_dream.envs.graph import GraphStep
from atari_dream.envs.observing import shrink_frames
from atari_dream.envs.options import Options, pick_device
from atari_dream.envs.shadow import Shadow, Twin, drift
from atari_dream.errors import UsageError
from atari_dream.games import FRAME_LIMIT
from atari_dream.starts import StartPool

_START, _STICKY, _FORK = -2, -1, -4

if hasattr(os, "register_at_fork"):  # OpenMP's threads are gone in a forked worker, which would wait for ever
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


class Lanes(NamedTuple):
    """Everything that changes while an environment runs, in batch-first tensors: a copy has the same future.

    Attributes:
        dream: The dream's own state.
        seed: Seed given last, int64 (B,).
        resets: Resets since that seed, int64 (B,).
        start: Position of the start in the pool, int64 (B,).
        elapsed: Steps since the start, int64 (B,).
        evidence: Of drift, since the start or the last `resync`, int64 (B,); see `atari_dream.doubt`.
        score: Points since the start's power-on, float32 (B,).
        lives: int64 (B,).
        held: Raw action played last, uint8 (B,).
        stack: Grey frames, uint8 (B, 4, 84, 84); (B, 0) where the observation is the frame itself.
        over: Whether a reset is due, bool (B,).
        world: Which game, weights, starts and rules these are lanes of, int64 (B,).
        shadow: The real games beside them; nothing unless asked for.
    """

    dream: DreamState
    seed: Tensor
    resets: Tensor
    start: Tensor
    elapsed: Tensor
    evidence: Tensor
    score: Tensor
    lives: Tensor
    held: Tensor
    stack: Tensor
    over: Tensor
    world: Tensor
    shadow: Shadow | tuple[()] = ()


class Transition(NamedTuple):
    """What a step brought: reward float32 (B,), terminated and truncated bool (B,)."""

    reward: Tensor
    terminated: Tensor
    truncated: Tensor


class World:
    """Everything that stays while lanes run: predictor, starts and rules.

    Attributes:
        options: The environment's keywords.
        device: Where the lanes are.
        pool: Where dreams begin.
        predictor: What dreams.
        revision: Which weights dream.
        doubt: When they can no longer be trusted, if that is known.
        identity: A number of 62 bits that only an equal world has.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.device = pick_device(options.device)
        self.pool = _pool(options)
        self.predictor, _, self.revision, doubt = open_predictor(
            options.checkpoint, self.pool, self.device, options.memory
        )
        self.doubt = doubt_for(options, doubt, self.device)
        self.frame_skip = self.predictor.domain.frame_skip
        told = (self.revision, self.pool.digest, options.game, options.codes, options.observation)
        rules = (bool(options.shadow), options.memory)
        self.identity = int(hashlib.sha256(repr((*told, *rules)).encode()).hexdigest()[:15], 16)
        self._codes = torch.tensor(options.codes, dtype=torch.uint8, device=self.device)
        self.twin = Twin(self.predictor.domain, 0 if options.shadow is True else int(options.shadow))
        self._burn_in = BurnIn(self.predictor, self.pool, self.device, options.observation == "dqn")
        self._scores = torch.from_numpy(self.pool.scores).to(self.device)
        self._step = GraphStep(self.predictor, options.scale)

    @torch.no_grad()
    def begin(
        self, seed: Tensor, resets: Tensor, start: Tensor | None = None, among: Tensor | None = None
    ) -> Lanes:
        """Lanes at the starts that seeds and numbers of resets draw, or at given ones, int64 (B,) each.

        Args:
            seed: Of each lane.
            resets: Since that seed.
            start: Positions of starts, if they are not drawn.
            among: Positions to draw from, int64 (N,); all if not given.
        """
        key = noise.fold(noise.key_of(seed), resets)
        if start is None:
            drawn = noise.integers(noise.fold(key, _START), len(self.pool) if among is None else len(among))
            start = drawn if among is None else among[drawn]
        state, lives, held, stack = self._burn_in.gather(start)
        zeros = torch.zeros_like(seed)
        dreaming = DreamState(state, key, zeros.clone())
        return Lanes(
            dreaming,
            seed.clone(),
            resets.clone(),
            start,
            zeros,
            zeros.clone(),
            self._scores[start],
            lives,
            held,
            stack,
            zeros.bool(),
            torch.full_like(seed, self.identity),
            self._shadow(start),
        )

    @torch.no_grad()
    def prepare(self) -> None:
        """Burns in all starts, unless that is done; else each is when it is first drawn."""
        self._burn_in.complete()

    @torch.no_grad()
    def restart(
        self,
        lanes: Lanes,
        mask: Tensor,
        seed: Tensor | None = None,
        start: Tensor | None = None,
        among: Tensor | None = None,
    ) -> Lanes:
        """Begins anew where `mask`, bool (B,), holds; with seeds, at starts, (B,), or among some, if given."""
        rows = mask.nonzero()[:, 0]
        if not len(rows):
            return lanes
        resets = lanes.resets[rows] + 1 if seed is None else torch.zeros_like(rows)
        seeds = (lanes.seed if seed is None else seed)[rows]
        fresh = self.begin(seeds, resets, None if start is None else start[rows], among)
        return tree_map(lambda old, new: old.index_copy(0, rows, new), lanes, fresh)

    @torch.no_grad()
    def renew(self, lanes: Lanes, mask: Tensor) -> Lanes:
        """As `restart` without seeds or starts, but it does not wait for the device to tell which lanes those are."""
        self.prepare()
        return dream.where(mask, self.begin(lanes.seed, lanes.resets + 1), lanes)

    @torch.no_grad()
    def step(self, lanes: Lanes, action: Tensor) -> tuple[Lanes, Transition]:
        """Dreams one agent step with actions, int64 (B,), positions in the action space."""
        codes = self._raw(lanes, action)
        dreaming, outcome = self._step(lanes.dream, codes)
        terminated = outcome.terminated
        if self.options.terminal_on_life_loss:
            terminated = terminated | (outcome.lives < lanes.lives)
        elapsed, evidence = lanes.elapsed + 1, self._gather(lanes, dreaming)
        truncated = (self._late(elapsed) | self._doubtful(evidence)) & ~terminated
        after = lanes._replace(
            dream=dreaming,
            elapsed=elapsed,
            evidence=evidence,
            score=lanes.score + outcome.reward,
            lives=outcome.lives,
            held=codes[:, -1],
            over=terminated | truncated,
            shadow=self.twin.step(lanes.shadow, codes) if lanes.shadow else (),
        )
        return self._see(after), Transition(outcome.reward, terminated, truncated)

    @torch.no_grad()
    def resync(self, lanes: Lanes, mask: Tensor) -> Lanes:
        """Takes the dreams in `mask`, bool (B,), to the states of their real games; an end of their own is undone.

        Raises:
            UsageError: If there is no shadow, or the real game of such a lane has ended.
        """
        if not lanes.shadow:
            raise UsageError("resync() needs the real game: make the environment with shadow=True")
        ended = (mask & lanes.shadow.over).nonzero()[:, 0].tolist()
        if ended:
            raise UsageError(f"resync(): the real game of lanes {ended} has ended: reset them")
        rows = mask.nonzero()[:, 0]
        real = tree_map(lambda part: part[rows], lanes.shadow)
        state = burn_in(self.predictor, real.start(), self.device)
        fresh = tree_map(lambda part: part[rows], lanes)._replace(
            score=real.score,
            lives=real.start().lives,
            over=self._late(lanes.elapsed[rows]),
            evidence=torch.zeros_like(rows),
        )
        fresh = fresh._replace(dream=fresh.dream._replace(predictor=state))
        if self.options.observation == "dqn":
            fresh = fresh._replace(stack=stack_of(real.frames))
        return tree_map(lambda old, new: old.index_copy(0, rows, new), lanes, fresh)

    def drift(self, lanes: Lanes) -> dict[str, Tensor]:
        """The real games beside lanes that have a shadow; see `shadow.drift`."""
        assert lanes.shadow
        return drift(lanes.shadow, dream.decode(self.predictor, lanes.dream))

    @torch.no_grad()
    def observe(self, lanes: Lanes) -> Tensor:
        """What the agents see: uint8 (B, 210, 160, 3), or (B, 4, 84, 84)."""
        return lanes.stack.clone() if self.options.observation == "dqn" else self.frames(lanes)

    @torch.no_grad()
    def frames(self, lanes: Lanes) -> Tensor:
        """What the games show, uint8 (B, 210, 160, 3)."""
        return dream.decode(self.predictor, lanes.dream).rgb()

    def _see(self, lanes: Lanes) -> Lanes:
        if self.options.observation != "dqn":
            return lanes
        grey = shrink_frames(dream.decode(self.predictor, lanes.dream).indices())
        return lanes._replace(stack=torch.cat([lanes.stack[:, 1:], grey[:, None]], dim=1))

    def _raw(self, lanes: Lanes, action: Tensor) -> Tensor:
        """The raw action of each emulator frame, uint8 (B, frame_skip); sticky ones repeat the one before."""
        code = self._codes[action]
        if not self.options.sticky:
            return code[:, None].repeat(1, self.frame_skip)
        key = noise.fold(noise.fold(lanes.dream.key, _STICKY), lanes.elapsed)
        sticks = noise.uniform(key, (self.frame_skip,)) < self.options.sticky
        raw, held = [], lanes.held
        for frame in range(self.frame_skip):
            held = torch.where(sticks[:, frame], held, code)
            raw.append(held)
        return torch.stack(raw, dim=1)

    def _shadow(self, start: Tensor) -> Shadow | tuple[()]:
        if not self.options.shadow:
            return ()
        begun = tree_map(lambda part: part.to(self.device), self.pool.batch(start.cpu().numpy()))
        return self.twin.begin(begun, self._scores[start])

    def _gather(self, lanes: Lanes, after: DreamState) -> Tensor:
        """Evidence of drift after a step."""
        if self.doubt is None:
            return lanes.evidence
        shown = (dream.decode(self.predictor, state).indices() for state in (lanes.dream, after))
        return lanes.evidence + evidence(*shown)

    def _doubtful(self, evidence: Tensor) -> Tensor:
        if self.options.max_doubt is None:
            return torch.zeros_like(evidence, dtype=torch.bool)
        assert self.doubt is not None
        return self.doubt.of(evidence) > self.options.max_doubt

    def _late(self, elapsed: Tensor) -> Tensor:
        limit = self.options.horizon
        if self.options.starts == "power-on":
            frames = FRAME_LIMIT // self.frame_skip
            limit = frames if limit is None else min(limit, frames)
        return elapsed >= limit if limit is not None else torch.zeros_like(elapsed, dtype=torch.bool)


def broken(lanes: Lanes, moved: Transition) -> Tensor:
    """Which lanes hold NaN or Inf, bool (B,)."""
    parts = [part for part in (*lanes.dream.predictor, moved.reward) if part.is_floating_point()]
    sums = [part.reshape(len(part), -1).sum(1, dtype=torch.float32) for part in parts]
    return ~torch.stack(sums).isfinite().all(0)


def fork_lanes(lanes: Lanes, copies: int, fresh: bool = False) -> Lanes:
    """Every lane several times, side by side; if `fresh`, each copy but the first with a random key of its own."""
    forked = tree_map(lambda part: part.repeat_interleave(copies, dim=0), lanes)
    if not fresh:
        return forked
    key = forked.dream.key
    copy = torch.arange(len(key), device=key.device) % copies
    own = torch.where(copy > 0, noise.fold(noise.fold(key, _FORK), copy), key)
    return forked._replace(dream=forked.dream._replace(key=own))


def form_of(lanes: Lanes) -> Any:
    """Shape and type of every tensor: lanes of one form can take each other's place."""
    return tree_map(lambda part: (part.shape, part.dtype), lanes)


def doubt_for(options: Options, doubt: Doubt | None, device: torch.device) -> Doubt | None:
    """The calibration of a checkpoint, on a device, if the keywords agree with it.

    Raises:
        UsageError: If doubt is limited, but not calibrated, or only more finely than it can be told.
    """
    limit, name = options.max_doubt, options.checkpoint or "bundled"
    if options.memory and limit is not None:
        raise UsageError(
            f"max_doubt={limit:g} was calibrated for dreams that read their memory: leave out max_doubt or memory"
        )
    if doubt is None and limit is not None:
        raise UsageError(
            f"max_doubt={limit:g} needs a calibration, and checkpoint {name!r} has none: make one with `atari-dream "
            f"doubt --game {options.game} --checkpoint CHECKPOINT --starts POOL --out OUT`, or leave max_doubt out"
        )
    if doubt is not None and limit is not None and limit < doubt.least:
        raise UsageError(
            f"max_doubt={limit:g} is less than {doubt.starts} calibration starts can tell: allowed are "
            f"{doubt.least:.2g} and more"
        )
    return None if doubt is None else doubt.to(device)


def _pool(options: Options) -> StartPool:
    if options.starts == "power-on":
        return StartPool.power_on(options.game, frame_skip_of(options.checkpoint, options.game))
    return (
        bundled_pool(options.game) if options.starts is None else StartPool.load(options.starts, options.game)
    )
