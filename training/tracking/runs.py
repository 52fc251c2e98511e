"""Where a study becomes an MLflow run, and where runs are made, found and ended.

A study is a parent run, a trial its child (training/tracking/trial_run.py). Nothing here needs torch.
"""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import get_registered_sources, resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, Run

from training.data.image_set import ImageSet, data_name
from training.data.read_options import ReadOptions
from training.data.split import HELD_OUT
from training.study.trial import Trial
from training.study.winning import score_by_tags
from training.tracking import store
from training.tracking.lease import end_stale_runs
from training.tracking.mlflow_run import adopt, own_run
from training.tracking.provenance import provenance, this_process
from training.tracking.saved_view import TAG, saved_view, view_link
from training.tracking.tags import INCUMBENT, PARENT, REUSED

EXPERIMENT_NOTE = (
    "Hyper-parameter studies of a small U-Net. A run is a study, its child runs are trials, named by what varies. "
    "Compare children by `own_val_dice`, the Dice at the images' own size; a study's description holds its question, "
    "its winner and its table."
)

SUMMARY = (  # metrics that sum a trial up: those of its best epoch, of its curve, and what it cost
    *("own_val_dice", "best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss"),
    *("last_val_dice", "tail_val_dice", "val_dice_roughness"),
    *("best_val_false_alarms", "val_empty_images", "best_epoch", "epochs_to_converge", "seconds"),
)

BATCH_METRICS = 900  # MLflow takes at most 1000 at once
EARLIER_TAGS = {"trial": "params_hash"}  # what tags were called until 0.2
RUNNING = "attributes.status = 'RUNNING'"

Tags = Mapping[str, str]


def connect() -> tuple[MlflowClient, str]:
    """A client with retries, and the experiment's id (training/tracking/store.py). Raises StoreError within seconds.

    Creates the database: to be called once, before workers start, because they would meet in its migration.
    """
    store.check()
    client = store.connect()
    return client, store.find_experiment(client)


def describe_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Let the UI open on training runs, and say what they are; unless a person described their own experiment."""
    note = client.get_experiment(experiment_id).tags.get("mlflow.note.content", EXPERIMENT_NOTE)
    if not note.startswith(EXPERIMENT_NOTE.partition(".")[0]):
        return
    client.set_experiment_tag(experiment_id, "mlflow.experimentKind", "custom_model_development")
    note = f"{EXPERIMENT_NOTE} [Trials by study]({view_link(experiment_id)}), with the columns that matter."
    client.set_experiment_tag(experiment_id, "mlflow.note.content", note)
    client.set_experiment_tag(experiment_id, TAG, saved_view())


def run_from_mlflow() -> str:
    """The id of the run that `mlflow run` made for this command, once `own_run` has found it ours; else empty."""
    return os.environ.get("MLFLOW_RUN_ID", "")


def begin_run(client: MlflowClient, experiment_id: str, name: str, tags: Tags, parent: str = "") -> str:
    """A new run, running; a child of `parent` where one is given."""
    nesting = {PARENT: parent} if parent else {}
    source = {"mlflow.source.name": "training.runner", "mlflow.source.type": "PROJECT"}
    tags = {**source, **tags, **nesting, **provenance()}
    return str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)


def end_run(client: MlflowClient, run_id: str, failed: bool = False) -> None:
    client.set_terminated(run_id, "FAILED" if failed else "FINISHED")


def open_run(client: MlflowClient, experiment_id: str, name: str, tags: Tags) -> str:
    """The run of a command: the one that `mlflow run` made for it, or a new one."""
    if run_id := run_from_mlflow():
        adopt(client, run_id, name, tags)
        return run_id
    return begin_run(client, experiment_id, name, tags)


def close_run(client: MlflowClient, run_id: str, failed: bool = False) -> None:
    """End it, unless `mlflow run` does, by our exit status."""
    if run_id != run_from_mlflow():
        end_run(client, run_id, failed)


def end_all_stale_runs(client: MlflowClient) -> list[str]:
    """End whatever processes that are gone left RUNNING, in every experiment; the ids of these runs."""
    return end_stale_runs(client, store.search_runs(client, RUNNING))


def end_own_runs(client: MlflowClient) -> None:
    """KILLED: whatever this process and its workers, which are gone, left RUNNING."""
    for run in list(store.search_runs(client, RUNNING)):  # all of them, before the first is no longer RUNNING
        if run.data.tags.get("process") == this_process():
            client.set_terminated(run.info.run_id, "KILLED")
    end_all_stale_runs(client)


def log_reused(client: MlflowClient, experiment_id: str, name: str, trained: Run, tags: Tags, parent: str) -> None:
    """The child run of a trial that another run trained: same factors and scores; what it wrote stays with that one.

    `tags` are those of the study that reuses it.
    """
    known = trained.data
    kept = ("params_hash", "diverged", "collapsed", "applied", "device", "failure")
    found = {EARLIER_TAGS.get(key, key): value for key, value in known.tags.items()}
    tags = {**tags, "role": "trial", REUSED: trained.info.run_id}
    tags |= {key: found[key] for key in kept if key in found}
    run_id = begin_run(client, experiment_id, name, tags, parent)
    summary = [Metric(key, known.metrics[key], 0, 0) for key in SUMMARY if key in known.metrics]
    client.log_batch(run_id, metrics=summary, params=[Param(key, value) for key, value in known.params.items()])
    end_run(client, run_id)


def describe_study(
    client: MlflowClient, run_id: str, markdown: str, winners: Sequence[Trial], incumbent: Trial | None
) -> None:
    """What one reads on the parent's page, what later studies build on, and what this one started from (of seed 0)."""
    client.set_tag(run_id, "mlflow.note.content", markdown)
    if incumbent:
        client.set_tag(run_id, INCUMBENT, incumbent.digest)
    client.log_dict(run_id, {"winners": [dataclasses.asdict(trial) for trial in winners]}, "winners.json")


def log_data(client: MlflowClient, run_id: str, images: ImageSet, context: str) -> None:
    """The data set as an MLflow dataset input."""
    source = resolve_dataset_source(str(images.path.resolve()), get_registered_sources()[:1])  # the first: local files
    dataset = MetaDataset(source, name=images.name, digest=images.digest)  # type: ignore[abstract]
    client.log_inputs(run_id, [DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", context)])])


def log_reading(
    client: MlflowClient,
    run_id: str,
    images: ImageSet,
    reading: ReadOptions,
    warnings: Sequence[str],
    split: dict[str, list[str]],
) -> None:
    """How the folder was understood, so that promotion understands it the same way; and which images test (stems)."""
    known = {"layout": images.layout, "reading": dataclasses.asdict(reading), "warnings": list(warnings)}
    groups = dict(zip(images.stems, images.groups, strict=True))
    client.log_dict(run_id, known | {"groups": groups}, "data.json")
    client.log_dict(run_id, split, "split.json")


def log_check(data: Path, page: Path, verdict: str) -> None:
    """The page of a checked data set, in the run that `mlflow run` made for it."""
    name = data_name(data)
    note = f"`{name}` is {verdict}; the page is among the artifacts."
    if run_id := log_note(f"check {name}", "check_data", note, "training.check_data"):
        store.connect().log_artifacts(run_id, str(page))


def log_note(name: str, role: str, markdown: str, module: str) -> str:
    """What a command that trains nothing has to say, in the run that `mlflow run` made for it. Its id, if there is."""
    client = store.connect()
    run_id = own_run(client, module)
    if run_id:
        adopt(client, run_id, name, {"role": role, "mlflow.note.content": markdown})
    return run_id


def read_json(client: MlflowClient, run_id: str, name: str) -> Any:
    """What a file among a run's artifacts holds."""
    with tempfile.TemporaryDirectory() as scratch:
        return json.loads(Path(client.download_artifacts(run_id, name, scratch)).read_text())


def search_finished(client: MlflowClient, tags: Tags, further: str = "") -> Iterator[Run]:
    """Finished trials on the images of a study with these tags (HELD_OUT at least), held out alike, the oldest first;
    `further`: a filter that they must pass, too.
    """
    wanted = (_held_out_alike(tags), "tags.role = 'trial'", "status = 'FINISHED'", further)
    return store.search_runs(client, " and ".join(filter(None, wanted)), "start_time ASC")


def _held_out_alike(tags: Tags) -> str:
    return " and ".join(f"tags.{key} = '{tags[key]}'" for key in HELD_OUT)


def load_finished(client: MlflowClient, tags: Tags, strategy: str) -> dict[Trial, float]:
    """Scores of the trials that were finished on these images before `tune` was first started with this strategy.

    `tags`: those of the study, HELD_OUT at least. What was finished later is left out, so that
    a study that goes on is told what it was told at its start.
    """
    mine = f"{_held_out_alike(tags)} and tags.role = 'study' and tags.study = 'tune' and tags.strategy = '{strategy}'"
    first = next(store.search_runs(client, mine, "start_time ASC", page=1), None)
    found: dict[Trial, float] = {}
    for run in search_finished(client, tags):
        late = first and run.info.end_time > first.info.start_time
        if not late and REUSED not in run.data.tags and "own_val_dice" in run.data.metrics:
            score = score_by_tags(run.data.metrics["own_val_dice"], run.data.tags)
            found[Trial.from_params(run.data.params)] = score
    return found


def log_best(client: MlflowClient, run_id: str, scores: Mapping[int, float]) -> None:
    """The best score by what was spent until then, as a curve of the study's run."""
    stamp = int(time.time() * 1000)
    metrics = [Metric("best_so_far", score, stamp, number) for number, score in scores.items()]
    for start in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics[start : start + BATCH_METRICS])


def load_winners(client: MlflowClient, names: Sequence[str], tags: Tags) -> dict[str, list[Trial]]:
    """The winners of the newest finished run of each study on these images, held out alike (`tags`: HELD_OUT).

    On another fold, what tests now was chosen by. Raises ValueError, with the cure.
    """
    winners = {}
    for name in names:
        query = f"{_held_out_alike(tags)} and tags.role = 'study' and tags.study = '{name}' and status = 'FINISHED'"
        found = next(store.search_runs(client, query, page=1), None)
        if not found:
            raise ValueError(
                f"baseline=measured: study {name} has no finished run on these images (digest {tags['data_digest']}) "
                f"under protocol={tags['protocol']} with the same fold and images held out; run `mlflow run . -e "
                f"{name} ...` first, or use baseline=report"
            )
        known = read_json(client, found.info.run_id, "winners.json")["winners"]
        winners[name] = [Trial(**fields) for fields in known]
        if not winners[name]:
            raise ValueError(
                f"baseline=measured: study {name} has no winner on these images, because none of its trials predicts "
                "any foreground that is there; run it again with more epochs, or use baseline=report"
            )
    return winners
