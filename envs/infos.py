"""What environments tell beside what they show: of all lanes in columns, of one lane, or lane by lane."""

from typing import Any

import numpy as np
from torch import Tensor

from atari_dream.envs.lanes import Lanes, World

KINDS = {"start": str, "lives": int, "score": float, "revision": str, "doubt": float}
"""What is told by name, and its type in the info of one lane; doubt where it is calibrated."""


def hand_out(tensor: Tensor, dense: bool) -> Any:
    """What is the caller's own: a tensor on the device if `dense`, else an array."""
    return tensor.clone() if dense else tensor.cpu().numpy().copy()


def tell_dense(world: World, lanes: Lanes) -> dict[str, Any]:
    """The infos of lanes as tensors on the device; `start` is a position in the pool, `revision` one string."""
    told: dict[str, Any] = {name: part.clone() for name, part in _columns(world, lanes).items()}
    told |= {"start": lanes.start.clone(), "revision": world.revision}
    if lanes.shadow:
        told["shadow"] = {name: part.clone() for name, part in world.drift(lanes).items()}
    return told


def tell(world: World, lanes: Lanes, mask: Tensor | None = None) -> dict[str, Any]:
    """The infos of lanes as arrays, of those in `mask`, bool (B,), or of all, as `SyncVectorEnv` lays them out."""
    present = np.ones(len(lanes.seed), bool) if mask is None else hand_out(mask, False)
    told = {name: hand_out(part, False) for name, part in _columns(world, lanes).items()}
    told |= {name: told[name].astype(np.float64) for name in told if KINDS[name] is float}
    ids = [world.pool.entries[start]["id"] for start in lanes.start.tolist()]
    told |= {
        "start": np.array(ids, dtype=object),
        "revision": np.array([world.revision] * len(present), dtype=object),
    }
    infos = _masked(told, present)
    if lanes.shadow:
        real = {name: hand_out(part, False) for name, part in world.drift(lanes).items()}
        infos |= {"shadow": _masked(real, present), "_shadow": present.copy()}
    return infos


def of_one(infos: dict[str, Any]) -> dict[str, Any]:
    """The info of the only lane, in plain Python types but for the real frame."""
    info = {name: kind(infos[name][0]) for name, kind in KINDS.items() if name in infos}
    if "shadow" in infos:
        real = _real_of(infos["shadow"], 0)
        info["shadow"] = {name: row if row.ndim else row.item() for name, row in real.items()}
    return info


def by_lane(infos: dict[str, Any]) -> list[dict[str, Any]]:
    """The info of each lane, in plain Python types but for what is told of its real game."""
    names = [name for name in KINDS if name in infos]
    columns = [infos[name].tolist() for name in names]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if "shadow" in infos:
        for lane, row in enumerate(rows):
            row["shadow"] = _real_of(infos["shadow"], lane)
    return rows


def _columns(world: World, lanes: Lanes) -> dict[str, Tensor]:
    """What is a number of each lane."""
    columns = {"lives": lanes.lives, "score": lanes.score}
    return columns if world.doubt is None else columns | {"doubt": world.doubt.of(lanes.evidence)}


def _masked(columns: dict[str, Any], present: np.ndarray) -> dict[str, Any]:
    """Columns that are empty where nothing is present, each with a mask of its own."""
    for column in columns.values():
        column[~present] = None if column.dtype == object else 0
    return columns | {f"_{name}": present.copy() for name in columns}


def _real_of(columns: dict[str, Any], lane: int) -> dict[str, Any]:
    """What is told of one lane's real game, without masks."""
    return {name: column[lane] for name, column in columns.items() if not name.startswith("_")}
