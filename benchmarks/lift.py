"""How well human replays are lifted: what the right memory gives, what the reader reads, what a search finds where.

Run: `python benchmarks/lift.py --stores STORES --truth TRUTH` after `atari-dream ingest` of the sample's five games
into STORES/<game>; TRUTH holds the memory behind each picture, `<folder>_<number>.npz`. Twenty minutes of one core. It
writes `benchmarks/results/lift.json`.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from atari_dream.checkpoint import commit, versions
from atari_dream.episodes import EpisodeStore
from atari_dream.files import FORMAT, write_json
from atari_dream.games import GAMES
from atari_dream.replays.lifted_pool import Verified, summary
from atari_dream.replays.lifting import EXACT, Found, Passage, Proposer, attempt, lift, lifted_parts
from atari_dream.replays.ram_reader import Recordings, learn_reader, save_reader
from atari_dream.replays.search import Beside, Donors, Run, follow

RECORDINGS, EPOCHS, HELD_OUT = 8_000, 20, 500


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="folder of stores, one a game")
    parser.add_argument("--truth", type=Path, required=True, help="folder of the truth")
    parser.add_argument("--games", nargs="+", default=list(GAMES), help="games to measure")
    parser.add_argument("--readers", type=Path, help="folder where the learnt readers are kept")
    parser.add_argument("--budget", type=int, default=300_000, help="emulator frames for a search, or a mend")
    parser.add_argument("--places", type=int, default=2, help="frames of each replay that are tried alone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "lift.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "format": FORMAT,
        "budget": asked.budget,
        "places": asked.places,
        "recordings": RECORDINGS,
        "games": {},
    }
    for game in asked.games:
        report["games"][game] = measure(EpisodeStore(asked.stores / game), asked)
        print(
            json.dumps({game: {**report["games"][game], "middle": len(report["games"][game]["middle"])}}),
            flush=True,
        )
        report |= {"command": shlex.join(["python", *sys.argv]), "commit": commit(), "versions": versions()}
        write_json(asked.out, report)
    print(asked.out)


def measure(store: EpisodeStore, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of one game."""
    begun = process_time()
    propose, told = learn(store.game, asked.readers)
    rams = [truth_of(store, index, asked.truth) for index in range(len(store))]
    told["right_memory"] = [upper_bound(store, index, ram) for index, ram in enumerate(rams)]
    told["middle"] = [
        row for index, ram in enumerate(rams) for row in middle(store, index, ram, propose, asked)
    ]
    found = [
        Found(index, *lift(store.game, Passage.of(store, index), propose, asked.budget))
        for index in range(len(store))
    ]
    told |= {
        "lifted": summary(store, [Verified.of(store, one) for one in found]),
        "replays": [replay(store, one, rams[one.episode]) for one in found],
    }
    return told | {"seconds": process_time() - begun}


def learn(game: str, folder: Path | None) -> tuple[Proposer, dict[str, Any]]:
    """A reader and the recordings it learnt from; how long it took, how well it reads beside the nearest recording."""
    begun = process_time()
    made = Recordings.make(game, RECORDINGS)
    recorded = process_time()
    reader = learn_reader(game, made, EPOCHS)
    learnt = process_time()
    if folder is not None:
        save_reader(reader, folder / f"{game}.safetensors")
    kept = Recordings.make(game, HELD_OUT, seed=1, held_out=True, colours=made.colours)
    with torch.no_grad():
        read = np.packbits((reader(torch.from_numpy(kept.profiles)) > 0).numpy(), axis=1)
    donors = Donors(made.frames, made.ram)
    nearest = np.stack([donors.nearest(frame, 1)[0] for frame in kept.frames[::20]])
    by_byte = (read == kept.ram).mean(0)
    return Proposer(reader, donors), {
        "parameters": sum(weight.numel() for weight in reader.parameters()),
        "recording_seconds": recorded - begun,
        "learning_seconds": learnt - recorded,
        "bytes_read": float(by_byte.sum()),
        "bytes_of_nearest": float((nearest == kept.ram[::20]).mean(0).sum()),
        "bytes_constant": int((made.ram == made.ram[0]).all(0).sum()),
        "unread": [int(place) for place in np.flatnonzero(by_byte < 0.5)],
    }


def truth_of(store: EpisodeStore, index: int, folder: Path) -> np.ndarray:
    """Memory behind each frame of a replay, uint8 (T + 1, 128)."""
    entry = store.entries[index]
    number = entry["id"].rpartition("-")[2]
    with np.load(folder / f"{GAMES[store.game].agc}_{number}.npz") as arrays:
        ram: np.ndarray = arrays["ram"][entry["first"] :][: entry["length"] + 1]
    return ram


def beside_of(store: EpisodeStore, passage: Passage) -> Beside:
    """The emulator beside a replay."""
    return Beside(store.game, passage.frames, passage.actions, passage.seen_rows)


def upper_bound(store: EpisodeStore, index: int, ram: np.ndarray) -> dict[str, int]:
    """How often the right memory leads to 60 exact frames."""
    beside = beside_of(store, Passage.of(store, index))
    frames = range(0, beside.end - EXACT, 16)
    exact = [beside.exact(ram[frame], frame) for frame in frames]
    return {
        "tried": len(exact),
        "exact_60": sum(count >= EXACT for count in exact),
        "to_the_end": sum(frame + count == beside.end for frame, count in zip(frames, exact, strict=True)),
    }


def middle(
    store: EpisodeStore, index: int, ram: np.ndarray, propose: Proposer, asked: argparse.Namespace
) -> list[dict[str, Any]]:
    """Searches at frames in the middle of a replay, each as if nothing before it were known."""
    passage = Passage.of(store, index)
    beside, rows = beside_of(store, passage), []
    for place in range(1, asked.places + 1):
        frame = beside.end * place // (asked.places + 1)
        proposed = propose(passage, frame)
        begun = process_time()
        tried, found = attempt(beside, passage, frame, propose, asked.budget)
        chain = follow(beside, found, asked.budget) if found.last > frame else [found]
        rows.append(
            {
                "replay": store.entries[index]["id"],
                "frame": frame,
                "proposed_equal": {name: equal(memory, ram[frame]) for name, memory in proposed.items()},
                "proposer": tried.proposer,
                "found_equal": equal(found.ram, ram[frame]),
                "exact": tried.exact,
                "mended": max(part.last - part.frame for part in chain),
                "reached": chain[-1].last - frame,
                "left": beside.end - frame,
                "injections": len(chain),
                "seconds": process_time() - begun,
            }
        )
    return rows


def equal(memory: np.ndarray, right: np.ndarray) -> int:
    """Number of equal bytes."""
    return int((memory == right).sum())


def replay(store: EpisodeStore, found: Found, ram: np.ndarray) -> dict[str, Any]:
    """What was lifted of a replay."""
    runs: list[Run] = [part for chain in found.chains for part in chain]
    return {
        "replay": store.entries[found.episode]["id"],
        "frames": store.entries[found.episode]["length"],
        "parts": [[part.frame, part.last] for part in lifted_parts(store, found)[1]],
        "equal": [equal(part.ram, ram[part.frame]) for part in runs],
    }


if __name__ == "__main__":
    main()
