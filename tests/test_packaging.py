"""What is installed is all that is here: every module and every bundled file, in the wheel and the sdist."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import atari_dream

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]
MAPPED = {"envs": "atari_dream/envs", "agents": "atari_dream/agents"}


def installed_names() -> set[str]:
    """Every file of the package as it is called once installed."""
    names = set()
    for folder in ("atari_dream", *MAPPED):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        for path in files:
            if "__pycache__" not in path.parts and not path.name.startswith("."):
                names.add(f"{MAPPED.get(folder, folder)}/{path.relative_to(ROOT / folder).as_posix()}")
    return names


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0]


def test_the_packages_are_the_folders() -> None:
    found = {
        name.rpartition("/")[0].replace("/", ".")
        for name in installed_names()
        if name.endswith("/__init__.py")
    }
    assert sorted(found) == sorted(PACKAGES)


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {
        name.rpartition("/")[0].replace("/", ".") for name in installed_names() if name.endswith(".py")
    }
    assert folders == set(PACKAGES)


def test_the_version_is_told_once() -> None:
    assert atari_dream.__version__ == PROJECT["project"]["version"]
    assert importlib.metadata.version("atari-dream") == PROJECT["project"]["version"]


def test_every_direct_dependency_has_its_version_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {
        name_of(requirement)
        for name, requirements in {"core": PROJECT["project"]["dependencies"], **extras}.items()
        for requirement in requirements
        if name != "play"  # nothing uses it yet
    }
    assert wanted - {"atari-dream"} == pinned.keys()
    assert not any("+" in version for version in pinned.values())
    assert lines == sorted(lines, key=lambda line: (not line.startswith("#"), line.split("==")[0]))


def test_everything_public_is_there() -> None:
    for name in atari_dream.__all__:
        assert getattr(atari_dream, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        atari_dream.nothing  # noqa: B018


@pytest.mark.slow
def test_wheel_and_sdist_hold_every_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("atari_dream", "envs", "agents"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(tree)],
        check=True,
        capture_output=True,
    )  # the wheel is built from the sdist
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == installed_names()
    assert "atari_dream/py.typed" in names
    assert {name for name in names if name.startswith("atari_dream/bundled/")}
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml"} <= held
    code = (
        "import atari_dream.envs.sb3, atari_dream.agents, atari_dream.bundled as b; b.bundled_pool('qbert')"
    )
    with ZipFile(wheel) as zipped:
        zipped.extractall(tmp_path / "site")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {code}; print(atari_dream.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "site")
