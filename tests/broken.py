"""Broken dreams: the emulator with one defect each, and the measure that is made to catch it."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from atari_dream.events import FEW
from atari_dream.games import get_game
from atari_dream.models.emulator import EmulatorControl
from atari_dream.objects.scene import scene_reader
from atari_dream.palette import PALETTE
from atari_dream.predictor import Domain, Frames, Noise, Outcome, Start, State
from atari_dream.protocol import Entry
from atari_dream.starts import StartPool

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
        soft = cv2.GaussianBlur(PALETTE[now].astype(np.float32), (5, 5), 1.2)
        known = PALETTE[::2].astype(np.float32)
        distance = np.square(known).sum(1) - 2 * soft.reshape(-1, 3) @ known.T
        return (2 * distance.argmin(1).reshape(now.shape)).astype(np.uint8)


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


def broken_entries(pool: StartPool) -> list[Entry]:
    """Every broken dream that makes sense in a pool's game."""
    domain, usual = Domain(pool.game, pool.frame_skip), pool.usual
    reader = scene_reader(pool.game)
    assert reader is not None
    entries = []
    for name, defect in DEFECTS.items():
        made = defect.dream(domain, usual) if issubclass(defect.dream, Painted) else defect.dream(domain)
        if name != "ball_erased" or "ball" in reader.tracks:
            entries.append(Entry(name, "checkpoint", made))
    return entries


def verdict(summary: dict[str, Any], name: str, few: int = FEW) -> tuple[str, list[float] | None]:
    """Caught, not caught or not measurable; and the interval by which the emulator is better, at the last step."""
    defect = DEFECTS[name]
    emulator = next(entry for entry in summary["entries"] if entry["name"] == "emulator")
    part = emulator if defect.part == "starts" else emulator[defect.part]
    if name not in part["better_than"]:
        return "not measurable", None
    events = {"no_reward": "score", "endless": "end", "random_ends": "end"}.get(name)
    bands = [band for band in part["better_than"][name][defect.measure] if band is not None]
    if not bands or (events is not None and summary["events"][events][-1] < few):
        return "not measurable", None
    return ("caught" if bands[-1][0] > 0 else "not caught"), bands[-1]
