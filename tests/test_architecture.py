"""Who may import whom, one rule for each folder, and how large a file may grow: held by reading the imports."""

import ast
import functools
from pathlib import Path

import pytest
from conftest import ROOT

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("training", "analysis", "serving")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
DOORS = ("training", "analysis", "serving")  # the files at the top: what MLproject, Makefile or a person calls

# What each folder may import of ours, beside itself; arrows go down.
PREPARES_AN_IMAGE = {"training.data.images", "training.data.framing"}  # in training and in serving, the same
STORE = {  # which store, which run is ours, and what of a run travels
    *("training.tracking.store", "training.tracking.mlflow_run", "training.tracking.kept_runs"),
    "training.tracking.tags",
}
MAY_IMPORT: dict[str, set[str]] = {
    "training.study": set(),
    "training.data": {"training.study"},
    "training.network": {"training.study", "training.data"},
    "training.tracking": {"training.study", "training.data", "training.network"},
    "training.command": {
        "training.study",
        "training.data",
        "training.network",
        "training.tracking.mlflow_run",
        "training.tracking.errors",
    },
    "training.execution": {
        *("training.study", "training.data", "training.network", "training.tracking", "training.command"),
    },
    "training": {"training"},
    "analysis.evidence": {"training.study", "training.data", *STORE},
    "analysis.claims": {"training.study"},
    "analysis.page": {"training.study", "analysis.claims", "analysis.evidence", "analysis.replays"},
    "analysis.deciding": {
        *("training.study", "training.command", "training.tracking"),  # the runner is called, and has a run beside it
        *("analysis.claims", "analysis.evidence"),
    },
    "analysis.replays": {"training.study", "analysis.claims", "analysis.evidence"},
    "analysis": {"analysis", "training.study", "training.data.image_set", "training.command"},
    "serving.inference": {*PREPARES_AN_IMAGE, "training.network"},  # the network: torch_network alone
    "serving.endpoint": {*PREPARES_AN_IMAGE, "serving.inference"},
    "serving.promotion": {
        *("training.study", "training.data", "training.network", "training.tracking", "serving.inference"),
    },
    "serving": {"serving", "training"},
}

# Which packages only some folders, or files, may import.
ONLY = {
    "torch": ("training.network", "training.command", "training.tracking", "training.execution", "serving.promotion"),
    "mlflow": ("training.tracking", "analysis.evidence", "serving.promotion"),
    "bentoml": ("serving",),
    "optuna": ("training.study.samplers", "training.study.importance"),
    "ray": ("training.execution.ray_pool",),
    "matplotlib": ("analysis.page", "training.tracking.learning_curve"),
    "openvino": ("serving.inference.openvino_network", "serving.promotion"),
}
ALSO = {"torch": ("serving.inference.torch_network",)}


@functools.cache
def imports(name: str) -> set[str]:
    """Every module that a file imports, inside functions too; but not what it only names for the type checker."""
    tree = ast.parse(FILES[name].read_text())
    for_checkers = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in for_checkers:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(name: str) -> set[str]:
    return {module.split(".")[0] for module in imports(name)}


def ours(name: str) -> set[str]:
    """The files of ours that a file imports; the folders they lie in are not meant."""
    return {module for module in imports(name) if module in FILES and FILES[module].name != "__init__.py"}


def is_in(name: str, *places: str) -> bool:
    """Whether a file is one of these, or in one of these folders."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def folder_of(name: str) -> str:
    """The folder whose rule a file obeys."""
    return max((folder for folder in MAY_IMPORT if is_in(name, folder)), key=len)


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_what_its_folder_may(name: str) -> None:
    folder = folder_of(name)
    wrong = {module for module in ours(name) if not is_in(module, folder, *MAY_IMPORT[folder])}
    if folder in DOORS:
        wrong = {module for module in wrong if module not in MAY_IMPORT[folder]}
    assert not wrong, f"{folder} may import {sorted(MAY_IMPORT[folder])} of ours"


@pytest.mark.parametrize("name", [name for name in FILES if folder_of(name) not in DOORS])
def test_no_folder_imports_a_door(name: str) -> None:
    assert not {module for module in ours(name) if folder_of(module) in DOORS}


@pytest.mark.parametrize("name", FILES)
def test_packages_are_known_where_they_belong(name: str) -> None:
    for package, places in ONLY.items():
        if package in packages(name):
            assert is_in(name, *places, *ALSO.get(package, ())), package


def test_no_file_imports_itself_around_a_corner() -> None:
    """Imports inside functions count, too."""
    known = {name: ours(name) for name in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for module in sorted(known[name]):
                visit(module, (*path, name))
            done.add(name)

    for name in FILES:
        visit(name, ())


@pytest.mark.parametrize("name", FILES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert len(ast.get_docstring(ast.parse(FILES[name].read_text())) or "") > 40


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("studies")])
def test_a_module_stays_readable(name: str) -> None:
    """200 lines is one idea; the table of studies is data and may be longer."""
    assert len(FILES[name].read_text().splitlines()) <= 260


def test_folders_hold_what_can_be_overlooked() -> None:
    for folder in {path.parent for path in FILES.values()}:
        assert len(list(folder.glob("*.py"))) <= 20, folder


def test_each_test_lies_where_its_subject_does() -> None:
    folders = {path.parent.relative_to(ROOT) for path in FILES.values()}
    for path in (ROOT / "tests").rglob("test_*.py"):
        place = path.parent.relative_to(ROOT / "tests")
        assert place == Path() or place in folders, path
