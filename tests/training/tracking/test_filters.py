"""A name that a person gave may hold any character; MLflow's filters take no quote, so no filter holds it."""

import pytest

from analysis.evidence import runs
from serving.promotion.ranking import find_runs
from training.tracking.runs import begin_run, connect, end_run

pytestmark = pytest.mark.usefixtures("new_store")
NAMES = ["cells", "it's", 'the "best"', "`odd`", "50 %", "a\\b", "ä ö", "all'of\"them`%;--", "new\nline"]


def log_trial(data: str) -> str:
    client, experiment = connect()
    tags = {"role": "trial", "protocol": "fixed", "diverged": "false", "collapsed": "false", "data": data}
    run_id = begin_run(client, experiment, "trial", tags)
    for name, value in (("augment", "none"), ("train_percent", "80"), ("equalize_masks", "False")):
        client.log_param(run_id, name, value)
    client.log_metric(run_id, "best_val_dice", 0.9)
    end_run(client, run_id)
    return run_id


def test_the_runs_of_a_folder_are_found_whatever_its_name() -> None:
    logged = {name: log_trial(name) for name in NAMES}
    client, _ = connect()
    for name in NAMES:
        assert [run.info.run_id for run in find_runs(client, name)] == [logged[name]], name


@pytest.mark.parametrize("digest", NAMES)
def test_a_digest_that_nobody_has_finds_nothing_whatever_it_holds(digest: str) -> None:
    assert runs.load_trials(digest).empty
