"""The promoted model of the tests behind the endpoints of this process, with other facts where a test wants them."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import uvicorn
from chain import make_chain
from starlette.testclient import TestClient

from serving.endpoint.answers import Serving, card_of
from serving.endpoint.api import make_app
from serving.inference.ensemble import load_ensemble
from serving.inference.network import FACTS
from serving.inference.segmenter import Segmenter
from training.data.images import Pixels


def make_image(height: int, width: int, channels: int) -> Pixels:
    """A bright disc on a noisy ground; its colours differ where there are three."""
    ground = np.random.default_rng(1).normal(60, 12, (height, width, 1))
    disc = cv2.circle(np.zeros((height, width), np.uint8), (width // 2, height // 2), height // 5, 100, -1)[..., None]
    return (ground + disc * np.linspace(1, 0.8, channels)).clip(0, 255).astype(np.uint8)


def make_touching() -> Pixels:
    """Two bright discs that touch, on a dark noisy ground: (64, 64, 1)."""
    mask = np.zeros((64, 64), np.uint8)
    for centre in ((20, 32), (43, 32)):
        cv2.circle(mask, centre, 12, 255, -1)
    noisy = np.random.default_rng(0).normal(60, 12, mask.shape) + 0.4 * mask
    return noisy.clip(0, 255).astype(np.uint8)[..., None]


def encode(image: Pixels, suffix: str) -> bytes:
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.shape[2] == 3 else image
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    return cv2.imencode(suffix, colours, lossless)[1].tobytes()


def make_serving(tmp_path_factory: pytest.TempPathFactory, **facts: object) -> Serving:
    """facts: what the promotion wrote otherwise, such as image_max=4095."""
    models = make_chain(tmp_path_factory).bentoml_home / "models" / "unet"
    (promoted,) = (path for path in models.iterdir() if path.is_dir())
    folder: Path = shutil.copytree(promoted, tmp_path_factory.mktemp("promoted") / "model")
    (folder / FACTS).write_text(json.dumps(json.loads((folder / FACTS).read_text()) | facts))
    segmenter = Segmenter(folder)
    return Serving(segmenter, card_of(folder, segmenter), load_ensemble(folder, ""))


@contextmanager
def asking(serving: Serving) -> Iterator[TestClient]:
    with TestClient(make_app(lambda: serving), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def listening(app: Any, **config: Any) -> Iterator[str]:
    """A real server of this process: its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", **config))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def post(client: Any, data: bytes, path: str = "/segment", name: str = "a.png", **fields: object) -> Any:
    """One image, or for /segment_batch a list of one."""
    field = "images" if path == "/segment_batch" else "image"
    return client.post(path, files={field: (name, data)}, data={key: str(value) for key, value in fields.items()})


def strip(app: Any, prefix: str = "/seg") -> Any:
    """As nginx does with `location /seg/ { proxy_pass http://endpoint/; }`: the endpoint never sees the prefix."""

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        inner = scope
        if scope["type"] == "http" and scope["path"].startswith(f"{prefix}/"):
            path = scope["path"].removeprefix(prefix)
            inner = {**scope, "path": path, "raw_path": path.encode()}
        await app(inner, receive, send)

    return proxy
