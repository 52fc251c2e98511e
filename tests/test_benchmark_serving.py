"""The endpoint and its peers are asked for the same work, and their answers are read alike."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.serving import Load, make_files
from benchmarks.serving_systems import SIZE, form_body, png_mask, tensor_body, tensor_mask

pytestmark = pytest.mark.slow


def test_every_system_is_handed_the_same_pixels() -> None:
    file = make_files("png")[0]
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert not np.array_equal(pixels[..., 0], pixels[..., 1]), "a colour image"
    tensor = np.array(json.loads(tensor_body(file)[1])["inputs"], np.uint8)
    assert np.array_equal(tensor[0].transpose(1, 2, 0), pixels)
    kind, body = form_body(file)
    assert body.split(b"\r\n\r\n", 1)[1].startswith(file)
    assert kind.split("boundary=")[1].encode() in body[:20]


def test_every_system_s_answer_is_read_as_a_mask() -> None:
    probability = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    mask = cv2.imencode(".png", (probability > 0.5).astype(np.uint8) * 255)[1].tobytes()
    answer = json.dumps({"predictions": probability[None, None].tolist()}).encode()
    assert np.array_equal(png_mask(mask), probability > 0.5)
    assert np.array_equal(tensor_mask(answer), png_mask(mask))


def test_a_load_is_summed_up_by_rate_percentile_and_cpu_time() -> None:
    load = Load(seconds=2.0, cpu=3.0, latencies=[0.1, 0.2, 0.3, 0.4])
    assert (load.rate, load.cpu_ms) == (2.0, 750.0)
    assert load.percentile(50) == pytest.approx(250)
