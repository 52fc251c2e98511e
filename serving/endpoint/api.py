"""The endpoints: images in; masks, overlays, objects out. FastAPI, mounted into the BentoML service.

Says what a request may hold and what answers it; the work is done in `answers`, two requests at a time and in threads,
so that the server always answers. An upload waits on disk until its turn comes: memory is that of two images.
"""

import asyncio
import json
import math
import tempfile
import time
import zipfile
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

from fastapi import Depends, FastAPI, Form, HTTPException, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette import requests
from starlette.exceptions import HTTPException as StarletteHTTPException

from serving.endpoint import job_routes, monai_label
from serving.endpoint.answers import Request, ServerTiming, Serving, stream
from serving.endpoint.fields import (
    CARD,
    ERRORS,
    MAX_FILES,
    OBJECTS,
    PNG,
    PREDICTED_DICE,
    ZIP,
    Asked,
    Confidence,
    Image,
    Images,
    Kind,
    errors,
)
from serving.endpoint.limits import token_wanted
from serving.endpoint.metrics import exposition
from serving.endpoint.objects import Format
from serving.endpoint.strict import UPLOAD_HINT, check_options, describe_strictly
from serving.inference.network import PACKAGE

PAGE = Path(__file__).with_name("page.html")
MAX_CONCURRENT = 2  # requests that decode, compute or encode; the others wait
IN_MEMORY = 2**24  # bytes of a zip; what is longer goes to disk
POLICY = (  # the page asks this server only
    "default-src 'none'; img-src 'self' blob: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'"
)


def make_app(current: Callable[[], Serving]) -> FastAPI:
    """The endpoints, answered by what `current` gives at the moment."""
    app = FastAPI(
        title="unet-studies: segmentation",
        version="1",
        description="Foreground and background of images, by the promoted U-Net.",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": "."}],  # beside the document itself, whatever prefix a reverse proxy gives it
        root_path_in_servers=False,
        redirect_slashes=False,  # which would lack such a prefix
        dependencies=[*token_wanted(), Depends(check_options)],
    )
    gate = asyncio.Semaphore(MAX_CONCURRENT)

    async def work(request: Request, image: UploadFile, name: str, endpoint: str) -> Response:
        timing, begin = ServerTiming(), time.perf_counter()
        async with gate:
            timing.seconds["wait"] = time.perf_counter() - begin
            data = await image.read()
            answer = await asyncio.to_thread(request.answer, data, name, endpoint, timing)
        headers = {"server-timing": str(timing)}
        if answer.predicted_dice is not None:
            headers["predicted-dice"] = f"{answer.predicted_dice:.3f}"
        return Response(answer.content, media_type=answer.media_type, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def explain(request: requests.Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()[0]
        name = ".".join(str(part) for part in found["loc"] if part not in ("body", "path", "query")) or "body"
        given = (
            f"{name}={str(found.get('input'))[:80]!r}: "
            if name not in ("image", "images", "file", "body")
            else f"{name}: "
        )
        said = "this is text, where a file belongs" if "UploadFile" in found["msg"] else found["msg"]
        how = f"; {UPLOAD_HINT}" if name == "image" else ""
        return JSONResponse({"detail": f"{given}{said}{how}"}, 400)

    @app.exception_handler(StarletteHTTPException)  # of FastAPI, and of what reads forms
    async def tell(request: requests.Request, error: StarletteHTTPException) -> JSONResponse:
        detail, called = error.detail, f"{request.method} {request.url.path[:80]}"
        if error.status_code in (404, 405) and detail == HTTPStatus(error.status_code).phrase:
            detail = f"{called}: there is no such endpoint; GET /openapi.json lists them all"
        elif type(error) is StarletteHTTPException or "parsing the body" in detail:  # ours are FastAPI's
            detail = f"the request cannot be read ({detail}); {UPLOAD_HINT}"
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(), headers={"content-security-policy": POLICY})

    @app.get("/model", responses={200: CARD, **errors(400, 401, 429)})
    async def model() -> dict[str, Any]:
        """The model card: run, trial, data, validation and test Dice with interval, threshold, precision."""
        return current().card

    @app.get("/model.zip", response_class=FileResponse, responses={200: ZIP, **errors(400, 401, 404, 429)})
    async def package() -> FileResponse:
        """The model as a bioimage.io package: for Fiji, QuPath, napari and ilastik."""
        path = current().segmenter.folder / PACKAGE
        if not path.is_file():
            raise HTTPException(404, "this model was promoted without a package; promote it again, which makes one")
        return FileResponse(path, media_type="application/zip", filename=path.name)

    @app.post("/segment", response_class=Response, responses={200: PNG | PREDICTED_DICE, **ERRORS})
    async def segment(image: Image, options: Asked, output: Kind = "mask", confidence: Confidence = False) -> Response:
        """The mask of an image, as a PNG of its size."""
        return await work(Request(current(), output, options, confidence), image, "image", "segment")

    @app.post("/objects", responses={200: OBJECTS | PREDICTED_DICE, **ERRORS})
    async def objects(
        image: Image,
        options: Asked,
        format: Annotated[Format, Form(description="geojson: polygons; coco: run lengths")] = "geojson",
        confidence: Confidence = False,
    ) -> dict[str, Any]:
        """Every connected object: area, box, centroid, mean probability, and its outline or run lengths."""
        return await work(Request(current(), format, options, confidence), image, "image", "objects")  # type: ignore[return-value]

    @app.post("/segment_batch", response_class=Response, responses={200: ZIP, **ERRORS})
    async def segment_batch(
        images: Images, options: Asked, output: Kind = "mask", confidence: Confidence = False
    ) -> Response:
        """A zip of PNGs, named as the files were; `errors.json` in it says which could not be read, and why;
        with confidence=true `predicted_dice.json` how well each is likely to fit."""
        if len(images) > MAX_FILES:
            raise HTTPException(400, f"images: {len(images)} files; at most {MAX_FILES} per request")
        request = Request(current(), output, options, confidence)
        predicted: dict[str, float | None] = {}
        unread: dict[str, str] = {}
        packed = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - closed when it was sent
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for number, image in enumerate(images, start=1):
                name = f"{number:03d}_{safe_stem(image.filename)}"
                try:
                    answer = await work(request, image, name, "segment_batch")
                    archive.writestr(f"{name}.png", answer.body)
                    if confidence:
                        told = float(answer.headers["predicted-dice"])
                        predicted[name] = None if math.isnan(told) else told
                except HTTPException as error:
                    unread[name] = error.detail
            archive.writestr("errors.json", json.dumps(unread, indent=2))
            if confidence:
                archive.writestr("predicted_dice.json", json.dumps(predicted, indent=2))
        return stream(packed, "application/zip")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        content, media_type = exposition()
        return Response(content, media_type=media_type)

    app.include_router(job_routes.make_routes(current, gate))
    app.include_router(monai_label.make_routes(current, work))
    describe_strictly(app)
    return app


def safe_stem(filename: str | None) -> str:
    """A file's name without folders, ending and anything odd."""
    stem = Path((filename or "").replace("\\", "/")).stem[:80]
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in stem) or "image"
