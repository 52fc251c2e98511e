"""docs/segment_in_napari.py in napari, where that is installed: its layers, without a window, which needs OpenGL."""

import io
import runpy
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from served import encode, listening, make_image, make_serving, make_touching

from serving.endpoint.api import make_app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def napari() -> Any:
    return pytest.importorskip("napari", reason="napari is not installed: its script was not tried")


@pytest.fixture(scope="module")
def address(napari: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    current = make_serving(tmp_path_factory)
    with listening(make_app(lambda: current)) as url:
        yield url


@pytest.fixture(scope="module")
def segment(address: str) -> Iterator[Any]:
    """The script's function, as its button calls it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        patch.setenv("SEGMENT_URL", address)
        yield runpy.run_path(str(ROOT / "docs" / "segment_in_napari.py"))["segment"]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("image", [make_touching()[..., 0], make_image(40, 50, 3)])
def test_a_layer_s_objects_are_numbered_as_the_server_counts_them(
    napari: Any, segment: Any, address: str, image: np.ndarray, split: bool
) -> None:
    labels = segment(napari.layers.Image(image, name="cells", scale=(2, 3)), split=split)
    assert isinstance(labels, napari.layers.Labels)
    assert (labels.name, tuple(labels.scale)) == ("cells objects", (2, 3))
    asked: Any = {"files": {"image": encode(np.atleast_3d(image), ".png")}, "data": {"split": str(split)}}
    mask = np.asarray(Image.open(io.BytesIO(httpx.post(f"{address}/segment", **asked).content)))
    assert np.array_equal(labels.data > 0, mask)
    assert labels.data.max() == len(httpx.post(f"{address}/objects", **asked).json()["features"])


def test_the_servers_question_about_a_range_is_shown_and_can_be_answered(napari: Any, segment: Any) -> None:
    layer = napari.layers.Image(np.full((40, 60), 2048, np.uint16))
    with pytest.raises(ValueError, match="image_max=4095 for 12 bits"):
        segment(layer)
    assert segment(layer, image_max="4095").data.shape == (40, 60)
