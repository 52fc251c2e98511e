"""Options of reading a folder: a wrong one is refused, and so is one that would be left aside in silence."""

from pathlib import Path

import pytest

from training.data.layouts.pairs import Layout, MaskFile, MaskSource, ObjectFiles, Pair, RunLengths, Shapes
from training.data.read_options import ReadOptions

FILE = Path("a.png")
SOURCES: dict[str, MaskSource] = {
    "files": MaskFile(FILE),
    "objects": ObjectFiles((FILE,)),
    "runs": RunLengths(Path("train.csv"), ("1 1",)),
    "shapes": Shapes(Path("coco.json"), ()),
}


def layout(kind: str) -> Layout:
    return Layout(name=f"a layout of {kind}", pairs=(Pair(stem="a", image=FILE, mask=SOURCES[kind]),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"orientation": "turn"}, "orientation='turn' is unknown; it must be one of auto, apply, ignore, images"),
        (
            {"rle_order": "down"},
            "rle_order='down' is unknown; it must be one of auto, columns, rows, columns0, rows0",
        ),
        ({"channels": "red"}, "channels='red' is no choice"),
        ({"channels": "0,1,2,3"}, "give one to three numbers counted from 0"),
        ({"image_max": "-1"}, "image_max='-1' is out of range; give a number above 0"),
        ({"image_max": "nan"}, "image_max='nan' is out of range"),
        ({"ignore_value": "void"}, "ignore_value='void' is no value of a mask"),
        ({"ignore_value": "255", "mask_values": "1,255"}, "both name 255; a value is foreground or does not count"),
    ],
)
def test_what_means_nothing_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReadOptions(**options)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        *(
            (kind, name, "1")
            for kind in ("runs", "shapes")
            for name in ("mask_threshold", "mask_values", "ignore_value")
        ),
        *((kind, "rle_order", "rows") for kind in ("files", "objects", "shapes")),
    ],
)
def test_an_option_that_would_be_left_aside_is_refused(kind: str, option: str, value: str) -> None:
    reading = ReadOptions(**{option: value})
    with pytest.raises(ValueError, match=f"{option}={value} has no use here: .*a layout of {kind}; leave it out"):
        reading.refuse_unused(layout(kind))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("files", {"mask_values": "1", "ignore_value": "255"}),
        ("objects", {"mask_threshold": "0"}),
        ("runs", {"rle_order": "rows0", "image_max": "1.0"}),
        ("shapes", {"channels": "mean", "orientation": "ignore"}),
    ],
)
def test_an_option_that_decides_something_passes(kind: str, options: dict[str, str]) -> None:
    ReadOptions(**options).refuse_unused(layout(kind))
