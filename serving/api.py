"""The endpoints: images in; masks, overlays, objects out. FastAPI, mounted into the BentoML service.

Says what a request may hold and what answers it; the work is done in `segmenter` and `objects`, two requests at a time
and in threads, so that the server always answers.
"""

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import FastAPI, File, Form, HTTPException, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from numpy.typing import NDArray
from prometheus_client import Histogram
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request

from serving.objects import Format, find_objects, threshold_mask, to_coco, to_geojson
from serving.segmenter import Segmenter
from training.data.images import Pixels, decode_image, to_channels

PAGE = Path(__file__).with_name("page.html")
AT_ONCE = 2  # requests that decode, compute or encode; the others wait
PNG_LEVEL = 1  # of 9: a mask is small at any level, and the higher ones take longer than the network
OVERLAY_RGB, OVERLAY_SHARE = (230, 159, 0), 0.45
MAX_FILES = 64
HOW = "send the file as a field of a form, such as `curl -F image=@photo.png URL`"
MOST_OBJECTS = 20_000

Output = Literal["mask", "overlay", "probability"]
Image = Annotated[UploadFile, File(description="png, jpg, tif, bmp, webp or gif; grey or RGB, 8 or 16 bits; any size")]
Threshold = Annotated[float | None, Form(ge=0, le=1, description="foreground is above it; the model's own if left out")]
MinSize = Annotated[int, Form(ge=0, le=10**9, description="objects of fewer pixels are dropped")]
Tta = Annotated[bool, Form(description="test-time augmentation: the mean over four mirror images; four times the work")]
Kind = Annotated[Output, Form(description="mask: 1-bit PNG; overlay: RGB PNG; probability: 8-bit PNG, 255 = certain")]

SECONDS = Histogram("segment_seconds", "Seconds from a decoded image to its answer", ["endpoint"])
MEGAPIXELS = Histogram(
    "segment_megapixels", "Size of images", buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 16, 64, 100)
)
FOREGROUND = Histogram("segment_foreground_share", "Share of foreground", buckets=[k / 20 for k in range(21)])

PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
ZIP = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": why,
        "content": {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}},
    }
    for status, why in {
        400: "a value that cannot be used; `detail` says value, rule and cure",
        401: "the token is missing or wrong",
        408: "the client stopped sending",
        413: "the request or the image is too large",
        415: "the file is no image that can be read",
        429: "too many requests at once; try again in a second",
    }.items()
}


@dataclass
class Serving:
    """The model that answers, and what is known about it. Replaced as a whole when another one is promoted."""

    segmenter: Segmenter
    card: dict[str, Any]


def make_app(current: Callable[[], Serving]) -> FastAPI:
    """The endpoints, answered by what `current` gives at the moment."""
    app = FastAPI(
        title="unet-studies: segmentation",
        version="1",
        description="Foreground and background of images, by the promoted U-Net.",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    gate = asyncio.Semaphore(AT_ONCE)

    async def work(function: Callable[[], Response]) -> Response:
        async with gate:
            return await asyncio.to_thread(function)

    @app.exception_handler(RequestValidationError)
    async def explain(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()[0]
        name = ".".join(str(part) for part in found["loc"] if part != "body") or "body"
        given = f"{name}={str(found.get('input'))[:80]!r}: " if name not in ("image", "images", "body") else f"{name}: "
        how = f"; {HOW}" if name == "image" else ""
        return JSONResponse({"detail": f"{given}{found['msg']}{how}"}, 400)

    @app.exception_handler(StarletteHTTPException)  # of FastAPI, and of what reads forms
    async def tell(request: Request, error: StarletteHTTPException) -> JSONResponse:
        misread = any(word in error.detail for word in ("parsing the body", "multipart", "form"))
        detail = f"the request cannot be read ({error.detail}); {HOW}" if misread else error.detail
        return JSONResponse({"detail": detail}, error.status_code)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(), headers={"content-security-policy": POLICY})

    @app.get("/model", responses={401: ERRORS[401]})
    async def model() -> dict[str, Any]:
        """The model card: run, trial, data, validation and test Dice with interval, threshold, precision."""
        return current().card

    @app.post("/segment", response_class=Response, responses={200: PNG, **ERRORS})
    async def segment(
        image: Image, output: Kind = "mask", threshold: Threshold = None, min_size: MinSize = 0, tta: Tta = False
    ) -> Response:
        """The mask of an image, as a PNG of its size."""
        data, serving = await image.read(), current()

        def answer() -> Response:
            pixels = decode(data, "image", serving)
            with SECONDS.labels("segment").time():
                drawn = draw(pixels, serving, output, threshold, min_size, tta)
            return Response(drawn, media_type="image/png")

        return await work(answer)

    @app.post("/objects", responses=ERRORS)
    async def objects(
        image: Image,
        format: Annotated[Format, Form(description="geojson: polygons; coco: run lengths")] = "geojson",
        threshold: Threshold = None,
        min_size: MinSize = 0,
        tta: Tta = False,
    ) -> dict[str, Any]:
        """Every connected object: area, box, centroid, mean probability, and its outline or run lengths."""
        data, serving = await image.read(), current()

        def answer() -> Response:
            pixels = decode(data, "image", serving)
            with SECONDS.labels("objects").time():
                probability = serving.segmenter.probability(pixels, tta=tta)
                mask = find_mask(probability, serving, threshold, min_size)
                found = find_objects(mask, probability)
            if len(found) > MOST_OBJECTS:
                raise HTTPException(
                    400, f"{len(found)} objects; at most {MOST_OBJECTS} are listed: give a larger min_size or threshold"
                )
            written = (to_geojson if format == "geojson" else to_coco)(found, *mask.shape)
            return JSONResponse(written)

        return await work(answer)  # type: ignore[return-value]

    @app.post("/segment_batch", response_class=Response, responses={200: ZIP, **ERRORS})
    async def segment_batch(
        images: Annotated[list[UploadFile], File(description=f"up to {MAX_FILES} files")],
        output: Kind = "mask",
        threshold: Threshold = None,
        min_size: MinSize = 0,
        tta: Tta = False,
    ) -> Response:
        """A zip of PNGs, named as the files were; `errors.json` in it says which could not be read, and why."""
        if len(images) > MAX_FILES:
            raise HTTPException(400, f"images: {len(images)} files; at most {MAX_FILES} a request")
        serving, errors, packed = current(), {}, io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for number, image in enumerate(images, start=1):
                name = f"{number:03d}_{safe_stem(image.filename)}"
                data = await image.read()

                def answer(data: bytes = data, name: str = name) -> Response:
                    pixels = decode(data, name, serving)
                    with SECONDS.labels("segment_batch").time():
                        return Response(draw(pixels, serving, output, threshold, min_size, tta))

                try:
                    archive.writestr(f"{name}.png", (await work(answer)).body)
                except HTTPException as error:
                    errors[name] = error.detail
            archive.writestr("errors.json", json.dumps(errors, indent=2))
        return Response(packed.getvalue(), media_type="application/zip")

    return app


POLICY = (  # the page asks this server only
    "default-src 'none'; img-src 'self' blob: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'"
)


def decode(data: bytes, name: str, serving: Serving) -> Pixels:
    """Pixels of a file; HTTPException 413 or 415 with what is wrong."""
    try:
        pixels = decode_image(data, name, image_max=serving.segmenter.image_max)
    except ValueError as error:
        raise HTTPException(413 if "megapixels" in str(error) else 415, str(error)) from None
    MEGAPIXELS.observe(pixels.shape[0] * pixels.shape[1] / 1e6)
    return pixels


def find_mask(probability: NDArray[np.float32], serving: Serving, threshold: float | None, min_size: int) -> Pixels:
    """(h, w) of 0 and 1."""
    mask = threshold_mask(probability, serving.segmenter.threshold if threshold is None else threshold, min_size)
    FOREGROUND.observe(float(mask.mean()))
    return mask


def draw(pixels: Pixels, serving: Serving, output: Output, threshold: float | None, min_size: int, tta: bool) -> bytes:
    """A PNG, ready to be sent."""
    probability = serving.segmenter.probability(pixels, tta=tta)
    if output == "probability":
        return png(np.rint(probability * 255).astype(np.uint8))
    mask = find_mask(probability, serving, threshold, min_size)
    if output == "mask":
        return png(mask * 255, one_bit=True)
    colour = to_channels(pixels, 3)
    tint = (1 - OVERLAY_SHARE) * colour + OVERLAY_SHARE * np.array(OVERLAY_RGB)
    drawn = np.where(mask[..., None] > 0, tint, colour).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(drawn)
    cv2.drawContours(drawn, contours, -1, OVERLAY_RGB, 1)
    return png(drawn[..., ::-1])


def png(pixels: NDArray[np.uint8], *, one_bit: bool = False) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL, *((cv2.IMWRITE_PNG_BILEVEL, 1) if one_bit else ())]
    return cv2.imencode(".png", pixels, options)[1].tobytes()


def safe_stem(filename: str | None) -> str:
    """A file's name without folders, ending and anything odd."""
    stem = Path((filename or "").replace("\\", "/")).stem[:80]
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in stem) or "image"


def card_of(folder: Path, segmenter: Segmenter) -> dict[str, Any]:
    """The stored card, with the precision that this machine really serves."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card | {"served_precision": segmenter.precision, "frame": asdict(segmenter.frame)}
