"""All predictors under one budget: trains and measures each, and tells what came out in tables and pictures.

Run, one after the other:
`python benchmarks/predictors.py run`: two rows (a predictor of a game) at a time, each on a core of its own. Finished
rows are in `benchmarks/results/predictors` and skipped, on other machines too; an interrupted training goes on, an
interrupted measurement is done anew; a row that fails is told, and the others go on.
`python benchmarks/predictors.py speed`: times what is trained; run nothing else meanwhile.
`python benchmarks/predictors.py gallery`: writes a page a game, `docs/gifs-GAME.md`, its GIFs and a grid picture.
`python benchmarks/predictors.py tables`: writes `benchmarks/results/predictors/GAME.json`, `docs/predictors-GAME.md`,
`docs/adversaries-GAME.png`, and `docs/predictors.md`, which leads to them.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from importlib import import_module
from pathlib import Path

from bundle import make_store
from predictor_rows import KEPT, MODELS, WORK, Row

from atari_dream.errors import UsageError
from atari_dream.files import FORMAT, read_json, write_json
from atari_dream.games import GAMES

SETTINGS = "--batch 4 --context 4 --horizon 3 --beta 5 --workers 0 --validate-every 200 --device cpu"
TASKS = {"speed": "predictor_speed", "gallery": "predictor_gallery", "tables": "predictor_tables"}

_children: set[subprocess.Popen[bytes]] = set()


def main() -> int:
    """Does what the command line asks for; 1 if a row failed."""
    options = _parser().parse_args()
    if options.task == "run":
        return run(options)
    games = options.games or [game for game in GAMES if (KEPT / game).is_dir()]
    if not games:
        sys.exit(f"nothing is in {KEPT}: python benchmarks/predictors.py run")
    try:
        import_module(TASKS[options.task]).main(games)
    except UsageError as error:
        sys.exit(f"predictors: {error}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    for name in TASKS:
        tasks.add_parser(name).add_argument(
            "--games", nargs="+", choices=[*GAMES], help="[all that were run]"
        )
    task = tasks.add_parser("run", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    task.add_argument("--games", nargs="+", default=["pacman"], choices=[*GAMES], help="games")
    task.add_argument("--models", nargs="+", default=[*MODELS], choices=MODELS, help="predictors")
    budget = task.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=10.0, help="processor time of each training")
    budget.add_argument("--steps", type=int, help="updates of each training, instead")
    task.add_argument(
        "--precision",
        default="bf16-mixed",
        choices=["bf16-mixed", "32-true"],
        help="number format; 32-true where a processor has no bf16 arithmetic",
    )
    task.add_argument("--seed", type=int, default=0, help="of weights and windows")
    task.add_argument("--starts", type=int, default=100, help="starts of the drift")
    task.add_argument("--horizon", type=int, default=50, help="agent steps of the drift")
    return parser


def run(options: argparse.Namespace) -> int:
    """Makes the rows that are not there yet."""
    rows = [Row(game, model) for game in options.games for model in MODELS if model in options.models]
    plans = {row: _plan(row, options) for row in rows}
    for number in (signal.SIGINT, signal.SIGTERM):  # a background shell ignores the first for what it starts
        signal.signal(number, signal.default_int_handler)
    for game in dict.fromkeys(row.game for row in rows if not row.result.exists()):
        make_store(game)
        print(f"{game}: the real game", flush=True)
        words = f"drift --game {game} --checkpoint emulator {_protocol(options)}"
        _call(f"{words} --out {WORK / game / 'controls'}", WORK / game / "controls.log", _cores())
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in _cores():
        cores.put(core)
    with ThreadPoolExecutor(len(_cores())) as pool:
        futures = {pool.submit(make, row, plans[row], cores): row for row in rows}
        try:
            failed = [_tell(futures[future], future) for future in as_completed(futures)]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in list(_children):
                child.send_signal(signal.SIGINT)
            return 130
    return int(any(failed))


def _tell(row: Row, future: Future[None]) -> bool:
    """Whether a row failed, which is said."""
    error = future.exception()
    if error is not None:
        print(f"{row.game} {row.model}: failed: {error}", flush=True)
    return error is not None


def _plan(row: Row, options: argparse.Namespace) -> dict[str, str]:
    """The commands of a row, and what they have in common with others."""
    time = (
        f"--minutes {options.minutes:g} --clock cpu" if options.steps is None else f"--steps {options.steps}"
    )
    budget = f"{time} {SETTINGS} --precision {options.precision} --seed {options.seed}"
    place = f"--data out/bundle/{row.game}-train --out {row.checkpoint}"
    drift = f"--checkpoint {row.checkpoint} {_protocol(options)} --no-mode --workers 0 --device cpu"
    return {
        "budget": budget,
        "training": f"train --model {row.model} --game {row.game} {place} {budget}",
        "measurement": f"drift --game {row.game} {drift} --out {row.drift}",
    }


def _protocol(options: argparse.Namespace) -> str:
    return f"--starts {options.starts} --horizon {options.horizon} --control 0 --long 0"


def make(row: Row, plan: dict[str, str], cores: "queue.SimpleQueue[int]") -> None:
    """Trains and measures a row on a free core.

    Raises:
        UsageError: If a command fails, or the row was begun with others.
    """
    if row.result.exists():
        if row.read()["budget"] != plan["budget"]:
            raise UsageError(f"{row.kept} is of another budget: remove it, or ask for the same")
        return
    begun = row.folder / "plan.json"
    if begun.exists() and read_json(begun, "plan") != {"format": FORMAT, **plan}:
        raise UsageError(f"{row.folder} was begun under another budget: remove it, or ask for the same")
    write_json(begun, {"format": FORMAT, **plan})
    core = cores.get()
    try:
        _train(row, plan["training"], core)
        print(f"{row.game} {row.model}: measuring", flush=True)
        _call(plan["measurement"], row.folder / "log.txt", [core])
    finally:
        cores.put(core)
    row.finish(plan)
    print(f"{row.game} {row.model}: done", flush=True)


def _train(row: Row, words: str, core: int) -> None:
    done = row.folder / "trained.json"
    if done.exists():
        return
    begun = row.state.exists()
    print(f"{row.game} {row.model}: training{' goes on' * begun}", flush=True)
    told = json.loads(_call(words + " --json" + " --resume" * begun, row.folder / "log.txt", [core]))
    write_json(done, {"format": FORMAT, "updates": told["steps"], "validation": told["validation"]})


def _call(words: str, log: Path, cores: list[int]) -> str:
    """Runs a command of `atari-dream` on some cores, a thread each process, and gives what it prints.

    Raises:
        UsageError: If it fails, with its last line.
    """
    pinned = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "atari_dream", *words.split()]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"$ atari-dream {words}\n".encode())
        file.flush()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(pinned, stdout=subprocess.PIPE, stderr=file, env=environment)
        _children.add(process)
        printed = process.communicate()[0]
        _children.remove(process)
        file.write(printed)
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1]
        raise UsageError(f"{words.split()[0]} ended with {process.returncode} ({last[:200]}), see {log}")
    return printed.decode()


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:2]


if __name__ == "__main__":
    sys.exit(main())
