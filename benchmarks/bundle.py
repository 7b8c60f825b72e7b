"""Makes what ships with the package: players, start pools, and weights with their cards.

Run, for some games or for all:
`python benchmarks/bundle.py pools [GAME ...]`: the starts.
`python benchmarks/bundle.py weights [GAME ...]` (`make weights`): records games, trains on them, and puts the next
revision of weights where the package finds it, with its card. What was interrupted goes on, what is done is skipped.
`python benchmarks/bundle.py doubt [GAME ...]`: calibrates the doubt of the newest weights.
`python benchmarks/bundle.py card [GAME ...]`: measures the newest weights, and writes their card.
How the weights that ship came about, `benchmarks/LOG.md` says.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from atari_dream.bundled import ROOT, bundled_checkpoint, bundled_pool, revisions
from atari_dream.certificate import write_certificate
from atari_dream.checkpoint import load_checkpoint, save_checkpoint
from atari_dream.files import read_json
from atari_dream.games import get_game

WORK = Path("out/bundle")
PLAYER_MINUTES = {"pacman": 4.0, "space_invaders": 2.2, "qbert": 1.6, "pinball": 1.6, "revenge": 1.6}
TEST_STEPS = {
    "pacman": 48_000,
    "space_invaders": 36_000,
    "qbert": 30_000,
    "pinball": 64_000,
    "revenge": 24_000,
}
RANDOM_STEPS, MIXED_STEPS = 100_000, 200_000
DOUBT_STEPS, DOUBT_STARTS = 120_000, 1_200
TEST_SEED, DOUBT_SEED, MIXED_SEED = 9_000_000, 7_000_000, 100_000
MODEL = "console"
ON_CPU = "--batch 1024 --prime 100000 --learning-rate 0.0015 --minutes 75 --clock cpu --workers 0 --validate-every 400"
ON_GPU = "--batch 4096 --prime 400000 --minutes 17 --workers 6 --validate-every 3000 --precision 32-true"


def main(arguments: list[str]) -> None:
    """Makes start pools for games, or weights, their calibration, or their cards."""
    tasks = {"pools": make_pool, "weights": make_weights, "doubt": make_doubt, "card": make_card}
    if not arguments or arguments[0] not in tasks:
        sys.exit(__doc__)
    for name in arguments[1:] or list(TEST_STEPS):
        tasks[arguments[0]](get_game(name).name)


def make_pool(game: str) -> None:
    """The 384 starts that ship with the package."""
    draw_starts(game, WORK / f"{game}-test", TEST_STEPS[game], TEST_SEED, 384, ROOT / game / "starts")


def make_doubt(game: str) -> None:
    """Calibrates doubt of the newest weights with games that nothing else was made of."""
    pool = WORK / f"{game}-doubt-starts"
    if not pool.exists():
        draw_starts(game, WORK / f"{game}-doubt", DOUBT_STEPS, DOUBT_SEED, DOUBT_STARTS, pool)
    weights = bundled_checkpoint(game)
    report = WORK / f"{game}-{weights.name}-doubt"
    run(
        f"doubt --game {game} --checkpoint {os.path.relpath(weights)} --starts {pool} --device cpu --out {report}"
    )


def make_card(game: str) -> None:
    """Measures the newest weights on the ruler, and writes their card."""
    revision = bundled_checkpoint(game).name
    out, checkpoint = WORK / f"{game}-{revision}-drift", f"bundled@{revision}"
    if not (out / "drift.json").exists():
        run(f"drift --game {game} --checkpoint {checkpoint} --device cpu --out {out}")
    page = f"docs/cards/{game}-{revision}.md"
    run(f"card --game {game} --checkpoint {checkpoint} --drift {out} --out {page}")


def draw_starts(game: str, store: Path, steps: int, seed: int, count: int, pool: Path) -> None:
    """Starts of games in which random play and a weak PPO agent take turns, all of the test split."""
    policy = turns(game, 1)
    if not store.exists():
        limits = f"--steps {steps} --longest 9000 --seed {seed}"
        run(f"record --game {game} --policy {policy} {limits} --split test --workers 2 --out {store}")
    run(f"starts --store {store} --starts {count} --split test --out {pool}")


def make_player(game: str) -> Path:
    """A PPO agent after a few minutes in the real game."""
    player = WORK / f"{game}.zip"
    if not player.exists():
        run(f"agent train --algo ppo --in real --game {game} --minutes {PLAYER_MINUTES[game]} --out {player}")
    return player


def turns(game: str, share: int) -> str:
    """Who plays: held random actions, and an agent so many times as often, in turns."""
    return f"random=1,{make_player(game)}={share}"


def make_store(game: str) -> Path:
    """What is learnt from: held random actions, and games in which they and a weak PPO agent take turns."""
    store = WORK / f"{game}-train"
    done = store.with_suffix(".done")
    if not done.exists():
        shutil.rmtree(store, ignore_errors=True)
        command = f"record --game {game} --out {store} --workers {os.cpu_count() or 1}"
        run(f"{command} --steps {RANDOM_STEPS}")
        run(f"{command} --policy {turns(game, 3)} --steps {MIXED_STEPS} --seed {MIXED_SEED}")
        done.touch()
    return store


def make_weights(game: str) -> None:
    """Records and trains; the best checkpoint, in eight bits, is the next revision, unless one has no card."""
    known = revisions(game)
    if not known or (bundled_checkpoint(game) / "drift.json").exists():
        revision = f"r{1 + max((int(name[1:]) for name in known), default=0)}"
        out = WORK / f"{game}-{revision}"
        begun = " --resume" * Path(f"{out}.training/state.pt").exists()
        settings = ON_GPU if torch.cuda.is_available() else ON_CPU
        data = f"--data {make_store(game)} --policy {turns(game, 3)}"
        run(f"train --model {MODEL} --game {game} {data} {settings} --out {out}{begun}")
        bundle(out, ROOT / game / "weights" / revision)
    make_card(game)


def bundle(checkpoint: Path, folder: Path) -> None:
    """Copies a checkpoint with its weights in eight bits, and certifies what they dream."""
    config = read_json(checkpoint / "config.json", "checkpoint")
    metrics = read_json(checkpoint / "metrics.json", "checkpoint")
    predictor = load_checkpoint(checkpoint)
    save_checkpoint(
        folder, predictor, config["model"], config["config"], metrics, config["data_sha256"], torch.int8
    )
    write_certificate(folder, load_checkpoint(folder), bundled_pool(config["domain"]["game"]))


def run(arguments: str) -> None:
    """Runs a command of `atari-dream`."""
    print(f"atari-dream {arguments}", flush=True)
    subprocess.run([sys.executable, "-m", "atari_dream", *arguments.split()], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
