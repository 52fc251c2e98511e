"""A view of the trials for the MLflow UI: columns, grouping, order and charts, kept as a tag of the experiment.

The UI keeps a view that is shared by link in such a tag (deflated JSON); MLflow has no function for it, so this writes
what the UI itself writes.
"""

import base64
import json
import zlib
from typing import Any

from training.tracking.store import UI_MODE

KEY = "studies"
TAG = f"mlflow.sharedViewState.{KEY}"
COLUMNS = (  # those whose maximum over a study says something: MLflow shows it in the row of the group
    *("metrics.`own_val_dice`", "metrics.`best_val_dice`", "metrics.`seconds`"),
    *("params.`loss`", "params.`optimizer`", "params.`lr`", "params.`scheduler`", "params.`weight_decay`"),
    *("params.`dropout`", "params.`train_percent`", "params.`augment`", "params.`seed`"),
    *("tags.`collapsed`", "tags.`diverged`"),
)
SECTION = "studies"


def saved_view() -> str:
    """The tag's value: trials by study, the best validation Dice first, and three charts."""
    state = {
        "searchFilter": "tags.role = 'trial'",
        "orderByKey": COLUMNS[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "groupBy": {"aggregateFunction": "max", "groupByKeys": [{"mode": "tag", "groupByData": "study"}]},
        "groupsExpanded": {},
        "compareRunSections": [
            {"uuid": SECTION, "name": "Studies", "display": True, "isReordered": False, "deleted": False}
            | {"isGenerated": False}
        ],
        "compareRunCharts": [
            _chart("curves", "LINE", metricKey="val_dice", selectedMetricKeys=["val_dice"], xAxisKey="step"),
            _chart("best", "BAR", metricKey="own_val_dice"),
            _chart("cost", "SCATTER", xaxis=_axis("METRIC", "seconds"), yaxis=_axis("METRIC", "own_val_dice")),
        ],
        "isAccordionReordered": False,
        "autoRefreshEnabled": False,
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()


def view_link(experiment_id: str) -> str:
    """Where the UI shows it; to be put behind the address of the tracking server."""
    return f"#/experiments/{experiment_id}/runs?{UI_MODE}&viewStateShareKey={KEY}"


def _chart(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    known = {"uuid": name, "type": kind, "deleted": False, "isGenerated": False, "metricSectionId": SECTION}
    return {**known, "runsCountToCompare": 20, "useGlobalXaxisKey": False, **settings}


def _axis(kind: str, key: str) -> dict[str, str]:
    return {"type": kind, "key": key}
