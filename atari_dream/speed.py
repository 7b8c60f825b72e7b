"""Agent steps per second, summed over lanes, of dreams beside the real emulator in the same run.

Run: `atari-dream speed --game pacman --out out/speed`
"""

import os
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from atari_dream import dream, noise
from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import commit, open_predictor, versions
from atari_dream.files import FORMAT
from atari_dream.games import HEIGHT, WIDTH, Game, get_game
from atari_dream.predictor import Predictor
from atari_dream.starts import StartPool

REPEATS = 5
DREAMS = ("predictor", "environment")
EMULATORS = ("emulator", "emulator_vector")

_LINE = "{:>5}  {:<15}{:>10}{:>10}{:>10}{:>13}{:>20}"
_EMULATORS = 8
"""Emulators side by side, at least where there are as many lanes."""
_STARTS = 64
"""Starts from which a bare predictor's lanes begin, at most: reading them takes longer than timing."""
_ACTIONS = 256
"""Steps after which actions repeat and a bare predictor goes back to its starts."""

Run = Callable[[int], object]
"""Plays that many agent steps in every lane and returns when they are done."""


class Contender(NamedTuple):
    """What is timed: its lanes, and a function that plays a number of steps in each."""

    lanes: int
    run: Run


def measure(
    game: str,
    checkpoint: str | None = None,
    device: str = "auto",
    batches: Sequence[int] = (1, 8, 64),
    seconds: float = 5.0,
    progress: Callable[[int], object] = lambda rounds: None,
) -> dict[str, Any]:
    """Times predictor, environment and emulators, turn and turn about, at each batch size.

    Args:
        game: Name of the game.
        checkpoint: What dreams, as in `gym.make`.
        device: Where it dreams.
        batches: Numbers of lanes.
        seconds: Time for each contender at each batch size, without the warm-up.
        progress: Called with 1 after each round of turns.

    Returns:
        What `speed.json` holds: agent steps per second, summed over lanes, as median, min and max over
        `REPEATS` turns, and ratios to the emulators, as median, min and max over the ratios of equal turns.

    Raises:
        UsageError: If game, checkpoint or device are not there.
    """
    from atari_dream.envs.options import pick_device

    place, pool = pick_device(device), bundled_pool(game)
    loaded = open_predictor(checkpoint, pool, place)
    rows = []
    for lanes in batches:
        with ExitStack() as stack:
            rivals = _environments(get_game(game), checkpoint, str(place), lanes, pool.frame_skip, stack)
            dreamer = predictor_contender(loaded.predictor, pool, place, lanes)
            contenders = {"predictor": dreamer, **rivals}
            rows.append({"batch": lanes, **_summary(take_turns(contenders, seconds, progress=progress))})
    return {
        "format": FORMAT,
        "game": game,
        "checkpoint": loaded.name,
        "revision": loaded.revision,
        "frame_skip": pool.frame_skip,
        "device": {"type": place.type, "name": device_name(place)},
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "seconds": seconds,
        "repeats": REPEATS,
        "batches": rows,
        "commit": commit(),
        "versions": versions(),
    }


def take_turns(
    contenders: dict[str, Contender],
    seconds: float,
    repeats: int = REPEATS,
    progress: Callable[[int], object] = lambda rounds: None,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, list[float]]:
    """Times contenders A B A B ..., so that a machine that slows down slows all of them.

    Each is warmed up first, and plays equally many steps in all its turns.

    Returns:
        Agent steps per second, summed over lanes, of each turn.
    """
    counts = {name: _warm_up(each.run, seconds / repeats, clock) for name, each in contenders.items()}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, each in contenders.items():
            rates[name].append(counts[name] * each.lanes / _time(each.run, counts[name], clock))
        progress(1)
    return rates


def predictor_contender(predictor: Predictor, pool: StartPool, device: torch.device, lanes: int) -> Contender:
    """A predictor alone: a step and the decoded RGB frames, which stay on the device."""
    from atari_dream.envs.graph import GraphStep

    step, few = GraphStep(predictor, 1.0), min(lanes, len(pool), _STARTS)
    picked = torch.arange(lanes) % few
    start = dream.tree_map(lambda part: part[picked].to(device), pool.batch(np.arange(few)))
    codes = np.array(get_game(pool.game).actions, np.uint8)[_actions(len(get_game(pool.game).actions), lanes)]
    actions = torch.from_numpy(np.repeat(codes[:, :, None], pool.frame_skip, axis=2)).to(device)
    with torch.inference_mode():
        begin = dream.init(predictor, start, noise.key_of(torch.arange(lanes)).to(device))

    @torch.inference_mode()
    def run(steps: int) -> None:
        state = begin
        for t in range(steps):
            state = begin if t % _ACTIONS == 0 else state
            state = step(state, actions[t % _ACTIONS])[0]
            dream.decode(predictor, state).rgb()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    return Contender(lanes, run)


def device_name(device: torch.device) -> str:
    """What the device is called by its maker, as far as the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if device.type == "cpu" and info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def table(report: dict[str, Any]) -> str:
    """The report as lines of text."""
    heads = ("batch", "", "steps/s", "min", "max", "x emulator", "x emulator_vector")
    lines = [_LINE.format(*heads)]
    for row in report["batches"]:
        for name in DREAMS + EMULATORS:
            rates = [f"{row[name][part]:,.0f}" for part in ("median", "min", "max")]
            ratios = [f"{row['ratio'][name][to]['median']:.3g}" if name in DREAMS else "" for to in EMULATORS]
            lines.append(_LINE.format(row["batch"], name, *rates, *ratios).rstrip())
    return "\n".join(lines)


def _environments(
    game: Game, checkpoint: str | None, device: str, lanes: int, frame_skip: int, stack: ExitStack
) -> dict[str, Contender]:
    """The dream's vector environment, and the real game's single and vector one, all with RGB frames.

    Emulators beyond twice the cores make a vector of them no faster, but each takes a while to be made.
    """
    import ale_py

    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    rules: dict[str, Any] = {"frameskip": frame_skip, "repeat_action_probability": 0.0}
    screen: dict[str, Any] = {"img_height": HEIGHT, "img_width": WIDTH, "grayscale": False}
    dreams = gymnasium.make_vec(game.env_id, lanes, checkpoint=checkpoint, device=device)
    single = gymnasium.make(game.twin, disable_env_checker=True, **rules)
    plain: dict[str, Any] = {"stack_num": 1, "maxpool": False, "reward_clipping": False}
    side_by_side = min(lanes, max(_EMULATORS, 2 * (os.cpu_count() or 1)))
    vector = gymnasium.make_vec(game.twin, side_by_side, **screen, **plain, **rules)
    for env in (dreams, single, vector):
        stack.enter_context(closing(env))
    actions = _actions(len(game.actions), lanes)
    return {
        "environment": Contender(lanes, _vector_run(dreams, actions)),
        "emulator": Contender(1, _single_run(single, actions[:, 0])),
        "emulator_vector": Contender(side_by_side, _vector_run(vector, actions[:, :side_by_side])),
    }


def _vector_run(env: Any, actions: np.ndarray) -> Run:
    env.reset(seed=0)

    def run(steps: int) -> None:
        for t in range(steps):
            env.step(actions[t % _ACTIONS])

    return run


def _single_run(env: Any, actions: np.ndarray) -> Run:
    env.reset(seed=0)

    def run(steps: int) -> None:
        for t in range(steps):
            _, _, terminated, truncated, _ = env.step(actions[t % _ACTIONS])
            if terminated or truncated:
                env.reset()

    return run


def _actions(count: int, lanes: int) -> np.ndarray:
    """Random positions in an action space of that size, int64 (_ACTIONS, lanes)."""
    return np.random.default_rng(0).integers(count, size=(_ACTIONS, lanes))


def _warm_up(run: Run, seconds: float, clock: Callable[[], float]) -> int:
    """Plays until what is slow only once is over, and finds how many steps fill the time."""
    run(2)
    steps = 1
    while (took := _time(run, steps, clock)) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / took))


def _time(run: Run, steps: int, clock: Callable[[], float]) -> float:
    begin = clock()
    run(steps)
    return clock() - begin


def _summary(rates: dict[str, list[float]]) -> dict[str, Any]:
    def ratio(name: str, to: str) -> dict[str, float]:
        return _spread([a / b for a, b in zip(rates[name], rates[to], strict=True)])

    found: dict[str, Any] = {name: _spread(rates[name]) for name in DREAMS + EMULATORS}
    return found | {"ratio": {name: {to: ratio(name, to) for to in EMULATORS} for name in DREAMS}}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}
