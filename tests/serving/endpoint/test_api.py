"""Every endpoint over the promoted model: what it answers, what it refuses, and that it never falls over."""

import io
import json
import random
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import schemathesis
from chain import Chain, make_chain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served import encode, make_image
from starlette.testclient import TestClient

from serving.endpoint.answers import Serving, card_of
from serving.endpoint.api import make_app, safe_stem
from serving.endpoint.fields import MAX_FILES
from serving.inference.segmenter import Segmenter
from training.data.images import Pixels

pytestmark = pytest.mark.slow

IMAGE = encode(make_image(90, 60, 3), ".png")
DESCRIBED = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    chain: Chain = make_chain(tmp_path_factory)
    (folder,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    segmenter = Segmenter(folder)
    return Serving(segmenter, card_of(folder, segmenter))


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[TestClient]:
    with TestClient(make_app(lambda: serving), raise_server_exceptions=False) as client:
        yield client


def ask(client: Any, path: str = "/segment", data: bytes = IMAGE, **fields: object) -> Any:
    return client.post(path, files={"image": ("a.png", data)}, data={key: str(value) for key, value in fields.items()})


def pixels(response: Any) -> Pixels:
    assert response.status_code == 200, response.text
    return cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_mask_is_a_png_of_one_bit_a_pixel(client: TestClient) -> None:
    response = ask(client)
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.mode, image.size) == ("1", (60, 90))
    assert response.headers["content-type"] == "image/png"


def test_probability_threshold_and_mask_belong_together(client: TestClient, serving: Serving) -> None:
    probability = pixels(ask(client, output="probability")) / 255
    middle = float(np.quantile(probability, 0.7))
    mask = pixels(ask(client, threshold=middle)) > 0
    clear = np.abs(probability - middle) > 1 / 255
    assert np.array_equal(mask[clear], (probability > middle)[clear])
    assert pixels(ask(client, threshold=1)).sum() == 0


def test_an_overlay_is_the_image_tinted_where_the_mask_is(client: TestClient) -> None:
    level = float(np.quantile(pixels(ask(client, output="probability")) / 255, 0.7))
    overlay, mask = pixels(ask(client, output="overlay", threshold=level)), pixels(ask(client, threshold=level)) > 0
    image = cv2.imdecode(np.frombuffer(IMAGE, np.uint8), cv2.IMREAD_COLOR)
    untouched = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) == 0
    assert np.array_equal(overlay[untouched], image[untouched])
    assert (overlay[mask] != image[mask]).any(axis=1).mean() > 0.95


def test_objects_are_those_of_the_mask_in_both_formats(client: TestClient) -> None:
    mask = pixels(ask(client, min_size=5)) > 0
    geojson, coco = (ask(client, "/objects", format=name, min_size=5).json() for name in ("geojson", "coco"))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = sorted(int(area) for area in stats[1:, cv2.CC_STAT_AREA])
    assert sorted(feature["properties"]["area"] for feature in geojson["features"]) == areas
    assert sorted(annotation["area"] for annotation in coco["annotations"]) == areas
    assert (geojson["height"], geojson["width"]) == (90, 60)
    assert len(areas) == count - 1


def test_objects_that_touch_are_parted_on_request(client: TestClient) -> None:
    whole, parted = (pixels(ask(client, split=split)) > 0 for split in (False, True))
    assert parted.sum() <= whole.sum()
    assert not (parted & ~whole).any()
    found = [ask(client, "/objects", split=split).json()["features"] for split in (False, True)]
    assert len(found[1]) == cv2.connectedComponents(parted.astype(np.uint8), connectivity=8)[0] - 1 >= len(found[0])


def test_a_batch_is_a_zip_that_says_what_it_could_not_read(client: TestClient) -> None:
    files = [("images", ("a b/c.tif", IMAGE)), ("images", ("c.png", b"words")), ("images", ("../../c.png", IMAGE))]
    response = client.post("/segment_batch", files=files)
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.namelist() == ["001_c.png", "003_c.png", "errors.json"]
    assert archive.read("001_c.png") == ask(client).content
    assert list(json.loads(archive.read("errors.json"))) == ["002_c"]
    too_many = client.post("/segment_batch", files=[("images", ("a.png", b"x"))] * (MAX_FILES + 1))
    assert (too_many.status_code, too_many.json()["detail"]) == (400, "images: 65 files; at most 64 per request")


@pytest.mark.parametrize(("name", "stem"), [("../../etc/passwd", "passwd"), ("C:\\x\\a.png", "a"), ("", "image")])
def test_a_file_s_name_leads_nowhere(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def test_the_card_says_what_is_served(client: TestClient) -> None:
    card = client.get("/model").json()
    assert {
        "run_id",
        "trial",
        "data_digest",
        "val_dice",
        "test_dice",
        "test_dice_low",
        "threshold",
        "precision",
    } <= set(card)
    assert card["served_precision"] in ("int8", "bf16", "fp32")
    assert card["frame"]["image_size"] == 64


def test_the_page_asks_nobody_else(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "http" not in response.text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threshold": 7}, "threshold='7': Input should be less than or equal to 1"),
        ({"threshold": "nan"}, "threshold"),
        ({"min_size": -1}, "min_size='-1'"),
        ({"output": "jpeg"}, "output='jpeg'"),
        ({"tta": "perhaps"}, "tta='perhaps'"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(client: TestClient, fields: dict[str, Any], words: str) -> None:
    response = ask(client, **fields)
    assert response.status_code == 400
    assert words in response.json()["detail"]


def pillow(mode: str, suffix: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(make_image(40, 50, 3)).convert(mode).save(file, suffix, **options)
    return file.getvalue()


def bmp_bomb() -> bytes:
    bomb = bytearray(encode(np.zeros((1, 1, 1), np.uint8), ".bmp"))
    bomb[18:26] = (100_000).to_bytes(4, "little") * 2
    return bytes(bomb)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 415),
        (b"words", 415),
        (IMAGE[:300], 415),
        (b"\x89PNG\r\n\x1a\n", 415),
        (b"GIF89a", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (bmp_bomb(), 413),
        (pillow("CMYK", "jpeg"), 200),
        (pillow("RGBA", "png"), 200),
        (pillow("P", "gif"), 200),
        (pillow("1", "png"), 200),
        (pillow("RGB", "webp"), 200),
        (pillow("RGB", "tiff", compression="tiff_lzw"), 200),
        (pillow("F", "tiff"), 400),  # which number is white?
    ],
)
def test_any_file_is_answered_or_refused_with_a_reason(client: TestClient, data: bytes, status: int) -> None:
    response = ask(client, data=data)
    assert response.status_code == status
    if status != 200:
        assert "image" in response.json()["detail"]


@given(st.randoms(use_true_random=False), st.sampled_from([".png", ".jpg", ".bmp", ".tif", ".webp"]))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_never_break_the_service(client: TestClient, rng: random.Random, suffix: str) -> None:
    data = bytearray(encode(make_image(32, 24, 3), suffix))
    for _ in range(rng.randint(1, 12)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    response = ask(client, data=bytes(data))
    assert response.status_code in (200, 413, 415), response.text


def test_the_description_is_complete_and_nothing_it_allows_breaks_the_service(client: TestClient) -> None:
    """schemathesis makes up requests, allowed ones and others, from the service's own OpenAPI document."""
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/model",
        "/model.zip",
        "/segment",
        "/objects",
        "/segment_batch",
        "/jobs",
        "/jobs/{name}",
        "/jobs/{name}/result",
        "/info/",
        "/infer/wsi_v2/{model}",
    }
    for path in ("/segment", "/objects", "/segment_batch", "/jobs", "/infer/wsi_v2/{model}"):
        assert {"202" if path == "/jobs" else "200", "400", "401", "408", "413", "415", "429"} <= set(
            described["paths"][path]["post"]["responses"]
        )
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def nothing_breaks(case: Any) -> None:
            case.call_and_validate(checks=DESCRIBED)

        nothing_breaks()


def test_the_description_says_whether_a_token_is_wanted(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted() -> list[Any]:
        document = make_app(lambda: serving).openapi()
        schemes = document["components"].get("securitySchemes", {}).values()
        assert all((scheme["type"], scheme["scheme"]) == ("http", "bearer") for scheme in schemes)
        return [one.get("security") for operations in document["paths"].values() for one in operations.values()]

    monkeypatch.delenv("SEGMENT_TOKEN", raising=False)
    assert set(map(str, wanted())) == {"None"}
    monkeypatch.setenv("SEGMENT_TOKEN", "secret")
    assert set(map(str, wanted())) == {"[{'HTTPBearer': []}]"}, "of every endpoint"


def test_many_requests_at_once_get_the_answer_that_one_gets(client: TestClient) -> None:
    alone = ask(client).content
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(client), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {alone}


def test_a_model_that_is_replaced_answers_every_request_before_and_after(serving: Serving) -> None:
    """The current model is asked once per request, so none sees half of each."""
    current = [serving]
    other = Serving(serving.segmenter, {**serving.card, "version": "2"})
    with TestClient(make_app(lambda: current[0]), raise_server_exceptions=False) as client:
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.extend(client.get("/model").json()["version"] for _ in range(40)))
        thread.start()
        current[0] = other
        thread.join()
        assert set(seen) <= {"1", "2"}
        assert client.get("/model").json()["version"] == "2"


def test_what_the_readme_calls_is_there(client: TestClient) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for path in ("/segment", "/objects", "/segment_batch", "/model"):
        assert f"`{path}`" in readme or f"{path}`" in readme, path
