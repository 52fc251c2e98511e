"""A real study, a real promotion, real stores in a temporary folder."""

import json
import shutil
import zipfile
from pathlib import Path
from statistics import fmean

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from chain import Chain
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow_runs import made_by_mlflow

from serving import promote
from serving.inference.network import PRECISIONS
from serving.promotion import export
from serving.promotion.export import TOLERANCE, Difference, compare
from serving.promotion.precision import predict_served
from serving.promotion.promotion import TEST_IMAGES, WORST_IMAGES
from serving.promotion.ranking import score
from training.data.pictures import cut_predictions
from training.data.reading import load_folder
from training.network.engine import predict

pytestmark = pytest.mark.slow


@pytest.fixture
def in_chain(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """This process works on the chain's store."""
    monkeypatch.chdir(chain.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", chain.uri)
    return chain


def test_every_test_image_has_its_dice_and_the_worst_a_picture(chain: Chain, tmp_path: Path) -> None:
    (promotion,) = promotions(chain)
    kept = {
        name: chain.client.download_artifacts(promotion.info.run_id, name, str(tmp_path))
        for name in (TEST_IMAGES, WORST_IMAGES)
    }
    dice = pd.read_csv(kept["test_images.csv"], dtype={"image": "str"})
    assert list(dice) == ["image", "dice", "false_alarm", "hd95", "nsd", "object_f1"]
    tags = chain.champion.tags
    assert len(dice) == int(tags["test_images"])
    assert dice["dice"].mean() == pytest.approx(float(tags["test_dice"]), abs=1e-6)
    assert dice["dice"].is_monotonic_increasing, "the worst first"
    assert dice["false_alarm"].isna().all(), "all have foreground"
    assert (tags["test_foreground_images"], tags["test_empty_images"]) == (tags["test_images"], "0")
    assert (tags["test_dice_low"], tags["test_units"], tags["test_unit"]) == ("nan", "2", "image"), "two say too little"
    assert dice["hd95"].mean() == pytest.approx(float(tags["test_hd95"]))
    assert len(cut_predictions(cv2.imread(kept["test_images_worst.png"]))) == min(4, len(dice))


def trials(chain: Chain) -> list[Run]:
    experiment = chain.client.get_experiment_by_name("unet-studies")
    return chain.client.search_runs([experiment.experiment_id], "tags.role = 'trial'")


def promotions(chain: Chain) -> list[Run]:
    experiment = chain.client.get_experiment_by_name("unet-studies")
    return chain.client.search_runs([experiment.experiment_id], "tags.role = 'promote'")


def test_champion_is_the_best_trial_of_the_eligible_configuration_with_the_best_mean_validation_dice(
    chain: Chain,
) -> None:
    cells: dict[str, list[Run]] = {}
    for run in trials(chain):
        if run.data.params["augment"] != "both":
            cells.setdefault(run.data.params["augment"], []).append(run)
    winning = max(cells.values(), key=lambda runs: fmean(score(run) for run in runs))
    best = max(winning, key=score)
    assert chain.champion.tags["run_id"] == best.info.run_id
    assert float(chain.champion.tags["val_dice"]) == best.data.metrics["own_val_dice"]
    framed = pytest.approx(best.data.metrics["best_val_dice"], abs=1e-6)
    assert best.data.metrics["own_val_dice"] == framed, "images of 64 pixels are trained at 64 pixels"


def test_version_tells_scores_data_and_preprocessing(chain: Chain) -> None:
    tags = chain.champion.tags
    assert (tags["data"], tags["image_size"], tags["channels"], tags["test_images"]) == ("circles", "64", "1", "2")
    assert all(0 <= float(tags[name]) <= 1 for name in ("test_dice", "test_global_dice", "test_iou"))
    assert float(tags["otsu_dice"]) > 0.95  # the discs are bright: a threshold finds them
    assert float(tags["test_dice_ceiling"]) == 1, "images of 64 pixels lose nothing at 64 pixels"
    assert float(tags["test_dice"]) == pytest.approx(float(tags["test_dice_at_image_size"]), abs=1e-6)
    assert "## Use and limits" in chain.champion.description
    assert "Otsu's threshold" in chain.output
    assert "version 1" in chain.output
    assert (tags["chosen_by"], tags["test_reads"]) == ("winner", "1")
    assert "the test images were read for the first time" in chain.output
    otsu, other = json.loads(tags["comparisons"])
    is_settled = other["differs"] == "augment=none"  # what the study started from is the next best, too
    assert (otsu["name"], other["name"]) == ("otsu", "incumbent" if is_settled else "runner_up")
    assert otsu["gain"] == pytest.approx(float(tags["test_dice"]) - float(tags["otsu_dice"]), abs=1e-6)
    assert other["differs"].startswith("augment="), "all that the study varies"
    assert other["run_id"] != tags["run_id"]


def test_promotion_is_a_finished_run_beside_the_studies(chain: Chain) -> None:
    run = promotions(chain)[-1]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "promote"
    assert run.data.tags["model_version"] == "1"
    assert max(run.data.metrics["onnx_difference"], run.data.metrics["pt2_difference"]) <= TOLERANCE


def test_both_exports_agree_with_the_trained_model_at_sizes_they_were_not_exported_at(
    in_chain: Chain, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(in_chain.uri)
    model = in_chain.model(tmp_path)
    artifacts = Path(mlflow.artifacts.download_artifacts("models:/unet@champion", dst_path=str(tmp_path / "champion")))
    logged = mlflow.pytorch.load_model("models:/unet@champion")
    generator = torch.Generator().manual_seed(0)
    for shape in ((1, 1, 64, 64), (3, 1, 96, 160)):
        images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        eager = predict(model, images, "fp32")
        onnx = predict_served(artifacts / "extra_files", "fp32", images)
        pt2 = export.predict_module(logged, images)
        assert compare(eager, onnx).tolerable
        assert compare(eager, pt2).tolerable
        assert onnx.shape == eager.shape


def test_no_weights_are_pickled_in_the_registered_version_or_in_the_store(in_chain: Chain, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(in_chain.uri)
    artifacts = Path(mlflow.artifacts.download_artifacts("models:/unet@champion", dst_path=str(tmp_path)))
    files = [path for root in (artifacts, in_chain.bentoml_home / "models") for path in root.rglob("*")]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pth", ".pt", ".joblib")]
    with zipfile.ZipFile(artifacts / "data" / "model.pt2") as archive:
        config = next(name for name in archive.namelist() if name.endswith("model_weights_config.json"))
        weights = json.loads(archive.read(config))["config"]
    assert weights
    assert not any(weight["use_pickle"] for weight in weights.values())


def test_store_holds_the_onnx_file_and_what_a_caller_must_know(chain: Chain) -> None:
    (folder,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    facts = json.loads((folder / "preprocessing.json").read_text())
    assert facts["frame"] == {"fit": "resize", "image_size": 64, "height": 64, "width": 64}
    assert (facts["channels"], facts["threshold"], facts["image_max"]) == (1, 0.5, 0)
    assert (folder / "model.onnx").is_file()
    card = json.loads((folder / "card.json").read_text())
    assert card["precision"] == facts["precision"] in PRECISIONS
    assert card["version"] == "1"
    assert card["trial"]["image_size"] == 64
    assert card["test_dice"] == pytest.approx(float(chain.champion.tags["test_dice"]))
    assert (folder / "model_int8.xml").exists() == (card["precision"] == "int8")


def test_without_runs_promotion_stops_with_the_cure_and_leaves_no_alias(
    chain: Chain, new_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(new_store)
    assert promote.main(["--data", str(chain.data)]) == 2
    assert "run a study first, such as `mlflow run . -e optimizers" in capsys.readouterr().err
    with pytest.raises(MlflowException):
        MlflowClient().get_model_version_by_alias("unet", "champion")


def test_changed_images_are_not_the_ones_that_were_trained_on(
    in_chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = shutil.copytree(in_chain.data, tmp_path / "circles")
    cv2.imwrite(str(changed / "images" / "00.png"), np.zeros((64, 64), np.uint8))
    assert promote.main(["--data", str(changed)]) == 2
    assert f"this folder has {load_folder(changed, 64).digest}" in capsys.readouterr().err


def test_alias_stays_when_an_export_differs(
    in_chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_chain.champion.version
    monkeypatch.setattr(export, "TOLERANCE", -1.0)  # nothing agrees that well
    assert promote.main(["--data", str(in_chain.data)]) == 1
    error = capsys.readouterr().err
    assert "largest difference of a probability" in error
    assert "champion stays where it was" in error
    assert in_chain.champion.version == before
    assert len(in_chain.client.search_model_versions("name = 'unet'")) == 1
    assert promotions(in_chain)[0].info.status == "FAILED"


def test_weights_that_the_trial_did_not_write_are_not_read(
    in_chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_chain.champion.version
    run_id = in_chain.champion.tags["run_id"]
    (weights,) = in_chain.folder.glob(f"mlruns/**/{run_id}/artifacts/model/model.safetensors")
    shutil.copy(weights, tmp_path)
    try:
        damaged = bytearray(weights.read_bytes())
        damaged[-1] ^= 1
        weights.write_bytes(damaged)
        assert promote.main(["--data", str(in_chain.data)]) == 2
    finally:
        shutil.copy(tmp_path / weights.name, weights)
    assert "model/model.safetensors is not the file that the trial wrote" in capsys.readouterr().err
    assert in_chain.champion.version == before


def test_a_model_is_in_the_store_only_when_the_alias_names_it(in_chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    before, stored = in_chain.champion.version, set((in_chain.bentoml_home / "models" / "unet").iterdir())

    def fail(*arguments: object) -> None:
        raise MlflowException("the store is gone")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", fail)
    with pytest.raises(MlflowException, match="the store is gone"):
        promote.main(["--data", str(in_chain.data)])
    assert in_chain.champion.version == before
    assert set((in_chain.bentoml_home / "models" / "unet").iterdir()) == stored


@pytest.mark.parametrize("role", ["", "main"])
def test_run_that_mlflow_made_is_discarded_only_while_it_is_empty(
    role: str, in_chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = in_chain.client.get_experiment_by_name("unet-studies")
    run_id = made_by_mlflow("promote", experiment.experiment_id, data="nowhere")
    if role:
        in_chain.client.set_tag(run_id, "role", role)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert promote.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert in_chain.client.get_run(run_id).info.lifecycle_stage == ("active" if role else "deleted")


def test_pixel_near_one_half_may_fall_on_either_side_but_a_clear_one_may_not() -> None:
    eager = torch.tensor([0.5 + TOLERANCE / 4, 0.9]).reshape(1, 1, 1, 2)
    near = torch.tensor([0.5 - TOLERANCE / 4, 0.9]).reshape(1, 1, 1, 2)
    far = torch.tensor([0.5 + TOLERANCE / 4, 0.4]).reshape(1, 1, 1, 2)
    assert compare(eager, near).flipped == 0
    assert compare(eager, near).tolerable
    assert compare(eager, far).flipped == 1
    assert not compare(eager, far).tolerable
    assert not Difference(largest=float("nan"), flipped=0).tolerable
