"""Long jobs: handed in, watched tile by tile, fetched, cancelled; and a table that never grows."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain import Chain, make_chain
from conftest import ROOT
from served import encode, make_image
from starlette.testclient import TestClient

from serving.endpoint import jobs
from serving.endpoint.answers import Serving, card_of
from serving.endpoint.api import make_app
from serving.endpoint.jobs import MAX_JOBS, JobFailed, Jobs, OnProgress, TableFullError
from serving.inference.segmenter import Segmenter

pytestmark = pytest.mark.slow

WAIT = 60.0  # seconds, for what takes one
PEAK_GIB = 2.0  # of a process that answers one image of 100 megapixels
BYTES_A_PIXEL, MORE_GIB = 16, 0.1  # of an RGB image: itself, its probability, what is drawn; and what does not grow


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def echo(image: bytes, progress: OnProgress) -> tuple[bytes, str]:
    progress(1, 1)
    return image, "text/plain"


def test_a_job_s_result_is_what_its_work_gave() -> None:
    table = Jobs()
    job = table.submit(b"pixels", echo)
    wait_for(lambda: job.state == "done")
    assert (job.path.read_bytes(), job.media_type, job.done, job.total) == (b"pixels", "text/plain", 1, 1)
    assert table.find(job.id) is job
    table.cancel(job)
    assert table.find(job.id) is None
    assert not job.path.exists()


def test_work_that_fails_says_why_and_the_next_job_runs(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(image: bytes, progress: OnProgress) -> tuple[bytes, str]:
        raise JobFailed("no image")

    def crash(image: bytes, progress: OnProgress) -> tuple[bytes, str]:
        raise ZeroDivisionError("secret")

    table = Jobs()
    refused, crashed, fine = (table.submit(b"x", work) for work in (refuse, crash, echo))
    wait_for(lambda: fine.state == "done")
    assert (refused.state, refused.detail) == ("failed", "no image")
    assert (crashed.state, crashed.detail) == ("failed", "ZeroDivisionError; the server's log says more")
    assert "secret" in caplog.text
    assert not refused.path.exists()


def test_a_cancelled_job_stops_at_the_next_tile_and_one_that_waits_never_starts() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def long(image: bytes, progress: OnProgress) -> tuple[bytes, str]:
        for tile in range(100):
            progress(tile, 100)
            begun.set()
            go_on.wait(WAIT)
        return b"", ""

    table = Jobs()
    running, waiting = table.submit(b"x", long), table.submit(b"y", long)
    assert begun.wait(WAIT)
    assert (running.state, waiting.state) == ("running", "waiting")
    table.cancel(waiting)
    table.cancel(running)
    go_on.set()
    last = table.submit(b"z", echo)
    wait_for(lambda: last.state == "done")
    assert (running.done, waiting.total) == (1, 0), "one tile more, and none"
    assert list(last.path.parent.iterdir()) == [last.path], "no image of a cancelled job stays on disk"


def test_the_table_is_full_when_nothing_in_it_is_done_and_forgets_the_oldest_that_is() -> None:
    go_on = threading.Event()

    def wait(image: bytes, progress: OnProgress) -> tuple[bytes, str]:
        go_on.wait(WAIT)
        return b"", ""

    table = Jobs()
    made = [table.submit(b"x", wait) for _ in range(MAX_JOBS)]
    with pytest.raises(TableFullError, match="16 jobs wait or run; at most 16 may"):
        table.submit(b"x", echo)
    go_on.set()
    wait_for(lambda: all(job.state == "done" for job in made))
    newest = table.submit(b"x", echo)
    assert table.find(made[0].id) is None
    assert table.find(made[1].id) is made[1]
    assert table.find(newest.id) is newest


def test_a_result_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Jobs()
    job = table.submit(b"x", echo)
    wait_for(lambda: job.state == "done")
    monkeypatch.setattr(jobs, "KEPT_SECONDS", 0.0)
    assert table.find(job.id) is None
    assert not job.path.exists()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chain: Chain = make_chain(tmp_path_factory)
    (folder,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def client(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The promoted model, asked in tiles of 32 pixels: there are many of them."""
    folder = shutil.copytree(stored, tmp_path_factory.mktemp("tiled") / "model")
    facts = json.loads((folder / "preprocessing.json").read_text())
    facts["frame"] = {"fit": "tile", "image_size": 32, "height": 32, "width": 32}
    (folder / "preprocessing.json").write_text(json.dumps(facts))
    segmenter = Segmenter(folder)
    current = Serving(segmenter, card_of(folder, segmenter))
    with TestClient(make_app(lambda: current), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, path: str, image: bytes, **fields: object) -> Any:
    data = {key: str(value) for key, value in fields.items()}
    return client.post(path, files={"image": ("a.png", image)}, data=data)


def finished(client: TestClient, name: str) -> dict[str, Any]:
    wait_for(lambda: client.get(f"/jobs/{name}").json()["state"] in ("done", "failed"))
    found: dict[str, Any] = client.get(f"/jobs/{name}").json()
    return found


@pytest.mark.parametrize(
    ("output", "path", "fields"),
    [
        ("mask", "/segment", {"output": "mask"}),
        ("probability", "/segment", {"output": "probability"}),
        ("geojson", "/objects", {"format": "geojson"}),
    ],
)
def test_a_job_gives_what_the_endpoint_gives(
    client: TestClient, output: str, path: str, fields: dict[str, str]
) -> None:
    image = encode(make_image(150, 90, 3), ".png")
    handed_in = post(client, "/jobs", image, output=output, min_size=3, tta=True)
    assert handed_in.status_code == 202
    name = handed_in.json()["id"]
    assert handed_in.headers["location"] == f"jobs/{name}"
    job = finished(client, name)
    assert (job["state"], job["tiles_done"], job["tiles"]) == ("done", 6 * 4 * 4, 6 * 4 * 4)
    result, direct = client.get(f"/jobs/{name}/result"), post(client, path, image, min_size=3, tta=True, **fields)
    assert result.content == direct.content
    assert result.headers["content-type"] == direct.headers["content-type"]
    assert client.delete(f"/jobs/{name}").status_code == 204
    assert client.get(f"/jobs/{name}/result").status_code == 404


def test_a_large_image_is_cancelled_between_two_tiles(client: TestClient) -> None:
    name = post(client, "/jobs", encode(make_image(3000, 3000, 1), ".png")).json()["id"]
    wait_for(lambda: client.get(f"/jobs/{name}").json()["tiles_done"] > 0)
    seen = client.get(f"/jobs/{name}").json()
    assert seen["state"] == "running"
    assert seen["tiles_done"] < seen["tiles"]
    early = client.get(f"/jobs/{name}/result")
    assert (early.status_code, early.json()["detail"]) == (
        409,
        "the job is running; ask again when its state is done",
    )
    assert client.delete(f"/jobs/{name}").status_code == 204
    assert client.get(f"/jobs/{name}").status_code == 404
    next_one = post(client, "/jobs", encode(make_image(40, 40, 1), ".png")).json()["id"]
    begin = time.monotonic()
    assert finished(client, next_one)["state"] == "done"
    assert time.monotonic() - begin < WAIT / 2, "it did not wait for the large one"


def test_what_is_no_image_is_refused_at_once_and_a_damaged_one_fails_with_the_reason(client: TestClient) -> None:
    assert post(client, "/jobs", b"words").status_code == 415
    whole = encode(make_image(60, 60, 3), ".png")
    name = post(client, "/jobs", whole[: len(whole) // 2]).json()["id"]
    job = finished(client, name)
    assert job["state"] == "failed"
    assert "this is no image that can be read" in job["detail"]
    result = client.get(f"/jobs/{name}/result")
    assert (result.status_code, "no image that can be read" in result.json()["detail"]) == (409, True)


def test_a_name_that_was_never_given_is_no_job(client: TestClient) -> None:
    for answer in (client.get("/jobs/x"), client.get("/jobs/x/result"), client.delete("/jobs/x")):
        assert answer.status_code == 404
        assert "no job of this name" in answer.json()["detail"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read where Linux tells it")
@pytest.mark.parametrize(("fit", "side"), [("resize", 10_000), ("tile", 2500)])
@pytest.mark.thorough
def test_memory_is_bounded_when_a_large_image_passes(stored: Path, fit: str, side: int) -> None:
    """The peak that the operating system saw. In tiles, 6 megapixels: 100 take minutes (benchmarks/large_image.py)."""
    arguments = ["--one", "--model", str(stored), "--fit", fit, "--outputs", "overlay", "--side", str(side)]
    command = [sys.executable, "-m", "benchmarks.large_image", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] - found["before"] < BYTES_A_PIXEL * side**2 / 2**30 + MORE_GIB, found
    assert found["peak"] < PEAK_GIB
    assert found["megabytes"] > 0.1


def test_progress_counts_every_tile_once(stored: Path) -> None:
    segmenter = Segmenter(stored)
    seen: list[tuple[int, int]] = []
    segmenter.probability(np.zeros((50, 70, 1), np.uint8), tta=True, progress=lambda *found: seen.append(found))
    assert seen == [(done, 4) for done in range(5)]
