"""Selections of ImageJ belong to the image they are called after, and are drawn as ImageJ fills them."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import Shapes
from training.data.mask_rule import MaskRule
from training.data.masks import read_mask
from training.data.reading import load_folder

RULE = MaskRule()
SIZE = (40, 60)
SQUARE = [(5, 4), (15, 4), (15, 10), (5, 10)]  # corners of pixels: columns 5 to 14, rows 4 to 9


def selection(points: list[tuple[float, float]], group: int = 0) -> ImagejRoi:
    roi = ImagejRoi.frompoints(np.array(points), name="one")
    roi.group = group
    return roi


def bounded(kind: ROI_TYPE, left: int, top: int, right: int, bottom: int) -> ImagejRoi:
    roi = ImagejRoi()
    roi.roitype, roi.left, roi.top, roi.right, roi.bottom = kind, left, top, right, bottom
    return roi


def with_hole() -> ImagejRoi:
    """A shape of two paths, as ImageJ's XOR makes it."""
    outer, inner = [(2, 2), (20, 2), (20, 20), (2, 20)], [(8, 8), (8, 12), (12, 12), (12, 8)]
    path = [number for ring in (outer, inner) for k, (x, y) in enumerate(ring) for number in (min(k, 1), x, y)]
    roi = bounded(ROI_TYPE.RECT, 2, 2, 20, 20)
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros(SIZE, np.uint8))
    return path


def save(path: Path, *selections: ImagejRoi) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number, roi in enumerate(selections):
            archive.writestr(f"{number:04d}.roi", roi.tobytes())


def drawn(folder: Path, category: str = "") -> np.ndarray:
    layout = find_layout(folder, category=category)
    assert layout.problems == ()
    (pair,) = layout.pairs
    assert isinstance(pair.mask, Shapes)
    return read_mask(pair.mask, SIZE, RULE, Path.read_bytes)[0]


def filled(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[rows, columns] = 1
    return mask


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        ("a.tif", "a.zip"),
        ("a.tif", "a_RoiSet.zip"),
        ("a.tif", "RoiSet_a.zip"),
        ("a.tif", "a-rois.zip"),
        ("a.tif", "a.tif_RoiSet.zip"),
        ("images/a.tif", "rois/a.zip"),
        ("a/picture.tif", "a/RoiSet.zip"),
    ],
)
def test_a_set_of_selections_belongs_to_the_image_of_its_name_or_the_only_one_beside(
    tmp_path: Path, picture: str, name: str
) -> None:
    image(tmp_path / picture)
    save(tmp_path / name, selection(SQUARE))
    assert np.array_equal(drawn(tmp_path), filled(np.s_[4:10], np.s_[5:15]))


def test_selections_of_their_own_are_taken_by_name_or_all_of_a_folder_together(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    (tmp_path / "a.roi").write_bytes(selection(SQUARE).tobytes())
    image(tmp_path / "b" / "b.tif")
    for number, left in enumerate((20, 40)):
        (tmp_path / "b" / f"0001-{number}.roi").write_bytes(bounded(ROI_TYPE.RECT, left, 0, left + 5, 5).tobytes())
    layout = find_layout(tmp_path)
    assert {pair.stem: len(pair.mask.segmentations) for pair in layout.pairs} == {"a": 1, "b": 2}


def test_rectangles_ovals_and_holes_are_filled_as_imagej_does(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    save(tmp_path / "a.zip", with_hole(), bounded(ROI_TYPE.RECT, 30, 5, 34, 8), bounded(ROI_TYPE.OVAL, 40, 10, 50, 20))
    mask = drawn(tmp_path)
    expected = filled(np.s_[2:20], np.s_[2:20])
    expected[8:12, 8:12] = 0
    expected[5:8, 30:34] = 1
    assert np.array_equal(mask[:, :36], expected[:, :36])
    assert abs(int(mask[:, 36:].sum()) - np.pi * 25) < 5


def test_an_outline_drawn_by_hand_step_by_step_is_no_outline_that_a_program_traced(tmp_path: Path) -> None:
    steps = [*((x, 5) for x in range(5, 25)), *((25 + k, 5 + k) for k in range(10)), *((35 - k, 15) for k in range(30))]
    for name in "ab":
        image(tmp_path / f"{name}.png")
        save(tmp_path / f"{name}.zip", selection([*steps, *((5, 15 - k) for k in range(10))]))
    images = load_folder(tmp_path, 32)
    assert not any("traced" in note for note in images.notes)
    assert images.own_mask(0)[15].sum() == 0, "its lowest row of corners is no row of pixels"


def test_lines_and_points_are_counted_and_groups_are_classes(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    line, text = bounded(ROI_TYPE.LINE, 0, 0, 3, 3), bounded(ROI_TYPE.RECT, 0, 0, 9, 9)
    text.subtype = ROI_SUBTYPE.TEXT
    save(tmp_path / "a.zip", selection(SQUARE, 1), selection([(20, 20), (30, 20), (30, 30)], 2), line, text)
    layout = find_layout(tmp_path, category="group 1")
    assert "2 annotations without outline left out (line: 1, rect: 1)" in layout.notes
    assert np.array_equal(drawn(tmp_path, "group 1"), filled(np.s_[4:10], np.s_[5:15]))
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith("annotations are of 2 categories (group 1: 1, group 2: 1); say which is foreground")


def test_what_cannot_be_meant_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        image(tmp_path / f"{name}.tif")
    save(tmp_path / "a.zip", selection(SQUARE))
    save(tmp_path / "a_RoiSet.zip", selection(SQUARE))
    save(tmp_path / "other.zip", selection(SQUARE))
    layout = find_layout(tmp_path)
    assert layout.problems == (
        f"{tmp_path}/a_RoiSet.zip: a.zip is about a.tif too; keep one of the two".replace("a.zip", f"{tmp_path}/a.zip"),
        f"{tmp_path}/other.zip: there is no image of its name; call it as its image, as a_RoiSet.zip for a.tif",
    )
    assert "2 images left out: they have no selections (b.tif, c.tif)" in layout.notes


def test_a_damaged_selection_is_an_error_with_its_file(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    (tmp_path / "a.roi").write_bytes(b"Iout" + bytes(20))
    with pytest.raises(ValueError, match=r"a\.roi: this is no selection of ImageJ that can be read"):
        find_layout(tmp_path)


def test_a_stack_with_selections_is_refused_with_the_cure(tmp_path: Path) -> None:
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), [np.zeros(SIZE, np.uint8)] * 3)
    save(tmp_path / "a.zip", selection(SQUARE))
    (problem,) = find_layout(tmp_path).problems
    assert problem.endswith("a.tif: selections in a stack are not read; save each slice with its own")


def test_beside_masks_selections_are_left_out_and_named(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    image(tmp_path / "a_mask.tif")
    save(tmp_path / "a.zip", selection(SQUARE))
    (tmp_path / "b.roi").write_bytes(selection(SQUARE).tobytes())
    assert find_layout(tmp_path).notes == ("a.zip, b.roi left out: masks are taken from elsewhere in the folder",)
