"""The endpoint over the promoted model: in this process over ASGI, and once as a real server on loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from test_promote import Chain, environment, make_chain

from serving.export import TOLERANCE
from serving.service import Segmentation, Segmenter
from training.data.framing import frame_image, join, make_frame
from training.data.images import Pixels, to_channels
from training.engine import predict
from training.unet import UNet

SERVE = [str(Path(sys.executable).with_name("bentoml")), "serve", "serving.service:Segmentation", "--host", "127.0.0.1"]
START_SECONDS = 40


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def client(chain: Chain) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(chain.bentoml_home))
        with TestClient(Segmentation.to_asgi(), raise_server_exceptions=False) as client:
            yield client


@pytest.fixture(scope="module")
def model(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> UNet:
    return chain.model(tmp_path_factory.mktemp("model"))


def make_image(height: int, width: int, channels: int) -> Pixels:
    """A bright disc on a noisy ground; its colours differ where there are three."""
    ground = np.random.default_rng(1).normal(60, 12, (height, width, 1))
    disc = cv2.circle(np.zeros((height, width), np.uint8), (width // 2, height // 2), height // 5, 100, -1)[..., None]
    return (ground + disc * np.linspace(1, 0.8, channels)).clip(0, 255).astype(np.uint8)


def encode(image: Pixels, suffix: str) -> bytes:
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    return cv2.imencode(suffix, colours, lossless)[1].tobytes()


def post(client: Any, data: bytes, name: str = "image.png") -> Any:
    return client.post("/segment", files={"image": (name, data, "application/octet-stream")})


def decode(response: Any) -> Pixels:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)


def assert_same_mask(mask: Pixels, model: UNet, image: Pixels) -> None:
    """The eager model in fp32 says the same, but where it is undecided."""
    height, width = image.shape[:2]
    frame = make_frame("resize", 64, [(64, 64)])
    prepared = frame_image(to_channels(image, 1), frame)
    probability = predict(model, torch.from_numpy(prepared).permute(0, 3, 1, 2), "fp32")[:, 0].numpy()
    restored = join(probability, frame, height, width)
    clear = np.abs(restored - 0.5) > TOLERANCE
    assert mask.shape == (height, width)
    assert np.array_equal((mask > 0)[clear], (restored > 0.5)[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
@pytest.mark.parametrize(("height", "width", "channels"), [(64, 64, 1), (150, 90, 1), (40, 300, 3)])
def test_served_mask_is_the_trained_models_at_the_images_own_size(
    client: TestClient, model: UNet, suffix: str, height: int, width: int, channels: int
) -> None:
    image = make_image(height, width, channels)
    mask = decode(post(client, encode(image, suffix), f"image{suffix}"))
    assert set(np.unique(mask)) <= {0, 255}
    assert_same_mask(mask, model, image)


def test_mask_finds_something_in_the_training_images(client: TestClient, chain: Chain) -> None:
    masks = [decode(post(client, path.read_bytes())) for path in sorted((chain.data / "images").iterdir())[:8]]
    assert 0 < np.mean(masks) < 255


def test_16_bits_are_scaled_and_never_wrapped(client: TestClient, model: UNet) -> None:
    """The same picture in 8 and in 16 bits, of which each level is 257 times as high."""
    image = make_image(80, 60, 1)
    deep = cv2.imencode(".png", image.astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode(post(client, deep)), decode(post(client, encode(image, ".png"))))


@pytest.mark.parametrize(("height", "width"), [(150, 90), (20, 50), (64, 200)])
def test_a_model_of_tiles_sees_an_image_at_its_own_resolution(
    chain: Chain, model: UNet, tmp_path: Path, height: int, width: int
) -> None:
    (stored,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    folder = shutil.copytree(stored, tmp_path / "tiled")
    facts = json.loads((folder / "preprocessing.json").read_text())
    facts["frame"] = {"fit": "tile", "image_size": 32, "height": 32, "width": 32}
    (folder / "preprocessing.json").write_text(json.dumps(facts))
    image = make_image(height, width, 1)
    frame = make_frame("tile", 32, [(height, width)])
    parts = torch.from_numpy(frame_image(image, frame)).permute(0, 3, 1, 2)
    probability = join(predict(model, parts, "fp32")[:, 0].numpy(), frame, height, width)
    clear = np.abs(probability - 0.5) > TOLERANCE
    assert np.array_equal((Segmenter(folder).mask(image) > 0)[clear], (probability > 0.5)[clear])


def test_jpeg_is_taken(client: TestClient) -> None:
    assert decode(post(client, encode(make_image(50, 70, 3), ".jpg"), "image.jpg")).shape == (50, 70)


@pytest.mark.parametrize("data", [b"these are words", b"", encode(make_image(64, 64, 1), ".png")[:2000]])
def test_file_that_is_no_whole_image_gets_400_and_is_told_why(client: TestClient, data: bytes) -> None:
    response = post(client, data, "photo.png")
    assert response.status_code == 400
    assert "this is no image that can be read; give a whole png" in response.text


def test_string_in_the_file_field_is_refused_and_not_fetched_as_a_url(client: TestClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/image.png"
        image = ("image.png", encode(make_image(64, 64, 1), ".png"))
        for request in (
            {"data": {"image": url}, "files": {"other": image}},
            {"data": {"image": url}, "files": {"image": image}},
            {"json": {"image": url}},
            {"content": url.encode(), "headers": {"content-type": "multipart/form-data"}},
        ):
            response = client.post("/segment", **request)
            assert response.status_code == 400
            assert "curl -F image=@photo.png" in response.text
        with pytest.raises(TimeoutError):
            listener.accept()


def test_name_of_a_file_does_not_matter(client: TestClient) -> None:
    assert decode(post(client, encode(make_image(64, 64, 1), ".png"), "a" * 300 + ".txt")).shape == (64, 64)


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_endpoints_answer(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_real_server_answers_on_loopback(chain: Chain, model: UNet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*SERVE, "--port", str(port)]
    own = {"BENTOML_HOME": "mlruns/bentoml"}  # as `make serve` has it
    server = subprocess.Popen(command, cwd=chain.folder, env=environment() | own, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_ready(client, server)
            image = make_image(100, 80, 1)
            assert_same_mask(decode(post(client, encode(image, ".png"))), model, image)
            assert post(client, b"these are words").status_code == 400
    finally:
        stop(server)


def test_server_with_an_empty_store_stops_with_the_cure(tmp_path: Path) -> None:
    command = [*SERVE, "--port", "0"]
    own = {"BENTOML_HOME": str(tmp_path / "empty")}
    found = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment() | own,
        timeout=START_SECONDS,
        text=True,
        capture_output=True,
        check=False,
    )
    assert found.returncode == 1
    assert "this BentoML store holds no model unet:latest; promote one first: `make demo`" in found.stderr
    assert "Traceback" not in found.stderr


def wait_until_ready(client: httpx.Client, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server stopped"
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server was not ready after {START_SECONDS} s")


def stop(server: "subprocess.Popen[bytes]") -> None:
    """Ask, then make: the server and its workers are one session of processes."""
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, 9)
        server.wait(10)
