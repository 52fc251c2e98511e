"""Outlines and classes as annotation tools export them: LabelMe, GeoJSON, YOLO, Pascal VOC and CVAT."""

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.endpoint.objects import find_objects, to_geojson
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import FRACTIONS, Layout, MaskFile, Shapes
from training.data.shapes import are_traced, decode_shape


def images(folder: Path, *names: str, size: tuple[int, int] = (8, 6)) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(folder / name)
    return folder


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def outlines_of(layout: Layout) -> dict[str, list[Any]]:
    return {
        pair.stem: [json.loads(outline) for outline in pair.mask.segmentations]
        for pair in layout.pairs
        if isinstance(pair.mask, Shapes)
    }


# LabelMe


def shape(kind: str, *points: tuple[float, float], label: str = "cell", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind} | more


TRIANGLE = shape("polygon", (1, 1), (5, 1), (5, 4))
OUTLINE = [[1, 1, 5, 1, 5, 4]]


def labelme(path: Path, *shapes: dict[str, Any], image_path: str = "", **more: Any) -> Path:
    content = {
        "version": "5.4.1",
        "imagePath": image_path or f"{path.stem}.png",
        "imageData": "aGVhdnk=",
        "shapes": shapes,
    }
    return text(path, json.dumps(content | {"imageHeight": 6, "imageWidth": 8} | more))


@pytest.mark.parametrize("place", ["", "annotations/", "labels/", "images/", "json/"])
def test_a_json_of_labelme_belongs_to_the_image_of_its_stem(tmp_path: Path, place: str) -> None:
    images(tmp_path, "images/a.png" if place else "a.png")
    labelme(tmp_path / f"{place}a.json", TRIANGLE, image_path=r"..\elsewhere\other.png")
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("LabelMe: a json an image", ())
    assert layout.notes == ("1 image not where imagePath says, and found by the json's name",)
    assert outlines_of(layout) == {"a": [OUTLINE]}
    (pair,) = layout.pairs
    assert isinstance(pair.mask, Shapes)
    assert pair.mask.size == (6, 8)


@pytest.mark.parametrize("image_path", [r"..\images\b.png", "/data/someone/images/b.png", "b.png"])
def test_a_json_of_another_stem_says_its_image_by_image_path(tmp_path: Path, image_path: str) -> None:
    images(tmp_path, "images/b.png")
    labelme(tmp_path / "json/export_1.json", TRIANGLE, image_path=image_path)
    assert outlines_of(find_layout(tmp_path)) == {"b": [OUTLINE]}


@pytest.mark.parametrize(
    ("image_path", "image"),
    [
        ("../photos/a.png", "photos/a.png"),  # what lies beside is a preview
        (r"D:\set\photos\a.png", "photos/a.png"),
        ("a.png", "json/a.png"),
    ],
)
def test_image_path_goes_before_what_lies_beside_the_json(tmp_path: Path, image_path: str, image: str) -> None:
    images(tmp_path, "photos/a.png", "json/a.png")
    labelme(tmp_path / "json/a.json", TRIANGLE, image_path=image_path)
    (pair,) = find_layout(tmp_path).pairs
    assert pair.image == tmp_path / image


def test_where_image_path_and_the_json_s_name_contradict_each_other_both_are_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    labelme(tmp_path / "a.json", TRIANGLE, image_path="b.png")
    (problem,) = find_layout(tmp_path).problems
    assert "a.json: several images fit (" in problem
    assert problem.endswith("move those away that it is not about, or correct its imagePath 'b.png'")


def test_each_json_has_the_image_beside_it_and_none_of_another_part(tmp_path: Path) -> None:
    images(tmp_path, "x/a.png", "y/a.png", "images/train/b.png", "images/val/b.png")
    for name in ("x/a", "y/a", "labels/train/b"):
        labelme(tmp_path / f"{name}.json", TRIANGLE, image_path=r"D:\old\b.png")
    layout = find_layout(tmp_path)
    assert [str(pair.image.relative_to(tmp_path)) for pair in layout.pairs] == [
        "images/train/b.png",
        "x/a.png",
        "y/a.png",
    ]


def test_rectangles_and_circles_are_drawn_and_lines_and_points_are_counted(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    shapes = [shape("rectangle", (1, 1), (5, 4)), shape("circle", (4, 3), (4, 1)), TRIANGLE]
    shapes += [shape("line", (0, 0), (1, 1)), shape("point", (2, 2))]
    labelme(tmp_path / "a.json", *shapes)
    layout = find_layout(tmp_path)
    (rectangle,), (circle,), polygon = outlines_of(layout)["a"]
    assert (rectangle, polygon) == ([1, 1, 5, 1, 5, 4, 1, 4], OUTLINE)
    distances = [math.dist((4, 3), point) for point in zip(circle[::2], circle[1::2], strict=True)]
    assert distances == pytest.approx([2] * 64)
    assert layout.notes == (
        "2 annotations without outline left out (line: 1, point: 1); the masks of 1 image lack these objects (a)",
        "rectangles and circles are foreground as they were drawn (rectangle: 1, circle: 1)",
    )


@pytest.mark.parametrize(("left", "top"), [(2, 1), (0, 0), (6, 4)])
def test_a_mask_at_its_box_becomes_run_lengths_of_the_image(tmp_path: Path, left: int, top: int) -> None:
    small = np.array([[255, 0], [255, 255]], np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).save(file, "png")
    images(tmp_path, "a.png")
    code = base64.b64encode(file.getvalue()).decode()
    labelme(tmp_path / "a.json", shape("mask", (left, top), (left + 1, top + 1), mask=code))
    ((runs,),) = outlines_of(find_layout(tmp_path)).values()
    whole = np.repeat(np.arange(len(runs["counts"])) % 2, runs["counts"]).reshape(8, 6).T
    expected = np.zeros((6, 8), int)
    expected[top : top + 2, left : left + 2] = small > 0
    assert runs["size"] == [6, 8]
    assert np.array_equal(whole, expected)


def test_an_empty_json_is_background_and_an_image_without_json_is_left_out(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    labelme(tmp_path / "a.json", TRIANGLE)
    labelme(tmp_path / "b.json")
    layout = find_layout(tmp_path)
    assert outlines_of(layout) == {"a": [OUTLINE], "b": []}
    assert layout.notes == (
        "1 images have no annotation, so their masks are empty (b)",
        "1 image left out: they have no json (c.png)",
    )


def test_labels_of_labelme_are_categories(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    labelme(tmp_path / "a.json", TRIANGLE, shape("polygon", (0, 0), (1, 0), (1, 1), label="debris"))
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith("annotations are of 2 categories (cell: 1, debris: 1); say which is foreground")
    assert outlines_of(find_layout(tmp_path, category="Cell")) == {"a": [OUTLINE]}


@pytest.mark.parametrize("category", ["", "cell", "Cell"])
def test_labels_that_differ_in_case_are_one_category(tmp_path: Path, category: str) -> None:
    images(tmp_path, "a.png")
    labelme(tmp_path / "a.json", TRIANGLE, TRIANGLE | {"label": "Cell"})
    layout = find_layout(tmp_path, category=category)
    assert (len(outlines_of(layout)["a"]), layout.problems) == (2, ())
    assert layout.notes[0] == "categories cell and Cell are taken as one"


def test_a_json_of_labelme_without_an_image_is_a_problem(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    labelme(tmp_path / "a.json", TRIANGLE)
    path = labelme(tmp_path / "b.json", TRIANGLE)
    (problem,) = find_layout(tmp_path).problems
    assert problem == f"{path}: there is no image of its name, neither by its stem nor by its imagePath 'b.png'"


def test_beside_a_coco_json_labelme_s_are_left_out_and_counted(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    labelme(tmp_path / "a.json", TRIANGLE)
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "segmentation": OUTLINE}]}
    text(tmp_path / "all.json", json.dumps(content))
    layout = find_layout(tmp_path)
    assert layout.name == "COCO annotations in all.json"
    assert layout.notes == ("1 file of LabelMe left out (a.json): COCO is read",)


# GeoJSON


RING = [[1, 1], [6, 1], [6, 5], [1, 5], [1, 1]]
HOLE = [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]


def feature(*polygons: list[Any], kind: str = "MultiPolygon", **properties: Any) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": list(polygons) if kind == "MultiPolygon" else polygons[0]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def geojson(path: Path, *features: dict[str, Any]) -> Path:
    return text(path, json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.mark.parametrize("name", ["a.geojson", "a.png.geojson", "a.json", "annotations/a.geojson", "images/a.geojson"])
def test_a_geojson_belongs_to_the_image_of_its_name(tmp_path: Path, name: str) -> None:
    images(tmp_path, "images/a.png" if "/" in name else "a.png", "images/b.png" if "/" in name else "b.png")
    geojson(tmp_path / name, feature([RING], kind="Polygon"))
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("GeoJSON: a file an image", ())
    assert layout.notes == ("1 image left out: they have no GeoJSON (b.png)",)
    assert list(outlines_of(layout)) == ["a"]


def test_qupath_s_list_of_features_without_a_collection_is_read(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    text(tmp_path / "a.geojson", json.dumps([feature([RING], kind="Polygon")]))
    assert len(outlines_of(find_layout(tmp_path))["a"]) == 1


def test_objects_of_the_endpoint_corrected_elsewhere_are_read_pixel_by_pixel(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    mask = (generator.random((40, 60)) < 0.6).astype(np.uint8)  # holes, objects in holes, touching corners
    images(tmp_path, "a.png", size=(60, 40))
    objects = find_objects(mask, mask.astype(np.float32))
    text(tmp_path / "a.geojson", json.dumps(to_geojson(objects, *mask.shape)))
    (pair,) = find_layout(tmp_path).pairs
    assert isinstance(pair.mask, Shapes)
    assert pair.mask.size == mask.shape
    assert not are_traced(pair.mask.segmentations)
    drawn = [decode_shape(outline, mask.shape, tmp_path) for outline in pair.mask.segmentations]
    assert np.array_equal(np.bitwise_or.reduce(drawn), mask)


def test_classes_of_qupath_are_categories_and_objects_without_one_go_by_their_type(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    geojson(
        tmp_path / "a.geojson",
        feature([RING, HOLE], objectType="annotation"),
        feature([RING], objectType="annotation", classification={"name": "Tumor", "color": [200, 0, 0]}),
        feature([RING], objectType="cell", classification={"names": ["Tumor", "Positive"]}),
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}},
    )
    (problem,) = find_layout(tmp_path).problems
    assert "3 categories (annotation: 1, Tumor: 1, Tumor: Positive: 1); say which is foreground" in problem
    layout = find_layout(tmp_path, category="annotation")
    (outline,) = outlines_of(layout)["a"]
    drawn = decode_shape(json.dumps(outline), (6, 8), tmp_path)
    assert drawn.tolist()[2] == [0, 1, 0, 0, 1, 1, 0, 0]
    assert drawn.sum() == 5 * 4 - 2 * 2
    assert "1 annotation without outline left out (Point: 1)" in layout.notes


def test_geojson_without_an_image_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "u/b.png", "v/b.png")
    geojson(tmp_path / "c.geojson", feature([RING]))
    geojson(tmp_path / "b.geojson", feature([RING]))
    problems = find_layout(tmp_path).problems
    assert any("c.geojson: there is no image of its name" in problem for problem in problems)
    assert any("b.geojson: several images fit" in problem for problem in problems)
    images(tmp_path, "b.png", "masks/a.png")  # the first a preview, perhaps
    assert not any("a.geojson" in problem for problem in find_layout(tmp_path).problems)
    assert any("b.geojson: several images fit" in problem for problem in find_layout(tmp_path).problems)
    geojson(tmp_path / "a.geojson", {"type": "Feature", "geometry": {"type": "Polygon"}})
    with pytest.raises(
        ValueError, match=r"a\.geojson: this is not GeoJSON \(RFC 7946\); a feature lacks 'coordinates'"
    ):
        find_layout(tmp_path)


# YOLO


HALF = "0 0 0 0.5 0 0.5 1"  # a triangle over the left half
HALF_OUTLINE = [[0, 0, 0.5, 0, 0.5, 1]]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/a.png", "labels/a.txt"),
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("set/images/val/a.png", "set/labels/val/a.txt"),
        ("a.png", "a.txt"),
        ("train/a.png", "train/a.txt"),
    ],
)
def test_outlines_of_yolo_lie_in_labels_or_beside(tmp_path: Path, image: str, label: str) -> None:
    images(tmp_path, image)
    text(tmp_path / label, HALF)
    text(tmp_path / "README.txt", "a set of cells")
    text(tmp_path / "classes.txt", "cell")
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems, layout.notes) == ("YOLO: outlines in one text per image", (), ())
    assert outlines_of(layout) == {"a": [HALF_OUTLINE]}


def test_outlines_of_yolo_are_fractions_of_the_image_seen_or_stored(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("L", (6, 8)).save(tmp_path / "images/a.jpg", exif=exif)
    text(tmp_path / "labels/a.txt", HALF)
    layout = find_layout(tmp_path)
    (pair,) = layout.pairs
    assert isinstance(pair.mask, Shapes)
    assert (pair.mask.size, outlines_of(layout)) == (FRACTIONS, {"a": [HALF_OUTLINE]})


@pytest.mark.parametrize("names", ["names: [cell, debris]", "names:\n  0: cell\n  1: debris"])
def test_classes_of_yolo_have_the_names_of_data_yaml(tmp_path: Path, names: str) -> None:
    images(tmp_path, "train/images/a.png")
    text(tmp_path / "train/labels/a.txt", HALF, "1 0 0 1 0 1 1")
    text(tmp_path / "data.yaml", "train: ../train/images", "nc: 2", names)
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith("annotations are of 2 categories (cell: 1, debris: 1)")
    for category in ("cell", "0"):
        assert outlines_of(find_layout(tmp_path, category=category)) == {"a": [HALF_OUTLINE]}


def test_without_names_classes_of_yolo_are_their_numbers(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png")
    text(tmp_path / "labels/a.txt", HALF, "7 0 0 1 0 1 1")
    assert find_layout(tmp_path).problems[0].startswith("annotations are of 2 categories (0: 1, 7: 1)")
    assert len(outlines_of(find_layout(tmp_path, category="7"))["a"]) == 1


def test_an_empty_or_missing_text_is_background_and_said(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "images/b.png", "images/c.png", "extra/d.png")
    text(tmp_path / "labels/a.txt", HALF)
    text(tmp_path / "labels/b.txt")
    layout = find_layout(tmp_path)
    assert outlines_of(layout) == {"a": [HALF_OUTLINE], "b": [], "c": []}
    assert layout.notes == (
        "2 images have no annotation, so their masks are empty (b, c)",
        "1 image without a text file, which means background (c.png)",
        "1 image left out: no labels belong to their folder (extra/d.png)",
    )


def test_boxes_of_yolo_are_no_outlines(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "images/b.png")
    text(tmp_path / "labels/a.txt", HALF, HALF, "0 0.5 0.5 0.1 0.1")
    text(tmp_path / "labels/b.txt", "0 0.5 0.5 0.1 0.1")
    layout = find_layout(tmp_path)
    assert (list(outlines_of(layout)), layout.problems) == (["a"], ())
    assert layout.notes[0].startswith("2 annotations without outline left out (boxes: 2)")
    text(tmp_path / "labels/a.txt", "0 0.5 0.5 0.1 0.1")
    assert find_layout(tmp_path).problems[0].startswith("2 of 2 annotations have no outline (boxes: 2)")


def test_keypoints_of_yolo_are_no_outlines(tmp_path: Path) -> None:
    """A box and four points of YOLO-pose are as many numbers as six points."""
    images(tmp_path, "images/a.png")
    text(tmp_path / "labels/a.txt", "0 0.4 0.8 0.1 0.2 0.3 0.8 0.4 0.7 0.4 0.8 0.4 0.9")
    text(tmp_path / "data.yaml", "kpt_shape: [4, 2]", "names: [cell]")
    assert "data.yaml states keypoints (kpt_shape: [4, 2])" in find_layout(tmp_path).problems[0]


def test_oriented_boxes_of_yolo_are_no_outlines_and_one_other_outline_tells(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "images/b.png")  # 8 pixels wide and 6 high
    upright, turned = "0 0.1 0.1 0.5 0.1 0.5 0.4 0.1 0.4", "0 0.375 0.16667 0.625 0.33333 0.5 0.66667 0.25 0.5"
    text(tmp_path / "labels/a.txt", *[upright, turned] * 3)
    text(tmp_path / "labels/b.txt")
    assert "every outline of the set is a rectangle" in find_layout(tmp_path).problems[0]
    text(tmp_path / "labels/b.txt", "0 0.1 0.1 0.5 0.1 0.6 0.4 0.1 0.4")
    assert find_layout(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 10 10 40 10 40 30", "a coordinate is 40; YOLO's are fractions of width and height"),
        ("0 0.1 0.1 0.4 0.1 0.4 0.3 0.2", "a line has 7 numbers; an outline has pairs, three or more"),
        ("cell 0.1 0.1 0.4 0.1 0.4 0.3", "a line is no outline"),
    ],
)
def test_a_line_that_is_no_outline_is_a_problem_with_its_file(tmp_path: Path, line: str, message: str) -> None:
    images(tmp_path, "images/a.png", "images/b.png")
    text(tmp_path / "labels/b.txt", HALF)
    path = text(tmp_path / "labels/a.txt", HALF, line)
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith(f"{path}: {message}")


def test_a_text_of_yolo_without_an_image_is_a_problem(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png")
    text(tmp_path / "labels/a.txt", HALF)
    path = text(tmp_path / "labels/z.txt", HALF)
    assert find_layout(tmp_path).problems == (f"{path}: there is no image of the same stem",)


def test_numbers_beside_image_and_mask_are_no_outlines(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "a_mask.png")
    text(tmp_path / "a.txt", "1 0.2 0.3 0.4 0.5 0.6")
    assert find_layout(tmp_path).name == "image and mask side by side, masks end in _mask"


# Pascal VOC and CVAT


def voc(folder: Path, *label_map: str) -> Path:
    images(folder, "JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg")
    images(folder, *(f"Segmentation{kind}/{name}.png" for kind in ("Class", "Object") for name in "ab"))
    text(folder / "ImageSets/Segmentation/train.txt", "a", "b")
    if label_map:
        text(folder / "labelmap.txt", "# label:color_rgb:parts:actions", *label_map)
    return folder


@pytest.mark.parametrize("place", ["", "VOCdevkit/VOC2012"])
def test_voc_s_masks_are_those_of_classes_and_its_void_counts_as_neither(tmp_path: Path, place: str) -> None:
    folder = voc(tmp_path / place)
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("Pascal VOC: images, and masks of classes in SegmentationClass/", ())
    masks = [MaskFile(folder / f"SegmentationClass/{name}.png", ignored=(0xE0E0C0,)) for name in "ab"]
    assert [pair.mask for pair in layout.pairs] == masks
    assert layout.notes == (
        "1 image left out: SegmentationClass/ has no mask of them (c.jpg)",
        "SegmentationObject/ left out: it numbers objects, SegmentationClass/ says what they are",
    )


def test_of_a_label_map_with_one_class_its_colour_is_foreground(tmp_path: Path) -> None:
    layout = find_layout(voc(tmp_path, "background:0,0,0::", "cell:128,0,0::"))
    assert {pair.mask.values for pair in layout.pairs if isinstance(pair.mask, MaskFile)} == {(0x800000,)}


def test_of_a_label_map_with_several_classes_one_must_be_chosen(tmp_path: Path) -> None:
    voc(tmp_path, "background:0,0,0::", "cell:128,0,0::", "debris:64,64,64::", "void:224,224,192::")
    (problem,) = find_layout(tmp_path).problems
    assert problem == (
        "annotations are of 2 categories (cell, debris); say which is foreground: category=cell, or category=all for "
        "any of them"
    )
    for category, values in (("Debris", (64,)), ("all", (0x800000, 64))):
        layout = find_layout(tmp_path, category=category)
        assert {pair.mask.values for pair in layout.pairs if isinstance(pair.mask, MaskFile)} == {values}
        assert not layout.problems


def test_a_category_without_a_label_map_is_refused_and_so_is_a_broken_one(tmp_path: Path) -> None:
    voc(tmp_path)
    with pytest.raises(ValueError, match=r"category='cell': no labelmap\.txt says which colour is which class"):
        find_layout(tmp_path, category="cell")
    text(tmp_path / "labelmap.txt", "cell=128,0,0")
    with pytest.raises(ValueError, match=r"labelmap\.txt, line 1: 'cell=128,0,0' is not name:red,green,blue"):
        find_layout(tmp_path)


def test_a_mask_of_voc_without_an_image_is_a_problem(tmp_path: Path) -> None:
    images(voc(tmp_path), "SegmentationClass/z.png")
    assert find_layout(tmp_path).problems == (
        f"{tmp_path}/SegmentationClass/z.png: there is no image of the same stem",
    )
