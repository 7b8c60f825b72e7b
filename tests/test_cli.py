"""The command line: help with examples, one clear line and exit code 2 for bad usage, outputs whole."""

import importlib.metadata
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest

from atari_dream import bundled
from atari_dream.cli import COMMANDS, cli, run
from atari_dream.episodes import EpisodeStore
from atari_dream.registry import list_models
from atari_dream.starts import StartPool

Captured = pytest.CaptureFixture[str]


def call(*arguments: str) -> int:
    """Runs a command line in this process and gives its exit code."""
    with pytest.raises(SystemExit) as ended:
        run(list(arguments))
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0


def commands() -> list[tuple[str, ...]]:
    """Every command and subcommand."""
    found: list[tuple[str, ...]] = []
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


def check_one_line(errors: str) -> str:
    assert errors.startswith("atari-dream: ") and errors.endswith("\n") and errors.count("\n") == 1
    return errors


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_has_an_example_of_the_command(command: tuple[str, ...], capsys: Captured) -> None:
    assert call(*command, "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Usage: atari-dream {' '.join(command)}" in told
    assert f"Example: atari-dream {' '.join(command)}" in told


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_option_tells_what_it_is(command: tuple[str, ...]) -> None:
    made: click.Command = cli
    for name in command:
        assert isinstance(made, click.Group)
        inner = made.get_command(click.Context(made), name)
        assert inner is not None
        made = inner
    for option in made.params:
        assert isinstance(option, click.Option) and option.help, f"{option.name} has no help"


def test_the_overview_lists_every_command(capsys: Captured) -> None:
    assert call("--help") == 0
    told = capsys.readouterr().out
    for name, about in COMMANDS.items():
        assert name in told and about in told
    assert "Example: atari-dream dream --game pacman --out out/pacman.gif" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recrod"], "unknown command 'recrod': allowed are record, .*; nearest is 'record'"),
        (["models", "--jsn"], "No such option.*--jsn.*--json"),
        (["record", "--steps", "10", "--out", "x"], "Missing option '--game'"),
        (
            ["record", "--game", "packman", "--steps", "10", "--out", "x"],
            "unknown game 'packman': allowed are pacman, .*nearest is 'pacman'",
        ),
        (["record", "--game", "pacman", "--steps", "0", "--out", "x"], "0 is not in the range x>=1"),
        (["record", "--game", "pacman", "--steps", "ten", "--out", "x"], "'ten' is not a valid int"),
        (["starts", "--store", "x", "--out", "y", "--split", "tset"], "'tset' is not one of"),
        (["starts", "--store", "x", "--out", "y"], r"no episode store at x: index\.json is missing"),
        (["models", "more"], "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(message, check_one_line(told.err))
    assert not list(tmp_path.iterdir())


def test_a_game_without_weights_has_nothing_to_verify(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "ROOT", tmp_path)
    assert call("verify", "--game", "qbert") == 2
    assert "no weights are bundled for game 'qbert'" in check_one_line(capsys.readouterr().err)


def test_an_interrupt_is_one_line_and_exit_code_130(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("atari_dream.cli.models.list_models", interrupt)
    assert call("models") == 130
    assert capsys.readouterr().err.strip() == "atari-dream: interrupted"


def test_the_version_is_told(capsys: Captured) -> None:
    assert call("--version") == 0
    assert importlib.metadata.version("atari-dream") in capsys.readouterr().out


def test_the_module_is_the_script() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="atari-dream")
    assert script.value == "atari_dream.__main__:main"
    program = Path(sys.executable).with_name("atari-dream")
    if not program.exists():
        pytest.skip("the script is not installed beside this interpreter")
    for arguments, code in ((["--help"], 0), (["recrod"], 2)):
        results = []
        for start in ([str(program)], [sys.executable, "-m", "atari_dream"]):
            results.append(subprocess.run([*start, *arguments], capture_output=True, text=True))
        assert results[0].returncode == results[1].returncode == code
        assert (results[0].stdout, results[0].stderr) == (results[1].stdout, results[1].stderr)


def test_without_the_extra_the_command_line_names_it() -> None:
    code = "import sys; sys.modules['click'] = None; from atari_dream.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "atari-dream: click is missing: pip install 'atari-dream[cli]'\n"


def test_models_lists_every_predictor(capsys: Captured) -> None:
    assert call("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    kinds = {line.split()[0]: line.split()[1] for line in lines}
    assert kinds["c_lstm_vae"] == "model" and kinds["copy_last"] == "control"
    assert call("models", "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list_models()


def test_record_then_starts(tmp_path: Path, capsys: Captured) -> None:
    store, pool = tmp_path / "store", tmp_path / "pool"
    recording = ["record", "--game", "space_invaders", "--out", str(store), "--longest", "320"]
    recording += ["--frame-skip", "2", "--state-every", "20", "--split", "test"]
    assert call(*recording, "--steps", "200", "--seed", "5") == 0
    assert capsys.readouterr().out == f"{store}: 2 more episodes, 320 steps; 322 frames in all\n"
    made = EpisodeStore(store)
    assert (made.game, made.frame_skip, made.source) == ("space_invaders", 2, "ale")
    assert [(entry["seed"], entry["split"], entry["length"]) for entry in made.entries] == [
        (5, "test", 160),
        (6, "test", 160),
    ]
    assert made[0].state_steps is not None and made[0].state_steps.tolist() == list(range(0, 161, 10))

    drawing = ["starts", "--store", str(store), "--out", str(pool), "--seed", "1", "--starts", "3"]
    assert call(*drawing) == 0
    strata = Counter(entry["stratum"] for entry in StartPool.load(pool).entries)
    parts = ", ".join(f"{name} {strata[name]}" for name in ("end", "life", "score", "quiet"))
    assert capsys.readouterr().out == f"{pool}: 3 starts of space_invaders from 2 episodes: {parts}\n"
    assert call(*drawing, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["starts"], told["episodes"], +Counter(told["strata"])) == (3, 2, strata)
    assert call(*drawing[:-2], "--starts", "9999") == 2
    assert "9999 starts asked" in check_one_line(capsys.readouterr().err)


def test_a_store_of_another_game_is_one_line(tmp_path: Path, store: EpisodeStore, capsys: Captured) -> None:
    assert call("record", "--game", "qbert", "--steps", "1", "--out", str(store.path)) == 2
    assert "give --out another folder" in check_one_line(capsys.readouterr().err)
    assert call("record", "--game", "qbert", "--steps", "1", "--out", str(tmp_path), "--longest", "3") == 2
    assert "--longest 3 is shorter than one step of --frame-skip 4" in check_one_line(capsys.readouterr().err)


def test_an_unwritable_place_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").touch()
    assert call("record", "--game", "qbert", "--steps", "1", "--out", str(tmp_path / "file" / "store")) == 2
    assert "cannot write" in check_one_line(capsys.readouterr().err)


@pytest.mark.slow
def test_a_program_reading_json_sees_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "atari_dream", "record", "--game", "qbert", "--longest", "40"]
    command += ["--out", str(tmp_path / "store"), "--steps", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    expected = {"game": "qbert", "episodes": 1, "steps": 10, "frames": 11}
    assert json.loads(done.stdout) == {"store": str(tmp_path / "store"), **expected}
