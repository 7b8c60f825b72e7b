"""Imports go one way, the heavy ones stay where they belong, and `import atari_dream` is light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    "bootstrap design eight_bits errors losses noise palette",
    "episode files games metrics objects observation",
    "emulator episode_writer events players predictor processes training_config",
    "critics doubt dream episodes layers outcomes reference registry starts",
    "autoencoders canvas multi_scale recorder start_query windows",
    "console",
    "bundled models objectives pool_building rollout truth validation",
    "adversary drills",
    "checkpoint course perceptual scoring",
    "alignment calibration certificate pictures protocol training",
    "calibration_plot gallery job onnx_export replay_starts replays",
    "control domain_gap longrun minari_writer",
    "drift minari_reader",
    "drift_tables results summary",
    "drift_plots",
    "drift_report",
    "drift_card",
    "envs",
    "agents speed",
    "cli",
    "__main__ __init__",
)
"""Modules and packages from the ground up: each imports from layers below, and from its own package."""
LAZY = {("registry", "models")}
"""Against the direction, inside a function: importing the models registers them."""
HEAVY = {
    "ale_py": {"emulator", "speed"},  # speed times ALE's own environments
    "stable_baselines3": {"envs", "agents"},
    "minari": {"minari_reader", "minari_writer"},
    "tensordict": {"envs"},
    "torchrl": {"envs"},
    "onnxruntime": {"onnx_export"},
    "click": {"cli"},
    "tqdm": {"cli"},
}
CORE = {
    "ale_py",
    "cv2",
    "gymnasium",
    "numpy",
    "platformdirs",
    "safetensors",
    "stable_baselines3",
    "torch",
    "torch_optimizer",
    "zarr",
}
IN_CLI = {"jinja2", "matplotlib", "PIL", "requests", "scipy", "urllib3"}
"""Of the extra `cli`: what draws is imported by its commands alone."""


def _modules() -> dict[str, Path]:
    """Files by module name below `atari_dream`."""
    found = {}
    for folder, prefix in (("atari_dream", ""), ("envs", "envs."), ("agents", "agents.")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = prefix + ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
            found[name if name == "__init__" else name.removesuffix(".__init__")] = path
    return found


MODULES = _modules()
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}


def top(module: str) -> str:
    return module.partition(".")[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a file imports, a submodule taken from its package included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("atari_dream.")
                yield f"atari_dream.{inner}" if inner in MODULES else str(node.module)


def of(module: str) -> set[str]:
    return set(imported(ast.parse(MODULES[module].read_text())))


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    here = top(module)
    assert here in LEVEL, f"give {here!r} its place in LAYERS"
    for name in of(module):
        if not name.startswith("atari_dream."):
            continue
        there = top(name.removeprefix("atari_dream."))
        allowed = there == here or LEVEL[there] < LEVEL[here] or (here, there) in LAZY
        assert allowed, f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_stay_where_they_belong(module: str) -> None:
    for name in of(module):
        if top(name) in HEAVY:
            places = HEAVY[top(name)]
            assert top(module) in places, f"{module} imports {name}, which belongs to {', '.join(places)}"
        assert top(name) not in ("envs", "agents"), f"{module} imports {name}: write atari_dream.{name}"
    if top(module) == "envs" and module != "envs.sb3":
        assert not any(top(name) == "stable_baselines3" for name in of(module))


@pytest.mark.parametrize("module", MODULES)
def test_what_is_optional_is_imported_where_it_is_used(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    allowed = CORE | IN_CLI | set(sys.stdlib_module_names) | {"atari_dream"}
    if top(module) == "cli":
        allowed |= {"click", "tqdm"}
    if module == "envs.torchrl":
        allowed |= {"tensordict", "torchrl"}
    assert {top(name) for name in imported(tree)} <= allowed


def test_the_table_names_nothing_that_is_gone() -> None:
    assert set(LEVEL) == {top(module) for module in MODULES}
    assert sum(len(names.split()) for names in LAYERS) == len(LEVEL)


def test_no_file_is_named_as_a_standard_module() -> None:
    for folder in ("agents", "envs", "benchmarks"):
        for path in (ROOT / folder).glob("*.py"):
            assert path.stem not in sys.stdlib_module_names, path


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    listing = f"import sys; {code}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(done.stdout.split())


def test_importing_atari_dream_is_light() -> None:
    light = loaded("import atari_dream, gymnasium; gymnasium.spec('AtariDream-Pacman-v0')")
    assert {"atari_dream", "gymnasium"} <= light
    assert not light & {"torch", "stable_baselines3", "zarr", "cv2", "click", "matplotlib"}


@pytest.mark.slow
def test_environments_come_without_stable_baselines3() -> None:
    envs = loaded("import atari_dream.envs")
    assert "torch" in envs and not envs & {"stable_baselines3", "torchrl", "matplotlib", "click"}


def test_help_comes_without_torch() -> None:
    assert not loaded("import atari_dream.cli") & {"torch", "stable_baselines3", "zarr", "matplotlib"}


def test_a_bare_checkout_finds_the_mapped_packages(tmp_path: Path) -> None:
    code = "import atari_dream.agents; print(atari_dream.agents.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert Path(done.stdout.strip()) == ROOT / "agents" / "__init__.py"
