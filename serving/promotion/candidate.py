"""Which trial is promoted: the best of the winning cell, or of the steadiest one near it; and what it is compared with.

Reads runs through the client it is given. It knows nothing of exports, registries or test scores.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serving.promotion.ranking import (
    REPEATED,
    cell_of,
    comparable,
    find_runs,
    judged_dice,
    leaves_out_empty_images,
    most_consistent,
    rank_runs,
)
from training.data.checks.foreground import has_foreground
from training.data.image_set import ImageSet, data_name
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.study.studies import FULL_WIDTH
from training.study.trial import Trial
from training.tracking.kept_runs import find_reusing, is_restored
from training.tracking.runs import read_json
from training.tracking.tags import INCUMBENT, PARENT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WINNER, CONSISTENT = "winner", "consistent"


class NoWeights(Exception):
    """The best run was restored from files, which hold no weights: it has to be trained again."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another trained network, to be compared with the candidate on the same test images."""

    name: str  # of COMPARED_WITH
    run_id: str
    hashes: dict[str, str]  # as the candidate's
    trial: Trial


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trial worth promoting, with the images it was trained on, prepared its way."""

    run_id: str
    hashes: dict[str, str]  # SHA-256 of the files that the trial wrote, by name
    trial: Trial
    choose: str  # WINNER or CONSISTENT: the rule by which it was chosen
    rivals: tuple[Rival, ...]
    val_dice: float  # best epoch, at the images' own size, mean over the validation images with foreground
    images: ImageSet
    reading: ReadOptions
    train: tuple[int, ...]  # indices into images: at most these were trained on
    val: tuple[int, ...]
    test: tuple[int, ...]

    def tiles(self, indices: tuple[int, ...]) -> list[int]:
        """Where the tiles of these images are among all."""
        return [tile for index in indices for tile in self.images.tiles(index)]

    def differs(self, rival: Rival) -> str:
        """The rival's factors that are not the candidate's, in words."""
        chosen, other = asdict(self.trial), asdict(rival.trial)
        return " ".join(
            f"{name}={other[name]}" for name in other if other[name] != chosen[name] and name not in REPEATED
        )


def find_candidate(client: "MlflowClient", folder: Path, choose: str = WINNER) -> Candidate:
    """The best trial of the cell that `choose` names, on these images. Raises ValueError, with the cure, for none, and
    NoWeights for one that was restored.

    Trials of any image size compete: a run's digest is that of the images as its study read and framed them.
    """
    sets: dict[tuple[int, str, ReadOptions], ImageSet] = {}
    readings: dict[str, ReadOptions] = {}

    def study_of(run: "Run") -> str:
        """The run of its study, of which it is known then how the folder was read; of a restored one that of a study
        which reused it, empty where none did.
        """
        taken = find_reusing(client, run.info.run_id) if is_restored(run) else [run]
        study = str(taken[0].data.tags[PARENT]) if taken else ""
        if study and study not in readings:
            readings[study] = ReadOptions(**read_json(client, study, "data.json")["reading"])
        return study

    seen = set()
    found = list(find_runs(client, data_name(folder)))
    judged = comparable(run for run in found if leaves_out_empty_images(run))
    ranked = rank_runs(judged)
    for run in ranked:
        study = study_of(run)
        if not study:
            continue  # nobody in this store knows how its folder was read and split
        made = (int(run.data.params["image_size"]), run.data.params["fit"], readings[study])
        if made not in sets:
            sets[made] = load_folder(folder, *made)
        images = sets[made]
        seen.add(run.data.tags["data_digest"])
        if run.data.tags["data_digest"] != images.digest:
            continue
        same = [other for other in ranked if other.data.tags["data_digest"] == images.digest]
        chosen = most_consistent(same, judged) if choose == CONSISTENT else run
        if is_restored(chosen):
            raise NoWeights(chosen.info.run_id)
        study = study_of(chosen)
        split = _find_split(read_json(client, study, "split.json"), images)
        if not any(has_foreground(images, index) for index in split["test"]):
            raise ValueError(
                f"data={folder}: none of the {len(split['test'])} test images has foreground, so nothing can be said "
                "of a model on them; run the study again with a larger test_percent or another fold"
            )
        hashes = written_by(chosen)
        with tempfile.TemporaryDirectory() as scratch:
            described = download(client, chosen.info.run_id, hashes, "trial.json", Path(scratch)).read_text()
        return Candidate(
            run_id=chosen.info.run_id,
            hashes=hashes,
            trial=Trial.from_json(described),
            choose=choose,
            rivals=find_rivals(client, chosen, same, [images.stems[index] for index in split["test"]]),
            reading=readings[study],
            val_dice=judged_dice(chosen),
            images=images,
            train=split["train"],
            val=split["val"],
            test=split["test"],
        )
    if seen:
        raise ValueError(_other_images(folder, seen, [images.digest for images in sets.values()]))
    if any(is_restored(run) for run in ranked):
        raise ValueError(
            f"data={folder}: its trials were restored from files, and no study has reused them yet; start a study with "
            "the same parameters, which trains only what is missing, and promote then"
        )
    outdated = [run.info.run_id for run in found if run not in judged]
    raise ValueError(_why_none(folder, outdated, len(judged)))


def find_rivals(
    client: "MlflowClient", chosen: "Run", ranked: Sequence["Run"], test: Sequence[str]
) -> tuple[Rival, ...]:
    """The best run of the next best cell (of the best one, where it was not chosen), of what the chosen run's
    study started from, and of the full width.

    Only of runs whose weights are there and whose study held out the same test images (stems). `ranked`: best first.
    """
    others = [run for run in ranked if cell_of(run) != cell_of(chosen)]
    is_first = cell_of(ranked[0]) == cell_of(chosen)
    wide = [run for run in others if run.data.params.get("width") == str(FULL_WIDTH)]
    parent = client.get_run(str(chosen.data.tags[PARENT]))
    settled = [run for run in others if _of_seed_0(run).digest == parent.data.tags.get(INCUMBENT)]
    held_out: dict[str, bool] = {}

    def is_comparable(run: "Run") -> bool:
        if not client.list_artifacts(run.info.run_id, "model"):
            return False
        study = run.data.tags[PARENT]
        if study not in held_out:
            held_out[study] = set(read_json(client, study, "split.json")["test"]) == set(test)
        return held_out[study]

    rivals: list[Rival] = []
    for name, runs in (("full_width", wide), ("incumbent", settled), ("runner_up" if is_first else WINNER, others)):
        run = next((run for run in runs if is_comparable(run)), None)
        if run and run.info.run_id not in [rival.run_id for rival in rivals]:
            trial = Trial.from_params(run.data.params)
            rivals.append(Rival(name=name, run_id=run.info.run_id, hashes=written_by(run), trial=trial))
    return tuple(reversed(rivals))


def _of_seed_0(run: "Run") -> Trial:
    return Trial.from_params(run.data.params).replace(seed=0)


def written_by(run: "Run") -> dict[str, str]:
    """SHA-256 of the files that a trial wrote, by name."""
    return dict(json.loads(run.data.tags.get("artifacts", "{}")))


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


def _find_split(stems: dict[str, list[str]], images: ImageSet) -> dict[str, tuple[int, ...]]:
    """Indices of the images that train, validate and test."""
    index_of = {stem: index for index, stem in enumerate(images.stems)}
    return {part: tuple(index_of[stem] for stem in stems[part]) for part in ("train", "val", "test")}


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
