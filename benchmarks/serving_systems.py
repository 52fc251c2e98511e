"""The services that benchmarks.serving compares: how each is started, asked, and what its answer means.

All serve the same trained network, on all cores, at the images' own 512 x 512 pixels. ours_*: our service in one
precision. plain: FastAPI and the eager fp32 network. bare: an empty answer (benchmarks/bare_service.py). mlflow:
`mlflow models serve` of the registered model; it takes a tensor as JSON and gives one back, so it decodes and encodes
no image.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from mlflow import MlflowClient
from numpy.typing import NDArray

from serving.inference.network import FACTS, QUANTIZED
from serving.promotion.precision import quantize
from training.data.images import decode_image, to_channels
from training.synthetic import write_folder

SIZE = 512
ROOT = Path(__file__).parents[1]
START_SECONDS = 180
BARE = "bare"  # no peer: the round trip alone, for comparison
BIN = Path(sys.executable).parent

Body = tuple[str, bytes]  # content type and bytes
Mask = NDArray[np.bool_]


@dataclass
class System:
    """A running service."""

    name: str
    port: int
    path: str
    process: psutil.Process
    body: Callable[[bytes], Body]  # of an image file
    mask: Callable[[bytes], Mask]  # of an answer

    def ask(self, connection: HTTPConnection, body: Body) -> tuple[bytes, str]:
        """The answer and its Server-Timing."""
        connection.request("POST", self.path, body[1], {"content-type": body[0]})
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, f"{self.name} answered {response.status}: {content[:300]!r}"
        return content, response.headers.get("server-timing", "")

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=600)

    def usage(self) -> tuple[float, float]:
        """CPU seconds so far, and MiB resident, of all its processes."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [one.cpu_times() for one in family]
        return sum(one.user + one.system for one in times), sum(one.memory_info().rss for one in family) / 2**20


def prepare(scratch: Path) -> None:
    """A champion of 512 x 512 RGB in scratch/mlruns: its scores do not matter here, its work does."""
    if (scratch / "mlruns" / "bentoml").exists():
        return
    write_folder(scratch / "cells", count=20, size=SIZE, seed=0)
    for path in sorted((scratch / "cells" / "images").iterdir()):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        cv2.imwrite(str(path), cv2.applyColorMap(grey, cv2.COLORMAP_PINK))
    study = ["training.runner", "augmentation", "--preset", "demo", "--epochs", "2", "--image-size", str(SIZE)]
    for words in (study, ["serving.promote"]):
        command = [sys.executable, "-m", *words, "--data", "cells"]
        subprocess.run(command, cwd=scratch, env=environment(scratch), check=True, stdout=sys.stderr)


def environment(scratch: Path) -> dict[str, str]:
    stores = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlruns/mlflow.db",
        "BENTOML_HOME": str(scratch / "mlruns" / "bentoml"),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    unset = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "SEGMENT_TOKEN")
    return {key: value for key, value in os.environ.items() if key not in unset} | stores


@contextmanager
def running(name: str, scratch: Path, port: int) -> Iterator[System]:
    """The service, ready; stopped in the end."""
    variables: dict[str, str] = {}
    ready, path, body, mask = "/readyz", "/segment", form_body, png_mask
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{scratch}/mlruns/mlflow.db"
        if name == "mlflow":
            command = f"mlflow models serve -m models:/unet@champion --env-manager local -h 127.0.0.1 -p {port}"
            ready, path, body, mask = "/ping", "/invocations", tensor_body, tensor_mask
        elif name in ("plain", BARE):
            if name == "plain":
                client = MlflowClient(uri, uri)
                run_id = client.get_model_version_by_alias("unet", "champion").tags["run_id"]
                variables["MODEL"] = client.download_artifacts(run_id, "model", folder)
            command = f"uvicorn benchmarks.{name}_service:app --host 127.0.0.1 --port {port} --log-level warning"
        else:
            home = shutil.copytree(scratch / "mlruns" / "bentoml", Path(folder) / "bentoml")
            set_precision(home / "models" / "unet", name.removeprefix("ours_"), scratch)
            variables["BENTOML_HOME"] = str(home)
            command = f"bentoml serve serving.service:Segmentation --host 127.0.0.1 --port {port}"
        with (Path(folder) / "log").open("wb") as log:
            started = subprocess.Popen(
                command.split(), cwd=ROOT, env=environment(scratch) | variables, stdout=log, stderr=log
            )
            family = psutil.Process(started.pid)
            try:
                begin = time.perf_counter()
                wait_until(ready, port, started, Path(log.name))
                print(f"{name}: ready after {time.perf_counter() - begin:.1f} s", file=sys.stderr)
                yield System(name, port, path, family, body, mask)
            finally:
                processes = [family, *family.children(recursive=True)]
                for one in processes:
                    one.terminate()
                for one in psutil.wait_procs(processes, timeout=10)[1]:
                    one.kill()


def wait_until(path: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError(f"port {port}: the service is not ready after {START_SECONDS} s:\n{log.read_text()[-2000:]}")


def set_precision(models: Path, precision: str, scratch: Path) -> None:
    """Serve it in this precision, whatever the promotion chose."""
    folder = models / (models / "latest").read_text().strip()
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(facts | {"precision": precision}))
    if precision == "int8" and not (folder / QUANTIZED).exists():
        files = sorted((scratch / "cells" / "images").iterdir())[:10]
        pixels = np.stack([decode_image(file.read_bytes(), file.name) for file in files])
        quantize(folder, torch.from_numpy(pixels.transpose(0, 3, 1, 2)))


def form_body(file: bytes) -> Body:
    boundary = b"a1b2c3d4e5"
    head = b'--%b\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' % boundary
    return f"multipart/form-data; boundary={boundary.decode()}", b"%b%b\r\n--%b--\r\n" % (head, file, boundary)


def tensor_body(file: bytes) -> Body:
    pixels = to_channels(decode_image(file, "image"), 3).transpose(2, 0, 1)[None]
    return "application/json", json.dumps({"inputs": pixels.tolist()}, separators=(",", ":")).encode()


def png_mask(answer: bytes) -> Mask:
    return np.asarray(decode_image(answer, "mask")[..., 0] > 0)


def tensor_mask(answer: bytes) -> Mask:
    return np.asarray(np.array(json.loads(answer)["predictions"], np.float32)[0, 0] > 0.5)
