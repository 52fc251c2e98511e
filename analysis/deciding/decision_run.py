"""The MLflow run of `-e decide`: what was decided, round by round, is its description."""

import functools
from collections.abc import Callable

from training.tracking import mlflow_run, runs
from training.tracking.lease import Heartbeat

Describe = Callable[[str], object]  # with Markdown


def as_run(module: str, name: str, tags: dict[str, str], work: Callable[[Describe], int]) -> int:
    """Do the work inside a run, whose description it may set; its exit status. Failed where that is not 0."""
    client, experiment_id = runs.connect()
    mlflow_run.own_run(client, module)
    run_id = runs.open_run(client, experiment_id, name, tags | {"role": "decide"})
    status = 1
    try:
        with Heartbeat(client, run_id):
            status = work(functools.partial(client.set_tag, run_id, "mlflow.note.content"))
    finally:
        runs.close_run(client, run_id, failed=status != 0)
    return status
