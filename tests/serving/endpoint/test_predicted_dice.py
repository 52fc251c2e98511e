"""confidence=true: how well a mask is likely to fit, in a header and in a batch; and why not, where nobody knows."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from served import asking, encode, make_image, make_serving, post
from starlette.testclient import TestClient

from serving.endpoint.answers import Serving
from serving.inference.ensemble import dice_of

pytestmark = pytest.mark.slow

IMAGE = encode(make_image(90, 60, 3), ".png")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    return make_serving(tmp_path_factory)


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[TestClient]:
    with asking(serving) as client:
        yield client


def test_the_predicted_dice_is_the_agreement_of_the_masks_of_all_networks_calibrated(
    client: TestClient, serving: Serving
) -> None:
    response, plain = post(client, IMAGE, confidence=True), post(client, IMAGE)
    assert response.content == plain.content, "the mask is the champion's alone"
    assert "predicted-dice" not in plain.headers
    mask = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED) > 0
    assert serving.ensemble is not None
    (other,) = serving.ensemble.others
    with asking(replace(serving, segmenter=other, ensemble=None)) as second:
        other_mask = cv2.imdecode(np.frombuffer(post(second, IMAGE).content, np.uint8), cv2.IMREAD_UNCHANGED) > 0
    calibration = serving.ensemble.calibration
    expected = min(1, calibration.dice_per_agreement * dice_of(mask, other_mask))
    assert float(response.headers["predicted-dice"]) == pytest.approx(expected, abs=1e-3)
    assert expected > 0
    assert asdict(calibration) == client.get("/model").json()["confidence"]["calibration"]


def test_of_a_mask_that_covers_less_or_more_than_masks_do_nothing_is_told(serving: Serving) -> None:
    assert serving.ensemble is not None
    nothing = replace(serving.ensemble.calibration, min_share=1.0, max_share=1.0)
    with asking(replace(serving, ensemble=replace(serving.ensemble, calibration=nothing))) as client:
        assert post(client, IMAGE, confidence=True).headers["predicted-dice"] == "nan"
        archive = zipfile.ZipFile(io.BytesIO(post(client, IMAGE, "/segment_batch", confidence=True).content))
        assert json.loads(archive.read("predicted_dice.json")) == {"001_a": None}


def test_objects_and_batches_say_it_too_and_jobs_have_no_such_field(client: TestClient) -> None:
    said = post(client, IMAGE, confidence=True).headers["predicted-dice"]
    assert post(client, IMAGE, "/objects", confidence=True, min_size=5).headers["predicted-dice"] == said
    batch = post(client, IMAGE, "/segment_batch", name="a.png", confidence=True)
    archive = zipfile.ZipFile(io.BytesIO(batch.content))
    assert json.loads(archive.read("predicted_dice.json")) == {"001_a": float(said)}
    job = post(client, IMAGE, "/jobs", confidence=True)
    assert job.status_code == 400
    assert "confidence='True': there is no such field" in job.json()["detail"]


@pytest.mark.parametrize(
    ("options", "words"), [({"tta": True}, "with tta='true'"), ({"threshold": 0.4}, "with threshold='0.4'")]
)
def test_it_is_told_only_of_the_masks_that_it_was_calibrated_for(
    client: TestClient, options: dict[str, object], words: str
) -> None:
    response = post(client, IMAGE, confidence=True, **options)
    assert response.status_code == 400
    assert words in response.json()["detail"]
    assert "the model's own threshold, 0.5" in response.json()["detail"]
    assert post(client, IMAGE, confidence=True, threshold=0.5).status_code == 200


@pytest.mark.parametrize(
    ("known", "words"), [({"confidence": "no other seed; seeds=3"}, "seeds=3"), ({}, "an earlier version promoted")]
)
def test_a_model_without_other_networks_is_served_and_says_why_it_cannot_tell(
    serving: Serving, known: dict[str, str], words: str
) -> None:
    card = {key: value for key, value in serving.card.items() if key != "confidence"} | known
    with asking(replace(serving, card=card, ensemble=None)) as client:
        assert post(client, IMAGE).status_code == 200
        for path in ("/segment", "/objects", "/segment_batch"):
            response = post(client, IMAGE, path, confidence=True)
            assert response.status_code == 400
            assert "how well a mask fits cannot be told" in response.json()["detail"]
            assert words in response.json()["detail"]
