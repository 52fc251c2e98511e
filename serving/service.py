"""The BentoML service: what was promoted last answers. `bentoml serve serving.service:Segmentation`.

Finds the model, keeps up when another one is promoted, and puts limits and metrics before the endpoints of `api`. Of
ours it imports only what prepares an image, because a difference from training would be silent. No MLflow, and no torch
unless SEGMENT_DEVICE names one of its devices.
"""

import logging
import os
import threading
import time
from pathlib import Path

import bentoml
from bentoml._internal.models import ModelStore
from bentoml.exceptions import NotFound

from serving.endpoint.answers import Serving, card_of
from serving.endpoint.api import make_app
from serving.endpoint.limits import LimitsMiddleware, read_token
from serving.endpoint.metrics import MetricsMiddleware
from serving.inference.ensemble import load_ensemble
from serving.inference.segmenter import Segmenter

MODEL = "unet:latest"
DEVICE = "SEGMENT_DEVICE"  # torch's name of a device, such as cuda; without it, OpenVINO computes
SECONDS = 600  # a request may take
POLL_SECONDS = 1.0  # between two polls for another model


class Current:
    """The model promoted last. A new promotion takes over between two requests; none waits, none is dropped.

    A thread looks for it: to look takes 3 ms, which no request shall pay.
    """

    def __init__(self) -> None:
        self._home = store()
        self._folder = find_model(self._home)
        self._serving = load(self._folder)
        threading.Thread(target=self._watch, daemon=True).start()

    def __call__(self) -> Serving:
        return self._serving

    def _watch(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            try:
                folder = find_model(self._home)
                if folder != self._folder:
                    self._folder = folder  # tried once, whether it can be loaded or not
                    self._serving = load(folder)
            except Exception:
                logging.exception("a newly promoted model cannot be served; the one before it goes on answering")


def load(folder: Path) -> Serving:
    """Warm, so that the first request is as fast as the others."""
    device = os.environ.get(DEVICE, "")
    segmenter = Segmenter(folder, device)
    segmenter.warm_up()
    return Serving(segmenter, card_of(folder, segmenter), load_ensemble(folder, device))


def check_device() -> None:
    """Raises ValueError, with the cure, when SEGMENT_DEVICE names what cannot be used."""
    if not os.environ.get(DEVICE):
        return
    try:
        from serving.inference.torch_network import find_device
    except ImportError as error:
        raise ValueError(f"{DEVICE}={os.environ[DEVICE]!r} needs torch and all of this project ({error})") from None
    find_device(os.environ[DEVICE])


def store() -> Path:
    """Named here, because `bentoml serve` may settle on ~/bentoml before it imports this package."""
    return Path(os.environ["BENTOML_HOME"])


def find_model(home: Path) -> Path:
    """The folder of the model promoted last. Raises NotFound, with the cure, for an empty store."""
    try:
        return Path(ModelStore(home / "models").get(MODEL).path)
    except NotFound:
        raise NotFound(
            f"{home}: this BentoML store holds no model {MODEL}; promote one first: "
            "`make demo`, or `mlflow run . -e promote -P data=FOLDER` after a study on that folder"
        ) from None


_current: Current | None = None


def current() -> Serving:
    """What answers now; there once the service is up."""
    assert _current is not None, "asked before the service was made"
    return _current()


@bentoml.service(
    name="segmentation",
    traffic={"timeout": SECONDS},
    metrics={"enabled": False},  # serving/endpoint/metrics.py takes their place
    tracing={"excluded_urls": ".*"},  # BentoML would make seven spans of each request, and send them nowhere
)
@bentoml.asgi_app(make_app(current), path="/")
class Segmentation:
    """Foreground and background of images, by the promoted U-Net."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Stop the command when it cannot serve; its workers would be started again and again."""
        try:
            read_token()
            check_device()
            find_model(store())
        except (NotFound, ValueError) as error:
            raise SystemExit(f"error: {error}") from None

    def __init__(self) -> None:
        global _current  # noqa: PLW0603 - the endpoints are made before the service is
        _current = Current()


Segmentation.add_asgi_middleware(MetricsMiddleware)  # type: ignore[attr-defined]
Segmentation.add_asgi_middleware(LimitsMiddleware)  # type: ignore[attr-defined]
