"""What so many seeds would show is said before a study runs, from runs that are there."""

from pathlib import Path

import numpy as np
import pytest
from conftest import make_tables
from made_up import DIGEST, experiment, log_made_up_study, make_experiment

from analysis.claims.claims import check_claims
from analysis.claims.contrasts import detectable
from analysis.power import describe, main
from benchmarks.error_rates import NOISE, design, equal
from training.tracking.store import connect


def test_it_is_the_spread_of_earlier_runs_that_says_what_is_seen() -> None:
    table = equal(design(6), np.random.default_rng(0))
    found = check_claims(table[table["study"] == "losses"])
    head, names, *lines = describe("losses", 12, found, "the runs")
    assert "12 seeds" in head
    assert "the runs" in head
    assert names.split() == ["claim", "sd", "effect"]
    by_code = {line.split()[0]: line.split()[1:3] for line in lines}
    assert set(by_code) == {"losses.1", "losses.2", "losses.3", "losses.4", "losses.6"}
    spread, effect = map(float, by_code["losses.2"])
    assert spread == pytest.approx(NOISE * (2 / 3) ** 0.5, rel=0.8)  # a mean over three optimizers, of a difference
    assert effect == pytest.approx(detectable(found["losses.2"].spread, 12), abs=5e-4)
    fewer = describe("losses", 3, found, "the runs")
    assert float(fewer[3].split()[2]) > float(lines[1].split()[2])


def test_few_seeds_decide_nothing_and_say_so() -> None:
    (line,) = describe("all", 2, {}, "nothing")
    assert "at least -P seeds=3" in line
    for name in ("tune", "grid", "live"):
        said = describe(name, 1, {}, "nothing")
        assert said == [f"{name} trains too few seeds of a configuration, so it decides no claim"]


def test_without_runs_of_several_seeds_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tables(tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr("analysis.power.MEASURED", tmp_path / "measured")
    (tmp_path / "measured").mkdir()
    assert main(["losses", "--data", "nowhere", "--seeds", "6", "--preset", "demo"]) == 0
    assert "not known yet" in capsys.readouterr().out


def test_a_study_without_trials_or_a_grid_on_the_same_images_does_not_hide_earlier_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study that was stopped at its first trial, and cells of another size, ended the plan with an error."""
    make_tables(tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    make_experiment(tmp_path)
    client = connect()
    client.set_tag(log_made_up_study("mask_equalization", seeds=3), "data", "cells")
    for name, digest in (("losses", DIGEST), ("grid", "of another size")):
        tags = {"role": "study", "study": name, "data": "cells", "data_digest": digest}
        client.create_run(experiment(), tags=tags)
    assert main(["mask_equalization", "--data", "cells", "--seeds", "6"]) == 0
    assert "from the 6 trials of cells in the store" in capsys.readouterr().out
