"""The promoted model of the tests behind the endpoints of this process, with other facts where a test wants them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from test_promote import make_chain

from serving.answers import Serving, card_of
from serving.api import make_app
from serving.network import FACTS
from serving.segmenter import Segmenter


def make_serving(tmp_path_factory: pytest.TempPathFactory, **facts: object) -> Serving:
    """facts: what the promotion wrote otherwise, such as image_max=4095."""
    models = make_chain(tmp_path_factory.getbasetemp()).bentoml_home / "models" / "unet"
    (promoted,) = (path for path in models.iterdir() if path.is_dir())
    folder: Path = shutil.copytree(promoted, tmp_path_factory.mktemp("promoted") / "model")
    (folder / FACTS).write_text(json.dumps(json.loads((folder / FACTS).read_text()) | facts))
    segmenter = Segmenter(folder)
    return Serving(segmenter, card_of(folder, segmenter))


@contextmanager
def asking(serving: Serving) -> Iterator[TestClient]:
    with TestClient(make_app(lambda: serving), raise_server_exceptions=False) as client:
        yield client


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
