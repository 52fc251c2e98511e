"""Which run is promoted: the best one of the cell that was chosen, and not the luckiest run of all."""

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from serving.promotion.candidate import find_rivals
from serving.promotion.ranking import cell_of, comparable, find_runs, judged_dice, most_consistent, rank_runs
from training.study.studies import FULL_WIDTH
from training.study.trial import Trial
from training.tracking.runs import begin_run, connect, end_run
from training.tracking.tags import INCUMBENT

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1)


def log_trial(dice: float, tags: Mapping[str, str] = {}, **params: str) -> str:
    client, experiment = connect()
    known = {"role": "trial", "protocol": "fixed", "diverged": "false", "collapsed": "false", "data": "cells"}
    run_id = begin_run(client, experiment, "trial", {**known, "data_digest": "one", **tags})
    factors = {"augment": "none", "train_percent": "80", "equalize_masks": "False", "optimizer": "adam", "seed": "0"}
    for name, value in {**factors, **params}.items():
        client.log_param(run_id, name, value)
    client.log_metric(run_id, "best_val_dice", dice)
    end_run(client, run_id)
    return run_id


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_the_best_run_of_the_winning_cell_comes_first() -> None:
    lucky = [log_trial(dice, optimizer="adam", seed=str(seed)) for seed, dice in enumerate((0.95, 0.5, 0.49))]
    steady = [log_trial(dice, optimizer="sgd", seed=str(seed)) for seed, dice in enumerate((0.8, 0.82, 0.81))]
    failing = [log_trial(0.9, optimizer="adamax", seed="0")]
    failing.append(log_trial(0.9, {"collapsed": "true"}, optimizer="adamax", seed="1"))
    log_trial(0.99, optimizer="sgd", train_percent="20")
    elsewhere = log_trial(0.7, {"data_digest": "two"}, train_percent="40")
    client, _ = connect()
    ranked = [run.info.run_id for run in rank_runs(find_runs(client, "cells"))]
    assert ranked == [steady[1], steady[2], steady[0], elsewhere, *lucky, failing[0]]


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_folds_whose_masks_gave_other_thresholds_are_one_cell_and_given_thresholds_are_not() -> None:
    auto, given = {"switching_tau_origin": "auto"}, {"switching_tau_origin": "given"}
    folds = [log_trial(0.8, auto, fold=str(fold), switching_tau=tau) for fold, tau in enumerate(("0.12", "0.13"))]
    lucky = [log_trial(0.9, given, fold="0", switching_tau="0.2"), log_trial(0.4, given, fold="1", switching_tau="0.2")]
    other = log_trial(0.7, given, fold="1", switching_tau="0.3")
    ranked = [run.info.run_id for run in rank_runs(find_runs(connect()[0], "cells"))]
    assert set(ranked[:2]) == set(folds)
    assert ranked[2:] == [other, *lucky]


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_scores_at_the_images_own_size_are_compared_with_their_like_only() -> None:
    log_trial(0.95, optimizer="adam")  # of an earlier version, at image_size
    client, _ = connect()
    run_ids = [log_trial(dice, optimizer=name) for name, dice in (("sgd", 0.9), ("adamax", 0.8))]
    for run_id, dice in zip(run_ids, (0.6, 0.7), strict=True):
        client.log_metric(run_id, "own_val_dice", dice)
    ranked = rank_runs(comparable(find_runs(client, "cells")))
    assert [run.info.run_id for run in ranked] == run_ids[::-1]
    assert [judged_dice(run) for run in ranked] == [0.7, 0.6]


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_choose_consistent_takes_the_best_run_of_the_cell_that_varies_least() -> None:
    highest = [log_trial(dice, optimizer="adam", seed=str(seed)) for seed, dice in enumerate((0.7, 0.9, 0.8))]
    steady = [log_trial(dice, optimizer="sgd", seed=str(seed)) for seed, dice in enumerate((0.78, 0.80, 0.79))]
    log_trial(0.5, optimizer="adamax")
    judged = list(find_runs(connect()[0], "cells"))
    ranked = rank_runs(judged)
    assert ranked[0].info.run_id == highest[1]
    assert most_consistent(ranked, judged).info.run_id == steady[1]
    adamax = [run for run in ranked if run.data.params["optimizer"] == "adamax"]
    with pytest.raises(ValueError, match=r"the winning configuration has 1 seed, .* takes 3 at least; run the studies"):
        most_consistent(adamax, judged)
    assert cell_of(ranked[0]) != cell_of(adamax[0])


def log_study(test: Sequence[str]) -> str:
    """A study run that held out these test images."""
    client, experiment = connect()
    run_id = begin_run(client, experiment, "study", {"role": "study"})
    client.log_dict(run_id, {"train": [], "val": [], "test": list(test)}, "split.json")
    return run_id


def log_network(dice: float, study: str, trial: Trial, weights: bool = True) -> str:
    """A finished trial, with a file where its weights would be."""
    params = {name: str(value) for name, value in dataclasses.asdict(trial).items()}
    run_id = log_trial(dice, {"mlflow.parentRunId": study}, **params)
    if weights:
        connect()[0].log_text(run_id, "weights", "model/model.safetensors")
    return run_id


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_the_champion_is_compared_with_networks_of_the_same_test_images_whose_weights_are_there() -> None:
    study, other_study = log_study(["a", "b"]), log_study(["a", "c"])
    wide = TRIAL.replace(width=FULL_WIDTH)
    champion = log_network(0.9, study, TRIAL)
    log_network(0.89, study, TRIAL.replace(seed=1))  # the champion's own cell
    log_network(0.88, study, TRIAL.replace(optimizer="sgd"), weights=False)
    log_network(0.87, other_study, TRIAL.replace(optimizer="rmsprop"))
    second = log_network(0.86, study, TRIAL.replace(optimizer="adamax"))
    full = log_network(0.80, study, wide)
    log_network(0.79, study, wide.replace(seed=1))
    client, _ = connect()
    ranked = rank_runs(find_runs(client, "cells"))
    runs = {run.info.run_id: run for run in ranked}
    rivals = find_rivals(client, runs[champion], ranked, ["b", "a"])
    assert [(rival.name, rival.run_id) for rival in rivals] == [("runner_up", second), ("full_width", full)]
    rivals = find_rivals(client, runs[second], ranked, ["a", "b"])
    assert [(rival.name, rival.run_id) for rival in rivals] == [("winner", champion), ("full_width", full)]
    rivals = find_rivals(client, runs[full], ranked, ["a", "b"])
    assert [(rival.name, rival.run_id) for rival in rivals] == [("winner", champion)], "it is the full width itself"
    assert find_rivals(client, runs[champion], ranked, ["x"]) == ()
    settled = log_network(0.7, study, TRIAL.replace(optimizer="adagrad", seed=1))
    client.set_tag(study, INCUMBENT, TRIAL.replace(optimizer="adagrad", seed=0).digest)
    rivals = find_rivals(client, runs[champion], rank_runs(find_runs(client, "cells")), ["a", "b"])
    assert [(rival.name, rival.run_id) for rival in rivals] == [
        ("runner_up", second),
        ("incumbent", settled),
        ("full_width", full),
    ], "in the study it was trained in"
