"""Small folders as people have them, beside the repository: each is recognized, or asked about, as its README says."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import CASES

from training import check_data
from training.data.image_set import UnusableError
from training.data.layouts.archive import open_archive
from training.data.layouts.groups import find_groups
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import Layout, MaskFile, RunLengths, Shapes
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import make_split


def case(name: str) -> Path:
    """The folder as its owner has it, by the case's number."""
    if not CASES.is_dir():
        pytest.skip(f"no sample folders: {CASES} is missing")
    (folder,) = CASES.glob(f"{name}-*")
    return folder / "data" if (folder / "data").is_dir() else folder


def layout_of(name: str, category: str = "") -> Layout:
    return find_layout(open_archive(case(name)), category=category)


def truth_of(name: str, stem: str) -> np.ndarray:
    """(h, w) of bool: the mask that was meant."""
    (folder,) = CASES.glob(f"{name}-*")
    return cv2.imread(str(folder / "truth" / f"{stem}.png"), cv2.IMREAD_GRAYSCALE) > 0


EXACT = {  # the least Dice of a mask read against the mask meant, and options where something is asked
    "01": (1.0, {}),
    "02": (1.0, {}),
    "12": (1.0, {"channels": "0"}),
    "17": (1.0, {}),
    "18": (1.0, {}),
    "23": (1.0, {}),
    "24": (1.0, {}),
    "26": (0.95, {}),  # scaled
    "27": (0.95, {}),
    "29": (0.95, {}),
    "30": (0.95, {}),
    "32": (0.95, {}),
    "34": (0.95, {}),
    "36": (1.0, {}),
    "40": (1.0, {}),
    "42": (1.0, {}),
    "63": (0.95, {"category": "cell"}),
    "73": (1.0, {}),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_masks_that_are_read_are_the_masks_that_were_meant(name: str) -> None:
    least, options = EXACT[name]
    images = load_folder(case(name), 64, reading=ReadOptions(**options))
    for stem, mask in zip(images.stems, images.masks, strict=True):
        meant = truth_of(name, Path(stem).name)
        found = mask == 1
        missing = name == "30" and stem == "p00"  # one of its objects has keypoints only, which is said
        dice = 2 * (found & meant).sum() / max(1, found.sum() + meant.sum())
        assert missing or dice >= least or not meant.any(), (stem, dice)
        assert meant.any() or not found.any()


def test_73_every_pixel_is_the_one_that_was_meant() -> None:
    images = load_folder(case("73"), 64)
    (folder,) = CASES.glob("73-*")
    for stem, image in zip(images.stems, images.images, strict=True):
        meant = cv2.imread(str(folder / "images_meant" / f"{stem}.png"))[..., ::-1]
        assert np.array_equal(image, meant), stem


def test_12_which_of_five_channels_make_the_picture_is_asked() -> None:
    with pytest.raises(
        UnusableError, match=r"1 problem\(s\)\n.*p00\.tif and 11 more files: it has 5 channels.*channels=0,2"
    ):
        load_folder(case("12"), 64)


@pytest.mark.slow
def test_42_copies_of_one_picture_stay_on_one_side_of_every_split() -> None:
    images = load_folder(case("42"), 64)
    source = [stem.split("_png")[0] for stem in images.stems]
    assert {tuple(sorted({source[k] for k in found.images})) for found in images.copies} == {(s,) for s in set(source)}
    for fold in range(5):
        split = make_split(images.groups, [facts.foreground for facts in images.facts], "fixed", 80, fold)
        sides = [{source[k] for k in part} for part in (split.train, split.val, split.test)]
        assert sum(map(len, sides)) == len(set().union(*sides))


def test_63_both_categories_are_shown_before_one_is_chosen(tmp_path: Path) -> None:
    assert check_data.main(["--data", str(case("63")), "--image-size", "64", "--out", str(tmp_path)]) == 1
    assert (tmp_path / "contact_sheet.png").is_file()


RECOGNIZED = {
    "24": (12, "images with run lengths in train.csv", ()),
    "26": (12, "COCO annotations in annotations.json", ()),
    "27": (12, "COCO annotations in result.json", ()),
    "29": (12, "COCO annotations in annotations.json", ()),
    "30": (
        12,
        "COCO annotations in annotations.json",
        ("1 annotation without outline left out (keypoints: 1); the masks of 1 image lack these objects (p00)",),
    ),
    "32": (
        24,
        "COCO annotations in test/_annotations.coco.json, train/_annotations.coco.json, valid/_annotations.coco.json",
        (),
    ),
    "34": (12, "LabelMe: a json an image", ()),
    "36": (12, "paths in pairs.csv", ()),
    "40": (12, "images/ and masks/, equal stems", ("24 files that systems left or hide are passed over (@eaDir: 24)",)),
    "44": (12, "images/ and masks/, equal stems", ()),
}


@pytest.mark.parametrize("name", RECOGNIZED)
def test_a_case_is_recognized_and_what_is_left_out_is_said(name: str) -> None:
    num_pairs, kind, notes = RECOGNIZED[name]
    layout = layout_of(name)
    assert (len(layout.pairs), layout.name, layout.problems, layout.notes) == (num_pairs, kind, (), notes)


@pytest.mark.parametrize(("name", "size"), [("26", (96, 128)), ("27", (48, 64)), ("34", (48, 64))])
def test_outlines_carry_the_size_they_were_drawn_at(name: str, size: tuple[int, int]) -> None:
    assert {pair.mask.size for pair in layout_of(name).pairs if isinstance(pair.mask, Shapes)} == {size}


def test_24_run_lengths_carry_the_size_of_the_csv() -> None:
    assert {pair.mask.size for pair in layout_of("24").pairs if isinstance(pair.mask, RunLengths)} == {(48, 64)}


def test_36_windows_paths_lead_to_the_files_and_keep_their_groups() -> None:
    layout = layout_of("36")
    folders = {
        (pair.image.parent.name, pair.mask.path.parent.name) for pair in layout.pairs if isinstance(pair.mask, MaskFile)
    }
    assert folders == {("pictures", "truths")}
    assert len({pair.group for pair in layout.pairs}) == 4


def test_42_copies_of_one_source_are_one_group() -> None:
    layout = layout_of("42")
    assert len(set(find_groups(case("42"), layout.pairs, ""))) == 12
    assert layout.notes[0].startswith("48 images are copies of 12 sources, by the names before .rf.")


def test_63_of_two_categories_one_is_asked_for() -> None:
    (problem,) = layout_of("63").problems
    assert problem.startswith(
        "annotations are of 2 categories (debris: 11, cell: 12); say which is foreground: category=cell"
    )


@pytest.mark.parametrize(
    ("category", "num_outlines", "note"),
    [
        ("cell", 12, "foreground is cell: 12, as category=cell says; debris: 11 left out"),
        ("CELL", 12, "foreground is cell: 12, as category=CELL says; debris: 11 left out"),
        ("1", 11, "foreground is debris: 11, as category=1 says; cell: 12 left out"),
        ("all", 23, "foreground is any of 2 categories (debris: 11, cell: 12), as category=all says"),
    ],
)
def test_63_a_category_is_chosen_by_its_name_or_id(category: str, num_outlines: int, note: str) -> None:
    layout = layout_of("63", category)
    assert sum(len(pair.mask.segmentations) for pair in layout.pairs if isinstance(pair.mask, Shapes)) == num_outlines
    assert layout.problems == ()
    assert layout.notes[0] == note


def test_63_an_unknown_category_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"category='nucleus': no annotation.*debris: 11, cell: 12"):
        layout_of("63", "nucleus")


@pytest.mark.parametrize("name", ["36", "40"])
def test_a_category_of_masks_without_classes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"category='cell': .* states no classes; leave category out"):
        layout_of(name, "cell")
