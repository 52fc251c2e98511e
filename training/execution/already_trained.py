"""Which trials of a study need no training: looked up as the study itself would, and nothing is written."""

from contextlib import suppress
from typing import TYPE_CHECKING

from training.command.preparation import Prepared
from training.execution.identity import result_hash
from training.execution.jobs import Outcome
from training.execution.study_run import outcome_of
from training.execution.summary import find_winners
from training.study.plan import make_plan
from training.study.studies import baseline_from_report, baseline_from_winners
from training.study.trial import Trial
from training.tracking import runs

if TYPE_CHECKING:
    from mlflow import MlflowClient


def find_trained(prepared: Prepared, client: "MlflowClient") -> dict[str, list[Trial]]:
    """By study, what the store holds of it. Where the baseline is measured, what an unfinished study will find is not
    known, nor are the trials of studies that build on it.
    """
    settings, held_out = prepared.settings, prepared.held_out
    there = {
        run.data.tags["result_hash"]: run for run in runs.search_finished(client, held_out, "tags.result_hash != ''")
    }
    winners: dict[str, list[Trial]] = {}
    is_measured = settings.baseline == "measured"
    if is_measured and len(prepared.studies) == 1:
        with suppress(ValueError):  # the study will say what it lacks
            winners = runs.load_winners(client, prepared.studies[0].needs, held_out)
    trained: dict[str, list[Trial]] = {}
    for study in prepared.studies:
        plan = make_plan(
            study, baseline_from_winners(winners) if is_measured else baseline_from_report(study), settings
        )
        outcomes: dict[Trial, Outcome] = {}
        while True:
            proposed = plan.propose({trial: outcome.score for trial, outcome in outcomes.items()})
            known = {trial: there.get(result_hash(trial, held_out)) for trial in proposed}
            found = {trial: outcome_of(trial, run) for trial, run in known.items() if run}
            if not found:
                break
            outcomes |= found
        trained[study.name] = list(outcomes)
        if proposed and is_measured:
            break
        winners[study.name] = find_winners(plan, list(outcomes.values()))
    return trained
