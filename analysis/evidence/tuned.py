"""What `tune` found on some images: of each strategy its newest study run. Read from the store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient

from analysis.evidence.runs import trials_of
from analysis.evidence.store import fetch
from training.study.trial import Trial
from training.study.winning import score_by_tags
from training.tracking.store import connect, search_runs

TUNE_RUNS = "tags.role = 'study' and tags.study = 'tune' and attributes.status = 'FINISHED'"


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A budget that a strategy spent."""

    strategy: str
    trials: str  # that it might cost, in full ones
    best: Mapping[int, float]  # validation Dice at the images' own size, the best so far, by the full trials spent
    tried: Mapping[Trial, float]  # the trials in full, with their Dice: 0 predicts nothing, nan diverged
    winner: Mapping[str, str]  # its factors, as params; empty where none predicts anything
    experiment_id: str
    run_id: str  # of the study


def load_tuned(data_digests: Sequence[str]) -> tuple[Tuned, ...]:
    """On these images; the strategy that came to the best Dice first."""
    client, found = connect(), dict[str, Tuned]()
    for run in search_runs(client, TUNE_RUNS):  # the newest first
        tags = run.data.tags
        if tags.get("data_digest") not in data_digests or tags["strategy"] in found:
            continue
        history = sorted(client.get_metric_history(run.info.run_id, "best_so_far"), key=lambda point: point.step)
        path = fetch(client, run.info.run_id, "winners.json")
        winners = json.loads(path.read_text())["winners"] if path else []
        found[tags["strategy"]] = Tuned(
            strategy=tags["strategy"],
            trials=tags["trials"],
            best={point.step: point.value for point in history},
            tried=_tried(client, run.info.run_id),
            winner={key: str(value) for key, value in winners[0].items()} if winners else {},
            experiment_id=run.info.experiment_id,
            run_id=run.info.run_id,
        )
    return tuple(sorted((one for one in found.values() if one.best), key=lambda one: -max(one.best.values())))


def _tried(client: MlflowClient, study: str) -> dict[Trial, float]:
    found = {}
    for run in trials_of(client, study):
        score = score_by_tags(run.data.metrics.get("own_val_dice", 0.0), run.data.tags)
        found[Trial.from_params(run.data.params)] = score
    most = max((trial.epochs for trial in found), default=0)
    return {trial: score for trial, score in found.items() if trial.epochs == most}
