"""The ruler tested: broken dreams, each the emulator with one defect, and whether the measure made for it sees it.

Run: `python benchmarks/defects.py`, which prints the table and writes `benchmarks/results/defects.json`. The dreams are
`tests/broken.py`.
"""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from atari_dream.bundled import bundled_pool
from atari_dream.checkpoint import commit, versions
from atari_dream.drift import measure, work
from atari_dream.files import FORMAT, write_json
from atari_dream.protocol import Protocol, open_entries
from atari_dream.summary import summarise

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from broken import DEFECTS, broken_entries, verdict

GAMES = ("pacman", "pinball", "qbert", "revenge", "space_invaders")
STARTS, HORIZON, CONTROL, LONG = 100, 50, 20, 4
RESULT = Path("benchmarks/results/defects.json")


def main() -> None:
    """Measures all games, prints the table and writes it."""
    found = {game: judge(game) for game in GAMES}
    command = "python benchmarks/defects.py"
    facts = {"starts": STARTS, "horizon": HORIZON, "control": CONTROL, "long": LONG, "command": command}
    write_json(
        RESULT, {"format": FORMAT, **facts, "games": found, "commit": commit(), "versions": versions()}
    )
    print("| broken dream | measure | " + " | ".join(GAMES) + " |")
    print("|---|---|" + "---|" * len(GAMES))
    for name, defect in DEFECTS.items():
        print(
            f"| {name} | {defect.measure} | " + " | ".join(tell(found[game][name]) for game in GAMES) + " |"
        )


def judge(game: str) -> dict[str, dict[str, Any]]:
    """What becomes of each broken dream in a game, and the lag that is found for it."""
    pool = bundled_pool(game)
    protocol = Protocol.of(pool, STARTS, HORIZON, control_starts=CONTROL, long_starts=LONG)
    entries = open_entries([], pool) + broken_entries(pool)
    with tqdm(total=work(protocol), desc=game, unit="start", leave=False, disable=None) as bar:
        measured = measure(protocol, pool, entries, progress=bar.update)
    summary = summarise(protocol, [(entry.name, entry.kind) for entry in entries], measured, "broken")
    lags = {entry["name"]: entry["control"]["lag"]["steps"] for entry in summary["entries"]}
    found = {}
    for name, defect in DEFECTS.items():
        told, band = verdict(summary, name)
        found[name] = {"measure": defect.measure, "verdict": told, "better": band, "lag": lags.get(name)}
    return found


def tell(row: dict[str, Any]) -> str:
    """A cell of the table."""
    if row["better"] is None:
        return str(row["verdict"])
    low, high = row["better"]
    return f"{row['verdict']} [{low:+.3g}, {high:+.3g}]"


if __name__ == "__main__":
    main()
