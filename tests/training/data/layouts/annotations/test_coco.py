"""COCO's json as many tools write it: which images and outlines it means, and what of it is no outline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data.image_set import UnusableError
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import Layout, Shapes
from training.data.reading import load_folder

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]
RUNS = {"size": [6, 8], "counts": [0, 6, 42]}


def images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(folder / name)
    return folder


def image(key: Any, name: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "file_name": name, "height": 6, "width": 8} | more


def drawn(image_id: Any, category_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "segmentation": SQUARE} | more


def coco(path: Path, listed: list[Any], annotations: list[Any], *names: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    categories = [{"id": k, "name": name} for k, name in enumerate(names or ("cell",), start=1)]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)
    return path


def files_of(layout: Layout, root: Path) -> dict[str, str]:
    return {pair.stem: pair.image.relative_to(root).as_posix() for pair in layout.pairs}


def outlines_of(layout: Layout) -> dict[str, int]:
    return {pair.stem: len(pair.mask.segmentations) for pair in layout.pairs if isinstance(pair.mask, Shapes)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_json_is_read_in_every_encoding_that_systems_write(tmp_path: Path, encoding: str) -> None:
    images(tmp_path, "Zelle ä.png")
    coco(tmp_path / "c.json", [image(1, "Zelle ä.png")], [drawn(1)], encoding=encoding)
    assert outlines_of(find_layout(tmp_path)) == {"Zelle ä": 1}


@pytest.mark.parametrize(("listed", "given"), [("1", 1), (1, "1"), (1.0, 1), (1, 1.0), (" 1", 1)])
def test_ids_are_equal_as_numbers_and_as_text(tmp_path: Path, listed: Any, given: Any) -> None:
    images(tmp_path, "a.png")
    coco(tmp_path / "c.json", [image(listed, "a.png")], [drawn(given, "1")])
    layout = find_layout(tmp_path, category="cell")
    assert (outlines_of(layout), layout.problems) == ({"a": 1}, ())


@pytest.mark.parametrize(
    "name",
    [
        r"images\deep\a b.png",
        r"C:\Users\me\export\images\deep\a b.png",
        "/data/someone/images/deep/a b.png",
        "./images/deep/a b.png",
        "images/deep/a%20b.png",
        "../images/deep/a b.png",
        "deep/A B.PNG",
        "a b.png",
        "file:///data/images/deep/a%20b.png",
        "/data/local-files/?d=images/deep/a b.png",
        "https://host.example/data/upload/images/deep/a%20b.png?token=1",
    ],
)
def test_a_name_of_any_system_or_tool_leads_to_the_file(tmp_path: Path, name: str) -> None:
    images(tmp_path, "images/deep/a b.png")
    coco(tmp_path / "result.json", [image(1, name)], [drawn(1)])
    layout = find_layout(tmp_path)
    assert [pair.image for pair in layout.pairs] == [tmp_path / "images/deep/a b.png"]
    assert layout.problems == ()


def test_a_name_that_fits_two_files_is_a_problem_and_its_folder_decides(tmp_path: Path) -> None:
    images(tmp_path, "x/a.png", "y/a.png")
    path = coco(tmp_path / "c.json", [image(1, r"D:\set\a.png")], [drawn(1)])
    (problem,) = find_layout(tmp_path).problems
    fitting = f"{path}: several files fit D:\\set\\a.png (x/a.png, y/a.png)"
    assert problem == f"{fitting}; write its folder before it (./ for the json's)"
    coco(path, [image(1, r"D:\set\y\a.png")], [drawn(1)])
    assert files_of(find_layout(tmp_path), tmp_path) == {"a": "y/a.png"}


def test_an_accent_of_macos_is_the_accent_of_others(tmp_path: Path) -> None:
    images(tmp_path, "images/zelle_a\u0308.png")
    coco(tmp_path / "c.json", [image(1, "zelle_\u00e4.png")], [drawn(1)])
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems) == ({"zelle_\u00e4": 1}, ())


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (12, 16, (12, 16)),
        ("12", "16", (12, 16)),
        (None, None, None),
        (0, 0, None),
        ("", "", None),
        (12.0, 16.0, (12, 16)),
        (float("inf"), 16, None),
        (12, float("nan"), None),
    ],
)
def test_the_size_that_the_json_states_is_handed_on(
    tmp_path: Path, height: Any, width: Any, size: tuple[int, int] | None
) -> None:
    images(tmp_path, "a.png")
    coco(tmp_path / "c.json", [image(1, "a.png", height=height, width=width)], [drawn(1)])
    (pair,) = find_layout(tmp_path).pairs
    assert isinstance(pair.mask, Shapes)
    assert pair.mask.size == size


# what is no outline


@pytest.mark.parametrize(
    ("bare", "kind"),
    [
        ({"segmentation": [], "keypoints": [1, 1, 2]}, "keypoints: 1"),
        ({"segmentation": None, "bbox": [1, 1, 3, 3]}, "boxes: 1"),
        ({"segmentation": [[]], "bbox": [1, 1, 3, 3]}, "boxes: 1"),
        ({"segmentation": {}}, "nothing: 1"),
        ({"segmentation": [[1, 2, 3, 4]]}, "outlines of fewer than three points: 1"),
    ],
)
def test_an_annotation_without_an_outline_is_left_out_and_counted(
    tmp_path: Path, bare: dict[str, Any], kind: str
) -> None:
    images(tmp_path, "a.png", "b.png")
    listed = [image(1, "a.png"), image(2, "b.png")]
    coco(tmp_path / "c.json", listed, [drawn(1), drawn(2), drawn(1, **bare)])
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems) == ({"a": 1, "b": 1}, ())
    assert layout.notes == (
        f"1 annotation without outline left out ({kind}); the masks of 1 image lack these objects (a)",
    )


def test_an_annotation_may_lack_the_key_segmentation(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1), {"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}])
    assert outlines_of(find_layout(tmp_path)) == {"a": 1}


def test_an_image_with_boxes_alone_is_left_out_because_its_mask_would_be_empty(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    boxed = drawn(2, segmentation=[], bbox=[1, 1, 3, 3])
    coco(tmp_path / "c.json", [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")], [drawn(1), boxed])
    layout = find_layout(tmp_path)
    assert outlines_of(layout) == {"a": 1, "c": 0}
    assert layout.notes == (
        "1 annotation without outline left out (boxes: 1)",
        "1 image left out: nothing but annotations without outline (b)",
        "1 images have no annotation, so their masks are empty (c)",
    )


def test_boxes_for_most_objects_are_a_problem(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    boxes = [drawn(1, segmentation=[], bbox=[1, 1, 3, 3]) for _ in range(2)]
    coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1), *boxes])
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith("2 of 3 annotations have no outline (boxes: 2), so most objects would be missing")


def test_boxes_of_a_category_that_is_not_chosen_do_not_count_against_the_chosen(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    boxes = [drawn(1, 2, segmentation=[], bbox=[1, 1, 3, 3]) for _ in range(5)]
    coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1), *boxes], "cell", "landmark")
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems) == ({"a": 1}, ())


def test_outlines_that_are_all_rectangles_are_boxes_and_one_other_tells_that_they_are_not(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    closed, turned = [*SQUARE[0], 1, 1], [3, 1, 5, 3, 3, 5, 1, 3]
    shapes = [drawn(1), drawn(1), drawn(1), drawn(1, segmentation=[closed]), drawn(1, segmentation=[turned])]
    box_like = [drawn(1, 2, segmentation=[[0, 0, 2, 0, 2, 2, 1, 1]])]
    path = coco(tmp_path / "c.json", [image(1, "a.png")], [*shapes, *box_like], "cell", "debris")
    (problem,) = find_layout(tmp_path, category="cell").problems
    assert problem.startswith("every outline of the set is a rectangle, as of boxes")
    coco(path, [image(1, "a.png")], [*shapes, drawn(1, segmentation=[[1, 1, 5, 1, 5, 4]])])
    assert find_layout(tmp_path).problems == ()


def test_runs_crowds_and_flat_polygons_are_outlines(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    shapes = [drawn(1), drawn(1, segmentation=RUNS, iscrowd=1), drawn(1, segmentation=SQUARE[0])]
    coco(tmp_path / "c.json", [image(1, "a.png")], shapes)
    (pair,) = find_layout(tmp_path).pairs
    assert isinstance(pair.mask, Shapes)
    assert [json.loads(text) for text in pair.mask.segmentations] == [SQUARE, RUNS, SQUARE]


# categories


def test_a_supercategory_that_nothing_is_of_does_not_count(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1, 2)], "cells", "cell")
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems, layout.notes) == ({"a": 1}, (), ())


def test_images_without_the_chosen_category_have_empty_masks_and_are_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    listed = [image(1, "a.png"), image(2, "b.png")]
    coco(tmp_path / "c.json", listed, [drawn(1, 1), drawn(1, 3), drawn(2, 2)], "cell", "debris", "clump")
    layout = find_layout(tmp_path, category="cell,clump")
    assert outlines_of(layout) == {"a": 2, "b": 0}
    assert layout.notes == (
        "foreground is cell: 1, clump: 1, as category=cell,clump says; debris: 1 left out",
        "1 images have no annotation of the chosen category, so their masks are empty (b)",
    )


def test_case_and_space_make_no_other_category(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    coco(tmp_path / "one.json", [image(1, "a.png")], [drawn(1, 1), drawn(1, 2)], " cell", "Cell ")
    coco(tmp_path / "two.json", [image(1, "b.png")], [drawn(1, 1)], "cell ")
    for category in ("", "CELL", "1"):
        layout = find_layout(tmp_path, category=category)
        assert (outlines_of(layout), layout.problems) == ({"a": 2, "b": 1}, ())
        assert layout.notes[0] == "categories cell and Cell are taken as one"


def test_a_category_where_the_json_has_none_is_refused(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    content = {"images": [image(1, "a.png")], "annotations": [{"image_id": 1, "segmentation": SQUARE}]}
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="category='cell': the annotations here state no classes; leave category out"):
        find_layout(tmp_path, category="cell")


# several files


def test_files_about_different_images_are_read_together_and_ids_are_each_file_s_own(tmp_path: Path) -> None:
    images(tmp_path, "train/a.png", "val/a.png")
    coco(tmp_path / "annotations/instances_train.json", [image(1, "a.png")], [drawn(1, 1)], "cell")
    coco(tmp_path / "annotations/instances_val.json", [image(1, "a.png")], [drawn(1, 2)], "nucleus", "cell")
    layout = find_layout(tmp_path, category="cell")
    assert files_of(layout, tmp_path) == {"train/a": "train/a.png", "val/a": "val/a.png"}
    assert (layout.problems, layout.notes) == ((), ("foreground is cell: 2, as category=cell says",))
    with pytest.raises(ValueError, match="category='1'"):
        find_layout(tmp_path, category="1")


@pytest.mark.parametrize(
    ("table", "name"),
    [("train.json", "train/a.png"), ("c.json", "train2017/a.png"), ("annotations/instances_train.json", "a.png")],
)
def test_a_name_of_another_part_of_the_split_leads_to_no_file(tmp_path: Path, table: str, name: str) -> None:
    images(tmp_path, "val/a.png")
    path = coco(tmp_path / table, [image(1, name)], [drawn(1)])
    layout = find_layout(tmp_path)
    assert layout.pairs == ()
    assert layout.problems == (
        f"{path}: {name} is listed, but not in {tmp_path} or its images/; val/a.png is of another part of the split",
    )


@pytest.mark.parametrize("name", ["/mnt/dev/cells/pics/a.png", r"D:\test\cells\pics\a.png"])
def test_the_first_folders_of_another_machine_say_no_part(tmp_path: Path, name: str) -> None:
    images(tmp_path, "train/a.png")
    coco(tmp_path / "c.json", [image(1, name)], [drawn(1)])
    assert files_of(find_layout(tmp_path), tmp_path) == {"a": "train/a.png"}


def test_a_table_s_own_part_goes_before_images(tmp_path: Path) -> None:
    images(tmp_path, "images/a.png", "val/a.png")
    coco(tmp_path / "instances_val.json", [image(1, "a.png")], [drawn(1)])
    assert files_of(find_layout(tmp_path), tmp_path) == {"a": "val/a.png"}


def test_a_preview_at_the_top_is_not_taken_for_the_image_of_its_name(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "raw/a.png")
    path = coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1)])
    layout = find_layout(tmp_path)
    assert layout.pairs == ()
    assert layout.problems == (
        f"{path}: several files fit a.png (a.png, raw/a.png); write its folder before it (./ for the json's)",
    )
    for name in ("raw/a.png", "./a.png"):
        coco(path, [image(1, name)], [drawn(1)])
        assert files_of(find_layout(tmp_path), tmp_path) == {"a": name.removeprefix("./")}


@pytest.mark.parametrize("folder", ["masks", "overlays", "x/thumbs"])
def test_masks_and_previews_in_folders_called_so_are_not_meant(tmp_path: Path, folder: str) -> None:
    images(tmp_path, "a.png", f"{folder}/a.png")
    coco(tmp_path / "c.json", [image(1, "a.png")], [drawn(1)])
    assert files_of(find_layout(tmp_path), tmp_path) == {"a": "a.png"}


@pytest.mark.parametrize(("places", "bare"), [(("x", "y"), ()), (("train",), ("test",))])
def test_each_json_means_the_files_beside_it(tmp_path: Path, places: tuple[str, ...], bare: tuple[str, ...]) -> None:
    images(tmp_path, *(f"{place}/a.png" for place in (*places, *bare)))
    for place in places:
        coco(tmp_path / place / "c.json", [image(1, "a.png")], [drawn(1)])
    layout = find_layout(tmp_path)
    assert [pair.image.parent.name for pair in layout.pairs] == list(places)
    assert layout.problems == ()


def test_files_found_by_their_names_alone_are_counted(tmp_path: Path) -> None:
    images(tmp_path, "pics/a.png", "pics/b.png")
    coco(tmp_path / "c.json", [image(1, r"D:\set\a.png"), image(2, "pics/b.png")], [drawn(1), drawn(2)])
    assert find_layout(tmp_path).notes == (
        "1 paths of c.json are of another folder; the files were found by their names",
    )


def test_two_files_that_annotate_an_image_differently_are_a_problem(tmp_path: Path) -> None:
    images(tmp_path, "a.png")
    coco(tmp_path / "one.json", [image(1, "a.png")], [drawn(1)])
    path = coco(tmp_path / "two.json", [image(1, "a.png")], [drawn(1), drawn(1)])
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith(
        f"{path}: 1 images are annotated differently in another json, or listed twice (a.png); keep"
    )


def test_a_file_that_says_the_same_again_is_taken_once_and_named(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    coco(tmp_path / "all.json", [image(1, "a.png"), image(2, "b.png")], [drawn(1), drawn(2)])
    coco(tmp_path / "train.json", [image(9, "a.png")], [drawn(9)])
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems) == ({"a": 1, "b": 1}, ())
    assert layout.notes == ("train.json repeats 1 images, annotated alike; they are taken once",)


def test_captions_keypoints_and_a_split_that_is_not_here_are_named(tmp_path: Path) -> None:
    images(tmp_path, "train2017/a.png")
    listed = [image(1, "a.png")]
    coco(tmp_path / "annotations/instances_train2017.json", listed, [drawn(1)])
    coco(tmp_path / "annotations/instances_val2017.json", [image(2, "b.png")], [drawn(2)])
    coco(tmp_path / "annotations/captions_train2017.json", listed, [{"image_id": 1, "caption": "a cell"}])
    coco(tmp_path / "annotations/person_keypoints_train2017.json", listed, [drawn(1), drawn(1, keypoints=[1, 1, 2])])
    (tmp_path / "annotations/licence.json").write_text("{}")
    layout = find_layout(tmp_path)
    assert (outlines_of(layout), layout.problems) == ({"a": 1}, ())
    assert layout.notes == (
        "captions_train2017.json left out: no outlines",
        "person_keypoints_train2017.json left out: instances_* is read instead",
        "instances_val2017.json left out: none of its 1 images is here (b.png)",
        "1 json without outlines left out (licence.json)",
    )


@pytest.mark.parametrize("place", ["images", "images/default", "images/train"])
def test_cvat_s_export_is_found(tmp_path: Path, place: str) -> None:
    images(tmp_path, f"{place}/a.png")
    coco(tmp_path / "annotations/instances_default.json", [image(1, "a.png")], [drawn(1)])
    assert outlines_of(find_layout(tmp_path)) == {"a": 1}


def test_roboflow_s_three_folders_are_read_together_and_copies_of_a_source_are_a_group(tmp_path: Path) -> None:
    names = {
        "train": ("a_png.rf.01.jpg", "a_png.rf.02.jpg"),
        "valid": ("b_png.rf.03.jpg",),
        "test": ("c_png.rf.04.jpg",),
    }
    for split, files in names.items():
        images(tmp_path / split, *files)
        listed = [image(k, name) for k, name in enumerate(files)]
        coco(
            tmp_path / split / "_annotations.coco.json",
            listed,
            [drawn(k, 2) for k in range(len(files))],
            "cells",
            "cell",
        )
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        (tmp_path / name).write_text("exported")
    layout = find_layout(tmp_path)
    assert [pair.group for pair in layout.pairs] == ["a_png", "a_png", "b_png", "c_png"]
    assert layout.notes == (
        "2 images are copies of 1 sources, by the names before .rf. (a_png); the copies of a source stay together",
    )


def test_outlines_in_fractions_are_scaled_to_the_picture_and_it_is_said(tmp_path: Path) -> None:
    names = [f"{k}.png" for k in range(3)]
    images(tmp_path, *names)
    corners = [[0.25, 1 / 3, 0.75, 1 / 3, 0.75, 2 / 3, 0.25, 2 / 3]]  # columns 2 to 5 and rows 2 to 3 of 8x6
    listed = [image(k, name) for k, name in enumerate(names)]
    coco(tmp_path / "c.json", listed, [drawn(k, segmentation=corners) for k in range(3)])
    found = load_folder(tmp_path, 32)
    assert "outlines go from 0 to 1 and are read as fractions of the picture's width and height" in found.notes
    expected = np.zeros((6, 8), np.uint8)
    expected[2:4, 2:6] = 1
    assert np.array_equal(found.own_mask(0), expected)


def test_what_is_wrong_with_many_annotations_of_one_file_is_said_once(tmp_path: Path) -> None:
    names = [f"{k}.png" for k in range(6)]
    images(tmp_path, *names)
    listed = [image(k, name) for k, name in enumerate(names)]
    coco(tmp_path / "c.json", listed, [drawn(k, segmentation=[[str(k), *SQUARE[0][1:]]]) for k in range(6)])
    with pytest.raises(UnusableError, match=r"c\.json and 5 more times, with other numbers: the segmentation"):
        load_folder(tmp_path, 32)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("width", [8, 7])
def test_run_lengths_are_read_in_the_order_that_gives_compact_masks(tmp_path: Path, width: int, by_rows: bool) -> None:
    """7 beside 6: the wrong order shears the masks by a pixel per column, and no more."""
    mask = np.zeros((6, width), np.uint8)
    mask[1:5, 2:5] = 1
    Image.new("L", (width, 6)).save(tmp_path / "a.png")
    flat = (mask if by_rows else mask.T).ravel()
    counts = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    runs = {"size": [6, width], "counts": counts}
    coco(tmp_path / "c.json", [image(1, "a.png", width=width)], [drawn(1, segmentation=runs)])
    found = load_folder(tmp_path, 32)
    assert np.array_equal(found.own_mask(0), mask)
    assert any("counted along the rows" in note for note in found.notes) == by_rows
