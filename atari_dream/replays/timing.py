"""Which row of a replay belongs to which picture, found from pictures and rows alone.

Actions: a small network learns on ALE, at frame skip 1, how the picture's colours move, told the actions and not told
them. What it gains in a replay by being told, in nats, is largest at the right shift, and no gain where the actions are
not the replay's. Rewards: the digits of the score change a few frames, known for each game, after the points come.

A shift's confidence is its share of the posterior over all shifts and over none, averaged over resamples of the
evidence (BayesBag: Huggins & Miller, arXiv:1912.07104), so that neither few events nor a wrong model make it sure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atari_dream.alignment import colour_motion
from atari_dream.bootstrap import resample
from atari_dream.errors import unknown
from atari_dream.games import ACTION_NAMES, Game
from atari_dream.recorder import Recording

SHIFTS = tuple(range(-2, 9))
"""Shifts that are tried."""
FRAMES = 20_000
"""Pictures that a check reads, by default."""
SURE = 0.9
"""Confidence from which a finding can be relied on."""


_Rows = TypeVar("_Rows", bound=tuple[np.ndarray, ...])


class Finding(NamedTuple):
    """What was found.

    Attributes:
        shift: What belongs to the step from picture k to picture k + 1 is in row k + shift; None if nothing tells.
        confidence: Between 0 and n / (n + 1) for n events; small also where rows and pictures have nothing in common.
        events: How much spoke: changes of the keys, or of the score.
        gains: What each of `SHIFTS` explains, in nats; below 0 it explains less than nothing.
    """

    shift: int | None
    confidence: float
    events: int
    gains: tuple[float, ...]


def _finding(gains: np.ndarray, events: int) -> Finding:
    """The shift that pieces of evidence, gains in nats, float (N, shifts), agree on."""
    total = gains.sum(0)
    if not events or not len(gains) or not gains.any():
        return Finding(None, 0.0, events, tuple(total.tolist()))
    drawn = np.pad(resample(len(gains)) @ gains, ((0, 0), (0, 1)))
    chances = np.exp(drawn - drawn.max(1, keepdims=True))
    shares = (chances / chances.sum(1, keepdims=True)).mean(0)
    best = int(total.argmax())
    return Finding(SHIFTS[best], float(shares[best]) * events / (events + 1), events, tuple(total.tolist()))


def both_shifts(
    replays: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], game: str, frames: int = FRAMES
) -> tuple[Finding, Finding]:
    """The shift of the actions and that of the rewards; each replay is read once, and is not kept.

    Args:
        replays: Of each, its pictures and its actions as `action_shift` takes them, and its scores as `reward_shift`.
        game: Name of the game.
        frames: Pictures after which no more replays are read.

    Raises:
        UsageError: If it is not known where the game shows its score.
    """
    _check_display(game)
    answered, displayed = [], []
    for pictures, actions, scores in _first(replays, frames):
        answered.append(_answered(pictures, actions, game))
        displayed.append(_displayed(pictures, scores, game))
    return _action_finding(answered), _reward_finding(displayed)


def _first(replays: Iterable[_Rows], frames: int) -> Iterator[_Rows]:
    """The first replays, until they have so many pictures."""
    seen = 0
    for replay in replays:
        yield replay
        seen += len(replay[0])
        if seen >= frames:
            break


# The shift of the actions

WINDOW = 50
"""Steps of a piece of evidence, which is drawn as a whole."""
_PAST = 12
"""Steps before, and actions up to now, that a motion is predicted from."""
_MOVES = 0.25
"""Pixels a step from which a colour counts as moving."""
_COMMON = 0.01
"""Share of steps in which a motion must happen to be worth predicting."""
_TOLD = 0.002
"""Nats a step that the actions must tell of a motion, in games not learnt from, or it is no answer to them."""
_BLOCK = 512
"""Pictures of which motion is found at once, to keep memory small."""
_TRAINING, _HELD_OUT, _LONGEST = 100_000, 0.15, 2000
_UNITS, _STEPS, _BATCH, _UNTOLD = 64, 6000, 256, 64


def action_shift(
    replays: Iterable[tuple[np.ndarray, np.ndarray]], game: str, frames: int = FRAMES
) -> Finding:
    """The shift between pictures and actions.

    Args:
        replays: Of each, palette codes uint8 (P, 210, 160) as ALE shows them, and ALE codes by row, uint8 (R,).
        game: Name of the game.
        frames: Pictures after which no more replays are read.

    Returns:
        What was found; the first call for a game plays and learns for most of a minute.
    """
    return _action_finding([_answered(*replay, game) for replay in _first(replays, frames)])


def _answered(pictures: np.ndarray, actions: np.ndarray, game: str) -> tuple[np.ndarray, int]:
    """Of a replay, what each piece of evidence gains at each shift, in nats (N, shifts), and changes of the keys."""
    answers, steps = _answers(game), _steps(len(pictures), len(actions), _PAST)
    if not len(steps):
        return np.empty((0, len(SHIFTS))), 0
    motion = _motion(pictures)[:, answers.features]
    gained = np.stack([answers.gains(motion, actions, steps, shift) for shift in SHIFTS], axis=1)
    gains = np.add.reduceat(gained.sum(2), np.arange(0, len(steps), WINDOW))
    return gains, int(np.count_nonzero(np.diff(actions[steps[0] : steps[-1] + 2])))


def _action_finding(answered: list[tuple[np.ndarray, int]]) -> Finding:
    gains = [np.empty((0, len(SHIFTS))), *(gained for gained, _ in answered)]
    return _finding(np.concatenate(gains), sum(events for _, events in answered))


def _steps(pictures: int, rows: int, past: int) -> np.ndarray:
    """Steps from one picture to the next that have what is before them, and their rows at every shift."""
    return np.arange(past - min(SHIFTS), min(pictures - 1, rows - max(SHIFTS)))


def _motion(pictures: np.ndarray) -> np.ndarray:
    """Whether each colour moves right or left, down or up, or not, in each step, int8 (P - 1, 256)."""
    begins = range(0, len(pictures) - 1, _BLOCK)
    motion = np.concatenate([colour_motion(pictures[begin : begin + _BLOCK + 1]) for begin in begins])
    return np.where(np.abs(motion) > _MOVES, np.sign(motion), 0).astype(np.int8).reshape(len(motion), -1)


def _keys() -> np.ndarray:
    """The keys of each action code: one of eight directions, fire, and that it is told at all, float32 (18, 10)."""
    directions = [name.replace("FIRE", "") for name in ACTION_NAMES]
    table = [[name == other for other in directions[2:10]] for name in directions]
    fire = [[name.endswith("FIRE"), True] for name in ACTION_NAMES]
    return np.concatenate([table, fire], axis=1).astype(np.float32)


class _Answers(NamedTuple):
    """How the colours of a game answer to actions.

    Attributes:
        features: Motions that are predicted, of 256.
        telling: Which of those the actions tell something of.
        net: From `_inputs` to the logits of three directions for each feature.
    """

    features: np.ndarray
    telling: np.ndarray
    net: nn.Module

    def gains(self, motion: np.ndarray, actions: np.ndarray, steps: np.ndarray, shift: int) -> np.ndarray:
        """What being told the actions at a shift gains in each step for each telling feature, in nats."""
        inputs = _inputs(motion, actions, steps, shift)
        targets = torch.from_numpy(motion[steps].astype(np.int64) + 1)
        with torch.no_grad():
            told, untold = (_nats(self.net(given), targets) for given in (inputs, _untold(inputs)))
        return (untold - told).double().numpy()[:, self.telling]


def _inputs(motion: np.ndarray, actions: np.ndarray, steps: np.ndarray, shift: int) -> Tensor:
    """What a step's motion is predicted from: the actions until then, and the motion before, float32 (N, D)."""
    back = np.arange(_PAST)
    keys = _keys()[actions[steps[:, None] + shift - back]]
    before = motion[steps[:, None] - 1 - back]
    parts = [keys, before, before != 0]
    return torch.from_numpy(
        np.concatenate([part.reshape(len(steps), -1) for part in parts], 1, dtype=np.float32)
    )


def _untold(inputs: Tensor) -> Tensor:
    """The same without the actions."""
    return F.pad(inputs[:, _PAST * 10 :], (_PAST * 10, 0))


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Surprise at each motion, float32 (N, F)."""
    return F.cross_entropy(logits.view(len(targets), 3, -1), targets, reduction="none")


@cache
def _answers(game: str) -> _Answers:
    """Learns from play of ALE how a game answers; the same each time."""
    played = _play(game)
    common = np.mean(np.concatenate([motion for motion, _ in played]) != 0, axis=0) > _COMMON
    games = [(motion[:, common], actions) for motion, actions in played]
    held_out = round(len(games) * _HELD_OUT)
    net = _learn(games[held_out:])
    answers = _Answers(np.flatnonzero(common), np.arange(common.sum()), net)
    told = [
        answers.gains(*game, _steps(len(game[0]) + 1, len(game[1]), _PAST), 0) for game in games[:held_out]
    ]
    return answers._replace(telling=np.flatnonzero(np.concatenate(told).mean(0) > _TOLD))


@dataclass
class _Fingers:
    """Presses random keys for random, mostly short times: long holds would not tell one frame's action from the next's.

    Attributes:
        longest: Longest hold, in emulator frames.
        idle: Share of the times without a key, beyond those that are drawn.
    """

    longest: int = 16
    idle: float = 0.15
    _left: int = field(default=0, init=False, repr=False)

    def begin(self, game: Game, frame_skip: int, rng: np.random.Generator) -> None:
        """Gets ready for a new game."""
        self._actions, self._frame_skip, self._rng, self._left = game.actions, frame_skip, rng, 0

    def act(self, frame: np.ndarray) -> int:
        """The held keys, or new ones when their time is up."""
        if self._left <= 0:
            self._action = int(self._rng.choice(self._actions)) if self._rng.random() >= self.idle else 0
            self._left = int(self.longest ** self._rng.random())
        self._left -= self._frame_skip
        return self._action


def _play(game: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Motion and actions of games of ALE."""
    recording = Recording(game, _Fingers(), frame_skip=1, longest=_LONGEST, state_every=_LONGEST)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    while sum(len(actions) for _, actions in found) < _TRAINING:
        episode = recording.play(len(found))
        found.append((_motion(episode.frames), episode.actions))
    return found


def _learn(games: list[tuple[np.ndarray, np.ndarray]]) -> nn.Module:
    """Fits a network to games, a quarter of each batch not told the actions."""
    steps = [_steps(len(motion) + 1, len(actions), _PAST) for motion, actions in games]
    starts = np.cumsum([0, *[len(motion) for motion, _ in games[:-1]]])
    places = np.concatenate([start + inner for start, inner in zip(starts, steps, strict=True)])
    motion, actions = map(np.concatenate, zip(*games, strict=True))
    rng = np.random.default_rng(0)
    width = _inputs(motion, actions, places[:1], 0).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = _net(width, 3 * motion.shape[1])
        optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.3)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=_STEPS)
        for _ in range(_STEPS):
            batch = rng.choice(places, _BATCH)
            inputs = _inputs(motion, actions, batch, 0)
            inputs[:_UNTOLD] = _untold(inputs[:_UNTOLD])
            targets = torch.from_numpy(motion[batch].astype(np.int64) + 1)
            optimiser.zero_grad()
            _nats(net(inputs), targets).sum(1).mean().backward()
            optimiser.step()
            rates.step()
    return net.eval()


def _net(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, _UNITS),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(_UNITS, _UNITS),
        nn.ReLU(),
        nn.Linear(_UNITS, outputs),
    )


# The shift of the rewards


class Digits(NamedTuple):
    """Where a game shows its score.

    Attributes:
        rows: First row and the one after the last.
        columns: First column, left of every digit, and the one after the last.
        lag: Steps from the one in which points come to the one in which the digits change.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    lag: int


DIGITS = {
    "pacman": Digits((187, 194), (46, 103), 0),
    "pinball": Digits((3, 13), (60, 157), 1),
    "qbert": Digits((6, 13), (25, 70), 2),
    "revenge": Digits((6, 14), (56, 102), 1),
    "space_invaders": Digits((10, 20), (2, 65), 1),
}
"""Measured in ALE, at frame skip 1; Q*bert jumps into the columns right of his."""
_SEEN = 0.8
"""Share of points whose digits are seen to change: in Q*bert they are hidden at times."""
_UNKNOWN_ROWS = 3
"""Rows at the beginning of a replay that may be blank; what comes after them is no gain."""


def reward_shift(
    replays: Iterable[tuple[np.ndarray, np.ndarray]], game: str, frames: int = FRAMES
) -> Finding:
    """The shift between pictures and rewards, a row's reward being what its score is above that of the row before.

    Args:
        replays: Of each, palette codes uint8 (P, 210, 160) as ALE shows them, and the score by row, (R,).
        game: Name of the game.
        frames: Pictures after which no more replays are read.

    Returns:
        What was found.

    Raises:
        UsageError: If it is not known where the game shows its score.
    """
    _check_display(game)
    return _reward_finding([_displayed(*replay, game) for replay in _first(replays, frames)])


def _check_display(game: str) -> None:
    if game not in DIGITS:
        raise unknown("score display of game", game, DIGITS)


def _displayed(pictures: np.ndarray, scores: np.ndarray, game: str) -> tuple[np.ndarray, np.ndarray]:
    """Of a replay, whether the digits change, bool (P - 1,), and whether at each shift of a gain, bool (N, shifts)."""
    changed = _digits_change(pictures, DIGITS[game])
    gained = np.flatnonzero(np.diff(scores.astype(np.int64)) > 0) + 1
    places = gained[gained > _UNKNOWN_ROWS, None] - np.array(SHIFTS) + DIGITS[game].lag
    inside = ((places >= 0) & (places < len(changed))).all(1)
    return changed, changed[places[inside]]


def _reward_finding(displayed: list[tuple[np.ndarray, np.ndarray]]) -> Finding:
    seen = np.concatenate([np.zeros(0, bool), *(changed for changed, _ in displayed)])
    met = np.concatenate([np.zeros((0, len(SHIFTS)), bool), *(matched for _, matched in displayed)])
    chance = (seen.sum() + 1) / (len(seen) + 2)
    gains = np.where(met, np.log(_SEEN / chance), np.log((1 - _SEEN) / (1 - chance)))
    return _finding(gains, len(gains))


def _digits_change(pictures: np.ndarray, digits: Digits) -> np.ndarray:
    """Whether the shape of the digits changes in each step, bool (P - 1,); a flash of the screen is no change."""
    field = pictures[:, slice(*digits.rows), slice(*digits.columns)]
    ink = field != field[:, :1, :1]
    return (ink[1:] != ink[:-1]).any((1, 2))
