"""Ask the endpoint from Python: `from serving.client import segment; mask = segment("photo.png")`, in a notebook, too.

Needs the endpoint's address, numpy, OpenCV and requests; nothing of the model.
"""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from numpy.typing import NDArray

URL = "http://127.0.0.1:3000"
SECONDS = 600


def segment(path: str | Path, url: str = URL, **options: Any) -> NDArray[np.bool_]:
    """(h, w): where the foreground is. Options as of POST /segment: threshold, min_size, tta.

    The token is taken from SEGMENT_TOKEN, where it is set. Raises ValueError with the server's reason.
    """
    answer = _ask(f"{url}/segment", path, {**options, "output": "mask"})
    mask = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(mask) > 0


def objects(path: str | Path, url: str = URL, **options: Any) -> dict[str, Any]:
    """The image's objects as GeoJSON, or with format="coco" as COCO. Options and errors as of `segment`."""
    found: dict[str, Any] = _ask(f"{url}/objects", path, options).json()
    return found


def _ask(url: str, path: str | Path, options: dict[str, Any]) -> requests.Response:
    token = os.environ.get("SEGMENT_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with Path(path).open("rb") as file:
        answer = requests.post(url, files={"image": file}, data=options, headers=headers, timeout=SECONDS)
    if answer.status_code != 200:
        raise ValueError(f"{path}: the server answered {answer.status_code}: {answer.json()['detail']}")
    return answer
