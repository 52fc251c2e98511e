"""The champion as a bioimage.io package: one zip that Fiji, QuPath, napari and ilastik can open.

Written at each promotion, exported under another licence or name later. What it says of itself is in
serving/promotion/description.py.
"""

import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import yaml
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from serving.inference.network import MODEL as ONNX
from serving.inference.network import PACKAGE, Probability
from serving.promotion.candidate import Candidate
from serving.promotion.description import (
    COVER,
    TEST_INPUT,
    TEST_OUTPUT,
    TORCHSCRIPT,
    USAGE,
    Fields,
    describe_model,
    describe_usage,
)
from serving.promotion.export import ExportedModel, export_torchscript, predict_module
from serving.promotion.model_scores import ModelScores
from serving.promotion.publishing import ALIAS, MODEL
from serving.promotion.scores import images_tensor
from training.data.images import Pixels, to_channels
from training.data.own_size import THRESHOLD
from training.data.pictures import PREDICTION_RGB, outline
from training.tracking import store

DESCRIPTION = "bioimageio.yaml"  # by this name a package is known
COVER_PIXELS = 256  # the height of the cover, which is twice as wide, as bioimage.io wants it


def write_package(folder: Path, exported: ExportedModel, candidate: Candidate, scores: ModelScores, card: str) -> Path:
    """Write the zip into the folder, in which the ONNX file lies already; that goes in as it is."""
    pixels, probability = find_example(exported, candidate)
    export_torchscript(exported, candidate.images.channels, folder / TORCHSCRIPT)
    cover = cv2.cvtColor(draw_cover(pixels, probability), cv2.COLOR_RGB2BGR)
    with zipfile.ZipFile(folder / PACKAGE, "w") as archive:
        archive.writestr(DESCRIPTION, to_yaml(describe_model(candidate, scores)))
        archive.writestr(USAGE, describe_usage(candidate, scores, card))
        archive.writestr(COVER, cv2.imencode(".png", cover)[1].tobytes())
        for name, tensor in ((TEST_INPUT, pixels.transpose(2, 0, 1)), (TEST_OUTPUT, probability[None])):
            with archive.open(name, "w") as file:
                np.save(file, tensor[None].astype(np.float32))
        for name in (ONNX, TORCHSCRIPT):
            archive.write(folder / name, name)
    return folder / PACKAGE


def find_example(exported: ExportedModel, candidate: Candidate) -> tuple[Pixels, Probability]:
    """(h, w, c) and (h, w): the frame of a validation image in which most foreground is found, and its probability."""
    frames = candidate.tiles(candidate.val)
    pixels, masks = candidate.images.images[frames], candidate.images.masks[frames]
    probabilities = predict_module(exported, images_tensor(pixels))[:, 0].numpy()
    found = ((probabilities > THRESHOLD) & (masks == 1)).sum(axis=(1, 2))
    return pixels[found.argmax()], probabilities[found.argmax()]


def draw_cover(pixels: Pixels, probability: Probability) -> Pixels:
    """The middle of an image (h, w, c), and beside it the same under its mask: RGB, twice as wide as high."""
    height, width = probability.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = slice(top, top + side), slice(left, left + side)

    def enlarge(part: Pixels) -> Pixels:
        smooth = cv2.INTER_AREA if side > COVER_PIXELS else cv2.INTER_NEAREST
        size = (COVER_PIXELS, COVER_PIXELS)
        return cv2.resize(np.ascontiguousarray(part), size, interpolation=smooth).astype(np.uint8)

    colour = enlarge(to_channels(pixels, 3)[middle])
    mask = enlarge((probability > THRESHOLD).astype(np.uint8)[middle])
    return np.hstack([colour, outline(colour, mask, PREDICTION_RGB)])


def export_package(out: Path, licence: str, author: str) -> None:
    """Write the package of models:/unet@champion to the file `out`.

    licence, author: as serving/promotion/licence.py checks them. Raises ValueError, with the cure, where there is no
    champion, or one without a package.
    """
    store.check()
    store.connect()
    champion = f"models:/{MODEL}@{ALIAS}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            made = download_artifacts(f"{champion}/extra_files/{PACKAGE}", dst_path=scratch)
        except (MlflowException, OSError) as error:
            raise ValueError(
                f"{champion} has no package ({str(error).splitlines()[0]}); a promotion makes it: "
                "`mlflow run . -e promote -P data=FOLDER`"
            ) from None
        with zipfile.ZipFile(made) as old, zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == DESCRIPTION:
                    fields = yaml.safe_load(content) | {"license": licence, "authors": [{"name": author}]}
                    content = to_yaml(fields).encode()
                new.writestr(name, content)


def to_yaml(fields: Fields) -> str:
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120)
