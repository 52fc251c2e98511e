"""Columns that curves add to the trials: of a common Dice, of the last epochs."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from claim_rows import row

from analysis.evidence import snapshot
from analysis.evidence.curve_scores import add_curve_scores
from analysis.evidence.evidence import nothing
from analysis.evidence.schema import tidy

DICES = {"fast": [0.5, 0.8, 0.7], "slow": [0.1, 0.2, 0.75], "never": [0.1, 0.2, 0.3]}


def scored() -> pd.DataFrame:
    trials = tidy([row("schedulers", max(dices), run_id=name, epochs=3) for name, dices in DICES.items()])
    rows = [(name, number, dice) for name, dices in DICES.items() for number, dice in enumerate(dices, start=1)]
    curves = pd.DataFrame(rows, columns=["run_id", "epoch", "val_dice"])
    return add_curve_scores(trials, curves).set_index("run_id")


def test_the_target_is_common_to_the_trials_of_a_study_and_who_never_reaches_it_took_all_epochs() -> None:
    assert scored()["epochs_to_target"].to_dict() == {"fast": 2, "slow": 3, "never": 3}


def test_the_target_is_common_to_folders_of_the_same_images_that_are_shown_together(tmp_path: Path) -> None:
    """0.4 is all that fold 1 comes to and far from what fold 0 does; by itself fold 1 is there in its first epoch."""
    for fold, dices in enumerate(([0.5, 0.8, 0.7], [0.4, 0.4, 0.3])):
        name = f"fold_{fold}"
        trials = tidy([row("schedulers", max(dices), run_id=name, parent_run_id=name, fold=fold, epochs=3)])
        curves = pd.DataFrame({"run_id": name, "epoch": [1, 2, 3], "val_dice": dices})
        snapshot.write_files(tmp_path / name, replace(nothing(), trials=trials, curves=curves), [])
    found = snapshot.from_folders([tmp_path / "fold_0", tmp_path / "fold_1"], "").trials.set_index("run_id")
    assert found["epochs_to_target"].to_dict() == {"fold_0": 2, "fold_1": 3}


def test_epochs_that_a_table_holds_twice_count_once(tmp_path: Path) -> None:
    trials = tidy([row("schedulers", 0.8, run_id="one", epochs=3)])
    curves = pd.DataFrame({"run_id": "one", "epoch": [1, 2, 3], "val_dice": [0.5, 0.8, 0.7]})
    snapshot.write_files(tmp_path, replace(nothing(), trials=trials, curves=pd.concat([curves, curves])), [])
    (found,) = snapshot.from_files(tmp_path, "").trials.to_dict("records")
    assert (found["val_dice_roughness"], found["epochs_to_target"]) == (pytest.approx(0.2), 2)


def test_a_fall_from_the_best_epoch_shows_in_the_last_ones_only() -> None:
    found = scored()
    assert found["fall_from_best"].to_dict() == pytest.approx({"fast": 0.1, "slow": 0.0, "never": 0.0})
    assert found["last_val_dice"].to_dict() == pytest.approx({"fast": 0.7, "slow": 0.75, "never": 0.3})


def test_what_was_published_has_no_curve() -> None:
    trials = tidy([row("schedulers", 0.5)])
    assert add_curve_scores(trials, pd.DataFrame(columns=["run_id", "epoch", "val_dice"])) is trials
