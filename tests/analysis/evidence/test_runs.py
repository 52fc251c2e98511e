"""Runs and published tables become one table. The store is a real one; what its runs say is made up."""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from claim_rows import row
from conftest import make_tables
from made_up import (
    DIGEST,
    experiment,
    log_made_up_study,
    log_made_up_trial,
    made_up_store,
    made_up_trials,
    make_experiment,
)
from mlflow import MlflowClient
from servers import postgresql, tracking_server

from analysis.evidence import evidence, runs, snapshot, store
from analysis.evidence.schema import SCHEMA, load_published, tidy
from analysis.page.pictures import study_thumbnails
from analysis.page.tables import compare
from training.study.settings import RATE_SEED
from training.study.studies import STUDIES
from training.study.trial import Trial
from training.tracking.store import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def made_up(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made_up_store(tmp_path_factory.getbasetemp()))


def test_every_published_row_is_in_the_table_once() -> None:
    published = load_published()
    counted = published.groupby("figure", sort=False).size().to_dict()
    assert counted == {"1": 12, "2": 12, "4": 5, "6": 15, "11": 16, "13": 12, "16": 8, "19": 12}
    assert list(published.columns) == list(SCHEMA)


def test_what_a_figure_fixes_is_filled_in_and_the_rest_is_unknown() -> None:
    published = load_published()
    decay = published[published["figure"] == "13"].iloc[0]
    assert (decay["scheduler"], decay["weight_decay"], decay["dropout"]) == ("plateau", 0.1, 0.0)
    assert math.isnan(decay["seed"])
    assert math.isnan(decay["epochs"])
    assert published[published["figure"] == "1"]["val_dice"].isna().all()


def test_a_published_dice_of_5e_10_is_a_collapsed_run() -> None:
    published = load_published()
    collapsed = published[published["collapsed"]]
    assert list(zip(collapsed["figure"], collapsed["train_percent"], strict=True)) == [("4", 20), ("16", 80)]


def test_a_row_whose_rate_search_ended_at_an_edge_says_so() -> None:
    """Of each search by itself: of a study run, and of what is tuned alike in it. What counts is the rate that the row
    has: its search chose it by the Dice at the images' own size, which may be another one than at image_size.
    """
    rates = (1e-4, 1e-3, 1e-2, 1e-1)

    def searched(best: float, **alike: Any) -> list[dict[str, Any]]:
        return [row("schedulers", 0.7 if lr == best else 0.5, lr=lr, seed=RATE_SEED, **alike) for lr in rates]

    tried = [
        *searched(1e-1, optimizer="adam", parent_run_id="one"),
        *searched(1e-2, optimizer="adam", parent_run_id="other"),
        *searched(1e-2, optimizer="sgd", parent_run_id="one"),
        row("schedulers", 0.9, lr=1.0, seed=RATE_SEED, optimizer="sgd", parent_run_id="one", diverged=True),
    ]
    cells = [("adam", 1e-1, "one"), ("adam", 1e-2, "other"), ("adam", 1e-3, "one"), ("sgd", 1e-2, "one")]
    trials = [row("schedulers", 0.7, optimizer=name, lr=lr, parent_run_id=parent) for name, lr, parent in cells]
    assert runs.mark_edges(tidy(trials), tidy(tried))["rate_at_edge"].tolist() == [True, False, False, False]
    assert not runs.mark_edges(tidy(trials), tidy([]))["rate_at_edge"].any()
    chosen = row("schedulers", 0.7, optimizer="adam", lr=1e-1, parent_run_id="other")  # 1e-2 is best at image_size
    assert runs.mark_edges(tidy([chosen]), tidy(tried))["rate_at_edge"].tolist() == [True]


@pytest.mark.usefixtures("made_up")
def test_measured_and_published_tables_have_one_schema() -> None:
    trials, published = runs.load_trials(DIGEST), load_published()
    assert trials.dtypes.to_dict() == published.dtypes.to_dict() == tidy([]).dtypes.to_dict()
    assert set(trials["source"]) == {"measured"}


@pytest.mark.usefixtures("made_up")
def test_a_trial_comes_back_as_it_was_logged() -> None:
    trials = runs.load_trials(DIGEST)
    logged = [trial for trial, _ in made_up_trials("losses", seeds=2)]
    for field in asdict(logged[0]):
        assert list(trials[trials["study"] == "losses"][field]) == [getattr(trial, field) for trial in logged]


@pytest.mark.usefixtures("made_up")
def test_the_newest_images_are_those_of_the_newest_study() -> None:
    assert runs.newest_data_digest() == DIGEST
    assert runs.load_trials("other images").empty


def test_a_grid_of_another_size_does_not_hide_the_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells are on no page, so a page of it alone would be empty."""
    make_tables(tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    make_experiment(tmp_path)
    log_made_up_study("mask_equalization", seeds=1)
    grid = {"role": "study", "study": "grid", "data": "made_up", "data_digest": "of another size"}
    connect().create_run(experiment(), tags=grid)
    assert runs.newest_data_digest() == DIGEST
    assert list(runs.known_data()) == [DIGEST]
    assert len(evidence.from_store("", "").trials) == 2


@pytest.mark.usefixtures("made_up")
def test_curves_are_the_epochs_of_the_trials() -> None:
    trials = runs.load_trials(DIGEST).head(3)
    curves = runs.load_curves(trials)
    assert len(curves) == 3 * 6
    assert list(curves.groupby("run_id", sort=False)["val_dice"].max()) == pytest.approx(list(trials["val_dice"]))


@pytest.mark.usefixtures("made_up")
def test_trials_that_were_found_are_not_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query for each took most of the time in which a page is made."""
    trials = runs.load_trials(DIGEST).head(3)
    monkeypatch.setattr(MlflowClient, "get_run", lambda client, run_id: pytest.fail(f"{run_id} is asked for"))
    assert len(runs.load_curves(trials)) == 3 * 6


@pytest.mark.usefixtures("made_up")
def test_nothing_promoted_is_no_champion() -> None:
    assert store.load_champion() is None


@pytest.mark.usefixtures("made_up")
def test_a_tracking_server_gives_the_same_table_curves_and_pictures(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = runs.load_trials(DIGEST)
    curves, picture = runs.load_curves(trials.head(3)), runs.load_predictions(trials["run_id"][0], "val")
    with tracking_server(tmp_path, made_up_store(tmp_path_factory.getbasetemp())) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        monkeypatch.setattr(runs, "PAGE", 7)  # so that there are several
        assert store.tracking_server() == server.url
        pd.testing.assert_frame_equal(runs.load_trials(DIGEST), trials)
        pd.testing.assert_frame_equal(runs.load_curves(trials.head(3)), curves)
        assert runs.load_predictions(trials["run_id"][0], "val") == picture != b""


def test_a_postgresql_store_is_read_by_the_same_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgresql(tmp_path) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        make_experiment(tmp_path)
        parent = log_made_up_study("mask_equalization", seeds=2)
        trials = runs.load_trials(DIGEST)
        assert set(trials["parent_run_id"]) == {parent}
        assert len(trials) == 4
        for _, row in trials.iterrows():
            run = connect().get_run(row["run_id"])
            assert Trial.from_params(run.data.params).lr == row["lr"]
            assert run.data.metrics["best_val_dice"] == row["val_dice"]


@pytest.fixture
def own_store(new_store: Path) -> None:
    """A store of the test's own."""
    make_experiment(new_store)


@pytest.mark.usefixtures("own_store")
def test_only_finished_trials_of_the_newest_study_run_count_and_a_diverged_one_has_no_score() -> None:
    client = connect()
    old = log_made_up_study("mask_equalization", seeds=1)
    tags = {"study": "mask_equalization"}
    new = client.create_run(experiment(), tags={"role": "study", "data_digest": DIGEST, **tags}).info.run_id
    trial = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=6)
    assert set(runs.load_trials(DIGEST)["parent_run_id"]) == {old}  # the new one has no finished trial yet
    kept = log_made_up_trial(trial, tags, new, diverged=True)
    client.create_run(
        experiment(), tags={"role": "trial", "mlflow.parentRunId": new, "data_digest": DIGEST, **tags}
    )  # running
    trials = runs.load_trials(DIGEST)
    assert list(trials["run_id"]) == [kept]
    assert trials["diverged"].all()
    assert trials["val_dice"].isna().all()
    assert runs.load_curves(trials).empty

    client.create_registered_model("unet")
    scores = {"run_id": kept, "val_dice": "0.8", "test_dice": "0.7", "otsu_dice": "0.3"}
    version = client.create_model_version("unet", f"runs:/{kept}/model", tags=scores)
    client.set_registered_model_alias("unet", "champion", version.version)
    champion = store.load_champion()
    assert champion is not None
    assert champion.tags["test_dice"] == "0.7"
    assert Trial.from_params(champion.params) == trial
    assert evidence.from_store(DIGEST, "").champion is None, "it does not say that it was chosen on these images"
    client.set_model_version_tag("unet", version.version, "data_digest", DIGEST)
    assert evidence.from_store(DIGEST, "").champion is not None


@pytest.mark.usefixtures("own_store")
def test_a_trial_that_was_not_trained_again_shows_the_epochs_and_the_picture_of_the_run_that_was() -> None:
    trained = log_made_up_study("mask_equalization", seeds=1)
    trials = runs.load_trials(DIGEST)
    client = connect()
    again = client.create_run(experiment(), tags={"role": "study", "data_digest": DIGEST, "study": "mask_equalization"})
    for original in trials["run_id"]:
        log_reused(original, again.info.run_id)
    reused = runs.load_trials(DIGEST)
    assert set(reused["parent_run_id"]) == {again.info.run_id} != {trained}
    assert not set(reused["run_id"]) & set(trials["run_id"])
    assert list(reused["trained_run_id"]) == list(trials["run_id"])
    assert list(reused["val_dice"]) == list(trials["val_dice"])
    curves = runs.load_curves(reused)
    assert list(curves["run_id"].unique()) == list(reused["run_id"])
    assert list(curves["val_dice"]) == list(runs.load_curves(trials)["val_dice"])
    study = STUDIES["mask_equalization"]
    found = evidence.from_store(DIGEST, "")
    table = compare(study, load_published(), found.trials)
    assert len(study_thumbnails(study, table, found.trials, found)) == 2 + len(reused)


@pytest.mark.usefixtures("own_store")
def test_a_report_rests_on_all_folds_and_on_the_data_sets_that_are_named(tmp_path: Path) -> None:
    """Two folds on one set, one on another, an outdated try of other epochs: the folder kept makes the same again."""
    outdated = log_made_up_study("mask_equalization", seeds=1, fold=3)
    client = connect()
    for run in client.search_runs([experiment()], f"tags.`mlflow.parentRunId` = '{outdated}'"):
        client.set_tag(run.info.run_id, "preset", "small")
    parents = [log_made_up_study("mask_equalization", seeds=2, fold=fold) for fold in (0, 1)]
    other = log_made_up_study("mask_equalization", seeds=1, digest="other")
    assert set(evidence.from_store("", "").trials["parent_run_id"]) == {other}, "the newest study's images"
    found = evidence.from_store(f"{DIGEST}, other,{DIGEST}", "")
    assert list(found.trials["parent_run_id"].unique()) == [*parents, other], "in the order they were named"
    assert list(found.trials["fold"]) == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    assert [(one["digest of the data"], one["folds"], one["seeds"]) for one in found.sets] == [
        (DIGEST, "0, 1", "0, 1"),
        ("other", "0", "0"),
    ]
    words = "mask_equalization, fold 3: a study run with preset=small; the newest has demo"
    assert found.provenance["left out"] == words
    with pytest.raises(
        ValueError, match=rf"data_digest='x': .* studies were run on other, {DIGEST}; give one of these"
    ):
        evidence.from_store(f"{DIGEST},x", "")

    for name, digest in (("one", DIGEST), ("two", "other")):
        snapshot.write_files(
            tmp_path / name,
            evidence.from_store(digest, ""),
            [(run_id, "val") for run_id in found.trials["run_id"].head(1)],
        )
    again = snapshot.from_folders([tmp_path / "one", tmp_path / "two"], "")
    pd.testing.assert_frame_equal(again.trials, found.trials)
    pd.testing.assert_frame_equal(again.curves.reset_index(drop=True), found.curves)
    assert again.sets == found.sets
    assert again.load_thumbnails(found.trials["run_id"][0], "val") is not None
    assert again.load_thumbnails(found.trials["run_id"][0], "train") is None
    twice = snapshot.from_folders([tmp_path / "one", tmp_path / "one"], "")
    pd.testing.assert_frame_equal(twice.trials, evidence.from_store(DIGEST, "").trials)


def log_reused(original: str, parent: str) -> None:
    """A small child run in the place of a trial that an earlier study run has trained."""
    client = connect()
    data = client.get_run(original).data
    tags = {key: value for key, value in data.tags.items() if not key.startswith("mlflow.")}
    tags |= {"mlflow.parentRunId": parent, "reused_from": original}
    run_id = client.create_run(experiment(), tags=tags, start_time=int(time.time() * 1000)).info.run_id
    from mlflow.entities import Metric, Param

    metrics = [Metric(name, value, 0, 0) for name, value in data.metrics.items()]
    client.log_batch(run_id, metrics, [Param(name, value) for name, value in data.params.items()])
    client.set_terminated(run_id)
