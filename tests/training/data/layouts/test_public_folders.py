"""Folders as public sets unpack to: read right, or refused with an option that then reads them right."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.layouts.layouts import UnknownLayoutError, find_layout
from training.data.layouts.pairs import Layout, mask_files


def make(folder: Path, *names: str, side: int = 4) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(side).integers(0, 255, (side, side, 3), np.uint8)
        cv2.imwrite(str(path), noise)
    return folder


def pairs_of(layout: Layout, root: Path) -> dict[str, list[str]]:
    """An image's path -> its masks' paths."""
    assert not layout.problems
    found = {pair.image: mask_files(pair.mask) for pair in layout.pairs}
    return {str(image.relative_to(root)): [str(path.relative_to(root)) for path in found[image]] for image in found}


def sides(images: str, masks: str, numbers: Sequence[int] = (1, 2, 3)) -> list[str]:
    """a/{}.png and b/{}.png, numbered."""
    return [side.format(k) for k in numbers for side in (images, masks)]


@pytest.mark.parametrize("picture", ["HE stained slides", "tissue images", "rgb"])
@pytest.mark.parametrize("preview", ["overlay", "distance maps", "visualization"])
def test_an_overlay_is_not_taken_for_the_image_though_its_name_is_shorter(
    tmp_path: Path, picture: str, preview: str
) -> None:
    make(
        tmp_path, *sides(picture + "/{}.png", "nuclei masks/{}.png"), *sides(preview + "/{}.png", "nuclei masks/{}.png")
    )
    pairs = pairs_of(find_layout(tmp_path), tmp_path)
    assert pairs == {f"{picture}/{k}.png": [f"nuclei masks/{k}.png"] for k in (1, 2, 3)}


def test_which_of_two_folders_holds_the_images_is_asked_though_one_name_is_shorter(tmp_path: Path) -> None:
    make(tmp_path, *sides("left camera/{}.png", "depth/{}.png"), "masks/1.png", "masks/2.png", "masks/3.png")
    with pytest.raises(ValueError, match=r"masks/ fit the images of several folders \(depth/, left camera/\)"):
        find_layout(tmp_path)


def test_masks_of_images_in_two_folders_are_shared_by_their_names(tmp_path: Path) -> None:
    """As HAM10000: images_part_1/, images_part_2/ and one folder of masks."""
    make(tmp_path, *sides("images_part_1/{}.jpg", "segmentations/{}_segmentation.png", (1, 2)))
    make(tmp_path, *sides("images_part_2/{}.jpg", "segmentations/{}_segmentation.png", (3, 4)))
    pairs = pairs_of(find_layout(tmp_path), tmp_path)
    assert pairs == {
        f"images_part_{(k + 1) // 2}/{k}.jpg": [f"segmentations/{k}_segmentation.png"] for k in (1, 2, 3, 4)
    }


def test_a_mask_that_fits_none_of_these_folders_is_not_passed_over(tmp_path: Path) -> None:
    make(tmp_path, *sides("images_part_1/{}.jpg", "segmentations/{}.png", (1, 2)))
    make(tmp_path, *sides("images_part_2/{}.jpg", "segmentations/{}.png", (3, 4)), "segmentations/5.png")
    with pytest.raises(ValueError, match="fit the images of several folders"):
        find_layout(tmp_path)


@pytest.mark.parametrize("beside", [True, False])
def test_a_folder_called_segmentation_may_hold_the_images_too(tmp_path: Path, beside: bool) -> None:
    """As `Lung Segmentation/` of Montgomery and Shenzhen: CXR_png/ and masks/, some of which end in _mask."""
    make(tmp_path, *sides("Lung Segmentation/CXR_png/{}.png", "Lung Segmentation/masks/{}_mask.png", (1, 2)))
    make(tmp_path, *sides("Lung Segmentation/CXR_png/{}.png", "Lung Segmentation/masks/{}.png", (3, 4)))
    if beside:
        make(tmp_path, *sides("Heart Segmentation/CXR_png/h{}.png", "Heart Segmentation/masks/h{}.png"))
    pairs = pairs_of(find_layout(tmp_path), tmp_path)
    assert len(pairs) == (7 if beside else 4)
    assert all("/CXR_png/" in image and "/masks/" in mask for image, (mask,) in pairs.items())


def test_a_chosen_folder_is_found_as_deep_as_the_layout_was(tmp_path: Path) -> None:
    """As COVID-QU-Ex, whose own folder is called after segmentation."""
    place = "Infection Segmentation Data/Train/COVID-19"
    for side in ("images", "infection masks", "lung masks"):
        make(tmp_path, *(f"{place}/{side}/{k}.png" for k in (1, 2)))
    for chosen in ("infection masks", "lung masks"):
        pairs = pairs_of(find_layout(tmp_path, mask_folder=chosen), tmp_path)
        assert pairs == {f"{place}/images/{k}.png": [f"{place}/{chosen}/{k}.png"] for k in (1, 2)}


def test_the_cure_names_the_masks_of_every_place_where_each_is_called_otherwise(tmp_path: Path) -> None:
    """As PolypGen: data_C1/masks_C1, data_C2/masks_C2, each beside annotatedImages."""
    for c in (1, 2):
        make(tmp_path, *sides(f"data_C{c}/images_C{c}/C{c}_{{}}.jpg", f"data_C{c}/masks_C{c}/C{c}_{{}}_mask.png"))
        make(tmp_path, *(f"data_C{c}/second_gt_C{c}/C{c}_{k}.png" for k in (1, 2, 3)))
    (problem,) = find_layout(tmp_path).problems
    assert "say which counts, as mask_folder=masks_C1,masks_C2, or whose union" in problem
    assert len(pairs_of(find_layout(tmp_path, mask_folder="masks_C1,masks_C2"), tmp_path)) == 6


@pytest.mark.parametrize(
    ("images", "masks", "cure"),
    [
        ("{part}/images/{k}_{part}.tif", "{part}/vessel/{k}_{part}.png", "vessel"),  # RITE
        ("{part}_In/{k}.png", "{part}_Out/{k}.png", "test_Out,train_Out"),  # Kasthuri
        ("{part}/img/{k}.jpg", "{part}/semantics/{k}.png", "semantics"),  # PhenoBench
        ("{part}2017/{k}.jpg", "pixelmaps/{part}2017/{k}.png", "pixelmaps"),  # COCO-Stuff
        ("{part}_img/{k}.jpg", "{part}_lab/{k}.png", "test_lab,train_lab"),  # DeepCrack
    ],
)
def test_where_no_folder_is_called_masks_the_cure_names_that_of_the_smaller_files(
    tmp_path: Path, images: str, masks: str, cure: str
) -> None:
    for k, part in enumerate(("train", "train", "test", "test")):
        make(tmp_path, images.format(part=part, k=k), side=16)
        make(tmp_path, masks.format(part=part, k=k))
    with pytest.raises(UnknownLayoutError, match=f"say which holds masks, as mask_folder={cure};"):
        find_layout(tmp_path)
    pairs = pairs_of(find_layout(tmp_path, mask_folder=cure), tmp_path)
    assert sorted(pairs) == sorted(images.format(part=p, k=k) for k, p in enumerate(("train", "train", "test", "test")))


def test_folders_that_are_called_alike_are_not_offered_as_images_and_masks(tmp_path: Path) -> None:
    make(tmp_path, "video1/train/a.png", "video2/train/a.png", "video1/test/a.png", "video1/overlay/a.png")
    with pytest.raises(UnknownLayoutError) as error:
        find_layout(tmp_path)
    assert "mask_folder=" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [
        ("701_StillsRaw_full/{}.png", "LabeledApproved_full/{}_L.png", "_L"),  # CamVid
        ("stare-images/im{}.png", "labels-ah/im{}.ah.png", ".ah"),  # STARE
        ("train-org-img/{}.jpg", "train-label-img/{}_lab.png", "_lab"),  # FloodNet
    ],
)
def test_an_ending_that_is_not_known_is_named_with_the_option(
    tmp_path: Path, images: str, masks: str, ending: str
) -> None:
    make(tmp_path, *sides(images, masks))
    with pytest.raises(UnknownLayoutError, match=f"say how masks end, as mask_suffix={ending};"):
        find_layout(tmp_path)
    pairs = pairs_of(find_layout(tmp_path, mask_suffix=ending), tmp_path)
    assert pairs == {images.format(k): [masks.format(k)] for k in (1, 2, 3)}


def test_several_folders_with_many_images_each_are_no_ids_of_dsb_2018(tmp_path: Path) -> None:
    """As the aerial tiles of Dubai; and SenNet's kidneys, beside a csv of run lengths."""
    for tile in (1, 2):
        make(tmp_path, *sides(f"set/Tile {tile}/images/{{}}.jpg", f"set/Tile {tile}/masks/{{}}.png"))
    make(tmp_path, *sides("set/Tile 3/images/{}.jpg", "set/Tile 3/labels/{}.png"))
    (tmp_path / "train_rles.csv").write_text("id,rle\ntile_1,1 1\n")
    assert len(pairs_of(find_layout(tmp_path), tmp_path)) == 9


def test_images_that_are_not_read_are_counted_though_their_folders_are_called_images(tmp_path: Path) -> None:
    """As the bundle of polyps: TrainDataset/images, and TestDataset/CVC-300/images a level lower."""
    make(tmp_path, *sides("TrainDataset/images/{}.png", "TrainDataset/masks/{}.png"))
    make(tmp_path, *sides("TestDataset/CVC-300/images/{}.png", "TestDataset/CVC-300/masks/{}.png", (7, 8)))
    layout = find_layout(tmp_path)
    assert len(layout.pairs) == 3
    (note,) = layout.notes
    assert note.startswith("4 images in other folders are left out (TestDataset/CVC-300/images/: 2, ")


@pytest.mark.parametrize("place", ["", "traincrop/", "MT_Break/Imgs/"])
def test_a_png_beside_a_jpg_of_its_name_is_its_mask(tmp_path: Path, place: str) -> None:
    """As Crack500, MSRA-B, the defects of magnetic tiles, and QuPath's tiles."""
    make(tmp_path, *sides(f"{place}x{{}}.jpg", f"{place}x{{}}.png"))
    layout = find_layout(tmp_path)
    assert pairs_of(layout, tmp_path) == {f"{place}x{k}.jpg": [f"{place}x{k}.png"] for k in (1, 2, 3)}
    make(tmp_path, f"{place}x4.jpg")
    (problem,) = find_layout(tmp_path).problems
    assert problem.endswith("x4: others are a jpg and its mask, here is x4.jpg; correct it")


def test_a_jpg_may_be_a_preview_where_another_folder_holds_its_name(tmp_path: Path) -> None:
    make(tmp_path, *sides("out/{}.jpg", "out/{}.png"), *sides("photos/{}.tif", "out/{}.png"))
    with pytest.raises(UnknownLayoutError):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}_500_original.tif", "{}_500_mask.png"),
        ("train{}-input.tif", "train{}-labels.tif"),
        ("slide {} [x=0,y=0,w=4,h=4].jpg", "slide {} [x=0,y=0,w=4,h=4]-labelled.png"),
        ("2_Ortho_RGB/{}_RGB.tif", "5_Labels_all/{}_label.tif"),
    ],
)
def test_endings_of_public_sets_are_known(tmp_path: Path, image: str, mask: str) -> None:
    make(tmp_path, *sides(image, mask))
    assert pairs_of(find_layout(tmp_path), tmp_path) == {image.format(k): [mask.format(k)] for k in (1, 2, 3)}


def test_the_masks_of_cityscapes_are_found_by_their_ending(tmp_path: Path) -> None:
    for k in (1, 2):
        make(tmp_path, f"leftImg8bit/train/ulm/ulm_{k}_leftImg8bit.png")
        make(tmp_path, *(f"gtFine/train/ulm/ulm_{k}_gtFine_{kind}.png" for kind in ("color", "labelIds")))
    pairs = pairs_of(find_layout(tmp_path, "_gtFine_labelIds"), tmp_path)
    assert pairs["leftImg8bit/train/ulm/ulm_1_leftImg8bit.png"] == ["gtFine/train/ulm/ulm_1_gtFine_labelIds.png"]


def test_an_ending_is_not_asked_for_where_no_mask_is_left(tmp_path: Path) -> None:
    """As Shenzhen's lungs, some of which have no mask."""
    make(tmp_path, *sides("images/{}.png", "mask/{}_mask.png"), "images/4.png")
    (problem,) = find_layout(tmp_path).problems
    assert problem.endswith("4.png: there is no mask of the same stem; add it, or take the image out")


def test_masks_that_lie_anywhere_are_found_by_their_ending_which_the_error_offers(tmp_path: Path) -> None:
    """As PH2: a folder an image, with folders of its photograph, its lesion and marks of single spots."""
    spots = [f"set/{k}/{k}_roi/{k}_R1_Label.png" for k in (1, 2)]
    make(tmp_path, *sides("set/{0}/{0}_Dermoscopic_Image/{0}.png", "set/{0}/{0}_lesion/{0}_lesion.png"), *spots)
    with pytest.raises(UnknownLayoutError, match=r"_lesion: 3, _R1_Label: 2\); .* mask_suffix=_lesion;"):
        find_layout(tmp_path)
    pairs = pairs_of(find_layout(tmp_path, mask_suffix="_lesion"), tmp_path)
    assert pairs == {
        f"set/{k}/{k}_Dermoscopic_Image/{k}.png": [f"set/{k}/{k}_lesion/{k}_lesion.png"] for k in (1, 2, 3)
    }


def test_of_images_of_one_name_the_nearest_is_meant_and_what_is_in_doubt_is_named(tmp_path: Path) -> None:
    make(tmp_path, *sides("{0}/photo/eye.png", "{0}/drawn/eye_disc.png"))
    layout = find_layout(tmp_path, mask_suffix="_disc")
    assert pairs_of(layout, tmp_path) == {f"{k}/photo/eye.png": [f"{k}/drawn/eye_disc.png"] for k in (1, 2, 3)}
    assert [pair.stem for pair in layout.pairs] == ["1/photo/eye", "2/photo/eye", "3/photo/eye"]
    make(tmp_path, "1/other/eye.png", "2/more/eye_disc.png", "3/drawn/lid_disc.png")
    doubts = find_layout(tmp_path, mask_suffix="_disc").problems
    assert [problem.partition(": ")[2] for problem in doubts] == [
        "several images have its name (1/other/eye.png, 1/photo/eye.png); keep one",
        "2/drawn/eye_disc.png is a mask of its image, too; keep one",
        "there is no image of its name",
    ]


def test_endings_of_previews_and_numbers_are_not_offered_as_masks(tmp_path: Path) -> None:
    make(tmp_path, *sides("{0}/photo/a{0}.png", "{0}/shown/a{0}_overlay.png"), "1/photo/a1_2.png", "2/photo/a2_2.png")
    with pytest.raises(UnknownLayoutError) as error:
        find_layout(tmp_path)
    assert "mask_suffix" not in str(error.value)
