"""A study says which trials it trains again only because another machine or other packages computed them."""

from pathlib import Path

import pytest
from studies import Studies

from training.execution.computed_otherwise import find_computed_otherwise
from training.execution.identity import results_version
from training.study.trial import Trial
from training.tracking.runs import begin_run, connect, end_run

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1, image_size=32)
TAGS = {"data_digest": "d", "protocol": "fixed", "split_digest": "s"}


def keep(trial: Trial, times: int = 1, version: str = "", failed: bool = False, **tags: str) -> None:
    """As many runs that trained it."""
    client, experiment = connect()
    for _ in range(times):
        known = {"role": "trial", "params_hash": trial.digest, "results_version": version or results_version()}
        run_id = begin_run(client, experiment, "trial", {**TAGS, **known, **tags})
        client.log_param(run_id, "precision", trial.precision)
        end_run(client, run_id, failed)


def find(*trials: Trial) -> list[str]:
    return find_computed_otherwise(connect()[0], TAGS, trials)


@pytest.mark.usefixtures("new_store")
def test_only_what_nobody_chose_is_told() -> None:
    others = [TRIAL.replace(seed=seed) for seed in range(5)]
    keep(others[0].replace(precision="bf16"), times=2)
    keep(others[1].replace(precision="bf16"), failed=True)
    keep(others[2].replace(precision="bf16"), split_digest="another fold")
    keep(others[3], version="1 torch 2.0")
    keep(others[4].replace(lr=0.1))
    by_version, in_bf16 = sorted(find(*others))
    assert in_bf16.startswith("1 trial(s) were trained before, but in bf16, not fp32; precision=bf16 reuses them")
    assert by_version.startswith("1 trial(s) were trained before, but by `1 torch 2.0`; this is `")
    assert find(others[4]) == []


@pytest.mark.slow
def test_a_study_says_so_before_it_trains_them_again(discs: Path, tmp_path: Path) -> None:
    studies = Studies(tmp_path, discs)
    told = "2 trial(s) were trained before, but in bf16, not fp32; precision=bf16 reuses them"
    options = ("mask_equalization", "--epochs", "1", "--precision")
    assert told not in studies.run(*options, "bf16")[1]
    status, said = studies.run(*options, "fp32")
    assert (status, told in said) == (0, True), said
    assert "2 trial(s) were trained before and are reused" in studies.run(*options, "bf16")[1]
