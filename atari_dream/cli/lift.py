"""`atari-dream lift`: human replays as real emulator states."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import json_option, seed_option
from atari_dream.episodes import EpisodeStore
from atari_dream.replays.lifted_pool import Verified, lift_pool, summary
from atari_dream.replays.lifting import Found, Passage, Proposer
from atari_dream.replays.lifting import lift as lift_one
from atari_dream.replays.ram_reader import RamReader, Recordings, learn_reader, load_reader, save_reader
from atari_dream.replays.search import Donors

_EPOCHS = 20


@click.command()
@click.option(
    "--store", type=click.Path(path_type=Path), required=True, help="Store of replays, made by `ingest`."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the pool.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder of what is found; called again, it goes on. [default: OUT.work]",
)
@click.option(
    "--reader",
    type=click.Path(path_type=Path),
    help="A learnt reader of memory. [default: the work folder's, learnt if it is not there]",
)
@click.option("--starts", "count", type=click.IntRange(min=1), default=256, help="Most starts to take.")
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    default=300_000,
    help="Emulator frames for a search, or a mend; 15,000 take a second.",
)
@click.option("--episodes", type=click.IntRange(min=1), help="Replays to look at. [default: all]")
@click.option(
    "--recordings",
    type=click.IntRange(min=512),
    default=12_000,
    help="The emulator's own pictures, 34 kB each.",
)
@seed_option
@json_option
def lift(
    store: Path,
    out: Path,
    work: Path | None,
    reader: Path | None,
    count: int,
    budget: int,
    episodes: int | None,
    recordings: int,
    seed: int,
    as_json: bool,
) -> None:
    """Find the emulator states behind human replays, verify them to the pixel, and make a start pool of them.

    The console's 128 bytes of memory are read from the picture by a small network, injected, changed until the emulator
    shows what the replay shows under the same actions, and followed to the end. Ctrl-C keeps every finished replay.

    Example: atari-dream lift --store stores/pacman-human --out pools/pacman-human
    """
    replays = EpisodeStore(store)
    folder = work or out.with_name(out.name + ".work")
    found: list[Found] = []
    todo = range(len(replays) if episodes is None else min(episodes, len(replays)))
    try:
        propose = _proposer(replays.game, reader, folder, recordings, seed)
        with tqdm(
            total=sum(replays.entries[index]["length"] for index in todo), unit="frame", disable=None
        ) as bar:
            for index in todo:
                found.append(_find(replays, index, folder, propose, budget, bar))
    except KeyboardInterrupt:
        click.echo(f"atari-dream: interrupted, {folder} keeps {len(found)} finished replays", err=True)
        sys.exit(130)
    verified = [Verified.of(replays, one) for one in found]
    pool = lift_pool(replays, verified, out, count, seed)
    told = {"pool": str(out), "game": replays.game, "starts": len(pool), **summary(replays, verified)}
    if as_json:
        click.echo(json.dumps(told, indent=1))
    else:
        click.echo(
            "{pool}: {starts} starts of {game}; {lifted} of {replays} replays lifted, {exact_frames} of {frames} "
            "frames exact; {attempts} searches, {injections} injections".format(**told)
        )


def _proposer(game: str, path: Path | None, folder: Path, recordings: int, seed: int) -> Proposer:
    """Records the emulator's play, and learns a reader on it unless there is one."""
    kept = folder / "reader.safetensors"
    reader = load_reader(path or kept, game) if path or kept.exists() else None
    with tqdm(total=recordings, desc="recording", unit="picture", disable=None) as bar:
        made = Recordings.make(game, recordings, seed, progress=bar.update)
    if reader is None:
        reader = _learn(game, made, seed)
        save_reader(reader, kept)
    return Proposer(reader, Donors(made.frames, made.ram))


def _learn(game: str, made: Recordings, seed: int) -> RamReader:
    with tqdm(total=_EPOCHS, desc="learning to read", unit="epoch", disable=None) as bar:
        return learn_reader(game, made, _EPOCHS, seed, bar.update)


def _find(store: EpisodeStore, index: int, folder: Path, propose: Proposer, budget: int, bar: Any) -> Found:
    """What is found in a replay, or was by an earlier call."""
    path = folder / f"{store.entries[index]['id']}.json"
    if path.exists():
        bar.update(store.entries[index]["length"])
        return Found.load(path, index)
    found = Found(index, *lift_one(store.game, Passage.of(store, index), propose, budget, bar.update))
    found.save(path)
    return found
