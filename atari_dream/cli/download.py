"""`atari-dream download`: fetches human replays of the Atari Grand Challenge."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from tqdm import tqdm

from atari_dream.cli.options import json_option
from atari_dream.errors import UsageError, unknown
from atari_dream.games import GAMES
from atari_dream.replays.archive import megabytes, unpack, unpacked
from atari_dream.replays.download import RELEASE
from atari_dream.replays.download import download as fetch_archive

TRAJECTORIES = "trajectories"


@click.command()
@click.option(
    "--game",
    "games",
    multiple=True,
    help="Game whose screens to fetch, with the trajectories: pacman, pinball, qbert, revenge, space_invaders or all; "
    "may be given again.",
)
@click.option("--trajectories", is_flag=True, help="Fetch the trajectories of all games, and no screens.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder; it may exist."
)
@click.option("--unpack/--no-unpack", "unpacks", default=True, help="Unpack the archives into the folder.")
@click.option("--keep/--no-keep", default=True, help="Keep an archive once it is unpacked.")
@click.option("--url", default=RELEASE, help="Folder of the archives on the web, for a mirror.")
@json_option
def download(
    games: tuple[str, ...], trajectories: bool, out: Path, unpacks: bool, keep: bool, url: str, as_json: bool
) -> None:
    """Fetch human replays: archives of the Atari Grand Challenge, checked and unpacked.

    It can be stopped at any point, by Ctrl-C or a broken line: the same command goes on from there.

    Example: atari-dream download --game pacman --out data/agc
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UsageError(f"--url {url} is no web address: allowed are http and https, such as {RELEASE}")
    if not unpacks and not keep:
        raise UsageError("--no-unpack with --no-keep leaves nothing: leave one of them out")
    names = archives(games, trajectories)
    try:
        done = [_fetch(name, out, url, unpacks, keep) for name in names]
    except KeyboardInterrupt:
        click.echo(
            f"atari-dream: interrupted, {_kept(names, out)}; the same command goes on from there", err=True
        )
        sys.exit(130)
    if as_json:
        click.echo(json.dumps({"folder": str(out), "archives": done}, indent=1))
    for row in () if as_json else done:
        states = [word if row[word] else f"{word} before" for word in ("fetched", "unpacked") if word in row]
        click.echo(f"{row['archive']}: {', '.join(states)}; SHA-256 {row['sha256']}")


def archives(games: tuple[str, ...], trajectories: bool) -> list[str]:
    """Names of the archives to fetch, the trajectories first.

    Raises:
        UsageError: If a game is unknown or has no archive, or nothing or both is asked for.
    """
    if bool(games) == trajectories:
        raise UsageError(
            "give either --game, which brings the trajectories with it, or --trajectories: "
            "atari-dream download --game pacman --out data/agc"
        )
    every = {game.name: game.agc for game in GAMES.values() if game.agc}
    for game in games:
        if game not in (*every, "all"):
            raise unknown("game", game, (*every, "all"), "atari-dream download --game {} --out data/agc")
    wanted = every if "all" in games else dict.fromkeys(games)
    return [TRAJECTORIES, *(every[game] for game in wanted)]


def _fetch(name: str, out: Path, url: str, unpacks: bool, keep: bool) -> dict[str, Any]:
    """Fetches one archive and unpacks it, as far as that was not done before.

    Returns:
        Its path, its hash, and whether this call has fetched and unpacked it.
    """
    archive = out / f"{name}.tar.gz"
    there, digest = archive.exists(), unpacked(archive)
    if unpacks and digest and not there:
        return {"archive": str(archive), "sha256": digest, "fetched": False, "unpacked": False}
    with Bar(archive.name) as bar:
        archive, digest = fetch_archive(name, out, url, show=bar.show, note=bar.note)
        told = {"archive": str(archive), "sha256": digest, "fetched": not there}
        if unpacks:
            told["unpacked"] = unpack(archive, digest, bar.show)
    if not keep:
        archive.unlink()
    return told


class Bar:
    """A bar for each thing that is done with an archive, on a terminal."""

    def __init__(self, name: str) -> None:
        """Takes the name of the archive's file."""
        self._name, self._task = name, ""
        self._bar = tqdm(disable=True)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, task: str, done: int, size: int | None) -> None:
        """Moves the bar, which counts what was there before as done, but not into the rate."""
        if task != self._task:
            self._bar.close()
            self._task = task
            label = f"{task} {self._name}"
            self._bar = tqdm(
                desc=label,
                initial=done,
                total=size,
                unit="B",
                unit_scale=True,
                disable=None,
                dynamic_ncols=True,
            )
        self._bar.total = size
        self._bar.update(done - self._bar.n)

    def note(self, line: str) -> None:
        """Writes a line above the bar."""
        tqdm.write(f"atari-dream: {line}", file=sys.stderr)


def _kept(names: list[str], out: Path) -> str:
    files = [out / f"{name}.tar.gz{end}" for name in names for end in ("", ".part")]
    sizes = [f"{file.name} ({megabytes(file.stat().st_size)})" for file in files if file.exists()]
    return f"{out} keeps {', '.join(sizes)}" if sizes else "nothing is fetched yet"
