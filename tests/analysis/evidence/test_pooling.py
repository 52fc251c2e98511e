"""Folds and seeds of several study runs are one experiment where their settings agree, and each trial counts once."""

from typing import Any

import pandas as pd
import pytest

from analysis.evidence.pooling import newest_first, pool
from analysis.evidence.schema import tidy

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {
    "data": "cells",
    "data_digest": "a",
    "preset": "small",
    "baseline": "report",
    "protocol": "fixed",
}
SETTINGS |= {"image_size": 128, "epochs": 20, "batch_size": 8, "precision": "fp32", "fit": "resize"}
CELL = {"loss": "switching", "optimizer": "adam", "lr": 1e-3, "weight_decay": 0.01, "train_percent": 80}
Rows = list[dict[str, Any]]


def study_run(name: str, *, study: str = "augmentation", seeds: int = 2, fold: int = 0, **changed: Any) -> Rows:
    """The trials of one study run: two cells, so many seeds each."""
    return [
        SETTINGS
        | CELL
        | {"study": study, "augment": augment, "fold": fold, "seed": seed}
        | {"parent_run_id": name, "run_id": f"{name} {augment} {seed}", "val_dice": 0.7, "split_digest": f"split{fold}"}
        | changed
        for augment in ("none", "train")
        for seed in range(seeds)
    ]


def table(*runs: Rows) -> pd.DataFrame:
    """As a store gives it: the newest study run first, tags beside the tidy table's columns."""
    rows = pd.DataFrame([row for run in runs for row in run])
    return tidy(rows).join(rows[[name for name in ("split_digest", "val_percent", "results_version") if name in rows]])


def counted(*runs: Rows) -> dict[str, int]:
    """How many trials of each study run count."""
    parents = list(pool(table(*runs)).trials["parent_run_id"])
    return {parent: parents.count(parent) for parent in dict.fromkeys(parents)}


def test_folds_of_the_same_settings_count_together() -> None:
    assert counted(study_run("new", fold=1), study_run("old")) == {"new": 4, "old": 4}


def test_an_automatic_switching_tau_may_differ_between_folds_and_a_given_one_may_not() -> None:
    def both(origin: str) -> dict[str, int]:
        taus = (0.12, 0.13)
        runs = [study_run(f"{tau}", fold=fold, switching_tau=tau) for fold, tau in enumerate(taus)]
        return counted(*[[row | {"switching_tau_origin": origin} for row in run] for run in runs])

    assert both("auto") == {"0.12": 4, "0.13": 4}
    assert both("given") == {"0.12": 4}


def test_a_trial_that_is_in_several_study_runs_counts_once_and_is_the_newest_s() -> None:
    assert counted(study_run("new"), study_run("old")) == {"new": 4}


@pytest.mark.parametrize(("new", "old"), [(1, 3), (3, 1)])
def test_seeds_of_an_earlier_study_run_count_as_well(new: int, old: int) -> None:
    trials = pool(table(study_run("new", seeds=new), study_run("old", seeds=old))).trials
    assert len(trials) == len(trials.drop_duplicates(["augment", "seed"])) == 2 * 3


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"preset": "demo"}, "preset=demo; the newest has small"),
        ({"epochs": 6}, "epochs=6; the newest has 20"),
        ({"image_size": 64}, "image_size=64; the newest has 128"),
        ({"protocol": "report"}, "protocol=report; the newest has fixed"),
        ({"baseline": "measured"}, "baseline=measured; the newest has report"),
        ({"results_version": "1"}, "results_version=1; the newest has 2"),
        ({"val_percent": "5"}, "val_percent=5; the newest has 10"),
        ({"lr": 1e-2}, "other fixed factors"),
    ],
)
def test_an_outdated_study_run_with_other_settings_does_not_count_and_is_told_of_where_nothing_replaces_it(
    changed: dict[str, Any], words: str
) -> None:
    tags: dict[str, Any] = {"results_version": "2", "val_percent": "10"}
    new = study_run("new", **tags)
    for fold in (0, 1):
        found = pool(table(new, study_run("old", fold=fold, seeds=4, **tags | changed)))
        assert set(found.trials["parent_run_id"]) == {"new"}
        assert found.notes == ((f"augmentation, fold 1: a study run with {words}",) if fold else ())


def test_a_tag_that_an_earlier_version_did_not_set_is_not_compared() -> None:
    assert counted(study_run("new", fold=1, val_percent="10"), study_run("old")) == {"new": 4, "old": 4}
    assert counted(study_run("new", fold=1), study_run("old", val_percent="5")) == {"new": 4, "old": 4}


def test_another_split_of_the_same_fold_is_another_experiment() -> None:
    assert counted(study_run("new", seeds=1), study_run("old", seeds=3, split_digest="other")) == {"new": 2}


def test_where_studies_build_on_measured_winners_each_fold_has_its_own() -> None:
    measured: dict[str, Any] = {"baseline": "measured"}
    new, old = study_run("new", fold=1, lr=1e-2, **measured), study_run("old", **measured)
    assert counted(new, old) == {"new": 4, "old": 4}
    assert counted(new, old, study_run("older", lr=1e-2, seeds=4, **measured)) == {"new": 4, "old": 4}


def test_a_study_run_that_has_just_begun_does_not_hide_the_cells_of_other_folds() -> None:
    assert counted(study_run("new", fold=1)[:1], study_run("old")) == {"new": 1, "old": 4}


def test_studies_and_data_sets_are_pooled_each_for_itself() -> None:
    other = study_run("b", data_digest="b", image_size=64, epochs=6, preset="demo")
    longer = study_run("losses", study="losses", epochs=30)
    assert counted(study_run("a"), other, longer) == {"a": 4, "b": 4, "losses": 4}


def test_the_study_run_that_started_last_comes_first() -> None:
    rows = study_run("a", started="2026-05-04T12:00:00") + study_run("b", started="2026-05-05T12:00:00")
    assert list(newest_first(tidy(rows))["parent_run_id"].unique()) == ["b", "a"]


def test_nothing_pools_to_nothing() -> None:
    assert pool(tidy([])).trials.empty
