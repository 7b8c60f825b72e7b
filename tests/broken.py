"""Broken dreams: the emulator with one defect each, and the measure that is made to catch it."""

import copy
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from atari_dream.drift import measure
from atari_dream.events import FEW
from atari_dream.games import get_game
from atari_dream.metrics import CAP
from atari_dream.models.emulator import EmulatorControl
from atari_dream.objects.scene import scene_reader
from atari_dream.palette import PALETTE
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Start, State
from atari_dream.protocol import Entry, Protocol, open_entries
from atari_dream.starts import StartPool
from atari_dream.summary import summarise

_HALF = (10, 8)
"""Rows and columns from the centre of a sprite to the edges of a box around it."""


class Painted(EmulatorControl):
    """Shows the real frame, repainted. State: the emulator's, its frame, and steps so far, int64 (B,)."""

    def __init__(self, domain: Domain, usual: np.ndarray) -> None:
        super().__init__(domain)
        self.usual = usual

    def init(self, start: Start) -> State:
        state = super().init(start)
        return *state, state[1].clone(), torch.zeros_like(state[2])

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        *real, shown, count = state
        after, outcome = super().step(tuple(real), action, noise)
        painted = [
            self.paint(now, before, first, int(t))
            for now, before, first, t in zip(
                after[1].numpy(), real[1].numpy(), shown.numpy(), count + 1, strict=True
            )
        ]
        return (*after, torch.from_numpy(np.stack(painted)), count + 1), outcome

    def decode(self, state: State) -> Frames:
        return Frames(state[-2])

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        """What is shown at step `t`, of the real frame, the real one before, and what was shown before."""
        raise NotImplementedError

    def boxes(self, frame: np.ndarray, names: tuple[str, ...]) -> list[tuple[slice, slice]]:
        """Boxes around the sprites that are seen of some objects."""
        reader = scene_reader(self.domain.game)
        assert reader is not None
        points = reader.of_frame(frame).points
        places = [
            place for name in names for place in (points.get(name) if points.get(name) is not None else ())
        ]
        return [_box(round(float(y)), round(float(x))) for x, y in places]


def _box(y: int, x: int) -> tuple[slice, slice]:
    rows, columns = _HALF
    return slice(max(0, y - rows), y + rows), slice(max(0, x - columns), x + columns)


class Late(Painted):
    """Shows the frame before."""

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        return before


class Frozen(Painted):
    """Shows the start for ever."""

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        return shown


class Blurred(Painted):
    """Blurs colours and takes the console's nearest."""

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        soft = cv2.GaussianBlur(PALETTE[now], (5, 5), 1.2) >> 3
        return _nearest()[soft[..., 0], soft[..., 1], soft[..., 2]]


@cache
def _nearest() -> np.ndarray:
    """The console's nearest code for each colour, in 32 levels of red, green and blue, uint8 (32, 32, 32)."""
    levels = np.stack(np.meshgrid(*[np.arange(4, 256, 8)] * 3, indexing="ij"), axis=-1)
    distance = [np.square(levels - colour.astype(int)).sum(-1) for colour in PALETTE[::2]]
    return (2 * np.argmin(distance, axis=0)).astype(np.uint8)


class Teleporting(Painted):
    """Shows the player (in Pinball the ball) elsewhere for three steps of ten."""

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        painted = now.copy()
        if t % 10 in (4, 5, 6):
            for rows, columns in self.boxes(now, ("player", "ball")):
                away = slice(*((columns.start + 60) % 130 + np.array([0, columns.stop - columns.start])))
                painted[rows, columns] = self.usual[rows, columns]
                sprite = now[rows, columns]
                painted[rows, away] = np.where(sprite == self.usual[rows, columns], now[rows, away], sprite)
        return painted


class Erased(Painted):
    """Shows none of the game's objects."""

    names: tuple[str, ...] = ()

    def paint(self, now: np.ndarray, before: np.ndarray, shown: np.ndarray, t: int) -> np.ndarray:
        reader = scene_reader(self.domain.game)
        assert reader is not None
        painted = now.copy()
        for box in self.boxes(now, self.names or reader.tracks):
            painted[box] = self.usual[box]
        return painted


class BallErased(Erased):
    """Shows no ball."""

    names = ("ball",)


class WrongAction(EmulatorControl):
    """Plays the next action of the game's list instead of the one it was given."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        codes = get_game(self.domain.game).actions
        table = torch.zeros(18, dtype=torch.uint8)
        table[list(codes)] = torch.tensor((*codes[1:], codes[0]), dtype=torch.uint8)
        return super().step(state, table[action.long()], noise)


class NoReward(EmulatorControl):
    """Tells no reward."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(reward=torch.zeros_like(outcome.reward))


class Endless(EmulatorControl):
    """Tells no end."""

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        return after, outcome._replace(terminated=torch.zeros_like(outcome.terminated))


class RandomEnds(EmulatorControl):
    """Ends at one step in twenty, whatever happens."""

    noise = {"end": Noise("gumbel", (2,))}

    def step(self, state: State, action: Tensor, noise: dict[str, Tensor]) -> tuple[State, Outcome]:
        after, outcome = super().step(state, action, noise)
        over = (noise["end"] + torch.tensor([0.95, 0.05]).log()).argmax(1).bool()
        return after, outcome._replace(terminated=over)


class Defect(NamedTuple):
    """A broken dream, and where in a drift measurement it is to be caught."""

    dream: type[EmulatorControl]
    part: str
    measure: str


DEFECTS = {
    "late": Defect(Late, "control", "effect_agreement"),
    "frozen": Defect(Frozen, "long", "motion_ratio"),
    "blurred": Defect(Blurred, "starts", "sharp_diff"),
    "teleporting": Defect(Teleporting, "starts", "object_survival"),
    "objects_erased": Defect(Erased, "starts", "object_survival"),
    "ball_erased": Defect(BallErased, "starts", "survival_ball"),
    "wrong_action": Defect(WrongAction, "control", "inverse_accuracy"),
    "no_reward": Defect(NoReward, "starts", "reward_accuracy"),
    "endless": Defect(Endless, "starts", "end_recall"),
    "random_ends": Defect(RandomEnds, "starts", "end_precision"),
}


EXACT = {
    "psnr": CAP,
    "ssim": 1.0,
    "ms_ssim": 1.0,
    "dyn_psnr": CAP,
    "sharp_diff": CAP,
    "total_variation": 0.0,
    "wrong_pixels": 0.0,
    "wrong_moving": 0.0,
    "palette_violations": 0.0,
    "reward_accuracy": 1.0,
    "score_error": 0.0,
    "terminal_agreement": 1.0,
    "object_survival": 1.0,
}
"""What the emulator has to have at every step."""


def only(pool: StartPool, starts: tuple[int, ...]) -> StartPool:
    """The pool where these are drawn first."""
    some = copy.copy(pool)
    rest = [start for start in range(len(pool)) if start not in starts]
    some.sample = lambda count, seed=0: np.array([*starts, *rest])[:count]  # type: ignore[method-assign]
    return some


def judge(pool: StartPool, sizes: dict[str, int], horizon: int, **options: Any) -> dict[str, dict[str, Any]]:
    """Drift measurements of all broken dreams in a pool's game, each in the part that is made to catch it.

    Args:
        pool: The starts.
        sizes: Starts of each part: `starts`, `control` and `long`.
        horizon: Agent steps of the first.
        options: What `measure` takes beyond.

    Returns:
        The content of `drift.json` by part.
    """
    asked = {
        "starts": {"starts": sizes["starts"], "horizon": horizon},
        "control": {"starts": 2, "horizon": 1, "control_starts": sizes["control"]},
        "long": {"starts": 2, "horizon": 1, "long_starts": sizes["long"]},
    }
    found = {}
    for part, wishes in asked.items():
        protocol = Protocol.of(pool, **wishes)
        entries = open_entries([], pool) + broken_entries(pool, part)
        measured = measure(protocol, pool, entries, **options)
        listed = [(entry.name, entry.kind) for entry in entries]
        found[part] = summarise(protocol, listed, measured, "broken dreams")
    return found


def broken_entries(pool: StartPool, part: str) -> list[Entry]:
    """The broken dreams that a part of a measurement is to catch, as far as they make sense in a pool's game."""
    domain, usual = Domain(pool.game, pool.frame_skip), pool.usual
    reader = scene_reader(pool.game)
    assert reader is not None
    entries = []
    for name, defect in DEFECTS.items():
        if defect.part == part and (name != "ball_erased" or "ball" in reader.tracks):
            made = defect.dream(domain, usual) if issubclass(defect.dream, Painted) else defect.dream(domain)
            entries.append(Entry(name, "checkpoint", made))
    return entries


def verdict(
    summaries: dict[str, dict[str, Any]], name: str, few: int = FEW
) -> tuple[str, list[float] | None]:
    """Caught, not caught or not measurable; and the interval by which the emulator is better, at the last step."""
    defect = DEFECTS[name]
    summary = summaries[defect.part]
    emulator = next(entry for entry in summary["entries"] if entry["name"] == "emulator")
    part = emulator if defect.part == "starts" else emulator[defect.part]
    if name not in part["better_than"]:
        return "not measurable", None
    events = {"no_reward": "score", "endless": "end", "random_ends": "end"}.get(name)
    bands = [band for band in part["better_than"][name][defect.measure] if band is not None]
    if not bands or (events is not None and summary["events"][events][-1] < few):
        return "not measurable", None
    return ("caught" if bands[-1][0] > 0 else "not caught"), bands[-1]
