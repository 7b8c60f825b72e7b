"""The domain gap: what a predictor learnt from replays loses when it is measured in ALE, apart from its own error.

Run: `python benchmarks/domain_gap.py --agc DIR [--updates 500]`, with replays of the Atari Grand Challenge in DIR, at
least two a game. Of each game, the replay with the lowest number is learnt from, beside 20 recordings of ALE that are
exported and read back; the others are held out. Work is in `out/domain_gap`, finished stages are not done again; the
result is `benchmarks/results/domain_gap.json`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from atari_dream.checkpoint import commit, versions
from atari_dream.episodes import EpisodeStore
from atari_dream.files import FORMAT, read_json, write_json
from atari_dream.games import GAMES
from atari_dream.players import RandomPlayer
from atari_dream.recorder import Recording
from atari_dream.replays.layout import ReplayFolder

WORK, RESULT = Path("out/domain_gap"), Path("benchmarks/results/domain_gap.json")
EPISODES, LONGEST, SEED = 20, 3600, 900_000


def main() -> None:
    """Learns and measures each game, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agc", type=Path, required=True, help="folder of the replays")
    parser.add_argument("--updates", type=int, default=500, help="updates of the training of a game")
    parser.add_argument("--games", nargs="+", default=[*GAMES], choices=[*GAMES])
    options = parser.parse_args()
    for game in options.games:
        prepare(options.agc, game)
        learn(game, options.updates)
    games = {game: measure(game) for game in options.games}
    write_json(RESULT, {"format": FORMAT, "games": games, "commit": commit(), "versions": versions()})
    print(RESULT)


def prepare(agc: Path, game: str) -> None:
    """Makes the store to learn from, and the one of the replays that are held out."""
    recorded = WORK / "recorded" / game
    if not recorded.exists():
        store = EpisodeStore.create(recorded, game, 1, "ale")
        recording = Recording(game, RandomPlayer(), 1, LONGEST)
        for seed in range(SEED, SEED + EPISODES):
            store.add(recording.play(seed))
        store.close()
    run(f"export --store {recorded} --out {WORK / 'exported'}")
    replays = list(ReplayFolder(agc, game).replays())
    for name, some in (("learnt", replays[:1]), ("held_out", replays[1:])):
        for replay in some:
            for path in (replay.trajectory, replay.screens):
                link = WORK / name / path.relative_to(path.parents[2])
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.exists():
                    link.symlink_to(path.resolve())
    run(f"ingest --agc {WORK / 'exported'} --game {game} --out {WORK / 'stores' / game}")
    run(f"ingest --agc {WORK / 'learnt'} --game {game} --out {WORK / 'stores' / game} --split train")
    run(
        f"ingest --agc {WORK / 'held_out'} --game {game} --out {WORK / 'held_out_stores' / game} --split test"
    )


def learn(game: str, updates: int) -> None:
    """Trains on the store; called again, it goes on."""
    out = WORK / "checkpoints" / game
    done = out.with_suffix(".done")
    if done.exists():
        return
    resume = "--resume" if Path(f"{out}.training/state.pt").exists() else ""
    settings = "--batch 8 --context 4 --horizon 6 --beta 5 --precision bf16-mixed --validate-every 100"
    data = f"--game {game} --data {WORK / 'stores' / game} --out {out}"
    run(f"train --model c_lstm_vae {data} --steps {updates} {settings} {resume}")
    done.touch()


def measure(game: str) -> dict[str, object]:
    """Measures the drift in ALE and on the replays that were held out."""
    out = WORK / "drift" / game
    replays = WORK / "held_out_stores" / game
    checkpoint = WORK / "checkpoints" / game
    run(f"drift --game {game} --checkpoint {checkpoint} --replays {replays} --control 0 --long 0 --out {out}")
    return dict(read_json(out / "drift.json", "drift measurement")["domain_gap"])


def run(words: str) -> None:
    """Runs a command of `atari-dream`, and prints it."""
    print("atari-dream", words, flush=True)
    done = subprocess.run([sys.executable, "-m", "atari_dream", *words.split()])
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
