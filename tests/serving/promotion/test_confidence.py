"""Which other networks a promotion takes, what their agreement is found to be worth, and where nothing can be said."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from chain import Chain
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from served import asking, make_serving, post

from serving.inference.ensemble import Calibration
from serving.inference.segmenter import Segmenter
from serving.promotion.candidate import Candidate, find_candidate
from serving.promotion.confidence import (
    Confidence,
    assess_confidence,
    calibrate,
    describe_confidence,
    find_seeds,
    rank_correlation,
)
from serving.promotion.promotion import TEST_IMAGES
from training.data.originals import find_originals
from training.tracking.runs import read_json

KNOWN = Confidence(
    networks=3, val_images=8, test_images=9, untold=2, error=0.02, trivial_error=0.03,
    calibration=Calibration(dice_per_agreement=0.9, min_share=0.005, max_share=0.6),
    gain_low=-0.01, gain_high=0.03, rank_correlation=0.5,
)  # fmt: skip


def test_the_calibration_is_the_line_through_the_origin_nearest_to_the_images() -> None:
    assert calibrate([0.5, 1.0], [0.45, 0.9]) == pytest.approx(0.9)
    assert calibrate([1.0, 1.0], [0.7, 0.9]) == pytest.approx(0.8), "between the two"
    assert calibrate([0.0, 0.0], [0.7, 0.9]) == 0, "networks that never agree say nothing of any Dice"


def test_the_rank_correlation_is_of_the_order_alone_and_takes_three_images_that_differ() -> None:
    assert rank_correlation([0.1, 0.2, 0.9], [0.5, 0.6, 0.7]) == pytest.approx(1)
    assert rank_correlation([0.9, 0.2, 0.1], [0.5, 0.6, 0.7]) == pytest.approx(-1)
    assert math.isnan(rank_correlation([0.1, 0.2], [0.5, 0.6]))
    assert math.isnan(rank_correlation([0.9, 0.9, 0.9], [0.5, 0.6, 0.7]))


def test_a_prediction_is_said_beside_that_of_who_always_says_the_mean() -> None:
    said = describe_confidence(KNOWN)
    assert "the agreement of 3 networks, calibrated on 8 validation images" in said
    assert "On 9 test images with foreground it is off by 0.020 on average" in said
    assert "the mean validation Dice, said of each, by 0.030 (-0.010 to +0.030 better, 95 %)" in said
    assert "not known to be better than the mean" in said
    assert "less than 0.5 % or more than 60.0 % of its image it says nothing (2 test images)" in said
    assert "not known" not in describe_confidence(replace(KNOWN, gain_low=0.001))
    unknown = describe_confidence(replace(KNOWN, gain_low=math.nan))
    assert "(no interval)" in unknown
    assert "not known to be better" in unknown


@pytest.fixture(scope="module")
def candidate(chain: Chain) -> Candidate:
    return find_candidate(chain.client, chain.data)


@pytest.fixture(scope="module")
def card(chain: Chain) -> dict[str, object]:
    (path,) = chain.bentoml_home.glob("models/unet/*/card.json")
    found: dict[str, object] = json.loads(path.read_text())["confidence"]
    return found


@pytest.mark.slow
def test_the_error_in_the_card_is_that_of_what_the_endpoint_answers_for_the_test_images(
    chain: Chain, card: dict[str, float], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    experiment = chain.client.get_run(chain.champion.run_id).info.experiment_id
    (promotion,) = chain.client.search_runs([experiment], "tags.model_version = '1'")
    true = pd.read_csv(
        chain.client.download_artifacts(promotion.info.run_id, TEST_IMAGES, str(tmp_path)), dtype={"image": "str"}
    ).set_index("image")["dice"]
    with asking(make_serving(tmp_path_factory)) as client:
        predicted = {
            stem: float(
                post(client, (chain.data / "images" / f"{stem}.png").read_bytes(), confidence=True).headers[
                    "predicted-dice"
                ]
            )
            for stem in true.index
        }
    errors = (pd.Series(predicted) - true).abs()
    assert (card["networks"], card["val_images"], card["test_images"]) == (2, 4, len(true))
    assert card["error"] == pytest.approx(errors.mean(), abs=1e-3)
    assert card["untold"] == 0
    assert promotion.data.metrics["test_confidence_error"] == pytest.approx(card["error"])
    assert f"it is off by {card['error']:.3f} on average" in chain.champion.description
    assert "confidence=true predicts the Dice of a mask from the agreement of 2 networks" in chain.output


def add_seed(client: MlflowClient, like: Run, seed: int, folder: Path | None, **changed: str) -> str:
    """A finished run as `like`, but for its seed and for what is changed: params, or the study that it is of."""
    parent = changed.pop("study", like.data.tags["mlflow.parentRunId"])
    tags = {**like.data.tags, "mlflow.parentRunId": parent}
    run_id = str(client.create_run(like.info.experiment_id, tags=tags).info.run_id)
    params = {**like.data.params, "seed": str(seed), **changed}
    metrics = [Metric(key, value, 0, 0) for key, value in like.data.metrics.items()]
    client.log_batch(run_id, metrics, [Param(key, value) for key, value in params.items()])
    if folder:
        client.log_artifacts(run_id, str(folder), "model")
    client.set_terminated(run_id)
    return run_id


@pytest.mark.slow
def test_the_other_networks_learned_from_the_same_images_under_other_seeds(
    chain: Chain, candidate: Candidate, tmp_path: Path
) -> None:
    client = chain.client
    like = client.get_run(candidate.run_id)
    (known,) = find_seeds(client, candidate)
    assert known.trial == candidate.trial.replace(seed=1 - candidate.trial.seed)
    weights = Path(client.download_artifacts(known.run_id, "model", str(tmp_path)))
    split = read_json(client, like.data.tags["mlflow.parentRunId"], "split.json")
    other_study = client.create_run(like.info.experiment_id, tags={"role": "study"}).info.run_id
    client.log_dict(other_study, split | {"val": split["test"], "test": split["val"]}, "split.json")
    good = add_seed(client, like, 2, weights)
    made = [
        good,
        add_seed(client, like, 3, weights, study=other_study),
        add_seed(client, like, 4, weights, fold="1"),
        add_seed(client, like, 5, weights, lr="0.5"),
        add_seed(client, like, 6, None),
        add_seed(client, like, candidate.trial.seed, weights),
    ]
    try:
        assert {seed.run_id for seed in find_seeds(client, candidate)} == {known.run_id, good}
    finally:
        for run_id in (*made, other_study):
            client.delete_run(run_id)


@pytest.mark.slow
def test_without_other_seeds_or_with_few_validation_images_the_reason_is_said_and_the_cure(
    chain: Chain, candidate: Candidate
) -> None:
    (folder,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    champion, originals = Segmenter(folder), find_originals(candidate.images, candidate.reading)
    alone = assess_confidence(candidate, originals, champion, [])
    assert isinstance(alone, str)
    assert "run its study with more seeds, such as seeds=3, and promote again" in alone
    assert describe_confidence(alone).startswith("How well a mask fits cannot be told (confidence=true): no other seed")
    few = assess_confidence(replace(candidate, val=candidate.val[:2]), originals, champion, [champion])
    assert isinstance(few, str)
    assert "2 validation images with foreground cannot calibrate it, which takes 3" in few
    assert "larger val_percent" in few
