"""Which trial is promoted: the best of the cell that wins (training/study/winning.py) among those judged fairly.

Reads runs through the client it is given. It knows nothing of exports, registries or test scores.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.data.checks.foreground import has_foreground
from training.data.image_set import ImageSet, data_name
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.study.trial import Trial
from training.study.winning import rank_cells
from training.tracking.store import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

JUDGED = (  # finished, validated on images it never saw, and trained on the masks as they are
    "status = 'FINISHED' and tags.role = 'trial' and tags.protocol = 'fixed' and params.augment != 'both' "
    "and params.train_percent != '100' and params.equalize_masks = 'False'"
)
PAGE = 200  # runs asked for at once


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trial worth promoting, with the images it was trained on, prepared its way."""

    run_id: str
    hashes: dict[str, str]  # SHA-256 of the files that the trial wrote, by name
    trial: Trial
    val_dice: float  # best epoch, mean over the validation images with foreground
    images: ImageSet
    reading: ReadOptions
    train: tuple[int, ...]  # indices into images: at most these were trained on
    val: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self, indices: tuple[int, ...]) -> list[int]:
        """Where the parts of these images are among all."""
        return [part for index in indices for part in self.images.parts(index)]


def find_candidate(client: "MlflowClient", folder: Path) -> Candidate:
    """The best trial of the winning cell on these images. Raises ValueError, with the cure, when there is none.

    Trials of any image size compete: a run's digest is that of the images as its study read and framed them.
    """
    sets: dict[tuple[int, str, ReadOptions], ImageSet] = {}
    readings: dict[str, ReadOptions] = {}
    seen, outdated = set(), []
    judged = list(find_runs(client, data_name(folder)))
    for run in rank_runs(judged):
        if not leaves_out_empty_images(run):
            outdated.append(run.info.run_id)
            continue
        study = run.data.tags["mlflow.parentRunId"]
        if study not in readings:
            readings[study] = ReadOptions(**_read_json(client, study, "data.json")["reading"])
        made = (int(run.data.params["image_size"]), run.data.params["fit"], readings[study])
        if made not in sets:
            sets[made] = load_folder(folder, *made)
        images = sets[made]
        seen.add(run.data.tags["data_digest"])
        if run.data.tags["data_digest"] != images.digest:
            continue
        parts = _find_parts(_read_json(client, study, "split.json"), images)
        if not any(has_foreground(images, index) for index in parts["test"]):
            raise ValueError(
                f"data={folder}: none of the {len(parts['test'])} test images has foreground, so nothing can be said "
                "of a model on them; run the study again with a larger test_percent or another fold"
            )
        hashes = json.loads(run.data.tags.get("artifacts", "{}"))
        with tempfile.TemporaryDirectory() as scratch:
            described = download(client, run.info.run_id, hashes, "trial.json", Path(scratch)).read_text()
        return Candidate(
            run_id=run.info.run_id,
            hashes=hashes,
            trial=Trial.from_json(described),
            reading=readings[study],
            val_dice=run.data.metrics["best_val_dice"],
            images=images,
            train=parts["train"],
            val=parts["val"],
            test=parts["test"],
        )
    if seen:
        raise ValueError(_other_images(folder, seen, [images.digest for images in sets.values()]))
    raise ValueError(_why_none(folder, outdated, len(judged)))


def download(client: "MlflowClient", run_id: str, hashes: Mapping[str, str], name: str, folder: Path) -> Path:
    """A file or folder that a trial wrote. Raises ValueError when a file is not the one that the trial wrote."""
    found = Path(client.download_artifacts(run_id, name, str(folder)))
    files = [path for path in found.rglob("*") if path.is_file()] if found.is_dir() else [found]
    for path in files:
        place = str(path.relative_to(folder))
        if hashlib.sha256(path.read_bytes()).hexdigest() != hashes.get(place):
            raise ValueError(
                f"run {run_id}: {place} is not the file that the trial wrote (tag `artifacts` holds its SHA-256), so "
                "it is not read; delete the run and start its study again"
            )
    return found


def leaves_out_empty_images(run: "Run") -> bool:
    """Whether the run's Dice is a mean over images with foreground; earlier ones counted two empty masks as 1."""
    metrics = run.data.metrics
    return metrics.get("val_empty_images", 0) == 0 or "val_false_alarms" in metrics


def rank_runs(runs: Iterable["Run"]) -> list["Run"]:
    """Those that can be promoted: the runs of the best cell first, and of a cell the best run first.

    On each set of images (data_digest) the cells of the largest training fraction compete, failed runs counted.
    """
    judged, cell_of = list(runs), {}
    for run in judged:
        factors = {name: value for name, value in run.data.params.items() if name not in ("seed", "fold")}
        if run.data.tags.get("switching_tau_origin") == "auto":
            factors["switching_tau"] = "auto"  # each fold's training masks have a median of their own
        cell_of[run.info.run_id] = (run.data.tags.get("data_digest", ""), *sorted(factors.items()))
    ranked: dict[Hashable, float] = {}
    for digest in dict.fromkeys(cell[0] for cell in cell_of.values()):
        own = [run for run in judged if cell_of[run.info.run_id][0] == digest]
        scores = [(cell_of[run.info.run_id], float(run.data.params["train_percent"]), _score(run)) for run in own]
        ranked |= rank_cells(scores)
    able = [run for run in judged if _score(run) > 0 and cell_of[run.info.run_id] in ranked]
    return sorted(able, key=lambda run: (ranked[cell_of[run.info.run_id]], _score(run)), reverse=True)


def _score(run: "Run") -> float:
    """At the images' own size, where the run knows it; 0 for a run that diverged or predicts nothing in the end."""
    failed = "true" in (run.data.tags.get("diverged"), run.data.tags.get("collapsed"))
    metrics = run.data.metrics
    return 0.0 if failed else metrics.get("own_val_dice", metrics.get("best_val_dice", 0.0))


def find_runs(client: "MlflowClient", data: str) -> Iterator["Run"]:
    """Best first."""
    plain = re.fullmatch(r"[\w. -]+", data)  # no filter of MLflow takes any quote, so other names are compared here
    query = f"{JUDGED} and tags.data = '{data}'" if plain else JUDGED
    for run in search_runs(client, query, "metrics.best_val_dice DESC", PAGE):
        reused = "reused_from" in run.data.tags  # then the run that trained it is there, too
        if run.data.tags["data"] == data and not reused:
            yield run


def _find_parts(stems: dict[str, list[str]], images: ImageSet) -> dict[str, tuple[int, ...]]:
    """Indices of the images that train, validate and test."""
    index_of = {stem: index for index, stem in enumerate(images.stems)}
    return {part: tuple(index_of[stem] for stem in stems[part]) for part in ("train", "val", "test")}


def _read_json(client: "MlflowClient", run_id: str, name: str) -> Any:
    with tempfile.TemporaryDirectory() as scratch:
        return json.loads(Path(client.download_artifacts(run_id, name, scratch)).read_text())


def _other_images(folder: Path, seen: set[str], digests: list[str]) -> str:
    return (
        f"data={folder}: the finished trials were trained on other images of this name (digest "
        f"{', '.join(sorted(seen))}; this folder has {', '.join(sorted(digests))}); give the folder they were "
        "trained on, or run a study on this one"
    )


def _why_none(folder: Path, outdated: list[str], failed: int) -> str:
    if outdated:
        return (
            f"data={folder}: the Dice of {len(outdated)} finished trial(s) counts images without foreground, where "
            "predicting nothing scores 1; run the study again, and it is a mean over the images that have foreground"
        )
    if failed:
        return (
            f"data={folder}: {failed} trial(s) are finished, but none predicts any foreground that is there (tag "
            "`collapsed`) or each diverged; run a study with more epochs or other learning rates, such as "
            f"`mlflow run . -e learning_rate -P data={folder}`"
        )
    return (
        f"data={folder}: no finished trial on a folder of this name can be promoted; it must be a run of "
        "protocol=fixed that neither diverged nor collapsed, without augment=both and equalized masks; run a study "
        f"first, such as `mlflow run . -e optimizers -P data={folder}`"
    )
