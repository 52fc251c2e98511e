"""The endpoint: an image in, its mask out. `bentoml serve serving.service:Segmentation`.

What was promoted last answers, by ONNX Runtime. Of ours it imports only what prepares an image, because a difference
from training would be silent there; everything else lies in the stored model. No torch, no MLflow, no data set.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Self

import bentoml
import cv2
import numpy as np
import onnxruntime
from bentoml._internal.models import ModelStore
from bentoml.exceptions import InvalidArgument, NotFound
from bentoml.validators import ContentType
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from training.data.framing import Frame, frame_image, join
from training.data.images import Pixels, decode_image, to_channels

MODEL = "unet:latest"
BATCH = 16  # tiles that go through the network at once
PNG_LEVEL = 1  # of 9: a mask is small at any level, and the higher ones take longer than the network
HOW = "send one image as the file field `image` of a form, such as `curl -F image=@photo.png URL`"


class Segmenter:
    """The promoted model, and how its input is prepared."""

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "preprocessing.json").read_text())
        self.frame, self.channels, self.threshold = Frame(**facts["frame"]), facts["channels"], facts["threshold"]
        self.image_max = facts["image_max"]
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def mask(self, image: Pixels) -> Pixels:
        """(h, w, c) of any size -> (h, w) of 0 and 255: framed as in training, and the probability back again."""
        height, width = image.shape[:2]
        parts = frame_image(to_channels(image, self.channels), self.frame).transpose(0, 3, 1, 2)
        batches = [parts[start : start + BATCH].astype(np.float32) for start in range(0, len(parts), BATCH)]
        probabilities = [self.session.run(None, {"pixels": pixels})[0][:, 0] for pixels in batches]
        probability = join(np.concatenate(probabilities), self.frame, height, width)
        return np.where(probability > self.threshold, 255, 0).astype(np.uint8)


def load_segmenter() -> Segmenter:
    """The model promoted last. Raises NotFound, with the cure, for an empty store.

    The store is named here, because `bentoml serve` may settle on ~/bentoml before it imports this package.
    """
    store = ModelStore(Path(os.environ["BENTOML_HOME"]) / "models")
    try:
        return Segmenter(Path(store.get(MODEL).path))
    except NotFound:
        raise NotFound(
            f"{os.environ['BENTOML_HOME']}: this BentoML store holds no model {MODEL}; promote one first: "
            "`make demo`, or `mlflow run . -e promote -P data=FOLDER` after a study on that folder"
        ) from None


class Upload(bentoml.IODescriptor):
    """One file, and nothing else: BentoML would fetch a string in a file field as a URL, from inside our network."""

    image: Path

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Self:  # noqa: ARG003 - BentoML calls it so
        """Whatever content type the file claims: curl has none for a .tif, and decoding tells."""
        try:
            fields = (await request.form()).getlist("image")
        except HTTPException as error:
            raise InvalidArgument(f"the request cannot be read ({error.detail}); {HOW}") from None
        if len(fields) != 1 or not isinstance(fields[0], UploadFile):
            raise InvalidArgument(f"the request holds no image file; {HOW}")
        fields[0].filename = None  # BentoML makes it part of a file's name, and a long one would be our error
        return cls(image=fields[0])


@bentoml.service(name="segmentation")
class Segmentation:
    """Foreground and background of an image, by the promoted U-Net."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_store() -> None:
        """Stop the command when there is nothing to serve; its workers would be started again and again."""
        try:
            load_segmenter()
        except NotFound as error:
            raise SystemExit(f"error: {error}") from None

    def __init__(self) -> None:
        self.segmenter = load_segmenter()

    @bentoml.api(input_spec=Upload)  # type: ignore[untyped-decorator]
    def segment(self, image: Path) -> Annotated[bytes, ContentType("image/png")]:
        """The mask of an image (png, jpg, tif, bmp, webp; grey or RGB) as an 8-bit PNG of its size, 0 and 255."""
        try:
            pixels = decode_image(image.read_bytes(), "image", image_max=self.segmenter.image_max)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None
        _, encoded = cv2.imencode(".png", self.segmenter.mask(pixels), [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
        return encoded.tobytes()
