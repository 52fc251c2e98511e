"""Behind a reverse proxy that serves the endpoint under a path of its own: every address that is given leads back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from served import encode, listening, make_image, make_serving, strip
from starlette.applications import Starlette
from starlette.routing import Mount

from serving.client import objects, segment, segment_large
from serving.endpoint.api import make_app

pytestmark = pytest.mark.slow

IMAGE = encode(make_image(50, 70, 3), ".png")


def mount(app: Any) -> Any:
    """As a larger application does: the endpoint is told the prefix, as root_path."""
    return Starlette(routes=[Mount("/seg", app)])


@pytest.fixture(scope="module", params=[strip, mount])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    current = make_serving(tmp_path_factory)
    with listening(request.param(make_app(lambda: current)), lifespan="off") as url:
        yield f"{url}/seg"


def test_the_location_of_a_job_leads_to_it(address: str) -> None:
    handed_in = httpx.post(f"{address}/jobs", files={"image": ("a.png", IMAGE)})
    assert handed_in.status_code == 202
    job = urljoin(str(handed_in.url), handed_in.headers["location"])  # RFC 9110, 10.2.2: relative to what was asked
    assert job == f"{address}/jobs/{handed_in.json()['id']}"
    assert httpx.get(job).json()["id"] == handed_in.json()["id"]


def test_the_description_leads_to_the_endpoints(address: str) -> None:
    document = httpx.get(f"{address}/openapi.json")
    (server,) = document.json()["servers"]
    base = urljoin(str(document.url), server["url"])
    assert httpx.get(f"{base.rstrip('/')}/model").status_code == 200


def test_the_python_client_works_with_and_without_a_slash_at_the_end(address: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(IMAGE)
    for url in (address, f"{address}/"):
        assert segment(path, url).shape == (50, 70)
        assert (segment_large(path, url) == segment(path, url)).all()
        assert objects(path, url)["height"] == 50
