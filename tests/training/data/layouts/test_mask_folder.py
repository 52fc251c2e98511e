"""Which folder of masks counts where several hold masks of the same images: asked, or said with mask_folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.image_set import UnusableError
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import Layout, MaskFile, mask_files
from training.data.read_options import ReadOptions
from training.data.reading import load_folder


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    return folder


def taken(layout: Layout, root: Path) -> dict[str, list[str]]:
    assert not layout.problems
    return {pair.stem: sorted(str(path.relative_to(root)) for path in mask_files(pair.mask)) for pair in layout.pairs}


@pytest.mark.parametrize(
    "other", ["GT", "labels", "annotations", "mask_corrected", "manual_segmentation", "vessels_gt"]
)
@pytest.mark.parametrize("masks", ["mask", "masks"])
def test_a_second_folder_of_masks_is_asked_about_and_either_can_be_chosen(
    tmp_path: Path, masks: str, other: str
) -> None:
    """As IOSTAR's image/, mask/ (the field of view) and GT/."""
    make(tmp_path, *(f"{side}/{k}.png" for side in ("images", masks, other) for k in (1, 2)))
    (problem,) = find_layout(tmp_path).problems
    assert problem.startswith(f"{tmp_path}/images: several folders hold masks of the same images (")
    assert f"say which counts, as mask_folder={masks}, or whose union counts, as mask_folder={masks},{other}" in problem
    for chosen in (masks, other, f"{other}/", other.upper()):
        found = find_layout(tmp_path, mask_folder=chosen)
        place = masks if chosen == masks else other
        assert taken(found, tmp_path) == {str(k): [f"{place}/{k}.png"] for k in (1, 2)}
        assert f"masks are those in {chosen.strip('/')}, as mask_folder says" in found.notes


@pytest.mark.parametrize("other", ["predictions", "mask_overlay", "masks_2nd", "nuclei", "label_colors"])
def test_what_is_not_called_masks_or_is_no_truth_is_left_out_with_a_count_and_the_option(
    tmp_path: Path, other: str
) -> None:
    make(tmp_path, *(f"{side}/{k}.png" for side in ("images", "masks", other) for k in (1, 2, 3)))
    layout = find_layout(tmp_path)
    assert layout.notes == (f"{other}/ (3) left out; mask_folder={other} takes masks from there",)
    assert taken(find_layout(tmp_path, mask_folder=other), tmp_path)["2"] == [f"{other}/2.png"]


def test_folders_of_other_images_are_not_asked_about(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "images/3.png", "masks/1.png", "masks/2.png", "masks/3.png")
    make(tmp_path, "segmented/1.png", "unlabeled/8.png")
    assert find_layout(tmp_path).notes == ("segmented/ (1), unlabeled/ (1) left out",)


def test_of_several_folders_the_union_counts(tmp_path: Path) -> None:
    """Montgomery's lungs: CXR_png, ManualMask/leftMask and ManualMask/rightMask."""
    for k in range(12):
        stem = f"MCUCXR_{k:04d}"
        left, right = np.zeros((2, 64, 64), np.uint8)
        cv2.circle(left, (20, 30 + k), 9, 255, -1)
        cv2.circle(right, (45, 30), 7 + k % 3, 255, -1)
        noise = np.random.default_rng(k).normal(0, 9, left.shape)
        image = (60 + 120 * ((left | right) > 0) + noise).clip(0, 255).astype(np.uint8)
        for place, pixels in (("CXR_png", image), ("ManualMask/leftMask", left), ("ManualMask/rightMask", right)):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / place / f"{stem}.png"), pixels)
    cure = "whose union counts, as mask_folder=leftMask,rightMask"
    with pytest.raises(UnusableError, match=cure):
        load_folder(tmp_path, 64)
    both = load_folder(tmp_path, 64, reading=ReadOptions(mask_folder="leftMask,rightMask"))
    one = load_folder(tmp_path, 64, reading=ReadOptions(mask_folder="ManualMask/leftMask"))
    for k, (whole, half) in enumerate(zip(both.masks, one.masks, strict=True)):
        left, right = np.zeros((2, 64, 64), np.uint8)
        cv2.circle(left, (20, 30 + k), 9, 1, -1)
        cv2.circle(right, (45, 30), 7 + k % 3, 1, -1)
        assert int((half == 1).sum()) == int(left.sum())
        assert int((whole == 1).sum()) == int((left | right).sum())


def test_an_image_that_lacks_one_of_the_masks_to_be_joined_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "scans/1.png", "scans/2.png", "left/1.png", "left/2.png", "right/1.png")
    (problem,) = find_layout(tmp_path, mask_folder="left,right").problems
    assert "scans/2.png: there is no mask" in problem


def test_masks_in_folders_below_masks_are_asked_about_and_one_alone_is_taken(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "masks/nucleus/1.png", "masks/nucleus/2.png")
    assert taken(find_layout(tmp_path), tmp_path) == {str(k): [f"masks/nucleus/{k}.png"] for k in (1, 2)}
    make(tmp_path, "masks/membrane/1.png", "masks/membrane/2.png")
    (problem,) = find_layout(tmp_path).problems
    assert "say which counts, as mask_folder=membrane, or" in problem
    chosen = find_layout(tmp_path, mask_folder="nucleus")
    assert taken(chosen, tmp_path) == {str(k): [f"masks/nucleus/{k}.png"] for k in (1, 2)}


def test_the_cure_holds_for_every_place_where_folders_are_called_so(tmp_path: Path) -> None:
    """As COVID-QU-Ex: Train/Normal/lung masks, Train/COVID-19/lung masks, ..., each beside infection masks."""
    kinds, sides = ("Normal", "COVID-19"), ("images", "infection masks", "lung masks")
    make(tmp_path, *(f"Train/{kind}/{side}/{kind[0]}{k}.png" for kind in kinds for side in sides for k in (1, 2)))
    (problem,) = find_layout(tmp_path).problems
    assert "infection masks/, Train/COVID-19/lung masks/, and so in 1 more places" in problem
    assert "say which counts, as mask_folder='infection masks', or" in problem
    chosen = taken(find_layout(tmp_path, mask_folder="lung masks"), tmp_path)
    assert chosen["C2"] == ["Train/COVID-19/lung masks/C2.png"]
    assert len(chosen) == 4


def test_it_says_which_of_two_folders_without_a_word_for_masks_holds_them(tmp_path: Path) -> None:
    """As train/sat and train/map of a set of roads."""
    make(tmp_path, *(f"{part}/{side}/{k}.png" for part in ("train", "val") for side in ("sat", "map") for k in (1, 2)))
    with pytest.raises(ValueError, match=r"hold images of the same names, .* as mask_folder="):
        find_layout(tmp_path)
    layout = find_layout(tmp_path, mask_folder="map")
    assert taken(layout, tmp_path)["val/sat/1"] == ["val/map/1.png"]
    assert len(layout.pairs) == 4


def test_images_may_lie_in_a_folder_whose_name_sounds_of_masks(tmp_path: Path) -> None:
    make(tmp_path, "labeled_images/1.png", "labeled_images/2.png", "nuclei/1.png", "nuclei/2.png")
    assert taken(find_layout(tmp_path, mask_folder="nuclei"), tmp_path)["2"] == ["nuclei/2.png"]


def test_mmsegmentation_s_folders_are_known(tmp_path: Path) -> None:
    make(
        tmp_path,
        *(f"{side}/{part}/{k}.png" for side in ("img_dir", "ann_dir") for part in ("train", "val") for k in "12"),
    )
    layout = find_layout(tmp_path)
    assert len(layout.pairs) == 4
    assert all(isinstance(pair.mask, MaskFile) for pair in layout.pairs)
    for pair in layout.pairs:
        assert str(pair.image).replace("img_dir", "ann_dir") == str(mask_files(pair.mask)[0])


def test_a_folder_that_is_not_there_is_refused_with_those_there_are(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "masks/1.png", "GT/1.png")
    with pytest.raises(ValueError, match=r"mask_folder=truth: no folder truth holds .*; there are GT/, images/, masks"):
        find_layout(tmp_path, mask_folder="truth")


def test_the_ending_that_a_message_names_is_one_that_masks_have_and_it_works(tmp_path: Path) -> None:
    """Two annotators beside each other."""
    make(tmp_path, *(f"images/p{k:02d}.png" for k in (1, 2, 10)))
    make(tmp_path, *(f"masks/p{k:02d}_annotator{who}.png" for k in (1, 2, 10) for who in (1, 2)))
    assert "say how masks end, as mask_suffix=_annotator1" in find_layout(tmp_path).problems[0]
    layout = find_layout(tmp_path, mask_suffix="_annotator1")
    assert taken(layout, tmp_path) == {f"p{k:02d}": [f"masks/p{k:02d}_annotator1.png"] for k in (1, 2, 10)}
    assert any(note.startswith("3 other masks are left out (p01_annotator2.png, ") for note in layout.notes)


def test_a_mask_that_ends_as_said_and_has_no_image_stays_a_problem(tmp_path: Path) -> None:
    """Though another image's name begins as it does."""
    make(tmp_path, "images/a1.png", "masks/a1_m.png", "masks/a10_m.png", "masks/a1_n.png")
    layout = find_layout(tmp_path, mask_suffix="_m")
    assert [problem.rpartition("/")[2] for problem in layout.problems] == [
        "a10_m.png: there is no image of the same stem"
    ]
