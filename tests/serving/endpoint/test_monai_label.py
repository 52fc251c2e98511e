"""What QuPath's MONAI Label extension sends, byte for byte, and what it reads of the answers.

Written down from the public source of extension 0.3.1 (released with MONAI Label 0.6.0), which lies in
github.com/Project-MONAI/MONAILabel under plugins/qupath/src/main/java/qupath/lib/extension/monailabel: the requests of
MonaiLabelClient.java (commit 38c19d37) and RequestUtils.java (b876c3a2), the reading of commands/RunInference.java
(21c9f52a).
"""

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from chain import Chain
from served import encode, make_touching
from starlette.testclient import TestClient

from serving.endpoint.monai_label import to_asap
from serving.endpoint.objects import find_objects, to_geojson
from serving.service import Segmentation

pytestmark = pytest.mark.slow

REQUEST = {  # RequestInfer, as Gson writes it when the server does not have the image
    "level": 0,
    "location": [0, 0],
    "size": [0, 0],
    "tile_size": [1024, 1024],
    "min_poly_area": 30,
    "params": {"foreground": [], "background": [], "max_workers": 1},
}
REGION = encode(make_touching(), ".png")
BOUNDARY = "224135217304158913726834172530485963215"  # a random number of 128 bits


@pytest.fixture(scope="module")
def client(chain: Chain) -> Iterator[TestClient]:
    """The BentoML service, which has a router of its own before the endpoints; java.net.http follows no redirect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(chain.bentoml_home))
        with TestClient(Segmentation.to_asgi(), follow_redirects=False) as client:  # type: ignore[attr-defined]
            yield client


def infer(client: Any, data: bytes, model: str = "unet", address: str = "output=asap", **changed: object) -> Any:
    """MonaiLabelClient.infer with the bytes of RequestUtils.MultipartData: files first, no newline in the end."""
    lines = [
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="file"; filename="patch8264153187.png"',
        "Content-Type: image/png",
        "",
        "<data>",
        f"--{BOUNDARY}",
        'Content-Disposition: form-data; name="wsi"',
        "",
        json.dumps({**REQUEST, **changed}, separators=(",", ":")),
        f"--{BOUNDARY}--",
    ]
    body = "\r\n".join(lines).encode().replace(b"<data>", data)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return client.post(f"/infer/wsi_v2/{model}?{address}", content=body, headers=headers)


def read_annotations(content: bytes) -> list[tuple[str, list[tuple[float, float]]]]:
    """Class and outline of each, as RunInference.updateAnnotations makes them: every child is one, with all its
    children that have attributes."""
    return [
        (one.attrib["Name"], [(float(point.attrib["X"]), float(point.attrib["Y"])) for point in coordinates])
        for one in ElementTree.fromstring(content).iter("Annotation")
        for coordinates in one
    ]


def outlines(found: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """The first ring of each polygon of POST /objects, not closed."""
    polygons = [polygon for one in found["features"] for polygon in one["geometry"]["coordinates"]]
    return [[(x, y) for x, y in polygon[0][:-1]] for polygon in polygons]


def test_the_extension_can_list_the_models(client: TestClient) -> None:
    """As MonaiLabelClient.ResponseInfo, which Gson fills; every command asks for it first."""
    response = client.get("/info/")
    assert response.status_code == 200
    info = response.json()
    assert list(info["models"]) == ["unet", "unet_split"]
    for model in info["models"].values():
        assert model["type"] == "segmentation", "SegmentationTool offers no others"
        assert model["labels"] == {"foreground": 1}
        assert isinstance(model["dimension"], int)
    assert (info["strategies"], info["trainers"]) == ({}, {}), "NextSample and RunTraining ask for their keys"
    assert all(isinstance(info[name], str) for name in ("name", "version"))


def test_the_extension_is_told_that_its_image_is_not_here_and_so_sends_the_region(client: TestClient) -> None:
    assert client.head("/datastore/image?image=slide+1").status_code == 404
    assert client.get("/auth/").status_code == 404, "whether to log in, asked by later builds: any error means no"


@pytest.mark.parametrize(("model", "split"), [("unet", "false"), ("unet_split", "true")])
def test_a_region_is_answered_with_the_outlines_of_its_objects(client: TestClient, model: str, split: str) -> None:
    response = infer(client, REGION, model)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/xml"
    assert "network;dur=" in response.headers["server-timing"]
    annotations = read_annotations(response.content)
    objects = client.post("/objects", files={"image": REGION}, data={"split": split, "min_size": 30}).json()
    assert [outline for _, outline in annotations] == outlines(objects)
    assert {name for name, _ in annotations} == {"foreground"}


def test_touching_objects_are_parted_by_the_second_model_alone(client: TestClient) -> None:
    together, apart = (read_annotations(infer(client, REGION, model).content) for model in ("unet", "unet_split"))
    assert 1 == len(together) < len(apart)


def test_objects_below_the_extensions_smallest_area_are_dropped(client: TestClient) -> None:
    assert read_annotations(infer(client, REGION, min_poly_area=64 * 64 + 1).content) == []


def test_a_hole_is_no_object_of_its_own() -> None:
    ring = cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), 12, 1, 4)
    found = to_geojson(find_objects(ring, ring.astype(np.float32)), 40, 40)
    assert [len(polygon) for polygon in found["features"][0]["geometry"]["coordinates"]] == [2], "outline and hole"
    ((_, outline),) = read_annotations(to_asap(json.dumps(found).encode()))
    assert cv2.contourArea(np.array(outline, np.float32)) > ring.sum()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "deepedit"}, "model='deepedit': Input should be 'unet' or 'unet_split'"),
        ({"address": "output=dsa"}, "output='dsa': Input should be 'asap'"),
        ({"address": "output=asap&image=slide"}, "image='slide': there is no such field"),
        ({"size": [512, 512]}, "wsi.size.0='512': Input should be 0; the file is the region"),
        ({"min_poly_area": "many"}, "wsi.min_poly_area='many': Input should be a valid integer"),
    ],
)
def test_what_is_not_served_is_refused_by_name(client: TestClient, wrong: dict[str, Any], words: str) -> None:
    response = infer(client, REGION, **wrong)
    assert response.status_code == 400
    assert response.json()["detail"].startswith(words)


def test_a_file_that_is_no_image_is_refused_as_everywhere(client: TestClient) -> None:
    response = infer(client, b"these are words")
    assert response.status_code == 415
    assert response.json()["detail"].startswith("file: this is no image that can be read")


def test_its_requests_are_counted_by_name(client: TestClient) -> None:
    infer(client, REGION)
    metrics = client.get("/metrics").text
    assert 'segment_requests_total{endpoint="/infer/wsi_v2/unet",status="200"}' in metrics
    assert 'segment_seconds_count{endpoint="infer"}' in metrics
