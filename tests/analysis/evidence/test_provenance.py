"""Where numbers come from is read off the runs themselves, and the command given is the one that was run."""

from typing import Any

import pytest

from analysis.evidence.provenance import command, commands, provenance, provenance_by_set
from analysis.evidence.schema import tidy

RUN = {"study": "losses", "data": "cells", "preset": "small", "baseline": "report", "protocol": "fixed", "seed": 0}
RUN |= {"image_size": 128, "epochs": 20, "fit": "resize", "fold": 0, "started": "2026-05-04T12:00:00"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ""),
        ({"preset": "demo", "image_size": 64, "epochs": 6}, " -P preset=demo"),
        ({"image_size": 64}, " -P image_size=64"),
        ({"epochs": 3}, " -P epochs=3"),
        ({"protocol": "report", "fold": 2}, " -P protocol=report -P fold=2"),
        ({"search": "geometric", "budget": "epochs", "switching_tau_origin": "auto", "switching_tau": 0.13}, ""),
        ({"search": "report", "budget": "steps"}, " -P search=report -P budget=steps"),
        ({"switching_tau_origin": "given", "switching_tau": 0.3}, " -P switching_tau=0.3"),
        ({"baseline": "measured", "fit": "tile"}, " -P baseline=measured -P fit=tile"),
        (
            {"data_options": r"'group=(\d+)[LR]' mask_threshold=127 split=path/to/a.csv", "image_size": 64},
            r" -P 'group=(\d+)[LR]' -P mask_threshold=127 -P split=path/to/a.csv -P image_size=64",
        ),
        ({"data_options": ""}, ""),
        ({"precision": "bf16"}, " -P precision=bf16"),
    ],
)
def test_the_command_names_what_is_not_usual(changed: dict[str, Any], words: str) -> None:
    assert command("losses", tidy([RUN | changed])) == f"mlflow run . -e losses -P data=path/to/cells{words}"


def test_before_a_study_was_run_the_command_asks_for_a_folder() -> None:
    assert command("losses", tidy([])) == "mlflow run . -e losses -P data=FOLDER"


def test_studies_that_took_over_each_others_winners_are_one_command() -> None:
    rows = [
        RUN | {"study": name, "baseline": "measured", "seed": seed} for name in ("losses", "dropout") for seed in (0, 1)
    ]
    assert commands(tidy(rows)) == ["mlflow run . -P data=path/to/cells -P seeds=2"]
    assert len(commands(tidy([row | {"baseline": "report"} for row in rows]))) == 2


def test_a_share_of_the_report_s_epochs_is_given_as_a_share() -> None:
    """A quarter: of learning_rate's 50, of 200, and twice that where training twice as long is what is asked."""
    epochs = {"learning_rate": (12,), "losses": (50,), "extensions": (50, 100)}
    rows = [
        RUN | {"study": name, "epochs": number, "baseline": "measured", "rates": "shared"}
        for name, numbers in epochs.items()
        for number in numbers
    ]
    assert command("", tidy(rows)) == "mlflow run . -P data=path/to/cells -P epochs=25%"


def test_where_less_data_is_trained_longer_the_share_repeats_it_and_a_number_would_not() -> None:
    by_percent = ((20, 75), (40, 50), (80, 50))
    rows = [
        RUN | {"study": "schedulers_by_data", "epochs": epochs, "train_percent": percent, "baseline": "measured"}
        for percent, epochs in by_percent
    ]
    assert " -P epochs=25%" in command("schedulers_by_data", tidy(rows))
    assert " -P epochs=50" in command("schedulers_by_data", tidy(rows[1:]))


def test_provenance_names_every_value_and_leaves_out_what_is_unknown() -> None:
    rows = [RUN | {"run_id": "a", "device": "cpu"}, RUN | {"run_id": "b", "device": "cuda:0", "seed": 1}]
    rows += [RUN | {"run_id": "c", "trained_run_id": "a", "started": "2026-05-05T01:02:03"}]
    facts = provenance(tidy([fields | {"data_digest": "a"} for fields in rows]), {"a": 107})
    assert (facts["device"], facts["seeds"], facts["images"]) == ("cpu, cuda:0", "0, 1", "107")
    assert facts["trials"] == "3 trials in 1 study, 2 of them trained and the rest reused"
    assert facts["trained or reused"] == "2026-05-04T12:00:00 to 2026-05-05T01:02:03 UTC"
    assert "torch" not in facts
    assert provenance(tidy([]), {}) == {}


def test_several_folds_are_one_loop_of_the_shell() -> None:
    rows = [RUN | {"fold": fold, "seed": seed} for fold in (1, 0) for seed in (0, 1)]
    said = "for fold in 0 1; do mlflow run . -e losses -P data=path/to/cells -P fold=$fold -P seeds=2; done"
    assert command("losses", tidy(rows)) == said


def test_each_data_set_has_a_provenance_of_its_own() -> None:
    rows = [RUN | {"run_id": "a", "data_digest": "aa"}, RUN | {"run_id": "b", "data_digest": "aa", "fold": 3}]
    rows += [RUN | {"run_id": "c", "data_digest": "bb", "data": "nuclei", "seed": 7}]
    cells, nuclei = provenance_by_set(tidy(rows), {"aa": 40, "bb": 36})
    assert (cells["digest of the data"], cells["folds"], cells["images"]) == ("aa", "0, 3", "40")
    assert (nuclei["data"], nuclei["folds"], nuclei["seeds"]) == ("nuclei", "0", "7")
    facts = provenance(tidy(rows), {"aa": 40, "bb": 36}, ["losses, fold 4: a study run with epochs=3"])
    assert (facts["data"], facts["images"]) == ("cells, nuclei", "40 + 36")
    assert facts["left out"] == "losses, fold 4: a study run with epochs=3"
    assert "path/to/cells -P fold=$fold; done; mlflow run . -e losses -P data=path/to/nuclei" in facts["command"]
