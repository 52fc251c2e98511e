"""Finished trials that a study would reuse, were they not computed otherwise: in another precision, by other versions.

Nobody chose these: `precision=auto` follows the processor, and packages are upgraded. So a study says what it does not
reuse, and what would; else whoever restored the trials of another machine would train them all again unawares.
"""

import itertools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from training.execution.identity import results_version
from training.study.trial import PRECISIONS, Trial
from training.tracking.runs import search_finished

if TYPE_CHECKING:
    from mlflow import MlflowClient


def find_computed_otherwise(client: "MlflowClient", tags: Mapping[str, str], trials: Collection[Trial]) -> list[str]:
    """In words: which of these `trials`, that are not there, were trained before, and what would reuse them.

    `tags`: those of the study.
    """
    wanted = {trial.replace(precision=name).digest: (trial, name) for trial in trials for name in PRECISIONS}
    unlike = [f"params.precision != '{name}'" for name in {trial.precision for trial in trials}]
    unlike.append(f"tags.results_version != '{results_version()}'")  # the store filters: mostly there are none to read
    found: dict[str, set[Trial]] = {}
    for run in itertools.chain.from_iterable(search_finished(client, tags, one) for one in unlike):
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
