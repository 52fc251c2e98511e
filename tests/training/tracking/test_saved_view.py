"""The view of the trials that a study leaves for the MLflow UI asks only for what trials have."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
from chain import Chain

from training.study.trial import Trial
from training.tracking.saved_view import COLUMNS, TAG, saved_view, view_link

pytestmark = pytest.mark.slow


def state(value: str) -> dict[str, Any]:
    kind, text = value.split(";")
    assert kind == "deflate"
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


def test_a_study_leaves_the_view_and_a_link_to_it(chain: Chain) -> None:
    experiment = chain.client.get_experiment_by_name("unet-studies")
    assert state(experiment.tags[TAG])["searchFilter"] == "tags.role = 'trial'"
    assert f"]({view_link(experiment.experiment_id)})" in experiment.tags["mlflow.note.content"]


def test_every_column_is_something_a_trial_logs(chain: Chain) -> None:
    experiment = chain.client.get_experiment_by_name("unet-studies")
    run = chain.client.search_runs([experiment.experiment_id], "tags.role = 'trial'")[0]
    logged = {"metrics": run.data.metrics, "params": run.data.params, "tags": run.data.tags}
    for column in COLUMNS:
        kind, name = re.fullmatch(r"(\w+)\.`(\w+)`", column).groups()  # type: ignore[union-attr]
        assert name in logged[kind], column
    assert {name for kind, name in (c.split(".") for c in COLUMNS) if kind == "params"} <= {
        f"`{name}`" for name in Trial.__dataclass_fields__
    }


def test_the_charts_are_of_logged_metrics_in_a_section_that_exists() -> None:
    view = state(saved_view())
    sections = {section["uuid"] for section in view["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in view["compareRunCharts"]} == sections
    assert [chart["type"] for chart in view["compareRunCharts"]] == ["LINE", "BAR", "SCATTER"]
