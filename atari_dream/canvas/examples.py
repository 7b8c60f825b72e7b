"""Examples of single steps of real frames: what became of cells, and what a step earned and ended."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from atari_dream.canvas.cells import to_grid
from atari_dream.canvas.redrawing import Redrawing, Scene
from atari_dream.layers import GRID, strata
from atari_dream.predictor import Target

_CHANGED, _NEAR, _CALM = 16, 6, 2
_UNEVENTFUL = 0.125
_SIDE = GRID[1] + 2


class CellExamples(NamedTuple):
    """What became of n cells.

    Attributes:
        near: What the reflex reads of each and of its eight neighbours, float16 (n, 9, F).
        cell: Its place, int64 (n,).
        action: uint8 (n, frame_skip).
        fit: How well each way explains it, (n, ways).
        changed: Whether it changed, bool (n,).
        moving: Whether it changed, or something not far off might have entered it, bool (n,).
        weight: How many cells it stands for, (n,).
    """

    near: Tensor
    cell: Tensor
    action: Tensor
    fit: Tensor
    changed: Tensor
    moving: Tensor
    weight: Tensor


class StepExamples(NamedTuple):
    """What n steps earned and ended.

    Attributes:
        seen: What the tally reads, float16 (n, 600, F).
        before: Lives before the step, int64 (n,).
        reward: Game points, float32 (n,).
        terminated: bool (n,).
        lives: int64 (n,); -1 where they are not known.
        weight: How many steps it stands for, (n,).
    """

    seen: Tensor
    before: Tensor
    reward: Tensor
    terminated: Tensor
    lives: Tensor
    weight: Tensor


def take_cells(
    redrawing: Redrawing, seen: Tensor, scene: Scene, target: Tensor, action: Tensor, valid: Tensor
) -> CellExamples:
    """Some cells of lanes: of those that change, of those near what moves, and of the rest.

    Args:
        redrawing: Knows the ways.
        seen: What the reflex reads, (B, 600, F).
        scene: What the next frame is drawn from.
        target: That frame, uint8 (B, 600, 56).
        action: uint8 (B, frame_skip).
        valid: Lanes to be learnt from, bool (B,).
    """
    changes = (target != scene.present).any(-1)
    loose = (scene.present != scene.ground).any(-1)
    near = F.max_pool2d(to_grid(loose[..., None].float()), 3, stride=1, padding=1).flatten(1) > 0
    masks = (changes, _CHANGED), (near & ~changes, _NEAR), (~near & ~changes, _CALM)
    order = torch.rand(changes.shape, device=changes.device)
    cells, weights = zip(*(strata(order, mask, count) for mask, count in masks), strict=True)
    drawn, weight = torch.cat(cells, dim=1), torch.cat(weights, dim=1) * valid[:, None]
    lane, place = (weight > 0).nonzero(as_tuple=True)
    cell = drawn[lane, place]
    return CellExamples(
        neighbours(seen, lane, cell),
        cell,
        action[lane],
        redrawing.fit(scene, drawn, target)[0][lane, place],
        changes[lane, cell],
        (changes | near)[lane, cell],
        weight[lane, place],
    )


def take_steps(seen: Tensor, lives: Tensor, target: Target, valid: Tensor) -> StepExamples:
    """All steps of lanes that earn, end or cost something, and some of the others.

    Args:
        seen: What the tally reads, (B, 600, F).
        lives: Before the step, int64 (B,).
        target: What followed.
        valid: Lanes to be learnt from, bool (B,).
    """
    eventful = (target.reward != 0) | target.terminated | (target.lives != lives)
    taken = valid & (eventful | (torch.rand(lives.shape, device=lives.device) < _UNEVENTFUL))
    weight = torch.where(eventful, 1.0, 1 / _UNEVENTFUL)
    columns = seen.half(), lives, target.reward, target.terminated, target.lives, weight
    return StepExamples(*(column[taken] for column in columns))


def neighbours(seen: Tensor, lane: Tensor, cell: Tensor) -> Tensor:
    """What is seen, (B, 600, F), of n cells of lanes and their neighbours, float16 (n, 9, F); nothing off the frame."""
    padded = F.pad(seen.half().unflatten(1, GRID), (0, 0, 1, 1, 1, 1)).flatten(1, 2)
    corner = cell // GRID[1] * _SIDE + cell % GRID[1]
    steps = torch.arange(3, device=cell.device)
    around = (steps[:, None] * _SIDE + steps).flatten()
    return padded[lane[:, None], corner[:, None] + around]
