"""Finished trials that a study would reuse, were they not computed otherwise: in another precision, by other versions.

Nobody chose these: `precision=auto` follows the processor, and packages are upgraded. So a study says what it does not
reuse, and what would; else whoever restored the trials of another machine would train them all again unawares.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from training.execution.identity import results_version
from training.study.trial import PRECISIONS, Trial
from training.tracking.store import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAME = ("data_digest", "protocol", "split_digest")  # tags of what is alike: the images, and who is held out


def find_computed_otherwise(client: "MlflowClient", tags: Mapping[str, str], trials: Iterable[Trial]) -> list[str]:
    """In words: which of these `trials`, that are not there, were trained before, and what would reuse them.

    `tags`: those of the study.
    """
    wanted = {trial.replace(precision=name).digest: (trial, name) for trial in trials for name in PRECISIONS}
    same = " and ".join(f"tags.{key} = '{tags[key]}'" for key in SAME)
    found: dict[str, set[Trial]] = {}
    for run in search_runs(client, f"{same} and tags.role = 'trial' and status = 'FINISHED'"):
        known = wanted.get(run.data.tags.get("params_hash", ""))
        if known:
            trial, precision = known
            version = run.data.tags.get("results_version", "an earlier version")
            found.setdefault(_why_not(trial.precision, precision, version), set()).add(trial)
    return [f"{len(them)} trial(s) were trained before, but {why}" for why, them in found.items()]


def _why_not(precision: str, theirs: str, version: str) -> str:
    if version != results_version():
        return f"by `{version}`; this is `{results_version()}`, so they are trained anew"
    return f"in {theirs}, not {precision}; precision={theirs} reuses them and goes on as they did"
