"""Ask the endpoint from Python: `from serving.client import segment; mask = segment("photo.png")`.

In a notebook, `overlay("photo.png")` as the last line of a cell shows the image with its mask. Needs the endpoint's
address, numpy, Pillow and requests; nothing of the model.
"""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image

URL = "http://127.0.0.1:3000"
SECONDS = 600
LASTING, PAUSE = ("waiting", "running"), 0.25  # states of a job; seconds between two looks at it

Image.MAX_IMAGE_PIXELS = None  # what the server read, we read


def segment(path: str | Path, url: str = URL, **options: Any) -> NDArray[np.bool_]:
    """(h, w): where the foreground is. Options as of POST /segment: threshold, min_size, split, tta, page,
    image_max, channels.

    The token is taken from SEGMENT_TOKEN, where it is set. Raises ValueError with the server's reason.
    """
    return _read_mask(_ask(url, "segment", path, options, output="mask"))


def overlay(path: str | Path, url: str = URL, **options: Any) -> Image.Image:
    """The image, tinted and outlined where the foreground is. Options and errors as of `segment`."""
    return Image.open(io.BytesIO(_ask(url, "segment", path, options, output="overlay").content))


def objects(path: str | Path, url: str = URL, **options: Any) -> dict[str, Any]:
    """The image's objects as GeoJSON, or with format="coco" as COCO. Options and errors as of `segment`."""
    found: dict[str, Any] = _ask(url, "objects", path, options).json()
    return found


def predicted_dice(path: str | Path, url: str = URL, **options: Any) -> float:
    """The Dice that the mask of `segment` is expected to have; nan where it covers too little or too much to tell.

    Options and errors as of `segment`.
    """
    return float(_ask(url, "segment", path, options, output="mask", confidence="true").headers["predicted-dice"])


def segment_large(
    path: str | Path, url: str = URL, progress: Callable[[int, int], None] = lambda done, tiles: None, **options: Any
) -> NDArray[np.bool_]:
    """As `segment`, as a job: no connection stays open for minutes, and `progress` is told the tiles done of how many.

    Whatever `progress` raises, or an interrupt of the keyboard, cancels the job.
    """
    handed_in = _ask(url, "jobs", path, options, output="mask")
    job = urljoin(handed_in.url, handed_in.headers["location"])
    try:
        while (found := _get(job, path).json())["state"] in LASTING:
            progress(found["tiles_done"], found["tiles"])
            time.sleep(PAUSE)
        return _read_mask(_get(f"{job}/result", path))
    finally:
        requests.delete(job, headers=_headers(), timeout=SECONDS)


def _ask(url: str, endpoint: str, path: str | Path, options: dict[str, Any], **fixed: str) -> requests.Response:
    if both := fixed.keys() & options.keys():
        raise ValueError(f"{both.pop()}: this function decides it; leave it out, or call another function")
    address, fields = f"{url.rstrip('/')}/{endpoint}", {**options, **fixed}
    with Path(path).open("rb") as file:
        answer = requests.post(address, files={"image": file}, data=fields, headers=_headers(), timeout=SECONDS)
    return _checked(path, answer)


def _get(address: str, path: str | Path) -> requests.Response:
    return _checked(path, requests.get(address, headers=_headers(), timeout=SECONDS))


def _read_mask(answer: requests.Response) -> NDArray[np.bool_]:
    """(h, w): where the foreground is."""
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L")) > 0


def _headers() -> dict[str, str]:
    token = os.environ.get("SEGMENT_TOKEN", "").strip()  # a file it came from ends in a newline
    return {"Authorization": f"Bearer {token}"} if token else {}


def _checked(path: str | Path, answer: requests.Response) -> requests.Response:
    if answer.ok:
        return answer
    try:
        detail = answer.json()["detail"]
    except (requests.JSONDecodeError, KeyError, TypeError):  # a proxy's page, not the endpoint's answer
        detail = f"{answer.reason}; is {answer.url} the endpoint's address?"
    raise ValueError(f"{path}: the server answered {answer.status_code}: {detail}")
