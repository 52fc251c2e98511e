"""A trial that another run trained has a child run of its own in each study, whichever version trained it."""

import pytest

from training.study.trial import Trial
from training.tracking.runs import begin_run, connect, end_run, log_reused

pytestmark = pytest.mark.usefixtures("new_store")
TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1, image_size=32)


@pytest.mark.parametrize("tag", ["params_hash", "trial"])
def test_a_reused_trial_says_its_params_hash_whatever_the_tag_was_called(tag: str) -> None:
    client, experiment = connect()
    trained = begin_run(client, experiment, "trained", {"role": "trial", tag: TRIAL.digest, "collapsed": "false"})
    client.log_param(trained, "lr", "0.001")
    client.log_metric(trained, "best_val_dice", 0.9)
    end_run(client, trained)
    parent = begin_run(client, experiment, "study", {"role": "study"})
    log_reused(client, experiment, "reused", client.get_run(trained), {"study": "losses"}, parent)
    (reused,) = client.search_runs([experiment], f"tags.reused_from = '{trained}'")
    assert (reused.data.tags["params_hash"], reused.data.tags["collapsed"]) == (TRIAL.digest, "false")
    assert "trial" not in reused.data.tags
    assert (reused.data.params, reused.data.metrics) == ({"lr": "0.001"}, {"best_val_dice": 0.9})
