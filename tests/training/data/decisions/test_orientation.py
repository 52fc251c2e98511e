"""Orientation tags: whatever the tools did with them, masks lie on their pictures as seen, or their owner is asked."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from training.data.decisions.orientation import Fit, decide_orientation
from training.data.image_set import ImageSet, UnusableError
from training.data.images import Pixels
from training.data.read_options import ReadOptions
from training.data.reading import load_folder

TAG = 0x0112
TAGS = range(2, 9)
STORE = {  # what a camera stores of a picture as seen, by tag: the inverse of what a viewer does
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
STEMS = [f"cell_{k:02d}" for k in range(12)]
FEW = STEMS[:5]  # enough to decide by, where they are clear


def picture(index: int, square: bool) -> tuple[Pixels, Pixels]:
    """As seen: two bright discs off the middle on noise, and their mask."""
    rng = np.random.default_rng(index)
    mask = np.zeros((64, 64 if square else 96), np.uint8)
    cv2.circle(mask, (14 + index, 12), 7, 255, -1)
    cv2.circle(mask, (40, 20 + index), 5, 255, -1)
    return (rng.normal(70, 12, mask.shape) + 0.5 * mask).clip(0, 255).astype(np.uint8), mask


def save(path: Path, pixels: Pixels, tag: int, suffix: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[TAG] = tag
    options = {} if tag == 1 else {"tiffinfo": {274: tag}} if suffix == ".tif" else {"exif": exif}
    Image.fromarray(np.ascontiguousarray(pixels)).save(path.with_suffix(suffix), **options)


def folder(
    root: Path,
    tag: int,
    *,
    mask_tag: int,
    mask_as_seen: bool,
    square: bool = True,
    suffix: str = ".jpg",
    stems: Sequence[str] = STEMS,
) -> Path:
    for index, stem in enumerate(stems):
        image, mask = picture(index, square)
        save(root / "images" / stem, STORE[tag](image), tag, suffix)
        save(root / "masks" / stem, mask if mask_as_seen else STORE[tag](mask), mask_tag, ".png")
    return root


def check(images: ImageSet, square: bool = True) -> None:
    """Every image and mask as it was meant."""
    for index, (image, mask) in enumerate(zip(images.images, images.masks, strict=True)):
        meant, truth = picture(index, square)
        inside = mask != 2
        assert np.abs(image[..., 0][inside].astype(int) - meant.ravel()).mean() < 12
        assert np.array_equal(mask[inside], truth.ravel() // 255)


def load(root: Path, square: bool = True, **options: str) -> ImageSet:
    return load_folder(root, 64 if square else 96, reading=ReadOptions(**options))


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("masks as seen", "masks fit the pictures as seen"),
        ("masks with the same tag", "masks fit the pictures as seen"),
        ("masks as stored", "masks fit the pixels as stored"),
        ("masks as seen with a tag copied by mistake", "tags of their own are wrong"),
    ],
)
def test_whatever_a_tool_did_with_the_tag_is_found(
    tmp_path: Path, tag: int, tool: str, said: str, square: bool
) -> None:
    as_seen = tool.startswith("masks as seen")
    mask_tag = tag if "tag" in tool else 1
    root = folder(tmp_path, tag, mask_tag=mask_tag, mask_as_seen=as_seen, square=square, stems=FEW)
    images = load(root, square)
    check(images, square)
    assert any(said in note for note in images.notes), images.notes


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_of_a_tiff_counts_as_one_of_a_photo_does(tmp_path: Path, tag: int) -> None:
    root = folder(tmp_path, tag, mask_tag=1, mask_as_seen=False, square=False, suffix=".tif", stems=FEW)
    images = load(root, False)
    check(images, False)


@pytest.mark.parametrize("tag", [3, 6])
@pytest.mark.parametrize("as_seen", [True, False])
@pytest.mark.parametrize("sized", [True, False])
def test_coco_polygons_are_drawn_where_they_were_annotated(
    tmp_path: Path, tag: int, as_seen: bool, sized: bool
) -> None:
    root = folder(tmp_path, tag, mask_tag=1, mask_as_seen=as_seen, square=False, stems=FEW)
    content: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "cell"}],
    }
    for index, stem in enumerate(FEW):
        mask = cv2.imread(str(root / "masks" / f"{stem}.png"), 0)
        size = {"height": mask.shape[0], "width": mask.shape[1]} if sized else {}
        content["images"].append({"id": index, "file_name": f"{stem}.jpg", **size})
        for outline in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
            shape = {"id": len(content["annotations"]), "image_id": index, "category_id": 1}
            content["annotations"].append({**shape, "segmentation": [outline.ravel().tolist()]})
        (root / "masks" / f"{stem}.png").unlink()
    (root / "masks").rmdir()
    (root / "annotations.json").write_text(json.dumps(content))
    images = load(root, False)
    for index, mask in enumerate(images.masks):
        truth = picture(index, False)[1] > 0
        drawn = (mask == 1)[mask != 2].reshape(truth.shape)
        assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.85


def test_masks_that_fit_either_way_are_asked_about_and_the_option_decides(tmp_path: Path) -> None:
    for index, stem in enumerate(STEMS):
        noise = np.random.default_rng(index).integers(0, 255, (64, 64), np.uint8)
        save(tmp_path / "images" / stem, noise, 3, ".png")
        save(tmp_path / "masks" / stem, picture(index, True)[1], 1, ".png")
    with pytest.raises(
        UnusableError, match=r"12 images or masks carry an orientation tag .*orientation=apply.*orientation=ignore"
    ):
        load(tmp_path)
    first = picture(0, True)[1] // 255
    assert np.array_equal(load(tmp_path, orientation="apply").masks[0], first)
    assert np.array_equal(load(tmp_path, orientation="ignore").masks[0], first[::-1, ::-1])


def test_a_set_of_which_some_masks_fit_the_other_way_is_refused_by_name(tmp_path: Path) -> None:
    folder(tmp_path, 3, mask_tag=1, mask_as_seen=False)
    for index in (3, 7):
        save(tmp_path / "masks" / STEMS[index], picture(index, True)[1], 1, ".png")
    with pytest.raises(
        UnusableError, match=r"2 masks fit their picture as seen \(cell_03, cell_07\) and 10 fit the stored"
    ):
        load(tmp_path)


def test_sizes_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    folder(tmp_path, 6, mask_tag=1, mask_as_seen=False, square=False)
    save(tmp_path / "masks" / STEMS[4], picture(4, False)[1], 1, ".png")
    with pytest.raises(UnusableError, match=r"1 mask fit their picture as seen \(cell_04\).*by their sizes"):
        load(tmp_path, False)


def test_files_without_a_tag_are_read_as_they_are_and_nothing_is_said(tmp_path: Path) -> None:
    for index, stem in enumerate(STEMS):
        image, mask = picture(index, True)
        save(tmp_path / "images" / stem, image, 1, ".png")
        save(tmp_path / "masks" / stem, mask, 1, ".png")
    images = load(tmp_path)
    check(images)
    assert images.notes == ()


def test_few_pairs_must_be_clear_and_many_may_be_less_so() -> None:
    turns = {"apply": 1, "ignore": 3, "images": 1}

    def fits(count: int, gain: float) -> list[Fit]:
        scores = {"apply": 0.3, "ignore": 0.3 + gain, "images": 0.3}
        noise = np.random.default_rng(0).normal(0, 0.01, count)
        return [Fit(f"s{k}", turns, scores | {"ignore": scores["ignore"] + noise[k]}) for k in range(count)]

    assert decide_orientation(fits(1, 0.6)) == "ignore"
    assert decide_orientation(fits(40, 0.02)) == "ignore"
    for unclear in (fits(1, 0.3), fits(2, 0.3), fits(40, 0.0)):
        with pytest.raises(ValueError, match="cannot be told"):
            decide_orientation(unclear)


@pytest.mark.parametrize("as_seen", [True, False])
def test_outlines_in_fractions_are_drawn_on_the_picture_that_they_fit(tmp_path: Path, as_seen: bool) -> None:
    """YOLO's: fractions of the stored or of the seen width and height, which a quarter turn swaps."""
    root = folder(tmp_path, 6, mask_tag=1, mask_as_seen=as_seen, square=False, stems=FEW)
    (root / "labels").mkdir()
    for stem in FEW:
        mask = cv2.imread(str(root / "masks" / f"{stem}.png"), 0)
        sides = np.array(mask.shape[::-1])
        outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        lines = [" ".join(["0", *map(str, (outline[:, 0] / sides).ravel())]) for outline in outlines]
        (root / "labels" / f"{stem}.txt").write_text("\n".join(lines))
        (root / "masks" / f"{stem}.png").unlink()
    (root / "masks").rmdir()
    images = load(root, False)
    for index, mask in enumerate(images.masks):
        truth = picture(index, False)[1] > 0
        drawn = (mask == 1)[mask != 2].reshape(truth.shape)
        assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.85


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("said", [True, False])
def test_outlines_of_a_picture_of_another_size_are_refused_whatever_the_json_says(
    tmp_path: Path, scale: float, said: bool
) -> None:
    content: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": [{"id": 1}]}
    for index, stem in enumerate(FEW):
        image, mask = picture(index, False)
        save(tmp_path / "images" / stem, image, 1, ".png")
        size = {"height": mask.shape[0], "width": mask.shape[1]} if said else {}
        content["images"].append({"id": index, "file_name": f"{stem}.png", **size})
        for outline in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
            shape = {"id": len(content["annotations"]), "image_id": index, "category_id": 1}
            content["annotations"].append({**shape, "segmentation": [(scale * outline).ravel().tolist()]})
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(UnusableError, match="outlines do not fit the size of their pictures"):
        load(tmp_path, False)
