"""PPO that learnt in the dream and PPO that learnt in the real game, both scored in the real game.

One training each: a difference between them is one between these two agents, not two ways of learning.

Run: `python benchmarks/agents.py`, which writes `benchmarks/results/agents.json`.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from atari_dream.checkpoint import commit, versions
from atari_dream.files import FORMAT, write_json

RESULT = Path("benchmarks/results/agents.json")


def main() -> None:
    """Trains, scores and writes the table."""
    asked = read_arguments()
    commands: list[str] = []
    agents = {place: compare(place, asked, commands) for place in ("dream", "real")}
    write_json(
        asked.out,
        {
            "format": FORMAT,
            "game": asked.game,
            "learnt_in": agents,
            "commands": commands,
            "commit": commit(),
            "versions": versions(),
        },
    )
    print(asked.out)


def compare(place: str, asked: argparse.Namespace, commands: list[str]) -> dict[str, Any]:
    """Trains an agent in a place, unless it is there already, and scores it in the real game; notes the commands."""
    agent = asked.agents / f"{asked.game}-{place}.zip"
    dream = f"--checkpoint {asked.checkpoint}" if asked.checkpoint and place == "dream" else ""
    shared = f"--game {asked.game} --device {asked.device}"
    train = f"train --algo ppo --in {place} --steps {asked.steps} --seed {asked.seed} --out {agent} {dream}"
    score = f"evaluate --agent {agent} --in real --games {asked.games} --seed {asked.seed + 1000}"
    if agent.exists():
        commands.append(shlex.join(["atari-dream", "agent", *shlex.split(f"{train} {shared}")]))
    else:
        call(f"{train} {shared}", commands)
    result = call(f"{score} {shared}", commands)
    return {"origin": result["origin"], "starts": result["starts"]}


def call(arguments: str, commands: list[str]) -> dict[str, Any]:
    """Runs `atari-dream agent` and reads its JSON."""
    words = ["agent", *shlex.split(arguments)]
    commands.append(shlex.join(["atari-dream", *words]))
    print(commands[-1], file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-m", "atari_dream", *words, "--json"], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def read_arguments() -> argparse.Namespace:
    """The command line; its defaults make the published table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--game", default="pacman")
    parser.add_argument("--checkpoint", help="what dreams (default: the bundled weights)")
    parser.add_argument("--steps", type=int, default=50_000, help="agent steps of each training")
    parser.add_argument("--games", type=int, default=30, help="games for each player")
    parser.add_argument("--seed", type=int, default=0, help="of the training; scores begin at this plus 1000")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--agents", type=Path, default=Path("out/agents"), help="folder for the agents")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
