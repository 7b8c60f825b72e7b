"""Vivid: draws only what changes, in the game's own colours, with a memory of what rests.

This project's own. A step has two parts. Colours that change all over the frame are told by a table of colours. Then
the cells that may change are drawn anew: each as a whole stays, goes back to what it showed when it last
rested, or shows what was nearby or a few frames ago (the moves that explain most in the data), and pixels of it are
touched up. Nothing can blur, what a sprite has covered comes back as it was, and a sprite moves in one piece; an
untrained model is nearly copy-last, and one that sends all that moves back to its ground is the eraser. What to
remember is not learnt: pixels count how long they have rested, cells how long ago they changed and how long they had
rested before (the beat of Space Invaders), and the last frames are kept (what flickers), with the ways in which each
came about (what moves goes on). What an action does to what moves has a short way of its own. It learns along the way
that led to each target, as from a posterior: taught on a sampled future, it would learn to undo it.
Reward, end and lives are read off what was drawn, so they go with what is shown: a dot that goes, a ship that bursts.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.canvas.cells import CELLS, PIXELS, from_grid, put, to_cells, to_frame, to_grid
from atari_dream.canvas.counts import ColourCounts
from atari_dream.canvas.display import Display, find_display
from atari_dream.canvas.drill import drill
from atari_dream.canvas.examples import CellExamples, StepExamples, take_cells, take_steps
from atari_dream.canvas.memory import LONGEST, Memory
from atari_dream.canvas.moves import LAGS, best_moves, find_shifts
from atari_dream.canvas.recolouring import Recolouring, recolour
from atari_dream.canvas.redrawing import Plan, Redrawing, Scene
from atari_dream.canvas.reflex import Reflex
from atari_dream.canvas.tally import Tally
from atari_dream.layers import (
    GRID,
    ActionEmbedding,
    Conv2d,
    ConvTranspose2d,
    ResidualBlock,
    colour_code,
    look_up,
    silu,
)
from atari_dream.outcomes import OutcomePredictor, lives_after
from atari_dream.predictor import Batch, Domain, Frames, Lesson, Noise, Outcome, Start, State, Target
from atari_dream.registry import register_model

_LIVES = 8
_SHIFTS, _MOVES, _DRAWN = 48, 24, 0.98
_NEVER = -30.0
_WATCHED = 8
_CELLS_DRILL, _STEPS_DRILL = (512, 6000), (32, 1500)
_WAYS_WEIGHT = 4.0


@register_model("vivid")
class Vivid(OutcomePredictor):
    """Redraws what changes, 210x160 palette colours.

    State: the frame shown, uint8 (B, 600, 56), which the memory has not taken in yet; the parts of `Memory`; lives.

    Args:
        domain: The game and what its data can hold.
        channels: Channels on the grid of 30x20 cells.
        deep: Channels on that of 15x10.
        blocks: Residual blocks there.
        hidden: Channels between features and pixels.
        drawn: The most cells that are drawn in a step.
        sketch: Features of a cell that the memory keeps of each frame.
        moves: Where what a cell shows may come from, `canvas.moves.Move`; see `survey`.
        display: Cells that show the score; see `survey`.
    """

    context = 16
    batch_invariant = True
    code: Tensor

    def __init__(
        self,
        domain: Domain,
        channels: int = 64,
        deep: int = 128,
        blocks: int = 2,
        hidden: int = 96,
        drawn: int = 128,
        sketch: int = 32,
        moves: Sequence[Sequence[int]] = (),
        display: Sequence[int] = (),
    ) -> None:
        super().__init__(domain)
        self.register_buffer("code", colour_code())
        coded = PIXELS * self.code.shape[1]
        told = tuple((kind, down, right, lifts) for kind, down, right, lifts in moves)
        self.redrawing = Redrawing(domain.colours, told, channels, hidden, drawn)
        self.present = Conv2d(coded, channels, 1)
        self.ground = Conv2d(coded, channels, 1)
        self.sketch = Conv2d(coded, sketch, 1)
        self.recall = Conv2d(LAGS * sketch, channels, 1)
        self.trail = Conv2d(LAGS * self.redrawing.ways, channels, 1)
        self.age = nn.Parameter(torch.randn(LONGEST + 1, channels) * 0.3)
        self.interval = nn.Parameter(torch.randn(LONGEST + 1, channels) * 0.3)
        self.place = nn.Parameter(torch.randn(1, channels, *GRID) * 0.3)
        self.act = ActionEmbedding(domain.frame_skip, channels)
        self.left = nn.Parameter(torch.randn(_LIVES, channels) * 0.3)
        self.enter = Conv2d(channels, channels, 3, padding=1)
        self.down = Conv2d(channels, deep, 3, stride=2, padding=1)
        self.think = nn.Sequential(*(ResidualBlock(deep) for _ in range(blocks)))
        self.up = ConvTranspose2d(deep, channels, 2, stride=2)
        self.leave = Conv2d(channels, channels, 3, padding=1)
        self.recolouring = Recolouring(domain.colours, channels)
        self.counts = ColourCounts()
        self.reflex = Reflex(domain.frame_skip, self.redrawing.ways, hidden)
        self.display = Display(list(display), len(domain.rewards), channels)
        self.tally = Tally(sum(self.outcomes.values()), channels)
        self.noise = {"way": Noise("gumbel", (self.redrawing.ways,)), **self.noise}
        self.practice = {"cells": Noise("gumbel", (CELLS,))}

    def init(self, start: Start) -> State:
        """Watches the last `context` steps of a start."""
        frames = start.frames[:, -self.context :]
        first, last = to_cells(frames[:, 0]), frames.shape[1] - 1
        memory = Memory.begin(first, self._sketch(self._coded(first)), self.redrawing.ways)
        sketch, trace = (
            memory.sketches[..., : self.sketch.out_channels],
            memory.traces[..., : self.redrawing.ways],
        )
        for place in range(1, last):
            cells = to_cells(frames[:, place])
            if place > last - LAGS:  # those before are forgotten
                sketch, trace = self._sketch(self._coded(cells)), self._trace(memory, cells)
            memory = memory.take_in(cells, sketch, trace)
        return (to_cells(frames[:, -1]).clone(), *memory, start.lives.clone())

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        """Predicts one agent step."""
        memory, coded = self._take_in(state)
        lives, loose = state[-1], self._loose(memory)
        features = self._features(memory, coded, action, lives)
        plan, colours = self._plan(features, memory, loose, action), self.recolouring(features)
        scene = self._scene(memory, self.recolouring.table(colours.argmax(-1)))
        frame = self.redrawing.draw(plan, scene, noise["way"])
        outcome = self.tell(self._outcome(memory.last, frame, loose, lives), lives, noise)
        frame = self._show_score(frame, plan, scene, outcome.reward)
        return (frame, *memory, outcome.lives.clone()), outcome

    def decode(self, state: State) -> Frames:
        """The frame shown."""
        return Frames(to_frame(state[0]))

    def learn(
        self, state: State, action: Tensor, target: Target, noise: dict[str, Tensor], compete: bool = False
    ) -> Lesson:
        """Predicts one step; pixels are told which colours really changed, outcomes are read off the real frame."""
        memory, coded = self._take_in(state)
        lives, present, follows = state[-1], memory.last, to_cells(target.frame)
        features, loose = self._features(memory, coded, action, lives), self._loose(memory)
        plan, colours = self._plan(features, memory, loose, action), self.recolouring(features)
        following, there = self.recolouring.seen(present, follows)
        missed = F.cross_entropy(colours.transpose(1, 2), following, reduction="none") * there
        scene = self._scene(memory, self.recolouring.table(following))
        rest = self.display.without(follows, scene.present)
        with torch.no_grad():
            frame = self.redrawing.retrace(plan, scene, rest)
        terms = self.redrawing.nll(plan, scene, rest, noise["cells"]) | {"colours": missed.sum(1)}
        terms |= self._score_nll(terms, plan, scene, target.reward, follows)
        terms |= self.outcome_terms(self._outcome(present, rest, loose, lives), lives, target)
        with torch.no_grad():
            frame = self._show_score(frame, plan, scene, target.reward)
        return Lesson((frame, *memory, lives_after(lives, target)), terms)

    def show(self, state: State, frame: Tensor, mask: Tensor) -> State:
        """Lets the lanes in `mask`, bool (B,), go on from a given frame instead of their own."""
        return (torch.where(mask[:, None, None], to_cells(frame), state[0]), *state[1:])

    @classmethod
    def survey(cls, clips: Iterable[Batch]) -> dict[str, Any]:
        """Finds the moves of a game, how many cells it draws, and which show the score."""
        changes, scenes, busy, steps = [], [], [], []
        recolouring = Recolouring(tuple(range(256)), 1)
        for clip in clips:
            cells = to_cells(clip.frames[0])
            nothing = torch.zeros(1, CELLS, 0)
            memory = Memory.begin(cells[:1], nothing, 0)
            for frame in cells[1:-1, None]:
                memory = memory.take_in(frame, nothing, nothing)
            tables = recolouring.table(recolouring.seen(cells[:-1], cells[1:])[0])
            steps.append(((recolour(tables, cells[:-1]) != cells[1:]).any(-1), clip.rewards[0, 1:] != 0))
            frames = _recoloured(memory, tables[-1:])
            stirred = frames[:, 0] != cells[-1]
            busy.append(int(stirred.any(-1).sum()))
            unknown = to_frame(stirred & (cells[-1] != memory.ground))[0]
            changes.append((to_frame(frames[0]), clip.frames[0, -1], unknown))
            scenes.append((frames, memory.ground, cells[-1:]))
        drawn = np.quantile(busy, _DRAWN)
        return {
            "moves": [list(move) for move in best_moves(find_shifts(changes, _SHIFTS), scenes, _MOVES)],
            "drawn": int(np.clip(8 * np.ceil(drawn / 8) + 24, 48, 192)),
            "display": find_display(steps),
        }

    def prime(self, batches: Iterable[Batch]) -> None:
        """Drills the reflex and the tally on single steps of real frames, as PyTorch's seed has it."""
        cells, steps = zip(*(both for batch in batches for both in self._examples(batch)), strict=True)
        drill(self.reflex, self._reflex_loss, cells, *_CELLS_DRILL)
        drill(self.tally, self._tally_loss, steps, *_STEPS_DRILL)

    @torch.no_grad()
    def _examples(self, batch: Batch) -> Iterator[tuple[CellExamples, StepExamples]]:
        """What each step of a batch is an example of, once its first are seen."""
        first = to_cells(batch.frames[:, 0])
        nothing = torch.zeros(*first.shape[:2], 0, device=first.device)
        memory = Memory.begin(first, nothing, self.redrawing.ways)
        for place in range(1, batch.frames.shape[1] - 1):
            cells = to_cells(batch.frames[:, place])
            memory = memory.take_in(cells, nothing, self._trace(memory, cells))
            if place < _WATCHED:
                continue
            target, valid, lives = batch.target(place + 1), batch.valid[:, place + 1], batch.lives[:, place]
            follows, loose = to_cells(target.frame), self._loose(memory)
            scene = self._scene(
                memory, self.recolouring.table(self.recolouring.seen(memory.last, follows)[0])
            )
            rest = self.display.without(follows, scene.present)
            seen, action = self._seen(memory, loose), batch.actions[:, place + 1]
            yield (
                take_cells(self.redrawing, seen, scene, rest, action, valid),
                take_steps(self._counted(memory.last, follows, loose), lives, target, valid),
            )

    def _reflex_loss(self, *columns: Tensor) -> Tensor:
        """Nats of cells, of whether and how they change."""
        cells = CellExamples(*columns)
        told = self.reflex.at(cells.near, cells.cell, cells.action)
        stirs = F.binary_cross_entropy_with_logits(told[:, 0], cells.changed.float(), reduction="none")
        likely = told[:, 1:].log_softmax(-1) + cells.fit
        ways = (cells.fit.amax(-1) - likely.logsumexp(-1)) * cells.moving
        return (cells.weight * (stirs + _WAYS_WEIGHT * ways)).mean()

    def _tally_loss(self, *columns: Tensor) -> Tensor:
        """Nats of what steps earn and end."""
        steps = StepExamples(*columns)
        target = Target(steps.seen, steps.reward, steps.terminated, steps.lives)
        terms = self.outcome_terms(self.tally(steps.seen.float(), steps.before), steps.before, target)
        return (steps.weight * torch.stack(list(terms.values())).sum(0)).mean()

    def _take_in(self, state: State) -> tuple[Memory, Tensor]:
        """The memory up to the frame shown, and that frame in codes, (B, 600, 224)."""
        memory, coded = Memory(*state[1:-1]), self._coded(state[0])
        return memory.take_in(state[0], self._sketch(coded), self._trace(memory, state[0])), coded

    def _features(self, memory: Memory, coded: Tensor, action: Tensor, lives: Tensor) -> Tensor:
        """What is seen and remembered, and what the action will make of it, (B, channels, 30, 20)."""
        ages = F.embedding(memory.age.int(), self.age) + F.embedding(memory.interval.int(), self.interval)
        seen = (
            self.present(to_grid(coded))
            + self.ground(to_grid(self._coded(memory.ground)))
            + self.recall(to_grid(memory.sketches))
            + self.trail(to_grid(memory.traces))
            + to_grid(ages)
            + self.act(action)
            + self.left[lives.clamp(0, _LIVES - 1)][:, :, None, None]
            + self.place
        )
        fine = seen + self.enter(silu(seen))
        known = fine + self.up(silu(self.think(self.down(silu(fine)))))
        return known + self.leave(silu(known))

    def _plan(self, features: Tensor, memory: Memory, loose: Tensor, action: Tensor) -> Plan:
        """What is known of the cells to be drawn; those of the display wait."""
        plan = self.redrawing.plan(features, self.reflex(self._seen(memory, loose), action))
        return plan._replace(stirred=plan.stirred.masked_fill(self.display.mask, _NEVER))

    def _informed(self, plan: Plan, reward: Tensor) -> Plan:
        """A plan that knows the reward, float32 (B,)."""
        return plan._replace(features=self.display.informed(plan.features, self.place_of(reward)))

    def _show_score(self, frame: Tensor, plan: Plan, scene: Scene, reward: Tensor) -> Tensor:
        """The frame, uint8 (B, 600, 56), with a display that knows the reward."""
        if not self.display.count:
            return frame
        cell = self.display.index(len(frame))
        return put(frame, cell, self.redrawing.draw_at(cell, self._informed(plan, reward), scene))

    def _score_nll(
        self, terms: dict[str, Tensor], plan: Plan, scene: Scene, reward: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        """The terms of ways and touches, (B,) each, with those of a display that knows the reward."""
        if not self.display.count:
            return {}
        cell, once = self.display.index(len(target)), slice(self.display.count)
        ways, touches = self.redrawing.nll_at(cell, self._informed(plan, reward), scene, target)
        return {
            "ways": terms["ways"] + ways[:, once].sum(1),
            "touches": terms["touches"] + touches[:, once].sum(1),
        }

    def _scene(self, memory: Memory, table: Tensor) -> Scene:
        """What the next frame is drawn from, the present one recoloured."""
        return Scene(_recoloured(memory, table), memory.ground)

    def _outcome(self, present: Tensor, frame: Tensor, loose: Tensor, lives: Tensor) -> Tensor:
        """Logits of reward, end and lives from what was drawn over the present frame, both uint8 (B, 600, 56)."""
        return self.tally(self._counted(present, frame, loose), lives)

    def _counted(self, present: Tensor, frame: Tensor, loose: Tensor) -> Tensor:
        """What the tally reads, (B, 600, 3 * NUMBERS); the display is not for it."""
        changed = (present != frame) & ~self.display.mask[:, None]
        return torch.cat([loose, *(self.counts(cells, changed) for cells in (present, frame))], dim=-1)

    def _seen(self, memory: Memory, loose: Tensor) -> Tensor:
        """What the reflex reads, (B, 600, F)."""
        every = self.counts(memory.last, torch.ones_like(memory.last, dtype=torch.bool))
        return torch.cat([every, loose, memory.traces], dim=-1)

    def _loose(self, memory: Memory) -> Tensor:
        """Counts of the colours that are not ground, (B, 600, NUMBERS)."""
        return self.counts(memory.last, memory.last != memory.ground)

    def _coded(self, cells: Tensor) -> Tensor:
        """Fixed random codes of the pixels' colours, (B, 600, 224)."""
        return look_up(self.code, cells).flatten(2)

    def _sketch(self, coded: Tensor) -> Tensor:
        """Small features of a frame, (B, 600, sketch)."""
        return from_grid(self.sketch(to_grid(coded)))

    def _trace(self, memory: Memory, frame: Tensor) -> Tensor:
        """In which ways a frame came from what the memory holds, (B, 600, ways)."""
        return self.redrawing.traced(Scene(memory.frames, memory.ground), frame)


def _recoloured(memory: Memory, table: Tensor) -> Tensor:
    """The memory's frames, the present one recoloured, uint8 (B, SOURCES, 600, 56)."""
    return torch.cat([recolour(table, memory.last)[:, None], memory.frames[:, 1:]], dim=1)
