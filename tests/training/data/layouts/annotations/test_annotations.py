"""Masks written in tables: paths, run lengths, COCO and Aperio; and the groups that a table or a stem states."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data.layouts.challenges import read_aperio
from training.data.layouts.layouts import find_groups, find_layout
from training.data.layouts.pairs import MaskFile, RunLengths, Shapes
from training.data.layouts.run_tables import Runs, read_runs
from training.data.layouts.tables import read_table
from training.data.mask_rule import MaskRule
from training.data.masks import read_mask


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6)).save(folder / name)
    return folder


def table(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


# a csv of paths


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("given", ["csv", "folder"])
def test_a_csv_of_paths_says_which_mask_and_group(tmp_path: Path, separator: str, given: str) -> None:
    make(tmp_path, "i/a.png", "m/x.png", "i/b.png", "m/y.png")
    rows = [("image", "mask", "group", "stain"), ("i/b.png", "m/y.png", "p2", "HE"), ("i/a.png", "m/x.png", "p1", "HE")]
    path = table(tmp_path / "pairs.csv", *(separator.join(row) for row in rows))
    layout = find_layout(path if given == "csv" else tmp_path)
    assert (layout.name, layout.problems) == ("paths in pairs.csv", ())
    assert [(pair.image, pair.mask, pair.group) for pair in layout.pairs] == [
        (tmp_path / "i/a.png", MaskFile(tmp_path / "m/x.png"), "p1"),
        (tmp_path / "i/b.png", MaskFile(tmp_path / "m/y.png"), "p2"),
    ]


@pytest.mark.parametrize(
    "columns",
    [
        *("image_path,mask_path", "file_name,mask_file_name", "filename,mask", "Image,Mask", "img_path,label_path"),
        *("img,label", "imagePath,maskPath", "images,masks", "input,target", "Image Path,Mask Path", "File,GT"),
    ],
)
def test_columns_of_paths_have_several_usual_names(tmp_path: Path, columns: str) -> None:
    make(tmp_path, "i/a.png", "m/x.png")
    layout = find_layout(table(tmp_path / "t.csv", columns, "i/a.png,m/x.png"))
    assert [(pair.image, pair.mask) for pair in layout.pairs] == [
        (tmp_path / "i/a.png", MaskFile(tmp_path / "m/x.png")),
    ]


@pytest.mark.parametrize("start", ["image/", "train/image/"])
def test_a_csv_of_paths_may_lie_below_and_start_there_or_at_the_top(tmp_path: Path, start: str) -> None:
    """As metadata.csv beside the images of train/."""
    make(tmp_path, "train/image/a.png", "train/seen/a_m.png")
    table(tmp_path / "train/metadata.csv", "file_name,mask_file_name", f"{start}a.png,{start[:-6]}seen/a_m.png")
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("paths in metadata.csv", ())
    assert layout.pairs[0].mask == MaskFile(tmp_path / "train/seen/a_m.png")


def test_a_column_of_parts_is_named_with_the_option_that_keeps_it(tmp_path: Path) -> None:
    make(tmp_path, "i/a.png", "m/x.png")
    layout = find_layout(table(tmp_path / "pairs.csv", "image,mask,split", "i/a.png,m/x.png,train"))
    assert layout.notes == ("column split of pairs.csv is not used; split=pairs.csv (with its path) keeps it",)


def test_images_beside_the_listed_ones_are_counted_and_named(tmp_path: Path) -> None:
    make(tmp_path, "i/a.png", "i/b.png", "i/c.png", "i/d_mask.png", "m/b.png", "m/c.png", "other/e.png")
    path = table(tmp_path / "pairs.csv", "image,mask", "i/b.png,m/b.png", "i/d.png,m/d.png", "i/c.png,i/d_mask.png")
    left_out = "pairs.csv does not list 1 of the image files in the folders of its images; they are left out (a.png)"
    assert find_layout(path).notes == (left_out,)
    assert find_layout(tmp_path / "i" / ".." / "pairs.csv").notes == (left_out,)


def test_paths_in_a_csv_may_be_absolute_and_quoted(tmp_path: Path) -> None:
    make(tmp_path, "far/a, b.png", "far/m.png")
    path = table(tmp_path / "near" / "t.csv", "image,mask", f'"{tmp_path}/far/a, b.png",{tmp_path}/far/m.png')
    (pair,) = find_layout(path).pairs
    assert (pair.image, pair.mask) == (tmp_path / "far/a, b.png", MaskFile(tmp_path / "far/m.png"))


def test_a_csv_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "m.png")
    (tmp_path / "t.csv").write_text("Image;Mask\r\na.png;m.png\r\n", encoding="utf-8-sig")
    assert [pair.stem for pair in find_layout(tmp_path / "t.csv").pairs] == ["a"]


def test_a_data_frame_s_csv_with_its_index_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "m.png")
    assert [pair.stem for pair in find_layout(table(tmp_path / "T.CSV", ",image,mask", "0,a.png,m.png")).pairs] == ["a"]
    assert find_layout(tmp_path).name == "paths in T.CSV"


def test_tables_of_paths_are_read_together(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "c.png", "m.png", "n.png")
    for name in "abc":
        table(tmp_path / f"{name}.csv", "image,mask", f"{name}.png,m.png")
    table(tmp_path / "b.csv", "image,mask", "b.png,m.png", "a.png,m.png")
    path = table(tmp_path / "d.csv", "image,mask", "c.png,n.png")
    table(tmp_path / "old.csv", "image,mask", "x.png,m.png")
    layout = find_layout(tmp_path)
    assert (layout.name, [pair.stem for pair in layout.pairs]) == (
        "paths in a.csv, b.csv, c.csv, d.csv, old.csv",
        ["a", "b", "c"],
    )
    assert layout.problems == (
        f"{path}, line 2: {tmp_path}/c.png is named a second time, with another mask; keep one of the rows",
    )
    assert layout.notes == (
        "b.csv repeats 1 images, with the same masks; they are taken once",
        "old.csv left out: none of its 1 images is here",
    )


@pytest.mark.parametrize("place", ["", "train/"])
def test_the_tables_of_a_split_are_all_read(tmp_path: Path, place: str) -> None:
    make(tmp_path, *(f"{place}pics/{name}.png" for name in "abcm"))
    for name, image in (("train", "a"), ("val", "b"), ("test", "c")):
        table(tmp_path / f"{place}{name}.csv", "image,mask", f"pics/{image}.png,pics/m.png")
    layout = find_layout(tmp_path)
    assert ([pair.image.stem for pair in layout.pairs], layout.problems, layout.notes) == (["a", "b", "c"], (), ())


def test_equal_stems_of_absolute_paths_get_their_folders(tmp_path: Path) -> None:
    make(tmp_path, "far/x/a.png", "far/y/a.png", "far/m.png")
    rows = [f"{tmp_path}/far/{name}/a.png,{tmp_path}/far/m.png" for name in "xy"]
    layout = find_layout(table(tmp_path / "near" / "t.csv", "image,mask", *rows))
    assert ([pair.stem for pair in layout.pairs], layout.problems) == (["x/a", "y/a"], ())


def test_a_row_that_does_not_hold_is_a_problem_with_its_line(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png", "m.png")
    path = table(
        tmp_path / "t.csv", "image,mask", "a.png,m.png", "b.png,", ",m.png", "c.png,n.png", "a.png,m.png", "a.png,b.png"
    )
    layout = find_layout(path)
    assert [pair.stem for pair in layout.pairs] == ["a"]
    assert layout.problems == (
        f"{path}, line 3: image and mask must both be given",
        f"{path}, line 4: image and mask must both be given",
        f"{path}, line 5: {tmp_path}/c.png, {tmp_path}/n.png does not exist; paths start at the csv's folder",
        f"{path}, line 7: {tmp_path}/a.png is named a second time, with another mask; keep one of the rows",
    )
    assert layout.notes == ("t.csv repeats 1 images, with the same masks; they are taken once",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,group\na,b\n", r"t\.csv: a csv of paths needs the columns image and mask; it has \['image', 'group'\]"),
        ("", r"t\.csv: this is no csv; give a folder of images and masks, a zip, or a csv"),
        ("image,mask\n", r"t\.csv: the csv has no rows; each must name an image and a mask"),
        ("image,mask\na,b,c\n", r"t\.csv: a row does not fit the columns 'image,mask'"),
    ],
)
def test_a_csv_that_is_none_of_paths_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        find_layout(tmp_path / "t.csv")


def test_rows_that_hold_nothing_are_passed_over(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "image;mask", "a.png;m.png;;", ";;", ";")
    assert read_table(path) == [{"image": "a.png", "mask": "m.png"}]


def test_bytes_that_are_no_text_are_no_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"image,mask\n\x81\x8d\n")
    with pytest.raises(ValueError, match=r"t\.csv: this is no csv that can be read"):
        read_table(tmp_path / "t.csv")


def test_paths_of_windows_and_of_another_machine_lead_to_the_files(tmp_path: Path) -> None:
    make(tmp_path, *(f"{side}/{name}.png" for side in ("pics", "truth") for name in "ab"))
    rows = (r"pics\a.png,truth\a.png", r"D:\work\set\pics\b.png,/data/someone/truth/b.png")
    layout = find_layout(table(tmp_path / "t.csv", "image,mask", *rows))
    assert [(pair.stem, pair.image, pair.mask) for pair in layout.pairs] == [
        (stem, tmp_path / f"pics/{name}.png", MaskFile(tmp_path / f"truth/{name}.png"))
        for stem, name in (("pics/a", "a"), ("pics/b", "b"))
    ]
    assert layout.notes == ("1 paths of t.csv are of another folder; the files were found by their names",)


def test_a_mask_that_is_not_there_is_not_its_image(tmp_path: Path) -> None:
    make(tmp_path, "i/a.png", "i/b.png", "i/c.png")
    layout = find_layout(
        table(tmp_path / "t.csv", "image,mask", "i/a.png,m/a.png", "i/b.png,i/b.png", "j/c.png,i/c.png")
    )
    assert layout.pairs == ()
    assert layout.problems == (
        f"{tmp_path}/t.csv, line 2: {tmp_path}/m/a.png does not exist; paths start at the csv's folder",
        f"{tmp_path}/t.csv, line 3: i/b.png is named as image and as mask; name the mask's file",
        f"{tmp_path}/t.csv, line 4: {tmp_path}/j/c.png does not exist; paths start at the csv's folder",
    )


def test_a_path_in_train_means_no_file_in_val(tmp_path: Path) -> None:
    make(tmp_path, "val/a.png", "m/x.png")
    layout = find_layout(table(tmp_path / "t.csv", "image,mask", "train/a.png,m/x.png"))
    assert layout.problems == (
        f"{tmp_path}/t.csv, line 2: {tmp_path}/train/a.png does not exist; paths start at the csv's folder; val/a.png "
        "is of another part of the split",
    )


def test_an_option_that_says_nothing_about_a_csv_of_paths_is_refused(tmp_path: Path) -> None:
    path = table(make(tmp_path, "a.png", "m.png") / "t.csv", "image,mask", "a.png,m.png")
    with pytest.raises(ValueError, match=r"mask_suffix='_m': in paths in t\.csv masks are not found by the endings"):
        find_layout(path, "_m")
    with pytest.raises(ValueError, match=r"category='cell': paths in t\.csv states no classes; leave category out"):
        find_layout(path, category="cell")


def test_a_path_that_fits_two_files_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "pics/a.png", "truth/a.png", "m.png")
    path = table(tmp_path / "t.csv", "image,mask", r"D:\set\a.png,m.png")
    (problem,) = find_layout(path).problems
    assert (
        problem == f"{path}, line 2: several files fit (pics/a.png, truth/a.png); write the path from the csv's folder"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_is_read_in_every_encoding_that_spreadsheets_write(
    tmp_path: Path, encoding: str, separator: str, end: str
) -> None:
    make(tmp_path, "Zelle \u00e4.png", "Maske, \u00e4.png")
    rows = [separator.join(('"image"', "mask")), separator.join(("Zelle \u00e4.png", '"Maske, \u00e4.png"'))]
    (tmp_path / "t.csv").write_bytes("".join(row + end for row in rows).encode(encoding))
    layout = find_layout(tmp_path)
    assert [(pair.image, pair.mask) for pair in layout.pairs] == [
        (tmp_path / "Zelle \u00e4.png", MaskFile(tmp_path / "Maske, \u00e4.png"))
    ]
    assert layout.notes == (("t.csv is not UTF-8; it is read as cp1252",) if encoding == "cp1252" else ())


def test_excel_s_line_about_the_separator_is_no_header(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "m.png")
    assert [
        pair.stem for pair in find_layout(table(tmp_path / "t.csv", "sep=;", "image;mask", "a.png;m.png")).pairs
    ] == ["a"]


@pytest.mark.parametrize("header", ["# made by hand, in May\n#\nimage,mask", "# image,mask", "#image,mask"])
def test_remarks_before_the_header_are_passed_over(tmp_path: Path, header: str) -> None:
    make(tmp_path, "a.png", "m.png")
    assert [pair.stem for pair in find_layout(table(tmp_path / "t.csv", header, "a.png,m.png")).pairs] == ["a"]


def test_labels_that_are_no_files_are_no_masks(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png")
    table(tmp_path / "kinds.csv", "image,label", "a.png,benign")
    layout = find_layout(tmp_path)
    assert layout.name == "images/ and masks/, equal stems"
    assert layout.notes == (
        "no masks are taken from kinds.csv: image, label; group= may name a column beside one of images' names",
    )


# run lengths


@pytest.mark.parametrize(
    "header", ["ImageId,EncodedPixels", "image_id,rle", "id;annotation", "img_id\trle_mask", "Height,rle,id"]
)
def test_run_lengths_go_by_the_image_s_stem_or_file_name(tmp_path: Path, header: str) -> None:
    make(tmp_path, "a.png", "train/b.png", "train/deep/c.png")
    separator = next(mark for mark in ",;\t" if mark in header)
    last = header.startswith("Height")
    rows = [("a", "1 2"), ("b.png", "7 1"), ("a", "9 3"), ("c", "")]
    lines = [separator.join(("6", runs, name) if last else (name, runs)) for name, runs in rows]
    path = table(tmp_path / "train.csv", header, *lines)
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems, layout.notes) == ("images with run lengths in train.csv", (), ())
    texts = {pair.stem: pair.mask for pair in layout.pairs}
    assert texts == {"a": RunLengths(path, ("1 2", "9 3")), "b": RunLengths(path, ("7 1",)), "c": RunLengths(path, ())}


@pytest.mark.parametrize("text", ["", "nan", "NaN", "-1"])
def test_a_row_without_runs_is_an_empty_mask(tmp_path: Path, text: str) -> None:
    path = table(tmp_path / "t.csv", "ImageId,EncodedPixels", f"a,{text}")
    assert read_runs(path) == {"a": Runs()}
    mask, facts = read_mask(RunLengths(path, ()), (6, 8), MaskRule(), Path.read_bytes)
    assert (int(mask.sum()), facts.kind) == (0, "empty")


def test_an_image_without_a_row_is_a_problem_and_a_row_without_an_image_a_note(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    table(tmp_path / "t.csv", "ImageId,EncodedPixels", "a,1 2", *(f"gone{k},1 1" for k in range(7)))
    layout = find_layout(tmp_path)
    assert layout.problems == (f"{tmp_path}/b.png: t.csv has no row for this image; add one, empty for an empty mask",)
    assert layout.notes == ("t.csv names 7 images that are not here (gone0, gone1, gone2, gone3, gone4 and 2 more)",)


def test_kaggle_s_sample_submission_is_no_table_of_masks(tmp_path: Path) -> None:
    make(tmp_path, "train/a.png")
    table(tmp_path / "sample_submission_v2.csv", "id,rle_mask", "z,1 1")
    with pytest.raises(ValueError, match="no image with a mask was found"):
        find_layout(tmp_path)
    path = table(tmp_path / "train.csv", "id,rle_mask", "a,1 2")
    layout = find_layout(tmp_path)
    assert ([pair.mask for pair in layout.pairs], layout.notes) == ([RunLengths(path, ("1 2",))], ())


def test_a_row_may_be_longer_than_python_s_usual_limit(tmp_path: Path) -> None:
    runs = "1 1 " * 50_000
    assert read_runs(table(tmp_path / "t.csv", "id,rle", f"a,{runs}")) == {"a": Runs(texts=[("", runs.strip())])}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("ImageId,EncodedPixels",), r"t\.csv: the csv has no rows"),
        (("who,rle", "a,1 2"), r"t\.csv: it has run lengths \(rle\) but no column of image ids; name one ImageId"),
    ],
)
def test_a_csv_of_run_lengths_that_cannot_be_used_is_refused(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    make(tmp_path, "a.png")
    table(tmp_path / "t.csv", *lines)
    with pytest.raises(ValueError, match=message):
        find_layout(tmp_path)


# COCO


def make_coco(folder: Path, place: str = "instances.json", **changes: Any) -> Path:
    """Two images, an annotation of the first."""
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    square = {"image_id": 7, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]}
    content = {"images": images, "annotations": [square], "categories": [{"id": 1, "name": "cell"}]}
    return table(folder / place, json.dumps(content | changes))


@pytest.mark.parametrize(
    ("images", "place"), [("", "c.json"), ("images/", "annotations/c.json"), ("annotations/", "annotations/c.json")]
)
def test_coco_files_are_looked_for_where_people_put_them(tmp_path: Path, images: str, place: str) -> None:
    make(tmp_path, f"{images}a.png", f"{images}b.png")
    path = make_coco(tmp_path, place)
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("COCO annotations in c.json", ())
    assert [pair.mask for pair in layout.pairs] == [Shapes(path, ("[[1, 1, 5, 1, 5, 4, 1, 4]]",)), Shapes(path, ())]
    assert layout.notes == ("1 images have no annotation, so their masks are empty (b)",)
    mask, _ = read_mask(layout.pairs[0].mask, (6, 8), MaskRule(), Path.read_bytes)
    assert (int(mask.sum()), bool(mask[1:4, 1:5].all())) == (12, True)


def test_of_two_categories_one_must_be_chosen_and_all_takes_crowds_too(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.png")
    runs = {"size": [6, 8], "counts": [0, 6, 42]}
    shapes = [{"image_id": 7, "category_id": 1, "segmentation": [[4, 0, 6, 0, 6, 6, 4, 6]]}]
    shapes += [{"image_id": 8, "category_id": 2, "segmentation": runs, "iscrowd": 1}]
    make_coco(tmp_path, annotations=shapes, categories=[{"id": 1, "name": "cell"}, {"id": 2, "name": "clump"}])
    (problem,) = find_layout(tmp_path).problems
    assert problem == (
        "annotations are of 2 categories (cell: 1, clump: 1); say which is foreground: "
        "category=cell, or category=all for any of them"
    )
    layout = find_layout(tmp_path, category="all")
    assert layout.notes == ("foreground is any of 2 categories (cell: 1, clump: 1), as category=all says",)
    masks = [read_mask(pair.mask, (6, 8), MaskRule(), Path.read_bytes)[0] for pair in layout.pairs]
    assert [np.flatnonzero(mask.any(axis=0)).tolist() for mask in masks] == [[4, 5], [0]]


def test_images_that_coco_s_json_does_not_name_are_in_the_notes(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/c.png", "d.png")
    make_coco(tmp_path, "annotations/train.json", images=[{"id": 7, "file_name": "images/a.png"}])
    layout = find_layout(tmp_path)
    assert [pair.stem for pair in layout.pairs] == ["a"]
    assert layout.notes == ("2 images are not listed and left out (c.png, d.png)",)


def test_equal_names_in_coco_s_folders_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, "x/a.png", "y/a.png")
    make_coco(tmp_path, images=[{"id": 7, "file_name": "x/a.png"}, {"id": 8, "file_name": "y/a.png"}])
    assert [pair.stem for pair in find_layout(tmp_path).pairs] == ["x/a", "y/a"]


def test_an_unknown_image_id_and_a_missing_file_are_problems(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    path = make_coco(tmp_path, annotations=[{"image_id": 99, "segmentation": []}])
    assert find_layout(tmp_path).problems == (
        f"{path}: b.png is listed, but not in {tmp_path} or its images/",
        f"{path}: annotations of images that it does not list (image_id 99)",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', r"c\.json: this is no json that can be read"),
        ('{"images": [{"file_name": "a.png"}], "annotations": []}', r"c\.json: this is not COCO's format.*'id'"),
        ('{"images": ["a.png"], "annotations": []}', r"c\.json: this is not COCO's format"),
        ('{"images": [{"id": 7}], "annotations": [{"image_id": 7}]}', r"c\.json: .*lacks 'file_name'"),
    ],
)
def test_json_that_is_no_coco_is_refused(tmp_path: Path, text: str, message: str) -> None:
    table(make(tmp_path, "a.png") / "c.json", text)
    with pytest.raises(ValueError, match=message):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("ImageId,EncodedPixels,ClassId", ("a.png,1 2,1", "a.png,7 1,2", "b.png,3 1,1")),
        ("id,annotation,category", ("a,1 2,1", "a,7 1,2", "b,3 1,1")),
        ("ImageId_ClassId,EncodedPixels", ("a.png_1,1 2", "a.png_2,7 1", "b.png_1,3 1", "b.png_2,")),
        ("Image_Label,EncodedPixels", ("a.png_1,1 2", "a.png_2,7 1", "b.png_1,3 1", "b.png_2,")),
    ],
)
def test_classes_of_run_lengths_are_categories(tmp_path: Path, header: str, rows: tuple[str, ...]) -> None:
    make(tmp_path, "a.png", "b.png")
    path = table(tmp_path / "train.csv", header, *rows)
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith("annotations are of 2 categories (1: 2, 2: 1); say which is foreground: category=1, or")
    layout = find_layout(tmp_path, category="2")
    assert [pair.mask for pair in layout.pairs] == [RunLengths(path, ("7 1",)), RunLengths(path, ())]
    assert layout.notes == (
        "foreground is 2: 1, as category=2 says; 1: 2 left out",
        "1 images have nothing of the chosen category: empty masks (b)",
    )
    assert len(find_layout(tmp_path, category="all").pairs[0].mask.texts) == 2  # type: ignore[union-attr]


def test_run_lengths_of_one_class_need_no_choice(tmp_path: Path) -> None:
    make(tmp_path, "train/a.png", "test/z.png")
    path = table(tmp_path / "train.csv", "id,annotation,width,height,cell_type", "a,1 2,8,6,astro", "a,7 1,8,6,astro")
    layout = find_layout(tmp_path)
    assert [pair.mask for pair in layout.pairs] == [RunLengths(path, ("1 2", "7 1"), (6, 8))]
    assert layout.problems == ()
    assert layout.notes == ("1 image left out: train.csv names none of their folder (test/z.png)",)


def test_a_category_of_run_lengths_without_classes_is_refused(tmp_path: Path) -> None:
    table(make(tmp_path, "a.png") / "t.csv", "id,rle", "a,1 2")
    with pytest.raises(ValueError, match="category='x': the annotations here state no classes; leave category out"):
        find_layout(tmp_path, category="x")


def test_two_sizes_of_one_image_are_refused(tmp_path: Path) -> None:
    table(make(tmp_path, "a.png") / "t.csv", "id,rle,width,height", "a,1 2,8,6", "a,1 2,6,8")
    with pytest.raises(
        ValueError, match=r"t\.csv, line 3: a is \(6, 8\) and \(8, 6\) pixels high and wide; correct one"
    ):
        find_layout(tmp_path)


@pytest.mark.parametrize("name", ["train/a.png", r"train\a.png", r"C:\set\train\a.png"])
def test_an_image_id_may_be_a_path(tmp_path: Path, name: str) -> None:
    make(tmp_path, "train/a.png", "val/a.png")
    path = table(tmp_path / "t.csv", "image,rle", f"{name},1 2", "val/a.png,7 1")
    layout = find_layout(tmp_path)
    assert [(pair.stem, pair.mask) for pair in layout.pairs] == [
        ("train/a", RunLengths(path, ("1 2",))),
        ("val/a", RunLengths(path, ("7 1",))),
    ]


# Aperio


def aperio(*polygons: list[tuple[float, float]]) -> str:
    regions = ""
    for polygon in polygons:
        vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in polygon)
        regions += f"<Region><Vertices>{vertices}</Vertices></Region>"
    return f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>"


SQUARE = [(1.0, 1.0), (5.0, 1.0), (5.0, 4.0), (1.0, 4.0)]


@pytest.mark.parametrize("place", ["", "MoNuSeg/"])
@pytest.mark.parametrize("images", ["Tissue Images", "Tissue images"])
def test_monuseg_s_outlines_are_polygons(tmp_path: Path, place: str, images: str) -> None:
    make(tmp_path / place, f"{images}/a.tif")
    path = table(tmp_path / place / "Annotations" / "a.xml", aperio(SQUARE, [(6, 0), (8, 0), (8, 2), (6, 2)]))
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("MoNuSeg: images, and their outlines in Annotations/*.xml", ())
    (pair,) = layout.pairs
    assert isinstance(pair.mask, Shapes)
    assert pair.mask.path == path
    assert json.loads(pair.mask.segmentations[0]) == [[1, 1, 5, 1, 5, 4, 1, 4]]
    mask, facts = read_mask(pair.mask, (6, 8), MaskRule(), Path.read_bytes)
    assert (int(mask.sum()), facts.kind) == (16, "objects")


def test_a_region_of_fewer_than_three_points_has_no_area(tmp_path: Path) -> None:
    assert len(read_aperio(table(tmp_path / "a.xml", aperio(SQUARE, [(0, 0), (1, 1)]))).segmentations) == 1


def test_of_two_images_for_one_xml_neither_is_chosen_in_silence(tmp_path: Path) -> None:
    make(tmp_path, "Overlay/a.png", "Tissue Images/a.tif")
    table(tmp_path / "Annotations" / "a.xml", aperio(SQUARE))
    (problem,) = find_layout(tmp_path).problems
    assert (
        problem == f"{tmp_path}/Tissue Images/a.tif: {tmp_path}/Overlay/a.png has the same stem; stems must be unique"
    )


def test_monuseg_in_two_folders_is_taken_together(tmp_path: Path) -> None:
    make(tmp_path, "train/Tissue Images/a.tif", "test/Tissue Images/b.tif")
    for name in ("train/Annotations/a.xml", "test/Annotations/b.xml"):
        table(tmp_path / name, aperio(SQUARE))
    layout = find_layout(tmp_path)
    assert ([pair.stem for pair in layout.pairs], layout.problems) == (["a", "b"], ())


def test_an_image_without_xml_and_xml_without_an_image_are_problems(tmp_path: Path) -> None:
    make(tmp_path, "Tissue Images/a.tif", "Tissue Images/b.tif")
    for name in ("a", "c"):
        table(tmp_path / "Annotations" / f"{name}.xml", aperio(SQUARE))
    assert find_layout(tmp_path).problems == (
        f"{tmp_path}/Tissue Images/b.tif: Annotations/ has no b.xml",
        f"{tmp_path}/Annotations/c.xml: there is no image of the same stem",
    )


@pytest.mark.parametrize(
    "text",
    [
        "<Annotations>",
        "<annotation><object/></annotation>",
        '<Annotations><Region><Vertex X="1"/></Region></Annotations>',
        '<Annotations><Region><Vertex X="l" Y="2"/></Region></Annotations>',
    ],
)
def test_xml_that_is_no_aperio_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.xml: this is no Aperio xml that can be read"):
        read_aperio(table(tmp_path / "a.xml", text))


# groups


STEMS = ("p1_a", "p1_b", "p2_a")


def make_patients(folder: Path, *index: str) -> Path:
    make(folder, *(f"{part}/{stem}.png" for part in ("images", "masks") for stem in STEMS))
    if index:
        table(folder / "index.csv", *index)
    return folder


def groups_of(data: Path, group: str) -> tuple[str, ...]:
    return find_groups(data, find_layout(data).pairs, group)


@pytest.mark.parametrize(
    ("group", "groups"),
    [("", STEMS), (r"p(\d)", ("1", "1", "2")), (r"p\d", ("p1", "p1", "p2")), ("_(.)", ("a", "b", "a"))],
)
def test_a_group_is_what_an_expression_finds_in_the_stem(tmp_path: Path, group: str, groups: tuple[str, ...]) -> None:
    assert groups_of(make_patients(tmp_path), group) == groups


@pytest.mark.parametrize(("key", "ending"), [("stem", ""), ("image", ".png"), ("file", ".png")])
def test_a_group_is_a_column_of_index_csv(tmp_path: Path, key: str, ending: str) -> None:
    rows = [f"{stem}{ending},{stem[:2]}" for stem in reversed(STEMS)]
    assert groups_of(make_patients(tmp_path, f"{key},Patient", *rows), "patient") == ("p1", "p1", "p2")


@pytest.mark.parametrize("place", ["meta/patients.csv", "images/list.csv"])
@pytest.mark.parametrize("group", ["patient_id", "Patient ID", "patientID"])
def test_a_csv_in_a_folder_states_groups_whatever_its_columns_are_spelled_like(
    tmp_path: Path, place: str, group: str
) -> None:
    make_patients(tmp_path)
    table(tmp_path / place, "File Name,Patient ID", *(f"{stem}.png,{stem[:2]}" for stem in STEMS))
    assert groups_of(tmp_path, group) == ("p1", "p1", "p2")


def test_a_column_of_several_csvs_states_groups(tmp_path: Path) -> None:
    make_patients(tmp_path)
    for name, stem in (("train", "p1_a"), ("val", "p1_b"), ("test", "p2_a")):
        table(tmp_path / f"{name}.csv", "image,mask,patient", f"images/{stem}.png,masks/{stem}.png,{stem[:2]}")
    assert groups_of(tmp_path, "patient") == ("p1", "p1", "p2")


def test_index_csv_may_name_paths_and_other_csvs_do_not_disturb(tmp_path: Path) -> None:
    make_patients(tmp_path, "image,patient", *(f"images/{stem}.png,{stem[:2]}" for stem in STEMS))
    table(tmp_path / "a.csv", "note", "one,two,three")
    (tmp_path / "b.csv").write_bytes(b"caf\xe9\n")
    assert groups_of(tmp_path, "patient") == ("p1", "p1", "p2")


def test_a_csv_of_absolute_paths_states_groups(tmp_path: Path) -> None:
    make_patients(tmp_path)
    rows = [f"{tmp_path}/images/{stem}.png,{tmp_path}/masks/{stem}.png,{stem[:2]}" for stem in STEMS]
    assert groups_of(table(tmp_path / "far" / "t.csv", "image,mask,eye", *rows), "eye") == ("p1", "p1", "p2")


def test_the_pages_of_a_stack_have_its_row_s_group(tmp_path: Path) -> None:
    for name in ("images/s.tif", "masks/s.tif", "images/t.tif", "masks/t.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name, save_all=True, append_images=[Image.new("L", (4, 4), 1)])
    table(tmp_path / "index.csv", "file,animal", "s.tif,rat", "t.tif,cat")
    assert groups_of(tmp_path, "animal") == ("rat", "rat", "cat", "cat")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("stem,patient", "p1_a,1", "p1_b,1", "p2_a,2", "p1_a,2"), "p1_a is patient 1 and 2; name an image once"),
        (("which,patient", "p1_a,1"), "it has a column patient, but none that names the images; call that stem or"),
    ],
)
def test_an_index_that_contradicts_itself_or_names_no_image_is_refused(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"index\.csv: {message}"):
        groups_of(make_patients(tmp_path, *lines), "patient")


def test_a_csv_of_paths_states_groups_in_any_column(tmp_path: Path) -> None:
    make_patients(tmp_path)
    rows = [f"images/{stem}.png,masks/{stem}.png,{group},{stem[-1]}" for stem, group in zip(STEMS, "xx ", strict=True)]
    path = table(tmp_path / "pairs.csv", "image,mask,group,eye", *rows)
    assert groups_of(path, "") == ("x", "x", "images/p2_a"), "an image without a stated group is its own"
    assert groups_of(path, "eye") == groups_of(tmp_path, "eye") == ("a", "b", "a")
    with pytest.raises(ValueError, match="group='group': the column group of the csv says nothing of images/p2_a"):
        groups_of(path, "group")


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("patient", "group='patient': the column patient of the csv says nothing of p1_b, p2_a; every image needs"),
        ("p1", "group='p1': the expression says nothing of p2_a; every image needs a group"),
        ("p1|(x)", "the expression says nothing of p1_a, p1_b, p2_a"),
        ("p(", r"group='p\(' is neither a column .* nor a regular expression \(missing \).*group='Image_\(\\d\+\)'"),
        ("^p", r"group='\^p': all 3 images fall into one group, so none can be held out"),
    ],
)
def test_groups_that_do_not_hold_are_refused(tmp_path: Path, group: str, message: str) -> None:
    make_patients(tmp_path, "stem,patient", "p1_a,1", "p1_b,")
    with pytest.raises(ValueError, match=message):
        groups_of(tmp_path, group)


@pytest.mark.parametrize(
    ("header", "rows", "columns"),
    [
        ("stem,Patient_ID", ("p1_a,1", "p1_b,1", "p2_a,2"), ("patient_id",)),
        ("image,group", ("p1_a.png,x", "p1_b.png,x", "p2_a.png,y"), ("group",)),
        ("File Name,PID", ("p1_a.png,x", "p1_b.png,x", "p2_a.png,y"), ("pid",)),
        ("fileName,patientId", ("p1_a.png,x", "p1_b.png,x", "p2_a.png,y"), ("patient_id",)),
        ("stem,age group", ("p1_a,1", "p1_b,1", "p2_a,2"), ()),
        ("file,case,area", ("p1_a.png,x,1", "p1_b.png,x,1", "p2_a.png,y,1"), ("case",)),
        ("stem,case_id", ("p1_a,1", "p1_b,2", "p2_a,3"), ()),
        ("stem,patient", ("p1_a,1", "p1_b,1", "p2_a,1"), ()),
        ("stem,stain", ("p1_a,HE", "p1_b,HE", "p2_a,PAS"), ()),
        ("which,patient", ("p1_a,1", "p1_b,1", "p2_a,2"), ()),
    ],
)
def test_columns_that_could_be_groups_are_found_by_their_name_and_values(
    tmp_path: Path, header: str, rows: tuple[str, ...], columns: tuple[str, ...]
) -> None:
    assert find_layout(make_patients(tmp_path, header, *rows)).subject_columns == columns


def test_subjects_are_columns_of_a_csv_of_paths_and_of_run_lengths_too(tmp_path: Path) -> None:
    make_patients(tmp_path / "paths")
    rows = [f"images\\{stem}.png,masks\\{stem}.png,{stem[:2]}" for stem in STEMS]
    path = table(tmp_path / "paths" / "pairs.csv", "image,mask,slide", *rows)
    assert find_layout(path).subject_columns == ("slide",)
    assert groups_of(path, "slide") == ("p1", "p1", "p2")
    make(tmp_path / "runs", *(f"{stem}.png" for stem in STEMS))
    table(tmp_path / "runs" / "t.csv", "id,rle,animal", *(f"{stem},1 2,{stem[:2]}" for stem in STEMS))
    assert find_layout(tmp_path / "runs").subject_columns == ("animal",)


def test_a_column_of_a_csv_with_paths_of_another_machine_states_groups(tmp_path: Path) -> None:
    make_patients(tmp_path, "image,patient", *(rf"D:\set\{stem}.png,{stem[:2]}" for stem in STEMS))
    assert groups_of(tmp_path, "patient") == ("p1", "p1", "p2")
