"""`atari-dream ingest`: replays into an episode store."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from atari_dream.cli.options import GameName, json_option, refuse_options
from atari_dream.episodes import EpisodeStore
from atari_dream.errors import UsageError
from atari_dream.minari_reader import from_minari
from atari_dream.replays.census import count_store, table, tell_damage
from atari_dream.replays.check import check_timing
from atari_dream.replays.ingest import Taken
from atari_dream.replays.ingest import ingest as take_in_all
from atari_dream.replays.layout import ReplayFolder

_OF_REPLAYS = (
    "strict",
    "palette",
    "action_shift",
    "reward_shift",
    "check_alignment",
    "minimal_actions",
    "split",
    "workers",
)


@click.command()
@click.option(
    "--agc", type=click.Path(path_type=Path), help="Folder of replays of the Atari Grand Challenge."
)
@click.option("--minari", type=click.Path(path_type=Path), help="Folder of a data set of Minari, read alone.")
@click.option("--game", type=GameName(), help="Name of the game. [default: the only one there]")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the store; it may exist."
)
@click.option(
    "--strict/--no-strict",
    default=True,
    help="Skip a replay with an unknown colour or size, or leave out such pictures only.",
)
@click.option(
    "--palette",
    type=click.Choice(("agc", "ale")),
    help="Whose colours the pictures have. [default: the data set's, or what source.json says]",
)
@click.option("--action-shift", type=int, help="Rows from a picture to its action. [default: 2]")
@click.option(
    "--reward-shift", type=int, help="Rows from a picture to the reward of its action. [default: 3]"
)
@click.option("--check-alignment", is_flag=True, help="Measure both shifts on the data first.")
@click.option(
    "--minimal-actions", is_flag=True, help="Map actions to the game's minimal set; directions are kept."
)
@click.option(
    "--frame-skip",
    type=click.IntRange(min=1),
    help="minari: emulator frames per step, where it does not tell.",
)
@click.option("--split", type=click.Choice(("train", "validation", "test")), help="Split of all episodes.")
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="Processes.")
@json_option
def ingest(
    agc: Path | None,
    minari: Path | None,
    game: str | None,
    out: Path,
    strict: bool,
    palette: Any,
    action_shift: int | None,
    reward_shift: int | None,
    check_alignment: bool,
    minimal_actions: bool,
    frame_skip: int | None,
    split: str | None,
    workers: int,
    as_json: bool,
) -> None:
    """Read human replays into a store: every frame, in ALE's colours and on ALE's screen, with its action and reward.

    What is damaged is told once and left out; the rest is kept. Ctrl-C keeps every finished replay; called again, it
    goes on.

    Example: atari-dream ingest --agc agc --game pacman --out stores/pacman-human --check-alignment
    """
    if (agc is None) == (minari is None):
        raise UsageError(
            "give either --agc DIR or --minari DIR: atari-dream ingest --agc agc --game pacman --out STORE"
        )
    if minari is not None:
        refuse_options(_OF_REPLAYS, "--minari")
        _read_minari(minari, out, game, frame_skip, as_json)
        return
    assert agc is not None
    refuse_options(("frame_skip",), "--agc")
    replays = ReplayFolder(agc, game, palette, action_shift, reward_shift)
    checks = check_timing(replays) if check_alignment else []
    for check in checks:
        click.echo(f"atari-dream: {check}", err=True)
    store = EpisodeStore.create(out, replays.game, 1, "replays")
    taken = _take_in(replays, store, strict=strict, minimal=minimal_actions, split=split, workers=workers)
    if not len(store):
        raise UsageError("; ".join(tell_damage(taken)) or f"no trajectories in {replays.root}")
    counts = count_store(store) | {"skipped": {one.number: one.skipped for one in taken if one.skipped}}
    if as_json:
        damage = {one.number: str(one.damage) for one in taken if one.damage.found}
        alignment = {check.what: check.finding for check in checks}
        click.echo(
            json.dumps({"store": str(out), **counts, "damage": damage, "alignment": alignment}, indent=1)
        )
        return
    for line in [*tell_damage(taken), *table([counts])]:
        click.echo(line)
    click.echo(
        f"{out}: {sum(bool(one.entries) for one in taken)} more replays, {len(counts['skipped'])} skipped; "
        f"{counts['replays']} replays, {counts['frames']} frames in all"
    )


def _take_in(replays: ReplayFolder, store: EpisodeStore, **how: Any) -> list[Taken]:
    """Takes replays in beside a progress bar; Ctrl-C ends the process with what is kept."""
    with tqdm(total=sum(1 for _ in replays.replays()), unit="replay", disable=None) as bar:
        frames = 0

        def report(taken: Taken) -> None:
            nonlocal frames
            frames += sum(entry["length"] + 1 for entry in taken.entries)
            bar.set_postfix(frames=frames, refresh=False)
            bar.update()

        try:
            return take_in_all(replays, store, progress=report, **how)
        except KeyboardInterrupt:
            bar.close()
            click.echo(f"atari-dream: interrupted, {store.path} keeps its {len(store)} episodes", err=True)
            sys.exit(130)


def _read_minari(folder: Path, out: Path, game: str | None, frame_skip: int | None, as_json: bool) -> None:
    with tqdm(unit="step", disable=None) as bar:
        store = from_minari(folder, out, game, frame_skip, bar.update)
    told = {"store": str(out), "game": store.game, "episodes": len(store), "frames": store.frames}
    click.echo(
        json.dumps(told, indent=1) if as_json else f"{out}: {len(store)} episodes, {store.frames} frames"
    )
