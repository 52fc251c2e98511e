"""What QuPath's MONAI Label extension asks: GET /info/, then POST /infer/wsi_v2/MODEL with a region as a PNG.

The requests, and what is read of the answers, are those of extension 0.3.1: plugins/qupath in
github.com/Project-MONAI/MONAILabel, MonaiLabelClient.java and RunInference.java. It asks first whether the server has
the image (HEAD /datastore/image), and sends the region because the answer is 404. Of training, of saving labels, and
of what 3D Slicer asks there is nothing here.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Response, UploadFile
from pydantic import BaseModel, Field, ValidationError

from serving.endpoint.answers import Request, Serving
from serving.endpoint.fields import ASAP, ERRORS, INFO, Image, Options, errors

LABEL, COLOUR = "foreground", "#e69f00"  # the class that QuPath gives to what is found
SPLIT = {"unet": False, "unet_split": True}  # the extension has a list of models, and no field for an option
Model = Literal["unet", "unet_split"]
Work = Callable[[Request, UploadFile, str, str], Awaitable[Response]]


class Region(BaseModel):
    """What the extension says of a region that it cut out itself: all of the file. Its tile_size, and the clicks and
    max_workers in its params, mean nothing to this model."""

    level: Literal[0] = 0
    location: tuple[Literal[0], Literal[0]] = (0, 0)
    size: tuple[Literal[0], Literal[0]] = (0, 0)
    min_poly_area: int = Field(ge=0, le=10**9)  # pixels


Wsi = Annotated[
    str,
    Form(
        description="JSON: objects of fewer pixels than min_poly_area are dropped; level, location and size are 0",
        examples=['{"level": 0, "location": [0, 0], "size": [0, 0], "min_poly_area": 30}'],
    ),
]


def make_routes(current: Callable[[], Serving], work: Work) -> APIRouter:
    """`work` answers a request about an image when its turn comes."""
    router = APIRouter()

    @router.get("/info/", responses={200: INFO, **errors(400, 401, 429)})
    async def info() -> dict[str, Any]:
        """For QuPath's MONAI Label extension: the model, as it is and with touching objects parted."""
        model = {"type": "segmentation", "dimension": 2, "labels": {LABEL: 1}}
        return {
            "name": "unet-studies",
            "version": current().card["version"],
            "labels": [LABEL],
            "models": dict.fromkeys(SPLIT, model),
            "strategies": {},
            "trainers": {},
        }

    @router.post("/infer/wsi_v2/{model}", response_class=Response, responses={200: ASAP, **ERRORS})
    async def infer(model: Model, file: Image, wsi: Wsi, output: Literal["asap"] = "asap") -> Response:
        """For QuPath's MONAI Label extension: the outlines of a region's objects, as ASAP writes them."""
        options = Options(min_size=read_region(wsi).min_poly_area, split=SPLIT[model])
        answer = await work(Request(current(), "geojson", options), file, "file", "infer")
        content = await asyncio.to_thread(to_asap, bytes(answer.body))
        return Response(
            content, media_type="application/xml", headers={"server-timing": answer.headers["server-timing"]}
        )

    return router


def read_region(wsi: str) -> Region:
    """HTTPException 400 with what is wrong."""
    try:
        return Region.model_validate_json(wsi)
    except ValidationError as error:
        found = error.errors()[0]
        name = ".".join(str(part) for part in ("wsi", *found["loc"]))
        rule = "the file is the region, so level, location and size are 0; min_poly_area is a number of pixels"
        raise HTTPException(400, f"{name}={str(found['input'])[:80]!r}: {found['msg']}; {rule}") from None


def to_asap(geojson: bytes) -> bytes:
    """The outlines in what POST /objects answers, as XML. Without their holes: QuPath would make each an object."""
    polygons = [polygon for one in json.loads(geojson)["features"] for polygon in one["geometry"]["coordinates"]]
    annotations = []
    for outline, *_ in polygons:
        points = "".join(f'<Coordinate Order="{k}" X="{x}" Y="{y}"/>' for k, (x, y) in enumerate(outline[:-1]))
        annotations.append(
            f'<Annotation Name="{LABEL}" Type="Polygon" PartOfGroup="{LABEL}" Color="{COLOUR}">'
            f"<Coordinates>{points}</Coordinates></Annotation>\n"
        )
    group = f'<Group Name="{LABEL}" PartOfGroup="None" Color="{COLOUR}"><Attributes/></Group>'
    return (
        f'<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>\n{"".join(annotations)}</Annotations>\n'
        f"<AnnotationGroups>{group}</AnnotationGroups>\n</ASAP_Annotations>\n"
    ).encode()
