"""VIA's json and projects, CVAT's xml, Supervisely's json: the outlines that the tools draw, of the classes and files
that they name.
"""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import Layout, Shapes
from training.data.shapes import decode_shape

SIZE = (60, 80)  # height, width


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE[::-1]).save(folder / name)
    return folder


def drawn(layout: Layout) -> dict[str, np.ndarray]:
    """Of each image the union of its outlines, as 0 and 1."""
    assert not layout.problems
    masks = {}
    for pair in layout.pairs:
        assert isinstance(pair.mask, Shapes)
        parts = [decode_shape(text, SIZE, pair.mask.path, pair.mask.size) for text in pair.mask.segmentations]
        masks[pair.stem] = np.any(parts, axis=0) if parts else np.zeros(SIZE, bool)
    return masks


def ellipse(cx: float, cy: float, rx: float, ry: float, degrees: float = 0) -> np.ndarray:
    """Pixels whose middle lies in it; turned clockwise as seen."""
    down, right = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    turn = np.exp(-1j * np.radians(degrees))
    point = (right - cx + 1j * (down - cy)) * turn
    return (point.real / rx) ** 2 + (point.imag / ry) ** 2 <= 1


def in_triangle() -> np.ndarray:
    """That of `triangle` and CVAT_TRIANGLE."""
    down, right = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return (right >= 10) & (down >= 10) & ((right - 10) / 40 + (down - 10) / 30 <= 1)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def region(name: str, attributes: dict[str, Any] | None = None, **shape: Any) -> dict[str, Any]:
    return {"shape_attributes": {"name": name} | shape, "region_attributes": attributes or {}}


def triangle(**attributes: str) -> dict[str, Any]:
    return region("polygon", attributes, all_points_x=[10, 50, 10], all_points_y=[10, 10, 40])


def via(path: Path, regions: dict[str, Any], *, project: bool = False) -> None:
    files = {
        f"{name}1234": {"filename": name, "size": 1234, "regions": mine, "file_attributes": {}}
        for name, mine in regions.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"_via_settings": {}, "_via_img_metadata": files} if project else files))


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("numbered", [True, False], ids=["VIA 1", "VIA 2"])
@pytest.mark.parametrize("place", ["", "train/"])
def test_regions_of_via_belong_to_the_files_they_name(
    tmp_path: Path, place: str, numbered: bool, project: bool
) -> None:
    images(tmp_path, f"{place}a.jpg", f"{place}b.jpg", f"{place}c.jpg")
    regions = {"0": triangle()} if numbered else [triangle()]
    via(tmp_path / place / "via_region_data.json", {"a.jpg": regions, "b.jpg": []}, project=project)
    layout = find_layout(tmp_path)
    assert layout.name == "VIA's regions in via_region_data.json"
    masks = drawn(layout)
    assert {stem: bool(mask.any()) for stem, mask in masks.items()} == {"a": True, "b": False}
    assert masks["a"].sum() == pytest.approx(40 * 30 / 2, rel=0.06)
    assert "1 images are not listed and left out (c.jpg)" in layout.notes
    assert "1 images have no annotation, so their masks are empty (b)" in layout.notes


def test_circles_and_turned_ellipses_of_via_are_areas_and_points_and_lines_are_counted(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    others = [region("point", cx=3, cy=3), region("polyline", all_points_x=[1, 2], all_points_y=[1, 2])]
    shapes = [region("circle", cx=20, cy=20, r=10), region("ellipse", cx=50, cy=35, rx=20, ry=8, theta=0.5)]
    via(tmp_path / "a.json", {"a.png": [*shapes, triangle(), *others]})
    layout = find_layout(tmp_path)
    assert (
        "2 annotations without outline left out (keypoints: 1, lines: 1); the masks of 1 image lack these"
        in "".join(layout.notes)
    )
    assert "rectangles, circles and ellipses are foreground as they were drawn (circle: 1, ellipse: 1)" in layout.notes
    (mask,) = drawn(layout).values()
    truth = ellipse(20, 20, 10, 10) | ellipse(50, 35, 20, 8, np.degrees(0.5)) | in_triangle()
    assert overlap(mask, truth) > 0.95


def test_attributes_of_via_are_classes(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    ticked = region("rect", {"kind": {"nucleus": True, "debris": False}}, x=60, y=40, width=10, height=10)
    via(tmp_path / "a.json", {"a.png": [triangle(quality="good", type="cell"), ticked]})
    assert "2 categories (cell: 1, nucleus: 1)" in find_layout(tmp_path).problems[0]
    mask = drawn(find_layout(tmp_path, category="nucleus"))["a"]
    assert 64 <= mask.sum() <= 121
    assert mask[40:51, 60:71].sum() == mask.sum()


def test_a_json_that_is_almost_via_s_is_refused_with_its_name(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    via(tmp_path / "a.json", {"a.png": [region("polygon", all_points_x=[1, 2, 3])]})
    with pytest.raises(ValueError, match=r"a\.json: this is not VIA's format; a region lacks 'all_points_y'"):
        find_layout(tmp_path)
    via(tmp_path / "a.json", {"elsewhere.png": [triangle()]})
    assert "elsewhere.png is listed, but not in" in find_layout(tmp_path).problems[0]


# CVAT


def cvat(path: Path, **images: str) -> None:
    """Shapes as xml, by the names of images without their suffix."""
    bodies = (
        f'<image id="{number}" name="{name}.png" width="{SIZE[1]}" height="{SIZE[0]}">{shapes}</image>'
        for number, (name, shapes) in enumerate(images.items())
    )
    path.write_text(f"<?xml version='1.0'?><annotations><version>1.1</version>{''.join(bodies)}</annotations>")


CVAT_TRIANGLE = '<polygon label="cell" source="manual" points="10.0,10.0;50.0,10.0;10.0,40.0" z_order="0"/>'


@pytest.mark.parametrize("place", ["", "images/", "images/default/"])
def test_shapes_of_cvat_belong_to_the_files_they_name(tmp_path: Path, place: str) -> None:
    images(tmp_path, f"{place}a.png", f"{place}b.png")
    rle = '<mask label="cell" rle="1, 2, 3" left="70" top="55" width="3" height="2" z_order="0"/>'
    turned = '<ellipse label="cell" cx="50" cy="35" rx="20" ry="8" rotation="30"/>'
    cvat(tmp_path / "annotations.xml", a=CVAT_TRIANGLE + rle + turned, b='<tag label="empty"/>')
    layout = find_layout(tmp_path)
    assert layout.name == "CVAT's shapes in annotations.xml"
    masks = drawn(layout)
    assert not masks["b"].any()
    assert overlap(masks["a"][:55], (ellipse(50, 35, 20, 8, 30) | in_triangle())[:55]) > 0.95
    assert masks["a"][55:57, 70:73].tolist() == [[False, True, True], [False, False, False]]


def test_boxes_points_and_lines_of_cvat_are_counted_and_labels_are_classes(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    others = '<box label="cell" xtl="1" ytl="1" xbr="9" ybr="9"/><points label="cell" points="3,3"/>'
    others += '<polyline label="cell" points="1,1;9,9"/>'
    cvat(tmp_path / "annotations.xml", a=4 * CVAT_TRIANGLE + others + CVAT_TRIANGLE.replace("cell", "debris"))
    assert "2 categories (cell: 4, debris: 1)" in find_layout(tmp_path).problems[0]
    layout = find_layout(tmp_path, category="cell")
    assert "3 annotations without outline left out (boxes: 1, keypoints: 1, lines: 1)" in "".join(layout.notes)
    assert len(layout.pairs) == 1


def test_xml_of_cvat_that_cannot_be_read_is_refused_with_its_cure(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    (tmp_path / "annotations.xml").write_text('<annotations><track id="0" label="cell"/></annotations>')
    with pytest.raises(ValueError, match=r"annotations\.xml: CVAT's tracks of a video are not read; export"):
        find_layout(tmp_path)
    cvat(tmp_path / "annotations.xml", a='<polygon label="cell"/>')
    with pytest.raises(ValueError, match=r"annotations\.xml: this is not CVAT's format; a shape lacks 'points'"):
        find_layout(tmp_path)


# Supervisely


def supervisely(path: Path, *objects: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"height": SIZE[0], "width": SIZE[1]}
    path.write_text(json.dumps({"description": "", "tags": [], "size": size, "objects": objects}))


def item(kind: str, label: str = "cell", **more: Any) -> dict[str, Any]:
    return {"classTitle": label, "geometryType": kind, "tags": []} | more


def bitmap(mask: np.ndarray, left: int, top: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(np.dstack([mask, mask, mask, mask])).save(file, "png")
    data = base64.b64encode(zlib.compress(file.getvalue())).decode()
    return item("bitmap", bitmap={"data": data, "origin": [left, top]})


@pytest.mark.parametrize("place", ["", "ds0/", "train/"])
def test_objects_of_supervisely_belong_to_the_image_of_their_file(tmp_path: Path, place: str) -> None:
    images(tmp_path, *(f"{place}img/{name}.png" for name in "abc"))
    hole = [[15, 15], [20, 15], [15, 20]]
    polygon = item("polygon", points={"exterior": [[10, 10], [50, 10], [10, 40]], "interior": [hole]})
    small = np.array([[255, 0, 255], [0, 255, 0]], np.uint8)
    supervisely(tmp_path / f"{place}ann/a.png.json", polygon, bitmap(small, 70, 55))
    supervisely(tmp_path / f"{place}ann/b.png.json")
    (tmp_path / "meta.json").write_text('{"classes": [{"title": "cell"}], "tags": []}')
    layout = find_layout(tmp_path)
    assert layout.name == "Supervisely: a json an image"
    masks = drawn(layout)
    assert not masks["b"].any()
    down, right = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    truth = in_triangle() & ~((right >= 15) & (down >= 15) & (right + down <= 35))
    assert overlap(masks["a"][:55], truth[:55]) > 0.95
    assert not masks["a"][16, 16]
    assert masks["a"][55:57, 70:73].tolist() == (small > 0).tolist()
    assert "1 images are not listed and left out (c.png)" in layout.notes
    assert "1 json without outlines left out (meta.json)" in layout.notes


def test_boxes_of_supervisely_are_no_outlines_and_titles_are_classes(tmp_path: Path) -> None:
    images(tmp_path, "img/a.png")
    triangle = {"exterior": [[10, 10], [50, 10], [10, 40]], "interior": []}
    box = item("rectangle", points={"exterior": [[1, 1], [9, 9]], "interior": []})
    both = (item("polygon", label, points=triangle) for label in ("cell", "debris"))
    supervisely(tmp_path / "ann/a.png.json", *both, box)
    assert "2 categories (cell: 1, debris: 1)" in find_layout(tmp_path).problems[0]
    assert "1 annotation without outline left out (boxes: 1)" in "".join(find_layout(tmp_path, category="cell").notes)
    supervisely(tmp_path / "ann/a.png.json", item("polygon"))
    with pytest.raises(ValueError, match=r"a\.png\.json: this is not Supervisely's format; an object lacks 'points'"):
        find_layout(tmp_path)
    supervisely(tmp_path / "ann/a.png.json", item("bitmap", bitmap={"data": "AAAA", "origin": [0, 0]}))
    with pytest.raises(ValueError, match=r"a\.png\.json: this is not Supervisely's format"):
        find_layout(tmp_path)
