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
from atari_dream.files import FORMAT, write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from broken import DEFECTS, judge, verdict

GAMES = ("pacman", "pinball", "qbert", "revenge", "space_invaders")
SIZES, HORIZON = {"starts": 100, "control": 20, "long": 4}, 50
RESULT = Path("benchmarks/results/defects.json")


def main() -> None:
    """Measures all games, prints the table and writes it."""
    found = {game: look(game) for game in tqdm(GAMES, leave=False, disable=None)}
    command = "python benchmarks/defects.py"
    facts = {"sizes": SIZES, "horizon": HORIZON, "command": command}
    write_json(
        RESULT, {"format": FORMAT, **facts, "games": found, "commit": commit(), "versions": versions()}
    )
    print("| broken dream | measure | " + " | ".join(GAMES) + " |")
    print("|---|---|" + "---|" * len(GAMES))
    for name, defect in DEFECTS.items():
        print(
            f"| {name} | {defect.measure} | " + " | ".join(tell(found[game][name]) for game in GAMES) + " |"
        )


def look(game: str) -> dict[str, dict[str, Any]]:
    """What becomes of each broken dream in a game."""
    found = judge(bundled_pool(game), SIZES, HORIZON)
    rows = {name: verdict(found, name) for name in DEFECTS}
    return {
        name: {"measure": DEFECTS[name].measure, "verdict": told, "better": band}
        for name, (told, band) in rows.items()
    }


def tell(row: dict[str, Any]) -> str:
    """A cell of the table."""
    if row["better"] is None:
        return str(row["verdict"])
    low, high = row["better"]
    return f"{row['verdict']} [{low:+.3g}, {high:+.3g}]"


if __name__ == "__main__":
    main()
