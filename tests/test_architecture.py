"""Who may import whom, and how large a file may grow: the drawing in the README, held by reading the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("training", "analysis", "serving")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
DATA_EDGES = ("training.data.check_data", "training.data.download", "training.data.sheet")
PURE = (
    *("training.trial", "training.search", "training.studies", "training.plan", "training.pictures", "training.words"),
    *(name for name in FILES if name.startswith("training.data") and name not in DATA_EDGES),
)
STDLIB_NUMPY_CV2 = {"numpy", "cv2", "training"}
STORE = ("training.door", "training.mlflow_run", "training.moved", "training.store")  # what every command needs
OURS_AND_OTHERS = {
    "torch",
    "mlflow",
    "bentoml",
    "segmentation_models_pytorch",
    "matplotlib",
    "pandas",
    "scipy",
    "jinja2",
}


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
    return {module for module in imports(name) if module in FILES}


@pytest.mark.parametrize("name", FILES)
def test_training_knows_neither_analysis_nor_serving_and_analysis_not_serving(name: str) -> None:
    room = name.split(".", maxsplit=1)[0]
    forbidden = {"training": {"analysis", "serving"}, "analysis": {"serving"}, "serving": {"analysis"}}[room]
    assert not packages(name) & forbidden


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_know_numbers_and_files_at_most(name: str) -> None:
    assert not packages(name) & (OURS_AND_OTHERS - STDLIB_NUMPY_CV2)
    assert ours(name) <= {*PURE, "training"}


@pytest.mark.parametrize("name", FILES)
def test_only_the_edges_import_mlflow(name: str) -> None:
    if "mlflow" in packages(name):
        edges = ("training.tracking", "training.trial_run", "analysis.runs", "analysis.store", "serving.promote")
        assert name in (*edges, *STORE)


@pytest.mark.parametrize("name", FILES)
def test_only_its_pool_imports_ray(name: str) -> None:
    assert "ray" not in packages(name) or name == "training.ray_pool"


@pytest.mark.parametrize("name", FILES)
def test_only_serving_imports_bentoml(name: str) -> None:
    assert "bentoml" not in packages(name) or name.startswith("serving")


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("analysis")])
def test_analysis_imports_no_torch_and_of_training_the_pure_modules_and_the_store_only(name: str) -> None:
    assert "torch" not in packages(name)
    assert {module for module in ours(name) if module.startswith("training")} <= {*PURE, *STORE, "training"}


@pytest.mark.parametrize(
    "name",
    [
        *("service", "api", "answers", "fields", "guard", "job_routes", "jobs", "meter", "objects", "segmenter"),
        *("strict", "uploads"),
    ],
)
def test_what_serves_imports_of_ours_only_what_prepares_an_image_and_neither_torch_nor_mlflow(name: str) -> None:
    module = f"serving.{name}"
    assert {found for found in ours(module) if found.startswith("training.")} <= {
        "training.data.images",
        "training.data.framing",
    }
    assert not packages(module) & {"torch", "mlflow", "analysis"}
    assert ours(module) & {"serving.promote", "serving.precision", "serving.export", "serving.candidate"} == set()


@pytest.mark.parametrize("name", FILES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert len(ast.get_docstring(ast.parse(FILES[name].read_text())) or "") > 40


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("studies")])
def test_a_module_stays_readable(name: str) -> None:
    """200 lines is one idea; the table of studies is data and may be longer."""
    assert len(FILES[name].read_text().splitlines()) <= 260
