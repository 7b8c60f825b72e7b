"""What a store of replays holds, in the shape of the table of Kurin et al. (2017, arXiv:1705.10998)."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from atari_dream.episodes import EpisodeStore
from atari_dream.games import ACTION_NAMES, FRAME_RATE
from atari_dream.replays.ingest import Taken

_LISTED = 3
"""Numbers of replays that are named for each kind of damage."""


def count_store(store: EpisodeStore) -> dict[str, Any]:
    """Counts replays, frames, hours, scores, actions and endings; memory does not grow with the store.

    Returns:
        Of `scores`: worst, best, mean, median and standard deviation over replays; of `actions`: the share of each
        that occurs, by its name in ALE.
    """
    finals: dict[str, int] = {}
    for entry in store.entries:
        finals[entry["replay"]] = entry["final_score"]
    actions = np.zeros(18, np.int64)
    for index in range(len(store)):
        actions += np.bincount(store.read(index, "actions"), minlength=18)
    endings = Counter(entry["ending"] for entry in store.entries)
    frames = store.frames
    return {
        "game": store.game,
        "replays": len(finals),
        "episodes": len(store),
        "frames": frames,
        "hours": frames / FRAME_RATE / 3600,
        "scores": _spread(list(finals.values())),
        "rewards": sum(len(np.flatnonzero(store.read(index, "rewards"))) for index in range(len(store))),
        "terminated": endings["terminated"],
        "cut": endings["cut"] + endings["truncated"],
        "splits": dict(Counter(entry["split"] for entry in store.entries)),
        "actions": {
            ACTION_NAMES[code]: int(actions[code]) / int(actions.sum())
            for code in np.argsort(-actions)
            if actions[code]
        },
    }


def _spread(scores: list[int]) -> dict[str, float | None]:
    if not scores:
        return dict.fromkeys(("worst", "best", "mean", "median", "sd"))
    values = np.array(scores, np.float64)
    return {
        "worst": values.min(),
        "best": values.max(),
        "mean": values.mean(),
        "median": float(np.median(values)),
        "sd": values.std(ddof=1) if len(values) > 1 else None,
    }


def tell_damage(taken: Iterable[Taken]) -> list[str]:
    """One line for each kind of damage and each reason to skip, with how many replays have it and the first of them."""
    kinds: dict[str, list[str]] = {}
    skipped: dict[str, list[str]] = {}
    for one in taken:
        for kind, (count, first) in one.damage.found.items():
            kinds.setdefault(kind, []).append(f"{one.number} ({count}, first {first})")
        if one.skipped:
            skipped.setdefault(one.skipped, []).append(one.number)
    lines = [f"{kind}: {_list(places)}" for kind, places in kinds.items()]
    return lines + [f"skipped {_list(numbers)}: {reason}" for reason, numbers in skipped.items()]


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def table(counts: list[dict[str, Any]]) -> list[str]:
    """The counts as a Markdown table, one column a game."""
    rows = [
        ("replays", [f"{one['replays']:,}" for one in counts]),
        ("episodes (parts without a gap)", [f"{one['episodes']:,}" for one in counts]),
        ("frames at 60 Hz", [f"{one['frames']:,}" for one in counts]),
        ("hours", [f"{one['hours']:.2f}" for one in counts]),
        *(
            (f"{name} score", [_number(one["scores"][name]) for one in counts])
            for name in ("worst", "best", "mean", "median", "sd")
        ),
        ("steps with a reward", [f"{one['rewards']:,}" for one in counts]),
        ("terminated / cut", [f"{one['terminated']} / {one['cut']}" for one in counts]),
        ("actions", [_shares(one["actions"]) for one in counts]),
    ]
    head = ["| | " + " | ".join(one["game"] for one in counts) + " |", "|---|" + "---|" * len(counts)]
    return head + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _shares(actions: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in actions.items())
