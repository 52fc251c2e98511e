"""README, MLproject, environment and code agree; and the project speaks of itself alone."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from training.command.options import parse
from training.study.settings import PRESETS
from training.study.studies import STUDIES

PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
ENTRY_POINTS = PROJECT["entry_points"]
ENTRIES = sorted(
    {
        word
        for entry in ENTRY_POINTS.values()
        for word in re.findall(r"-m ((?!benchmarks)\S+)", entry["command"].replace(";", " "))
    }
)
README = (ROOT / "README.md").read_text()
PACKAGES = ("torch", "mlflow", "segmentation-models-pytorch", "bentoml", "numpy", "opencv-python", "pandas")


def test_every_study_is_an_entry_point_in_the_report_s_order() -> None:
    assert [name for name in ENTRY_POINTS if name in STUDIES] == list(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_an_entry_point_runs_its_study_with_what_it_declares_and_whatever_else_is_given(name: str) -> None:
    entry = ENTRY_POINTS[name]
    defaults = {key: value["default"] for key, value in entry["parameters"].items() if isinstance(value, dict)}
    filled = entry["command"].format(data="somewhere", **defaults)
    assert filled.startswith(f"python -m training.runner {name} ")
    options = parse([*filled.split()[3:], "--val_percent", "20"])  # as MLflow adds what is not declared
    assert (options.study, options.data, options.val_percent) == (name, Path("somewhere"), 20)
    assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry["parameters"]), "MLflow drops the others"


def test_a_default_is_the_same_with_and_without_mlflow() -> None:
    options = parse(["losses", "--data", "somewhere"])
    for key, value in ENTRY_POINTS["losses"]["parameters"].items():
        assert key == "data" or str(getattr(options, key)) == value["default"]


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_mlflow_passes_to_a_command_all_it_declares(name: str) -> None:
    entry = ENTRY_POINTS[name]
    assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry.get("parameters", ()))


def test_the_readme_names_every_entry_point_and_preset() -> None:
    for name in [*ENTRY_POINTS, *PRESETS]:
        assert f"`{name}`" in README, name


def test_the_readme_s_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make (\w+)`", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_s_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)|src=\"(?!http)([^\"]+)\"", README):
        assert (ROOT / (target[0] or target[1])).exists(), target


def test_requirements_pin_every_package_exactly_and_environment_yml_includes_them() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    pinned = {line.split("==")[0] for line in lines}
    assert set(PACKAGES) <= pinned
    direct = [line.split("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    assert {line for line in direct if line} <= set(lines)
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert {"pip": ["-r requirements.txt"]} in environment["dependencies"]
    assert PROJECT["conda_env"] == "environment.yml"


def test_ci_runs_the_readme_s_test_command() -> None:
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")
    assert "\nmake test " in README


@pytest.mark.parametrize("module", ENTRIES)
def test_help_imports_neither_torch_nor_mlflow(module: str) -> None:
    code = f"import sys, runpy; sys.argv = ['{module}', '--help']\n"
    code += f"try:\n runpy.run_module('{module}', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'mlflow', 'bentoml'} & set(sys.modules), 'imported'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_files_that_code_and_docs_name_are_there() -> None:
    """Tests name files that they make; CHANGELOG names those of its time."""
    named = re.compile(r"(?<![\w/.-])(?:training|analysis|serving|benchmarks|tests|docs)/[\w/]+\.(?:py|md)\b")
    places = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", ROOT / "MLproject"]
    for folder in ("training", "analysis", "serving", "benchmarks", "docs"):
        places += [path for ending in ("py", "md") for path in (ROOT / folder).rglob(f"*.{ending}")]
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in places
        for name in named.findall(path.read_text())
        if not (ROOT / name).is_file()
    }
    assert not missing


def test_no_file_names_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".txt", ".in", ".yml", ".toml", ".html", ".css", "") and path.is_file():
            assert not re.search(r"(?<!\w)/(work|root|home|Users)/\w", path.read_text()), name


def test_a_container_gets_the_same_pins_as_everybody() -> None:
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in (ROOT / "serving" / "requirements.txt").read_text().splitlines() if line[:1] != "#"]
    assert wanted
    assert set(wanted) <= set(pins)


def test_a_container_gets_every_module_that_serves_and_nothing_of_promotion() -> None:
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["bentoml"]["build"]["include"]
    files = {str(path.relative_to(ROOT)) for pattern in included for path in ROOT.glob(pattern)}
    wanted, seen = ["serving.service"], set()
    while wanted:
        path = wanted.pop().replace(".", "/") + ".py"
        if path not in seen and (ROOT / path).is_file() and path != "serving/inference/torch_network.py":
            seen.add(path)
            text = (ROOT / path).read_text()
            wanted += re.findall(r"^ *from ((?:training|serving)\S*) import", text, re.MULTILINE)
    assert seen <= files
    assert not {
        name for name in files if "promot" in name or name.startswith(("training/network", "training/tracking"))
    }
