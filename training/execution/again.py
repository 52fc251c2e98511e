"""A trial that was restored from files is trained again: its scores travelled, its weights did not.

It must come to the kept score. Then the runs that reused the restored one reuse the new one, and so does the restored
one, which stays.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from training.command.machine import Machine, find_device
from training.data.image_set import ImageSet
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import make_split
from training.execution.checkpoints import checkpoint_of
from training.execution.jobs import Job, Outcome
from training.execution.pool import Pool
from training.study.trial import Trial
from training.tracking import runs
from training.tracking.kept_runs import find_reusing, replace_restored
from training.tracking.lease import look_up
from training.tracking.tags import PARENT, REUSED

if TYPE_CHECKING:  # what is asked of MLflow is asked through training/tracking
    from mlflow import MlflowClient
    from mlflow.entities import Run

TOLERANCE = 0.01  # Dice: the smallest effect of interest; other processors round otherwise, and epochs amplify it


def train_again(folder: Path, run_id: str) -> None:
    """Train the trial of a restored run on the same images, as a run of the study that reused it.

    Raises ValueError, with the cure, where no study reused it, the folder holds other images, another process trains
    it, it fails, or it comes to another score than the one that was kept.
    """
    client, experiment_id = runs.connect()
    restored = client.get_run(run_id)
    reusing = next(iter(find_reusing(client, run_id)), None)
    if not reusing:
        raise ValueError(
            f"run {run_id} was restored from files, and no study has reused it yet; start its study "
            f"({restored.data.tags.get('study', '')}) with the same parameters: that trains only what is missing"
        )
    trial, tags = Trial.from_params(restored.data.params), reusing.data.tags
    study_run = str(tags[PARENT])
    reading = ReadOptions(**runs.read_json(client, study_run, "data.json")["reading"])
    images = load_folder(folder, trial.image_size, trial.fit, reading)
    if images.digest != tags["data_digest"]:
        raise ValueError(
            f"data={folder}: run {run_id} was trained on other images (digest {tags['data_digest']}; this folder has "
            f"{images.digest}); give the folder it was trained on"
        )
    machine = Machine(
        device=find_device("auto"), workers=os.cpu_count() or 1, deterministic=tags.get("deterministic") == "true"
    )
    kept = {key: value for key, value in tags.items() if not key.startswith("mlflow.") and key != REUSED}
    result_hash = restored.data.tags["result_hash"]
    job = Job(
        trial=trial,
        name=str(restored.info.run_name),
        experiment_id=experiment_id,
        parent=study_run,
        tags=kept | {"device": str(machine.device), "compiled": "false"},
        result_hash=result_hash,
        split=make_split(
            images.groups,
            images.foreground,
            tags["protocol"],
            trial.train_percent,
            trial.fold,
            int(tags["val_percent"]),
            int(tags["test_percent"]),
            _parts(images, runs.read_json(client, study_run, "split.json")) if tags.get("split") == "file" else (),
        ),
        checkpoint=checkpoint_of(result_hash),
        in_place_of=run_id,
    )
    outcome = _train(images, machine, job)
    if outcome.skipped or outcome.failure:
        raise ValueError(f"run {run_id} could not be trained again: {outcome.failure or 'another process does'}")
    _compare(client, restored, result_hash, outcome)


def _parts(images: ImageSet, split: dict[str, list[str]]) -> tuple[str, ...]:
    """The part of each image, by the stems of each part."""
    known = {stem: part for part, stems in split.items() for stem in stems}
    return tuple(known[stem] for stem in images.stems)


def _train(images: ImageSet, machine: Machine, job: Job) -> Outcome:
    """In a process of its own, as in a study."""
    pool = Pool(images, machine)
    try:
        with tqdm(total=job.trial.epochs, unit="epoch", desc="training it again, for its weights") as bar:
            (outcome,) = pool.run([job], lambda _: bar.update())
    except BaseException:
        pool.kill()
        raise
    pool.close()
    return outcome


def _compare(client: "MlflowClient", restored: "Run", result_hash: str, outcome: Outcome) -> None:
    """The new run takes the place of the restored one, where their scores are the same; else it goes again."""
    run_id, kept = restored.info.run_id, restored.data.metrics["own_val_dice"]
    trained = look_up(client, result_hash, without=run_id).finished
    assert trained
    said = f"{restored.info.run_name}: val Dice {outcome.own_dice:.4f}, kept {kept:.4f}"
    if not abs(outcome.own_dice - kept) <= TOLERANCE:
        client.delete_run(trained.info.run_id)
        raise ValueError(
            f"{said}: trained again it differs by more than {TOLERANCE}, so the kept score does not hold here; "
            f"delete run {run_id} (`mlflow runs delete --run-id {run_id}`) and start its study again"
        )
    replace_restored(client, restored, trained.info.run_id)
    print(f"trained again, for its weights: {said}")
