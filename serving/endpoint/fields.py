"""What a request may hold and what may answer it, as the OpenAPI document says it. Descriptions only."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, File, Form, UploadFile

MAX_FILES = 64

Output = Literal["mask", "overlay", "probability"]
JobOutput = Literal["mask", "overlay", "probability", "geojson", "coco"]
UPLOADED = (
    "png, jpg, tif, bmp, webp or gif, of any size; read as seen, turned by its orientation tag and without "
    "transparency, and answered at that size"
)
Image = Annotated[UploadFile, File(description=UPLOADED)]
Images = Annotated[list[UploadFile], File(description=f"up to {MAX_FILES} files")]
Threshold = Annotated[
    float | None, Form(ge=0, le=1, description="foreground is above it; the model's own if left out", examples=[0.5])
]
MinSize = Annotated[int, Form(ge=0, le=10**9, description="objects of fewer pixels are dropped", examples=[50])]
Split = Annotated[bool, Form(description="objects that touch are parted, by a line of background")]
Tta = Annotated[bool, Form(description="test-time augmentation: the mean over four mirror images; four times the work")]
Confidence = Annotated[
    bool,
    Form(
        description="the header Predicted-Dice says from 0 to 1 how well the mask is likely to fit, by the agreement "
        "of other seeds of the model; several times the work"
    ),
]
Page = Annotated[
    int | None,
    Form(
        ge=0, description="of a stack or an animation, counted from 0; such a file is refused without it", examples=[0]
    ),
]
ImageMax = Annotated[
    float | None,
    Form(
        gt=0,
        le=2**32 - 1,
        description="the value that stands for white in a file of more than 8 bits, such as 4095 of a 12-bit camera; "
        "if left out, what the file states, else the range of the training images (image_max of GET /model)",
        examples=[4095],
    ),
]
Channels = Annotated[
    str | None,
    Form(
        max_length=80,
        description="one to three channels that are read, counted from 0, or mean; auto: grey or RGB; if left out, "
        "those of the training images (read_channels of GET /model)",
        examples=["0,2", "mean"],
    ),
]
Kind = Annotated[Output, Form(description="mask: 1-bit PNG; overlay: RGB PNG; probability: 8-bit PNG, 255 = certain")]
JobKind = Annotated[JobOutput, Form(description="as of POST /segment, or as the formats of POST /objects")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all endpoints that take images understand, as a form gives it; None: left out."""

    threshold: Threshold = None
    min_size: MinSize = 0
    split: Split = False
    tta: Tta = False
    page: Page = None
    image_max: ImageMax = None
    channels: Channels = None


Asked = Annotated[Options, Depends()]

PREDICTED_DICE = {
    "headers": {
        "Predicted-Dice": {
            "description": "with confidence=true: the Dice that the mask is expected to have, from 0 to 1; nan where "
            "it covers too little or too much of the image to tell. `confidence` of GET /model says what it is worth",
            "schema": {"type": "string"},
            "example": "0.871",
        }
    }
}
PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
ZIP = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
OBJECT = {
    "type": "Feature",
    "id": 1,
    "geometry": {"type": "MultiPolygon", "coordinates": [[[[4, 2], [4, 4], [7, 4], [7, 2], [4, 2]]]]},
    "properties": {"area": 6, "box": [4, 2, 3, 2], "centroid": [5.0, 2.5], "mean_probability": 0.93},
}
OBJECTS = {
    "content": {
        "application/json": {"example": {"type": "FeatureCollection", "height": 64, "width": 64, "features": [OBJECT]}}
    }
}
RESULT = {
    "content": {**PNG["content"], "application/json": {"example": OBJECTS["content"]["application/json"]["example"]}}
}
CARD = {
    "content": {
        "application/json": {
            "example": {"model": "unet", "version": "3", "test_dice": 0.88, "threshold": 0.5, "image_max": 4095}
        }
    }
}
ASAP = {"content": {"application/xml": {"schema": {"type": "string"}}}}
INFO = {
    "content": {
        "application/json": {
            "example": {
                "models": {"unet": {"type": "segmentation", "dimension": 2, "labels": {"foreground": 1}}},
                "strategies": {},
                "trainers": {},
            }
        }
    }
}
JOB = {"id": "Kq3v8T0m1uYw5sZr", "state": "running", "tiles_done": 120, "tiles": 729, "detail": None}
REASONS = {
    400: ("a value that cannot be used; `detail` says value, rule and cure", "threshold='7': Input should be less ..."),
    401: ("the token is missing or wrong", "this server asks for a token; send the header `Authorization: Bearer ...`"),
    404: ("it is not there: no such job, or no package of this model", "no job of this name; ..."),
    408: ("the client stopped sending", "nothing came for 20 s; send the request again, without a pause"),
    409: ("the job is not done", "the job is running; ask again when its state is done"),
    413: ("the request or the image is too large", "the request is longer than 320 MiB; send a smaller image, ..."),
    415: ("the file is no image that can be read", "image: this is no image that can be read; give a whole png, ..."),
    429: ("too many requests at once; try again in a second", "too many requests"),
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Their part of the OpenAPI document: JSON with a `detail`."""
    schema = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
    return {
        status: {
            "description": REASONS[status][0],
            "content": {"application/json": {"schema": schema, "example": {"detail": REASONS[status][1]}}},
        }
        for status in statuses
    }


ERRORS = errors(400, 401, 408, 413, 415, 429)
