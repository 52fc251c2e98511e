"""A setting that was broken on purpose, really trained: its learning rate is a hundred times too high."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import make_tables
from made_up import experiment, make_experiment

from analysis.claims.claims import check_claims
from analysis.claims.comparisons import compare_with_reference
from analysis.claims.selection import highest_dice
from analysis.evidence import evidence
from analysis.evidence.failures import mark_collapsed
from analysis.evidence.schema import load_published, tidy
from analysis.page.tables import compare
from training.data.reading import load_folder
from training.data.split import Split
from training.network.batches import DeviceSet
from training.network.engine import Diverged, begin, make_model, train
from training.study.studies import STUDIES
from training.study.trial import Trial
from training.tracking.runs import begin_run, end_run
from training.tracking.store import connect
from training.tracking.trial_run import TrialRun

pytestmark = pytest.mark.slow

STUDY = STUDIES["augmentation"]
SETTLED = Trial(loss="switching", optimizer="sgd", lr=0.1, epochs=4, image_size=64)
BROKEN = SETTLED.replace(augment="train", lr=100 * SETTLED.lr)


@pytest.fixture(scope="module")
def trials(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Two sound and two broken trials of one study, trained, logged and read back."""
    folder = tmp_path_factory.mktemp("broken")
    images, split = load_folder(discs, 64), Split(train=tuple(range(16)), val=tuple(range(16, 20)), test=())
    on_device = DeviceSet.on(torch.device("cpu"), images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        make_tables(folder / "mlflow.db")
        make_experiment(folder)
        client, tags = connect(), {"study": STUDY.name, "data_digest": "discs", "data": "discs"}
        parent = begin_run(client, experiment(), STUDY.name, tags | {"role": "study"})
        for trial in (setting.replace(seed=seed) for setting in (SETTLED, BROKEN) for seed in (0, 1)):
            run, reason = TrialRun(client, experiment(), "trial", trial, tags, parent), ""
            model = make_model(trial, images.channels, torch.device("cpu"))
            try:
                for epoch in train(begin(model, trial), on_device, split):
                    run.log(epoch)
            except Diverged as error:
                reason = str(error)
            run.finish(model, {}, 1.0, reason, (), [])
        end_run(client, parent)
        return evidence.from_store("discs", "").trials


def test_both_broken_trials_are_flagged_and_no_sound_one(trials: pd.DataFrame) -> None:
    failed = trials["collapsed"] | trials["diverged"]
    assert list(failed) == list(trials["lr"] > 1), trials[["lr", "val_dice", "collapsed", "diverged"]]


def test_wherever_the_arm_is_averaged_the_failures_are_told(trials: pd.DataFrame) -> None:
    table = compare(STUDY, load_published(), trials).set_index("augment")
    assert table.loc["train", ["collapsed", "diverged"]].sum() == 2
    assert table.loc["none", ["collapsed", "diverged"]].sum() == 0
    assert list(compare_with_reference(STUDY, trials)["failed"]) == [2]
    caveats = check_claims(trials)["augmentation.1"].caveats
    assert any("collapsed: no better than" in caveat or "diverged, and count" in caveat for caveat in caveats)


def test_the_broken_setting_is_never_chosen(trials: pd.DataFrame) -> None:
    chosen = highest_dice(trials)
    assert chosen is not None
    assert chosen["lr"] == SETTLED.lr
    assert highest_dice(trials[trials["lr"] > 1]) is None


def test_the_floor_is_the_dice_of_an_all_foreground_mask() -> None:
    """A fifth of the pixels is foreground: such a mask has Dice 2 * 0.2 / 1.2, a third; a tenth further on is 0.4."""
    dices = enumerate((0.9, 0.39, 0.41))
    trials = tidy([{"run_id": str(k), "parent_run_id": "p", "val_dice": dice} for k, dice in dices])
    epochs = [("0", 0.9, 0.9, 20.0), ("1", 0.2, 1.0, 100.0), ("2", 0.0, 0.0, 0.1)]
    curves = pd.DataFrame(epochs, columns=["run_id", "val_precision", "val_recall", "val_predicted_percent"])
    assert list(mark_collapsed(trials, curves)["collapsed"]) == [False, True, False]
    assert mark_collapsed(trials, curves[["run_id"]]) is trials, "epochs that do not say"
