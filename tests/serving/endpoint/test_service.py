"""The endpoint over the promoted model: in this process over ASGI, and once as a real server on loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import torch
from chain import Chain, environment
from conftest import ROOT
from served import encode, make_image
from starlette.testclient import TestClient

from serving.client import objects, overlay, predicted_dice, segment, segment_large
from serving.service import Segmentation
from training.data.framing import frame_image, join, make_frame
from training.data.images import Pixels, to_channels
from training.network.engine import predict
from training.network.unet import UNet

pytestmark = pytest.mark.slow

BENTOML = str(Path(sys.executable).with_name("bentoml"))
SERVE = [BENTOML, "serve", "serving.service:Segmentation", "--host", "127.0.0.1"]
START_SECONDS = 120
MORE_MIB = 20  # after thousands of requests
LOWER_PRECISION = 0.03  # of a probability: what bf16 may change


@pytest.fixture(scope="module")
def client(chain: Chain) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(chain.bentoml_home))
        with TestClient(Segmentation.to_asgi(), raise_server_exceptions=False) as client:  # type: ignore[attr-defined]
            yield client


@pytest.fixture(scope="module")
def model(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> UNet:
    return chain.model(tmp_path_factory.mktemp("model"))


def post(client: Any, data: bytes, name: str = "image.png") -> Any:
    return client.post("/segment", files={"image": (name, data, "application/octet-stream")})


def decode(response: Any) -> Pixels:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_UNCHANGED)


def assert_same_mask(mask: Pixels, model: UNet, image: Pixels) -> None:
    """The eager model in fp32 says the same, but where it is undecided; a lower precision is so for longer."""
    height, width = image.shape[:2]
    frame = make_frame("resize", 64, [(64, 64)])
    prepared = frame_image(to_channels(image, 1), frame)
    probability = predict(model, torch.from_numpy(prepared).permute(0, 3, 1, 2), "fp32")[:, 0].numpy()
    restored = join(probability, frame, height, width)
    clear = np.abs(restored - 0.5) > LOWER_PRECISION
    assert mask.shape == (height, width)
    assert np.array_equal((mask > 0)[clear], (restored > 0.5)[clear])
    assert clear.mean() > 0.8


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


def test_jpeg_is_taken(client: TestClient) -> None:
    assert decode(post(client, encode(make_image(50, 70, 3), ".jpg"), "image.jpg")).shape == (50, 70)


@pytest.mark.parametrize("data", [b"these are words", b"", encode(make_image(64, 64, 1), ".png")[:2000]])
def test_file_that_is_no_whole_image_gets_415_and_is_told_why(client: TestClient, data: bytes) -> None:
    response = post(client, data, "photo.png")
    assert response.status_code == 415
    assert "this is no image that can be read; give a whole png" in response.text


def test_string_in_the_file_field_is_refused_and_not_fetched_as_a_url(client: TestClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/image.png"
        image = ("image.png", encode(make_image(64, 64, 1), ".png"))
        for request in (
            {"data": {"image": url}, "files": {"other": image}},
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


@contextmanager
def running(folder: Path, home: Path, **variables: str) -> Iterator[str]:
    """The address of a real server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, settings = [*SERVE, "--port", str(port)], environment() | {"BENTOML_HOME": str(home)} | variables
    server = subprocess.Popen(command, cwd=folder, env=settings, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_ready(client, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(server)


@pytest.fixture(scope="module")
def address(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over a copy of the store, with a token."""
    home = shutil.copytree(chain.bentoml_home, tmp_path_factory.mktemp("store") / "bentoml")
    with running(chain.folder, home, SEGMENT_TOKEN="secret\n") as url:  # as from a file
        yield f"{url} {home}"


@pytest.fixture
def server(address: str) -> Iterator[httpx.Client]:
    limits = httpx.Limits(max_connections=300)
    with httpx.Client(
        base_url=address.split(maxsplit=1)[0], timeout=60, headers={"authorization": "Bearer secret"}, limits=limits
    ) as client:
        yield client


def test_a_real_server_answers_on_loopback(server: httpx.Client, model: UNet) -> None:
    image = make_image(100, 80, 1)
    assert_same_mask(decode(post(server, encode(image, ".png"))), model, image)
    assert post(server, b"these are words").status_code == 415
    assert "<!doctype html>" in server.get("/").text
    assert "segment_seconds_count" in server.get("/metrics").text


def test_a_real_server_asks_for_the_token(server: httpx.Client) -> None:
    del server.headers["authorization"]
    assert server.get("/readyz").status_code == 200
    assert (server.get("/model").status_code, server.get("/metrics").status_code) == (401, 401)
    assert post(server, b"these are words").status_code == 401


def test_a_real_server_sheds_what_is_too_much_with_429_and_recovers(server: httpx.Client) -> None:
    large = encode(make_image(3000, 3000, 1), ".png")
    with ThreadPoolExecutor(160) as pool:
        answers = list(pool.map(lambda _: post(server, large).status_code, range(160)))
    assert set(answers) == {200, 429}
    assert post(server, large).status_code == 200


def test_a_body_that_is_too_long_is_refused_while_it_comes(server: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(400):
            yield b"x" * 2**20

    try:
        response = server.post(
            "/segment", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert response.status_code == 413
    except httpx.TransportError:
        pass  # the server has closed the connection while we were still sending
    assert server.get("/readyz").status_code == 200


def test_another_champion_takes_over_and_no_request_is_dropped(server: httpx.Client, address: str) -> None:
    """What a promotion does to the store; the answers change from one version to the other."""
    folder = Path(address.split()[1]) / "models" / "unet"
    old = (folder / "latest").read_text().strip()
    new = shutil.copytree(folder / old, folder / "another")
    (new / "model.yaml").write_text((new / "model.yaml").read_text().replace(old, "another"))
    (new / "card.json").write_text(json.dumps(json.loads((new / "card.json").read_text()) | {"version": "2"}))
    image, statuses, over = encode(make_image(64, 64, 1), ".png"), [], threading.Event()

    def ask_all_the_time() -> None:
        while not over.is_set():
            statuses.append(post(server, image).status_code)

    deadline = time.monotonic() + START_SECONDS
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask_all_the_time) for _ in range(8)]
        try:
            wait_for(lambda: len(statuses) > 20, deadline)
            (folder / "latest").write_text("another")
            wait_for(lambda: server.get("/model").json()["version"] == "2", deadline)
            after = len(statuses)
            wait_for(lambda: len(statuses) > after + 20, deadline)
        finally:
            over.set()
        for one in asking:
            one.result()
    assert set(statuses) == {200}


def wait_for(done: Callable[[], bool], deadline: float) -> None:
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_body_of_2_gb_is_refused_before_it_comes(address: str) -> None:
    host, port = address.split(maxsplit=1)[0].removeprefix("http://").split(":")
    head = (
        f"POST /segment HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer secret\r\ncontent-length: {2 * 2**30}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "the request is longer than 320 MiB" in answer


def test_thousands_of_small_requests_are_all_answered_and_leave_no_memory_behind(server: httpx.Client) -> None:
    image = encode(make_image(16, 16, 1), ".png")

    def resident() -> float:
        return float(server.get("/metrics").text.split("\nprocess_resident_memory_bytes ")[1].split()[0]) / 2**20

    def ask(number: int) -> int:
        if number % 2:
            return server.get(f"/nothing/{number}").status_code
        return post(server, image if number % 4 else b"words").status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(600)))
        before = resident()
        statuses += list(pool.map(ask, range(600, 3000)))
    assert {status: statuses.count(status) for status in set(statuses)} == {200: 750, 404: 1500, 415: 750}
    assert resident() - before < MORE_MIB


def test_a_bento_that_was_built_serves_by_itself(chain: Chain, tmp_path: Path) -> None:
    """From a folder without this repository in sight: what the Bento lacks would be missed."""
    home = shutil.copytree(chain.bentoml_home, tmp_path / "bentoml")
    variables = {key: value for key, value in environment().items() if key != "PYTHONPATH"} | {
        "BENTOML_HOME": str(home)
    }
    built = subprocess.run(
        [BENTOML, "build", "--output", "tag"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    tag = built.stdout.split()[-1].removeprefix("__tag__:")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [BENTOML, "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path, env=variables, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_ready(client, server)
            assert client.get("/model").json()["version"] == str(chain.champion.version)
            assert decode(post(client, encode(make_image(64, 64, 1), ".png"))).shape == (64, 64)
            assert "<!doctype html>" in client.get("/").text
    finally:
        stop(server)


def refusal(folder: Path, **variables: str) -> str:
    """What the command says that stops because it cannot serve."""
    found = subprocess.run(
        [*SERVE, "--port", "0"],
        cwd=folder,
        env=environment() | variables,
        timeout=START_SECONDS,
        text=True,
        capture_output=True,
        check=False,
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    return found.stderr


def test_server_with_an_empty_store_stops_with_the_cure(tmp_path: Path) -> None:
    said = refusal(tmp_path, BENTOML_HOME=str(tmp_path / "empty"))
    assert "this BentoML store holds no model unet:latest; promote one first: `make demo`" in said


def test_torch_answers_where_a_device_of_its_own_is_named(chain: Chain, model: UNet) -> None:
    """The path that a GPU takes, on the processor."""
    with running(chain.folder, chain.bentoml_home, SEGMENT_DEVICE="cpu") as url, httpx.Client(base_url=url) as client:
        card = client.get("/model").json()
        assert card["computed_by"] == "torch, cpu"
        image = make_image(100, 80, 1)
        assert_same_mask(decode(post(client, encode(image, ".png"))), model, image)


def test_server_with_a_device_that_is_not_there_stops_with_the_cure(chain: Chain) -> None:
    said = refusal(chain.folder, BENTOML_HOME=str(chain.bentoml_home), SEGMENT_DEVICE="cuda:99")
    assert "error: SEGMENT_DEVICE='cuda:99': torch cannot use it" in said
    assert "leave it out for OpenVINO on the processor" in said


def test_server_with_an_empty_token_stops_with_the_cure(chain: Chain) -> None:
    said = refusal(chain.folder, BENTOML_HOME=str(chain.bentoml_home), SEGMENT_TOKEN=" ")
    assert "error: SEGMENT_TOKEN is set, but empty; give it a token, or unset it to serve everybody" in said


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


def test_the_python_client_gives_a_mask_and_objects_or_the_server_s_reason(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENT_TOKEN", "secret\n")
    url, path = address.split(maxsplit=1)[0], tmp_path / "a.png"
    path.write_bytes(encode(make_image(50, 70, 3), ".png"))
    mask = segment(path, url, threshold=0.2)
    assert (mask.shape, mask.dtype) == ((50, 70), np.bool_)
    assert sum(one["properties"]["area"] for one in objects(path, url, threshold=0.2)["features"]) == mask.sum()
    shown = overlay(path, url, threshold=0.2)
    assert (shown.size, shown.mode) == ((70, 50), "RGB")
    assert hasattr(shown, "_repr_png_"), "a notebook shows it"
    seen: list[tuple[int, int]] = []
    large = segment_large(path, url, lambda *found: seen.append(found), threshold=0.2)
    assert np.array_equal(large, mask)
    assert all(done <= tiles for done, tiles in seen)
    assert segment(path, url, page=0, channels="0,2").shape == (50, 70)
    assert 0 <= predicted_dice(path, url) <= 1
    with pytest.raises(
        ValueError, match=r"answered 400: treshold='0.2': there is no such field; did you mean threshold"
    ):
        segment(path, url, treshold=0.2)
    with pytest.raises(ValueError, match="output: this function decides it"):
        segment(path, url, output="overlay")
    with pytest.raises(ValueError, match=r"answered 404: /nothing/segment: there is no such endpoint"):
        segment(path, f"{url}/nothing")
    path.write_bytes(cv2.imencode(".png", make_image(50, 70, 1).astype(np.uint16) * 16)[1].tobytes())
    with pytest.raises(ValueError, match="image_max=4095 for 12 bits"):
        segment(path, url)
    assert segment(path, url, image_max=4095).shape == (50, 70)
    path.write_bytes(b"words")
    for ask in (segment, segment_large):
        with pytest.raises(ValueError, match="answered 415: image: this is no image that can be read"):
            ask(path, url)
