"""Which image belongs to which mask is seen by their names; what is in doubt is said with the names of the files."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from training.data.layouts.layouts import KNOWN, UnknownLayoutError, find_folder, find_groups, find_layout
from training.data.layouts.pairs import SUFFIXES, Layout, MaskFile, ObjectFiles, RunLengths
from training.study.words import shorten


def write(*paths: Path, pages: int = 1) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        first, *others = [Image.new("L", (4, 4), page) for page in range(pages)]
        first.save(path, save_all=True, append_images=others) if others else first.save(path)


def make(folder: Path, *names: str) -> Path:
    write(*(folder / name for name in names))
    return folder


def names_of(layout: Layout) -> dict[str, str]:
    """stem -> the mask's file name."""
    return {pair.stem: pair.mask.path.name for pair in layout.pairs if isinstance(pair.mask, MaskFile)}


def problem_of(layout: Layout) -> str:
    (problem,) = layout.problems
    return problem


ENDINGS = ("", "_mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt", "_manual1", "_1stHO")
OTHERS = ("_Mask", "_GT", "_Segmentation", "-mask", "-labels", "-seg")
NO_MASK = "there is no mask of the same stem; add it, or say how masks end, as mask_suffix=_seg"
NO_MASK_LEFT = "there is no mask of the same stem; add it, or take the image out"


@pytest.mark.parametrize("ending", [*ENDINGS, *OTHERS])
def test_a_mask_has_the_stem_of_its_image_and_a_known_ending(tmp_path: Path, ending: str) -> None:
    layout = find_layout(make(tmp_path, "images/a.jpg", f"masks/a{ending}.png", "images/b.jpg", f"masks/b{ending}.png"))
    assert names_of(layout) == {"a": f"a{ending}.png", "b": f"b{ending}.png"}
    assert (layout.problems, layout.notes) == ((), ())
    assert layout.name == "images/ and masks/, " + (f"masks end in {ending}" if ending else "equal stems")


@pytest.mark.parametrize(("images", "masks"), [("image", "mask"), ("imgs", "labels"), ("Images", "MASKS")])
def test_the_two_folders_have_several_usual_names(tmp_path: Path, images: str, masks: str) -> None:
    layout = find_layout(make(tmp_path, f"{images}/a.png", f"{masks}/a.png"))
    assert names_of(layout) == {"a": "a.png"}
    assert layout.name.startswith(f"{images}/ and {masks}/")


def test_a_name_that_is_not_utf_8_is_refused_with_the_cure(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "images" / os.fsdecode(b"Zelle_\xe4.png")).write_bytes(b"")
    with pytest.raises(ValueError, match=r"images: names are not UTF-8 \(Zelle_\\xe4\.png\); rename them"):
        find_layout(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_listed_whatever_its_case_and_the_file_holds(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, "masks/a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"a{suffix.upper()}").write_text("decoding tells later")
    assert names_of(find_layout(tmp_path)) == {"a": "a.png"}


def test_stems_differ_by_their_case(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/A.png", "masks/a.png"))
    assert not layout.pairs
    assert len(layout.problems) == 2


@pytest.mark.parametrize(
    ("image", "mask"), [("x_image", "x_mask"), ("x_img", "x"), ("x_raw", "x_seg"), ("x-volume", "x-labels")]
)
def test_the_mask_s_ending_may_replace_the_image_s(tmp_path: Path, image: str, mask: str) -> None:
    assert names_of(find_layout(make(tmp_path, f"images/{image}.png", f"masks/{mask}.png"))) == {image: f"{mask}.png"}


def test_drive_s_truth_is_its_first_observer_and_not_the_field_of_view(tmp_path: Path) -> None:
    files = ("images/21_training.tif", "1st_manual/21_manual1.gif", "mask/21_training_mask.gif")
    layout = find_layout(make(tmp_path, *files))
    assert names_of(layout) == {"21_training": "21_manual1.gif"}
    assert layout.notes == ("mask/ (1) left out",)


def test_where_one_split_has_masks_by_hand_a_field_of_view_is_no_mask_of_the_other(tmp_path: Path) -> None:
    for number in (21, 22):
        make(tmp_path, f"training/images/{number}_training.tif", f"training/1st_manual/{number}_manual1.gif")
        make(tmp_path, f"test/images/{number}_test.tif", f"test/mask/{number}_test_mask.gif")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"21_training": "21_manual1.gif", "22_training": "22_manual1.gif"}
    assert layout.notes == ("test/ left out: others have masks drawn by hand, its masks are of another kind",)


def test_the_whole_name_of_an_image_goes_before_a_shorter_one(tmp_path: Path) -> None:
    layout = find_layout(
        make(tmp_path, *(f"{side}/{name}.png" for side in ("images", "masks") for name in ("a", "a_raw")))
    )
    assert (names_of(layout), layout.problems) == ({"a": "a.png", "a_raw": "a_raw.png"}, ())


def test_two_masks_for_one_image_are_a_problem_until_mask_suffix_decides(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a_mask.png", "masks/a_seg.png")
    problem = problem_of(find_layout(tmp_path))
    assert re.search(r"images/a\.png: it has several masks \(a_mask\.png, a_seg\.png\).*mask_suffix=_seg", problem)
    chosen = find_layout(tmp_path, "_seg")
    assert names_of(chosen) == {"a": "a_seg.png"}
    assert (chosen.problems, chosen.notes) == ((), ("1 other masks are left out (a_mask.png)",))


def test_a_second_observer_is_left_out_with_a_note_unless_chosen(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a_1stHO.png", "masks/a_2ndHO.png")
    first, second = find_layout(tmp_path), find_layout(tmp_path, "_2ndHO")
    assert (names_of(first), names_of(second)) == ({"a": "a_1stHO.png"}, {"a": "a_2ndHO.png"})
    assert first.notes == ("1 other masks are left out (a_2ndHO.png)",)
    assert not first.problems + second.problems


def test_a_suffix_that_no_mask_has_is_said_of_each_image(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/a.png", "masks/a_mask.png"), "_truth")
    assert problem_of(layout).endswith("images/a.png: there is no mask that ends in _truth (mask_suffix)")


def test_what_has_no_counterpart_is_a_problem_that_names_it(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/b.png", "masks/b.png", "masks/c.png", "masks/d_seg.png")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"b": "b.png"}
    assert layout.problems == (
        f"{tmp_path}/images/a.png: {NO_MASK}",
        f"{tmp_path}/masks/c.png: there is no image of the same stem",
        f"{tmp_path}/masks/d_seg.png: there is no image of the same stem",
    )


def test_two_images_of_one_stem_are_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/a.bmp", "images/a.png", "masks/a.png"))
    assert problem_of(layout).endswith("images/a.png: a.bmp has the same stem; stems must be unique")


def test_folders_below_both_sides_pair_by_their_path_and_tell_equal_stems_apart(tmp_path: Path) -> None:
    make(tmp_path, "images/train/a.png", "masks/train/a.png", "images/val/a.png", "masks/val/a_mask.png")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"train/a": "a.png", "val/a": "a_mask.png"}
    assert not layout.problems


def test_equal_stems_two_folders_deep_get_both_and_the_name_of_the_data_set_never(tmp_path: Path) -> None:
    places = ("a", "p1/s/a", "p2/s/a")
    layout = find_layout(
        make(tmp_path / "set", *(f"{part}/{name}.png" for part in ("images", "masks") for name in places))
    )
    assert list(names_of(layout)) == ["a", "p1/s/a", "p2/s/a"]
    assert not layout.problems


def test_a_folder_that_links_to_itself_ends_and_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"a": "a.png"}
    assert layout.problems[0] == f"{tmp_path}/images/again/a.png: {NO_MASK_LEFT}"


def test_links_that_lead_nowhere_or_back_do_not_matter_where_nothing_is_looked_for(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "notes/old/b.png")
    for name, target in (("gone", "nowhere"), ("loop", "loop"), ("back", "..")):
        (tmp_path / "notes" / name).symlink_to(target)
    layout = find_layout(tmp_path)
    assert (names_of(layout), layout.problems, layout.notes) == ({"a": "a.png"}, (), ("notes/ (1) left out",))


def test_a_folder_below_one_side_only_is_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/a.png", "masks/a.png", "images/val/b.png"))
    assert "val" in problem_of(layout)


def test_side_by_side_two_masks_for_every_image_ask_for_the_suffix(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "a.png", "a_seg.png", "a_mask.png"))
    assert "mask_suffix=" in problem_of(layout)


def test_other_folders_are_named_in_a_note(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/a.png", "masks/a.png", "masks_2nd/a.png"))
    assert (names_of(layout), layout.notes) == (
        {"a": "a.png"},
        ("masks_2nd/ (1) left out; mask_folder=masks_2nd takes masks from there",),
    )


def test_what_systems_hide_and_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/.b.png", "masks/a.png", "masks/._a.png", "__MACOSX/images/a.png")
    for name in (".DS_Store", "images/Thumbs.db", "masks/README.txt", "images/SHA256SUMS", "notes.csv"):
        (tmp_path / name).write_text("no image")
    layout = find_layout(tmp_path)
    assert (names_of(layout), layout.problems) == ({"a": "a.png"}, ())
    assert layout.notes == (
        "no masks are taken from notes.csv: no_image; group= may name a column beside one of images' names",
        "5 files that systems left or hide are passed over "
        "(.DS_Store: 1, ._*: 1, .b.png: 1, Thumbs.db: 1, __MACOSX: 1)",
    )


@pytest.mark.parametrize(
    ("image", "mask"),
    [("images/s.tif", "masks/s_mask.tiff"), ("s-volume.tif", "s-labels.tif"), ("Images.tif", "labels.tif")],
)
def test_every_page_of_a_stack_is_a_pair(tmp_path: Path, image: str, mask: str) -> None:
    write(tmp_path / image, tmp_path / mask, pages=3)
    layout = find_layout(tmp_path)
    stem = Path(image).stem
    assert [pair.stem for pair in layout.pairs] == [f"{stem}_000", f"{stem}_001", f"{stem}_002"]
    assert [pair.page for pair in layout.pairs] == [0, 1, 2]
    assert [pair.mask for pair in layout.pairs] == [MaskFile(tmp_path / mask, page) for page in range(3)]


def test_the_pages_of_a_stack_are_a_group_where_there_are_other_images(tmp_path: Path) -> None:
    write(*(tmp_path / f"{side}/{name}.tif" for side in ("images", "masks") for name in "ab"), pages=2)
    layout = find_layout(make(tmp_path, "images/c.png", "masks/c.png"))
    assert find_groups(tmp_path, layout.pairs, "") == ("a", "a", "b", "b", "c")
    assert layout.notes == (
        "the pages of a stack stay together (2 stacks); group='(.+)' takes each for itself, though neighbours look "
        "alike",
    )
    assert find_groups(tmp_path, layout.pairs, "(.+)") == ("a_000", "a_001", "b_000", "b_001", "c")


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_channels_that_are_stored_as_pages_are_one_image(tmp_path: Path, kind: str) -> None:
    make(tmp_path, "masks/a.png").joinpath("images").mkdir()
    stains = np.zeros((2, 4, 4), np.uint8)
    path = tmp_path / "images/a.tif"
    tifffile.imwrite(path, stains, photometric="minisblack", metadata={"axes": "CYX"}, **{kind: True})
    assert len(tifffile.TiffFile(path).pages) == 2
    layout = find_layout(tmp_path)
    assert (names_of(layout), layout.problems) == ({"a": "a.png"}, ())


def test_a_stack_with_one_mask_may_be_channels_and_the_cure_says_how(tmp_path: Path) -> None:
    write(tmp_path / "images/s.tif", pages=2)
    problem = problem_of(find_layout(make(tmp_path, "masks/s.png")))
    assert "images/s.tif: the stack has 2 pages, but s.png has 1; give a mask for each page; or, where pages" in problem
    assert problem.endswith("axes CYX, or YXC), and channels=0 takes the first")


def test_stacks_of_unequal_length_are_a_problem_and_a_broken_one_counts_as_one_page(tmp_path: Path) -> None:
    write(tmp_path / "images/s.tif", pages=3)
    write(tmp_path / "masks/s.tif", pages=2)
    for part in ("images", "masks"):
        (tmp_path / part / "t.tif").write_text("no tiff")
    layout = find_layout(tmp_path)
    assert problem_of(layout).endswith("images/s.tif: the stack has 3 pages, but s.tif has 2; they must have as many")
    assert names_of(layout) == {"t": "t.tif"}


def test_image_and_mask_lie_side_by_side(tmp_path: Path) -> None:
    make(tmp_path, *(f"Image_0{k}L{end}" for k in (1, 2) for end in (".jpg", "_1stHO.png", "_2ndHO.png")))
    layout = find_layout(make(tmp_path, "Image_03L.jpg"))
    assert layout.name == "image and mask side by side, masks end in _1stHO"
    assert names_of(layout) == {"Image_01L": "Image_01L_1stHO.png", "Image_02L": "Image_02L_1stHO.png"}
    assert problem_of(layout).endswith(f"Image_03L.jpg: {NO_MASK}")
    assert layout.notes == ("2 other masks are left out (Image_01L_2ndHO.png, Image_02L_2ndHO.png)",)
    assert set(names_of(find_layout(tmp_path, "_2ndHO")).values()) == {"Image_01L_2ndHO.png", "Image_02L_2ndHO.png"}


@pytest.mark.parametrize(("images", "masks"), [("", ""), ("images/", "masks/"), ("benign/", "benign/")])
def test_numbered_further_masks_of_an_image_are_joined(tmp_path: Path, images: str, masks: str) -> None:
    files = (f"{masks}a (1)_mask.png", f"{masks}a (1)_mask_1.png", f"{masks}a (1)_mask_2.png", f"{masks}b_mask.png")
    make(tmp_path, f"{images}a (1).png", f"{images}b.png", *files)
    layout = find_layout(tmp_path)
    assert (layout.problems, names_of(layout)) == ((), {"b": "b_mask.png"})
    assert layout.pairs[0].mask == ObjectFiles(tuple(tmp_path / name for name in files[:3]))
    assert layout.notes == (
        "where an image has several numbered masks, their union counts (a (1)_mask_1.png, a (1)_mask_2.png); "
        "mask_suffix=_mask takes the first alone",
    )
    first = find_layout(tmp_path, mask_suffix="_mask")
    assert (first.problems, names_of(first)) == ((), {"a (1)": "a (1)_mask.png", "b": "b_mask.png"})
    left_out = "further masks of an image are left out, as mask_suffix=_mask says (a (1)_mask_1.png, a (1)_mask_2.png)"
    assert first.notes == (left_out,)


@pytest.mark.parametrize("name", ["masks/{}_mask_{}.png", "masks/{}_{}.png", "images/{}_mask_{}.png", "{}_mask{}.png"])
def test_numbered_masks_without_a_first_one_are_objects_and_joined(tmp_path: Path, name: str) -> None:
    files = [name.format(stem, k) for stem, k in (("a", 0), ("a", 1), ("b", 0))]
    images = "" if "/" not in name else "images/"
    make(tmp_path, f"{images}a.png", f"{images}b.png", *files)
    layout = find_layout(tmp_path)
    assert [pair.mask for pair in layout.pairs] == [
        ObjectFiles((tmp_path / files[0], tmp_path / files[1])),
        MaskFile(tmp_path / files[2]),
    ]
    assert layout.problems == ()
    shown = ", ".join(Path(name).name for name in files)
    assert layout.notes == (f"numbered masks are one file per object of an image, and their union counts ({shown})",)


def test_a_numbered_file_is_no_object_where_an_image_has_its_name_or_a_whole_mask_is_there(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/a_2.png", "masks/a_1.png", "masks/a_2.png", "masks/a_3.png")
    make(tmp_path, "images/b.png", "masks/b.png", "masks/b_1.png", "masks/b_2.png")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"a_2": "a_2.png", "b": "b.png"}
    assert [pair.mask for pair in layout.pairs if isinstance(pair.mask, ObjectFiles)] == [
        ObjectFiles((tmp_path / "masks/a_1.png", tmp_path / "masks/a_3.png"))
    ]
    assert len(layout.problems) == 2


def test_as_many_numbered_masks_for_each_image_are_not_joined(tmp_path: Path) -> None:
    """They may be two readers' of the same objects."""
    make(
        tmp_path, *(f"images/{stem}.png" for stem in "ab"), *(f"masks/{stem}_{k}.png" for stem in "ab" for k in (1, 2))
    )
    layout = find_layout(tmp_path)
    assert (layout.pairs, len(layout.problems)) == ((), 6)


NUMBERED = ("a_mask", "a_mask_1", "a_mask_2")


def test_a_numbered_mask_is_no_further_one_where_an_image_has_its_number(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "a.png", "a_1.png", "a_mask.png", "a_mask_1.png"))
    assert names_of(layout) == {"a": "a_mask.png"}
    assert len(layout.problems) == 2
    layout = find_layout(make(tmp_path / "two", *(f"{side}/{n}.png" for side in ("images", "masks") for n in NUMBERED)))
    assert (names_of(layout), layout.problems) == ({name: f"{name}.png" for name in NUMBERED}, ())


def test_further_masks_of_a_stack_are_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "images/s.tif", tmp_path / "masks/s_mask.tif", pages=2)
    write(tmp_path / "masks/s_mask_1.tif")
    assert problem_of(find_layout(tmp_path)).endswith(
        "a stack has one mask, but there is s_mask_1.tif too; keep one of them"
    )


def test_side_by_side_a_folder_without_pairs_is_named_in_a_note(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "x/a.jpg", "x/a_mask.png", "y/b.jpg", "preview.png"))
    assert names_of(layout) == {"a": "a_mask.png"}
    (note,) = layout.notes
    assert note == "2 files left out: their folder has no pair of image and mask (preview.png, y/b.jpg)"


def test_side_by_side_works_one_level_lower(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "x/a.jpg", "x/a_mask.png", "y/a.jpg", "y/a_gt.png"))
    assert names_of(layout) == {"x/a": "a_mask.png", "y/a": "a_gt.png"}


@pytest.mark.parametrize("place", ["", "stage1_train/"])
def test_a_folder_an_image_and_a_file_an_object(tmp_path: Path, place: str) -> None:
    make(tmp_path / place, "id1/images/id1.png", "id1/masks/p.png", "id1/masks/q.png")
    make(tmp_path / place, "id2/images/id2.png", "id2/masks/p.png")
    layout = find_layout(tmp_path)
    assert layout.name == "DSB-2018: one folder per image, one file per object (2 images)"
    masks = tmp_path / place / "id1/masks"
    assert layout.pairs[0].mask == ObjectFiles((masks / "p.png", masks / "q.png"))


def test_masks_may_be_a_folder_per_image_with_a_file_per_object(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "images/b.png", "masks/a/0.png", "masks/a/1.png", "masks/b/0.png")
    layout = find_layout(tmp_path)
    assert (layout.name, layout.problems) == ("images/ and masks/, a folder per image, one file per object", ())
    assert [pair.mask for pair in layout.pairs] == [
        ObjectFiles((tmp_path / "masks/a/0.png", tmp_path / "masks/a/1.png")),
        ObjectFiles((tmp_path / "masks/b/0.png",)),
    ]
    make(tmp_path, "images/c.png")
    assert problem_of(find_layout(tmp_path)).startswith(f"{tmp_path}/images/c.png: there is no folder masks/c/ of its")


CLASSES = {
    "masks/<id>/": ("images/{0}.png", "masks/{0}/nucleus_1.png", "masks/{0}/nucleus_2.png", "masks/{0}/{0}_vessel.png"),
    "<id>/masks/": (
        "{0}/images/{0}.png",
        *(f"{{0}}/masks/{name}.png" for name in ("nucleus 1", "nucleus 2", "Vessel")),
    ),
}


@pytest.mark.parametrize("layout", CLASSES)
def test_files_of_an_image_that_are_called_alike_in_all_folders_are_classes(tmp_path: Path, layout: str) -> None:
    make(tmp_path, *(name.format(stem) for stem in "ab" for name in CLASSES[layout]))
    assert problem_of(find_layout(tmp_path)) == (
        "annotations are of 2 categories (nucleus: 4, vessel: 2); say which is foreground: category=nucleus, or "
        "category=all for any of them"
    )
    for category, count in (("nucleus", 2), ("vessel", 1), ("all", 3)):
        chosen = find_layout(tmp_path, category=category)
        assert chosen.problems == ()
        assert [len(pair.mask.paths) for pair in chosen.pairs if isinstance(pair.mask, ObjectFiles)] == [count] * 2


def test_an_image_without_a_file_of_the_chosen_class_has_an_empty_mask_and_is_named(tmp_path: Path) -> None:
    make(
        tmp_path,
        *(CLASSES["masks/<id>/"][k].format(stem) for stem in "abc" for k in ((0, 1) if stem == "c" else (0, 1, 3))),
    )
    layout = find_layout(tmp_path, category="vessel")
    assert layout.pairs[2].mask == ObjectFiles(())
    assert "1 images have no file of the chosen category: empty masks (c)" in layout.notes


@pytest.mark.parametrize("names", [("0", "1"), ("cell_1", "cell_2"), ("3f0a1c", "77be02"), ("a1_mask", "a2_mask")])
def test_numbers_and_codes_are_objects_and_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    make(tmp_path, *(f"images/{stem}.png" for stem in "xy"), *(f"masks/{s}/{n}.png" for s in "xy" for n in names))
    layout = find_layout(tmp_path)
    assert (len(layout.pairs), layout.problems) == (2, ())
    with pytest.raises(ValueError, match="category='cell': the files of objects here state no classes; leave category"):
        find_layout(tmp_path, category="cell")


def test_ids_without_masks_take_them_from_a_csv_of_run_lengths(tmp_path: Path) -> None:
    make(tmp_path, "train/id1/images/id1.png", "train/id1/masks/p.png", "test/id2/images/id2.png")
    table = tmp_path / "solution.csv"
    table.write_text("ImageId,EncodedPixels,Height\nid2,1 2,4\nid2,6 1,4\nid3,1 1,4\n")
    layout = find_layout(tmp_path)
    assert layout.name.endswith("one file per object (1 image), and run lengths in solution.csv (1)")
    assert layout.pairs[1].mask == RunLengths(table, ("1 2", "6 1"))
    assert layout.notes == ("solution.csv names 1 images that are not here (id3)",)


def test_kaggle_s_test_images_without_masks_are_left_out_and_counted(tmp_path: Path) -> None:
    """As the challenge ships: masks and their run lengths for stage1_train, neither for stage1_test."""
    make(tmp_path, *(f"stage1_train/{k}/{place}/{k}.png" for k in "ab" for place in ("images", "masks")))
    make(tmp_path, *(f"stage1_test/{k}/images/{k}.png" for k in "cde"))
    (tmp_path / "stage1_train_labels.csv").write_text("ImageId,EncodedPixels\na,1 2\nb,6 1\n")
    layout = find_layout(tmp_path)
    assert [pair.mask for pair in layout.pairs] == [
        ObjectFiles((tmp_path / f"stage1_train/{k}/masks/{k}.png",)) for k in "ab"
    ]
    assert layout.problems == ()
    assert layout.notes == (
        "3 images without masks left out (stage1_test/: 3)",
        "stage1_train_labels.csv left out: masks are taken from elsewhere in the folder",
    )


def test_kaggle_s_sample_submission_is_never_taken_for_masks(tmp_path: Path) -> None:
    make(tmp_path, "train/id1/images/id1.png", "train/id1/masks/p.png", "test/id2/images/id2.png")
    for name, runs in (("stage1_sample_submission", "1 1"), ("stage1_solution", "5 2"), ("stage1_train_labels", "9 9")):
        (tmp_path / f"{name}.csv").write_text(f"ImageId,EncodedPixels\nid2,{runs}\n")
    layout = find_layout(tmp_path)
    assert layout.pairs[1].mask == RunLengths(tmp_path / "stage1_solution.csv", ("5 2",))
    assert layout.notes == ("only stage1_solution.csv is read; stage1_train_labels.csv left out",)


def test_an_id_needs_one_image_and_masks(tmp_path: Path) -> None:
    make(tmp_path, "good/images/g.png", "good/masks/p.png", "bare/images/b.png", "two/images/1.png", "two/images/2.png")
    for name in ("empty/masks", "none/images", "none/masks"):
        (tmp_path / name).mkdir(parents=True)
    make(tmp_path, "empty/images/e.png")
    assert find_layout(tmp_path).problems == (
        f"{tmp_path}/bare: it has no masks, and no csv of run lengths names it",
        f"{tmp_path}/empty: it has no masks, and no csv of run lengths names it",
        f"{tmp_path}/none/images: it holds 0 images; it must hold one",
        f"{tmp_path}/two/images: it holds 2 images; it must hold one",
    )


@pytest.mark.parametrize("place", ["", "TNBC_dataset/"])
def test_a_slide_of_tnbc_is_a_group(tmp_path: Path, place: str) -> None:
    names = ("01/01_1.png", "01/01_2.png", "02/02_1.png")
    make(tmp_path / place, *(f"Slide_{name}" for name in names), *(f"GT_{name}" for name in names))
    layout = find_layout(tmp_path)
    assert layout.name == "TNBC: Slide_* and GT_*, a slide a group"
    assert find_groups(tmp_path, layout.pairs, "") == ("Slide_01", "Slide_01", "Slide_02")
    assert names_of(layout) == {"01_1": "01_1.png", "01_2": "01_2.png", "02_1": "02_1.png"}


def test_a_sequence_of_cell_tracking_has_the_masks_that_people_drew(tmp_path: Path) -> None:
    make(tmp_path, *(f"Fluo/{sequence}/t{frame:03}.tif" for sequence in ("01", "02", "03") for frame in range(4)))
    make(tmp_path, "Fluo/01_GT/SEG/man_seg000.tif", "Fluo/01_GT/SEG/man_seg002.tif", "Fluo/01_GT/TRA/man_track000.tif")
    make(tmp_path, "Fluo/02_ST/SEG/man_seg000.tif")
    layout = find_layout(tmp_path)
    assert {pair.stem: pair.mask for pair in layout.pairs} == {
        "01_t000": MaskFile(tmp_path / "Fluo/01_GT/SEG/man_seg000.tif"),
        "01_t002": MaskFile(tmp_path / "Fluo/01_GT/SEG/man_seg002.tif"),
        "02_t000": MaskFile(tmp_path / "Fluo/02_ST/SEG/man_seg000.tif"),
    }
    assert layout.problems == ()
    assert layout.notes == (
        "5 frames without a mask left out",
        "frames of one sequence look alike and lie on both sides of the split; of five sequences or more (here: 2) "
        r"group='(\d+)_' keeps each together",
        "5 images in other folders are left out (Fluo/01_GT/TRA/: 1, Fluo/03/: 4)",
    )


def test_a_mask_of_cell_tracking_is_of_one_plane_or_of_a_frame_that_is_there(tmp_path: Path) -> None:
    make(tmp_path, "01/t000.tif", "01_GT/SEG/man_seg_000_005.tif", "01_GT/SEG/man_seg007.tif")
    layout = find_layout(tmp_path)
    assert [(pair.stem, pair.page) for pair in layout.pairs] == [("01_t000_005", 5)]
    assert problem_of(layout).endswith("man_seg007.tif: there is no frame in 01/ that it is of")


def test_train_and_test_folders_of_somebody_s_split_are_taken_together(tmp_path: Path) -> None:
    files = [f"{side}/{part}/{name}.png" for side in ("train", "test") for part in ("images", "masks") for name in "ab"]
    layout = find_layout(make(tmp_path, *files))
    assert list(names_of(layout)) == ["test/a", "test/b", "train/a", "train/b"]
    assert layout.problems == ()
    assert layout.name == "images/ and masks/ in several folders, taken together"


@pytest.mark.parametrize(("images", "masks"), [("image", "mask"), ("Images", "Labels")])
def test_the_folders_of_a_split_have_the_usual_names_too(tmp_path: Path, images: str, masks: str) -> None:
    make(tmp_path, *(f"train/{part}/{name}.png" for part in (images, masks) for name in "ab"))
    layout = find_layout(make(tmp_path, f"test/{images}/c.png", f"test/{images}/d.png"))
    assert list(names_of(layout)) == ["a", "b"]
    assert layout.notes == ("test/ left out: it has images, but no folder of masks",)


def test_equal_file_names_under_different_ids_are_told_apart(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, *(f"{name}/{part}/1.png" for name in "xy" for part in ("images", "masks"))))
    assert [pair.stem for pair in layout.pairs] == ["x/1", "y/1"]
    assert layout.problems == ()


def test_a_slide_without_masks_is_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "Slide_01/1.png", "GT_01/1.png", "Slide_02/2.png"))
    assert problem_of(layout).endswith(f"Slide_02/2.png: {NO_MASK_LEFT}")


def test_masks_without_a_slide_are_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "Slide_01/1.png", "GT_01/1.png", "GT_02/2.png"))
    assert problem_of(layout).endswith("GT_02/2.png: there is no image of the same stem")


def test_slides_in_two_folders_are_all_taken(tmp_path: Path) -> None:
    files = [f"{side}/{part}_0{k}/1.png" for k, side in enumerate(("train", "test")) for part in ("Slide", "GT")]
    layout = find_layout(make(tmp_path, *files))
    assert list(names_of(layout)) == ["Slide_00/1", "Slide_01/1"]
    assert [pair.group for pair in layout.pairs] == ["Slide_00", "Slide_01"]


# names that people give


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/image_01.png", "masks/mask_01.png"),
        ("images/img-01.png", "masks/mask-01.png"),
        ("images/image01.png", "masks/label01.png"),
        ("images/01.png", "masks/gt_01.png"),
        ("images/frame 01.png", "masks/01.png"),
        ("images/a b.jpg", "masks/a b_MASK.png"),
        ("images/a.JPG", "masks/a.jpg.png"),
        ("images/a.ome.tif", "masks/a_Label.png"),
        ("images/zelle_a\u0308.png", "masks/zelle_\u00e4.png"),
        ("image_1.png", "mask_1.png"),
        ("1.png", "mask_1.png"),
    ],
)
def test_a_mask_s_name_may_begin_otherwise_or_be_spelled_otherwise(tmp_path: Path, image: str, mask: str) -> None:
    layout = find_layout(make(tmp_path, image, mask))
    assert [(pair.image.name, pair.mask) for pair in layout.pairs] == [(Path(image).name, MaskFile(tmp_path / mask))]
    assert layout.problems == ()


def test_one_mask_for_two_images_is_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "images/x_img.png", "images/x_raw.png", "masks/x.png"))
    assert problem_of(layout).endswith("images/x_raw.png: its mask x.png fits x_img.png too; rename one of them")


SIBLINGS = {
    "ISIC 2016": (
        "ISBI2016_ISIC_Part1_Training_Data/a.jpg",
        "ISBI2016_ISIC_Part1_Training_GroundTruth/a_Segmentation.png",
    ),
    "ISIC 2018": ("ISIC2018_Task1-2_Training_Input/a.jpg", "ISIC2018_Task1_Training_GroundTruth/a_segmentation.png"),
    "CVC": ("CVC-ClinicDB/Original/1.tif", "CVC-ClinicDB/Ground Truth/1.tif"),
    "ADE20K": ("images/training/a.jpg", "annotations/training/a.png"),
    "Oxford pets": ("images/a.jpg", "annotations/trimaps/a.png"),
    "CamVid": ("train/a.png", "trainannot/a.png"),
    "nnU-Net": ("imagesTr/a_0000.png", "labelsTr/a.png"),
    "x and y": ("x/1.png", "y/1.png"),
    "photos": ("photos/1.jpg", "truths/1.png"),
    "HRF": ("images/01_dr.JPG", "manual1/01_dr.tif"),
    "masks within": ("1.jpg", "masks/1.png"),
    "targets": ("input/1.png", "target/1.png"),
}


@pytest.mark.parametrize("name", SIBLINGS)
def test_two_folders_belong_together_when_one_is_called_after_masks(tmp_path: Path, name: str) -> None:
    image, mask = SIBLINGS[name]
    layout = find_layout(make(tmp_path, image, mask))
    assert [(pair.image, pair.mask) for pair in layout.pairs] == [(tmp_path / image, MaskFile(tmp_path / mask))]
    assert (layout.problems, layout.notes) == ((), ())


def test_isic_s_folders_of_three_splits_find_each_other_and_superpixels_are_left_out(tmp_path: Path) -> None:
    for split in ("Training", "Validation", "Test_v2"):
        make(tmp_path, *(f"ISIC-2017_{split}_Data/{name}.jpg" for name in "ab"))
        make(tmp_path, *(f"ISIC-2017_{split}_Part1_GroundTruth/{name}_segmentation.png" for name in "ab"))
    layout = find_layout(make(tmp_path, "ISIC-2017_Training_Data/a_superpixels.png"))
    sides = {
        pair.image.parent.name: pair.mask.path.parent.name for pair in layout.pairs if isinstance(pair.mask, MaskFile)
    }
    assert sides == {
        f"ISIC-2017_{split}_Data": f"ISIC-2017_{split}_Part1_GroundTruth"
        for split in ("Training", "Validation", "Test_v2")
    }
    assert (len(layout.pairs), layout.problems) == (6, ())
    assert layout.notes == ("1 files are neither images nor masks and left out (a_superpixels.png)",)


@pytest.mark.parametrize("place", ["", "all/"])
def test_a_folder_an_image_holds_its_mask(tmp_path: Path, place: str) -> None:
    make(tmp_path / place, "a_json/img.png", "a_json/label.png", "a_json/label_viz.png", "b/b.tif", "b/Mask.png")
    layout = find_layout(tmp_path)
    assert names_of(layout) == {"a": "label.png", "b": "Mask.png"}
    assert layout.problems == ()
    assert layout.notes == ("1 files are neither images nor masks and left out (label_viz.png)",)


def test_a_folder_with_two_images_beside_its_mask_is_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "a/img.png", "a/mask.png", "b/img.png", "b/img2.png", "b/mask.png"))
    assert problem_of(layout) == f"{tmp_path}/b: it holds 2 images and 1 masks; it must hold one of each"


def test_two_folders_of_masks_for_one_of_images_are_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "Original/1.png", "GT rater1/1.png", "GT rater2/1.png"))
    assert problem_of(layout).endswith(
        "Original: several folders hold masks of the same images (GT rater1/, GT rater2/); say which counts, as "
        "mask_folder='GT rater1', or whose union counts, as mask_folder='GT rater1,GT rater2'"
    )


def test_masks_that_fit_two_folders_of_images_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "bright/1.png", "dark/1.png", "GT/1.png")
    with pytest.raises(ValueError, match=r"the masks in GT/ fit the images of several folders \(bright/, dark/\)"):
        find_layout(tmp_path)


def test_an_image_without_its_mask_in_the_other_folder_is_a_problem(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "Original/1.png", "Original/2.png", "Ground Truth/1.png", "Preview/9.png"))
    assert problem_of(layout).endswith(f"Original/2.png: {NO_MASK_LEFT}")
    assert layout.notes == ("folders of images without a counterpart are left out: Preview/ (1)",)


def test_two_folders_of_equal_names_without_a_word_for_masks_are_refused_with_the_cure(tmp_path: Path) -> None:
    make(tmp_path, "first/1.png", "second/1.png")
    with pytest.raises(
        ValueError, match=r"first/ and second/ hold images of the same names, but neither is called masks/"
    ):
        find_layout(tmp_path)


# what is left out


def test_files_of_a_suffix_that_is_not_read_are_counted(tmp_path: Path) -> None:
    make(tmp_path, *(f"{part}/{k}.png" for part in ("images", "masks") for k in range(3)))
    for k in range(3, 10):
        for part in ("images", "masks"):
            (tmp_path / part / f"{k}.jp2").write_text("")
    layout = find_layout(tmp_path)
    assert (len(layout.pairs), layout.problems) == (3, ())
    assert layout.notes == ("14 of 20 files in 2 folders have a suffix that is not read (.jp2): left out",)


def test_a_mask_whose_image_has_a_suffix_that_is_not_read_is_a_problem_that_says_so(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "masks/b.png")
    (tmp_path / "images/b.jp2").write_text("")
    layout = find_layout(tmp_path)
    assert problem_of(layout) == (
        f"{tmp_path}/masks/b.png: there is no image of the same stem; b.jp2 has a suffix that is not "
        "read, save it as png"
    )
    assert layout.notes == ("1 of 4 files in 2 folders have a suffix that is not read (.jp2): left out",)


def test_images_in_other_folders_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a_mask.png", "old/deep/down/b.png", "old/deep/down/c.png")
    assert find_layout(tmp_path).notes == ("2 images in other folders are left out (old/deep/down/: 2)",)


def test_a_table_of_masks_beside_folders_of_masks_is_named(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "train.csv").write_text("ImageId,EncodedPixels\na,1 2\n", encoding="utf-16")
    (tmp_path / "instances.json").write_text('{"images": [], "annotations": []}')
    assert find_layout(tmp_path).notes == (
        "instances.json, train.csv left out: masks are taken from elsewhere in the folder",
    )


LITTER = ("@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "#recycle/a.png", "lost+found/a.png", ".thumbnails/a.png", "._a.png")
MORE_LITTER = ("desktop.ini", "ehthumbs.db", "Icon\r", ".ipynb_checkpoints/a-checkpoint.png", "$RECYCLE.BIN/a.png")


@pytest.mark.parametrize("place", ["", "images/", "masks/", "images/deep/"])
@pytest.mark.parametrize("litter", [*LITTER, *MORE_LITTER])
def test_litter_of_systems_is_passed_over_at_any_depth_and_counted(tmp_path: Path, place: str, litter: str) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "images/deep/b.png", "masks/deep/b.png")
    path = tmp_path / place / litter
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("litter")
    layout = find_layout(tmp_path)
    assert ([pair.stem for pair in layout.pairs], layout.problems) == (["a", "b"], ())
    (note,) = layout.notes
    assert note.startswith("1 files that systems left or hide are passed over (")


# what is no layout at all


def link(folder: Path, target: str) -> Path:
    folder.symlink_to(folder.parent / target)
    return folder


def hollow(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir()
    return folder


def rename(folder: Path, suffix: str) -> Path:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.rename(path.with_suffix(suffix))
    return folder


def listing(folder: Path, text: str) -> Path:
    (folder / "pairs.csv").write_text(text)
    return folder


def jotted(folder: Path, name: str) -> Path:
    (folder / name).write_text("[]")
    return folder


NOTHING: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no folder": (lambda data: data / "absent", "absent: there is no such folder; give one with images and masks"),
    "empty": (lambda data: data, "the folder is empty"),
    "no masks": (lambda data: make(data, "images/a.png"), "it has a folder of images, but none of masks"),
    "no images": (lambda data: make(data, "masks/a.png"), "it has a folder of masks, but no folder images/"),
    "only images": (lambda data: make(data, "a.png", "b.png"), "no image with a mask was found"),
    "too deep": (lambda data: make(data, "1/2/3/4/a.png", "1/2/3/4/a_mask.png"), "no image with a mask was found"),
    "no csv": (lambda data: make(data, "a.png") / "a.png", "this is no csv; give a folder of images and masks"),
    "a link to nowhere": (lambda data: link(data / "link", "absent"), "link: this symbolic link leads nowhere"),
    "a link to itself": (lambda data: link(data / "link", "link"), "link: this symbolic link leads nowhere"),
    "a mask folder that loops": (
        lambda data: link(make(data, "images/a.png") / "masks", "masks").parent,
        "masks: this symbolic link leads nowhere; correct or remove it",
    ),
    "only files of another suffix": (
        lambda data: rename(make(data, "images/a.png", "masks/a.png"), ".jp2"),
        r"no suffix here is read \(\.png, .*\), but there are others \(\.jp2: 2\); save them as png",
    ),
    "json of another tool": (
        lambda data: jotted(make(data, "a.png"), "project.json"),
        "project.json is not json of COCO, VIA, LabelMe, Supervisely or GeoJSON; export the outlines as COCO",
    ),
    "xml of another tool": (
        lambda data: jotted(make(data, "images/a.png"), "annotations.xml"),
        "annotations.xml: outlines in this xml are not read; export them as COCO, or masks as png",
    ),
    "a csv of other columns": (
        lambda data: listing(make(data, "a/1.png", "b/1x.png"), "before;after\na/1.png;b/1x.png"),
        "pairs.csv has the columns before, after; a csv that lists the files needs the columns image and mask",
    ),
    "folders without images": (
        lambda data: hollow(data, "images", "masks"),
        r"images/ holds no image \(\.png, .*\), or masks/ no mask",
    ),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_is_no_layout_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    build, message = NOTHING[kind]
    with pytest.raises(ValueError, match=message):
        find_layout(build(tmp_path))


def test_a_folder_that_holds_nothing_but_another_is_as_good_as_that(tmp_path: Path) -> None:
    make(tmp_path, "lgg/kaggle_3m/TCGA_1/TCGA_1_1.png", "lgg/kaggle_3m/TCGA_1/TCGA_1_1_mask.png")
    (tmp_path / "lgg" / "README.txt").write_text("read me")
    place, layout = find_folder(tmp_path)
    assert place == tmp_path / "lgg" / "kaggle_3m"
    assert [pair.stem for pair in layout.pairs] == ["TCGA_1_1"]
    make(tmp_path, "lgg/other/b.png")
    with pytest.raises(UnknownLayoutError, match=f"data={tmp_path}: no image with a mask was found"):
        find_folder(tmp_path)


def test_the_refusal_names_the_layouts_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"data={tmp_path}: the folder is empty; the layouts known")
    ) as error:
        find_layout(tmp_path)
    assert KNOWN in str(error.value)


def test_lists_of_names_are_cut_after_five() -> None:
    assert shorten(["a", "b"]) == "a, b"
    assert shorten([f"n{k}" for k in range(17)]) == "n0, n1, n2, n3, n4 and 12 more"
    assert shorten(["x" * 64]) == "x" * 37 + "..."


REAL = {
    "dsb2018_histo": (107, "", 107, ()),
    "dsb2018_fluo": (541, "", 541, ()),
    "chase_db1": (28, "child", 14, ("masks_2nd/ (28) left out; mask_folder=masks_2nd takes masks from there",)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_folders_are_recognized(real_data: Path, name: str) -> None:
    num_pairs, group, num_groups, notes = REAL[name]
    layout = find_layout(real_data / name)
    assert (len(layout.pairs), layout.problems, layout.notes) == (num_pairs, (), notes)
    assert len(set(find_groups(real_data / name, layout.pairs, group))) == num_groups


def test_the_original_dsb2018_has_40_ids_of_files_and_6_of_run_lengths(real_data: Path) -> None:
    layout = find_layout(real_data / "original" / "dsb2018")
    kinds = [type(pair.mask) for pair in layout.pairs]
    assert (kinds.count(ObjectFiles), kinds.count(RunLengths), layout.problems) == (40, 6, ())


def test_the_original_chase_db1_has_two_eyes_of_14_children(real_data: Path) -> None:
    layout = find_layout(real_data / "original" / "CHASEDB1")
    groups = find_groups(real_data, layout.pairs, r"Image_(\d+)")
    assert (len(layout.pairs), len(set(groups)), layout.problems) == (28, 14, ())
