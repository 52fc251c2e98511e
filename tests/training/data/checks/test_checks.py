"""What makes training wrong is an error, what is odd a warning, and a healthy folder has neither."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.checks.checks import find_problems
from training.data.checks.findings import ERROR, WARNING, Finding, describe_data, describe_finding, refuse_errors
from training.data.image_set import ImageSet, UnusableError
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import Split, make_split

RNG = np.random.default_rng(0)


def disc(shift: int) -> np.ndarray:
    return cv2.circle(np.zeros((32, 48), np.uint8), (12 + shift, 16), 7, 255, -1)


def write(folder: Path, stem: str, image: np.ndarray, mask: np.ndarray) -> None:
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / part / f"{stem}.png"), pixels)


def healthy(folder: Path, stems: list[str]) -> Path:
    """Bright discs on dark noise, each somewhere else."""
    for index, stem in enumerate(stems):
        mask = disc(index % 24)
        write(folder, stem, (RNG.integers(0, 70, mask.shape) + 0.7 * mask).astype(np.uint8), mask)
    return folder


STEMS = [f"cell{chr(97 + k)}" for k in range(24)]


def findings(folder: Path, reading: ReadOptions = ReadOptions()) -> list[Finding]:  # noqa: B008 - frozen
    images = load_folder(folder, 48, reading=reading)  # their own size: a point is not lost
    return but_for_size(find_problems(images, split_of(images)))


def but_for_size(found: list[Finding]) -> list[Finding]:
    """Without the warning that these few images decide nothing, which is true of them all."""
    return [finding for finding in found if not finding.title.startswith("TOO LITTLE TO JUDGE BY")]


def split_of(images: ImageSet) -> Split:
    return make_split(images.groups, images.foreground, "fixed", 80)


def test_a_healthy_folder_has_no_finding(tmp_path: Path) -> None:
    assert findings(healthy(tmp_path, STEMS)) == []


def image_of(folder: Path, stem: str) -> np.ndarray:
    return cv2.imread(str(folder / "images" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)


def copy(folder: Path, part: str, source: str, target: str) -> None:
    shutil.copy(folder / part / f"{source}.png", folder / part / f"{target}.png")


def invert_all(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def points_only(folder: Path) -> None:
    for index, path in enumerate(sorted((folder / "masks").iterdir())):
        mask = np.zeros((32, 48), np.uint8)
        mask[16, 12 + index] = 255
        cv2.imwrite(str(path), mask)


def number_discs(folder: Path) -> None:
    """Two objects in every mask, numbered 1 and 2; or two classes."""
    for index, path in enumerate(sorted((folder / "masks").iterdir())):
        mask = cv2.circle(disc(index) // 255, (12 + index % 24, 16), 2, 2, -1)
        cv2.imwrite(str(path), mask)


def odd_pair(folder: Path) -> None:
    cv2.imwrite(str(folder / "images" / "celld.png"), 255 - image_of(folder, "celld"))


def rename_masks(folder: Path, new: dict[str, str]) -> None:
    masks = {stem: (folder / "masks" / f"{stem}.png").read_bytes() for stem in new}
    for stem, mask in masks.items():
        (folder / "masks" / f"{new[stem]}.png").write_bytes(mask)


def draw_outlines(folder: Path, count: int = 24) -> None:
    for index, path in enumerate(sorted((folder / "masks").iterdir())[:count]):
        cv2.imwrite(str(path), cv2.circle(np.zeros((32, 48), np.uint8), (12 + index % 24, 16), 7, 255, 1))


def draw_frames(folder: Path, count: int) -> None:
    for path in sorted((folder / "masks").iterdir())[:count]:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path), cv2.rectangle(mask, (0, 0), (47, 31), 255, 2))


ODD: dict[str, tuple[Callable[[Path], object], str, str, tuple[str, ...]]] = {
    "classes or objects": (number_discs, ERROR, r"24 masks hold the same few values \(0, 1, 2\)", tuple(STEMS)),
    "a copied image": (
        lambda folder: copy(folder, "images", "cellb", "cellc"),
        WARNING,
        "2 images are identical to another, but their masks differ",
        ("cellb", "cellc"),
    ),
    "a copied mask": (
        lambda folder: copy(folder, "masks", "cellb", "cellc"),
        WARNING,
        "2 different images share a mask with another",
        ("cellb", "cellc"),
    ),
    "inverted masks": (invert_all, WARNING, r"foreground is 90 % of the pixels: the masks may be inverted", ()),
    "one pair the other way": (odd_pair, WARNING, "1 suspicious pair: foreground is brighter", ("celld",)),
    "a mask that is full": (
        lambda folder: cv2.imwrite(str(folder / "masks" / "celle.png"), np.full((32, 48), 255, np.uint8)),
        WARNING,
        "1 mask with foreground everywhere",
        ("celle",),
    ),
    "an empty mask": (
        lambda folder: cv2.imwrite(str(folder / "masks" / "cellf.png"), np.zeros((32, 48), np.uint8)),
        WARNING,
        "1 mask without foreground",
        ("cellf",),
    ),
    "two swapped masks": (
        lambda folder: rename_masks(folder, {"cella": "cellm", "cellm": "cella"}),
        WARNING,
        "2 masks of 24 would fit another image better: cell.'s fits cell",
        ("cella", "cellm"),
    ),
    "outlines of what is meant": (
        draw_outlines,
        WARNING,
        "24 masks of 24 are closed lines, with background inside",
        tuple(STEMS),
    ),
    "outlines in some masks": (
        lambda folder: draw_outlines(folder, 2),
        WARNING,
        "2 masks of 24 are closed lines, with background inside",
        tuple(STEMS[:2]),
    ),
    "frames": (
        lambda folder: draw_frames(folder, 24),
        WARNING,
        "24 masks of 24 are foreground all along the edge of the picture",
        tuple(STEMS),
    ),
    "frames in some masks": (
        lambda folder: draw_frames(folder, 2),
        WARNING,
        "2 masks of 24 are foreground all along the edge of the picture",
        tuple(STEMS[:2]),
    ),
    "hardly any foreground": (points_only, WARNING, r"foreground is only 0\.07 % of the pixels", ()),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_found_and_nothing_else(tmp_path: Path, kind: str) -> None:
    change, severity, title, stems = ODD[kind]
    folder = healthy(tmp_path, STEMS)
    change(folder)
    (found,) = findings(folder)
    assert found.severity == severity
    assert found.stems == stems
    assert re.search(title, found.title), found.title


@pytest.mark.parametrize(("up", "left", "said"), [(3, 6, "3 pixels lower and 6 pixels further right"), (0, 0, "")])
def test_masks_that_all_lie_beside_what_they_outline_are_said_to(tmp_path: Path, up: int, left: int, said: str) -> None:
    for stem in STEMS[:12]:
        mask = np.zeros((32, 48), np.uint8)
        for _ in range(3):
            cv2.circle(mask, (int(RNG.integers(8, 40)), int(RNG.integers(6, 26))), 4, 255, -1)
        image = (RNG.integers(0, 70, mask.shape) + 0.7 * mask).astype(np.uint8)
        write(tmp_path, stem, image, np.roll(mask, (-up, -left), (0, 1)))
    found = findings(tmp_path)
    assert [one.title for one in found] == ([f"the masks would fit their images better about {said}"] if said else [])
    assert all("drawn on pictures of another size" in one.meaning for one in found)


def test_masks_of_other_images_are_an_error(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    rename_masks(folder, {stem: STEMS[7 * k % 24] for k, stem in enumerate(STEMS)})
    (found,) = (one for one in findings(folder) if "another image" in one.title)
    assert found.severity == ERROR
    assert "of 24 would fit another image better" in found.title
    assert len(found.stems) > 12


NO_BETTER = "24 masks fit their own images no better than those of others"


def test_masks_of_images_that_tell_nothing_are_not_said_to_be_of_others_but_looked_at(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for path in (folder / "images").iterdir():
        cv2.imwrite(str(path), RNG.integers(0, 255, (32, 48)).astype(np.uint8))
    assert [(one.severity, one.title) for one in findings(folder)] == [(WARNING, NO_BETTER)]


@pytest.mark.parametrize("wrongly", ["counted along the other axis", "drawn at a quarter"])
def test_masks_that_fit_no_image_are_said_to(tmp_path: Path, wrongly: str) -> None:
    folder = healthy(tmp_path, STEMS)
    for path in (folder / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        small = np.zeros_like(mask)
        small[:8, :12] = mask[::4, ::4]
        cv2.imwrite(str(path), mask.reshape(48, 32).T if wrongly.startswith("counted") else small)
    assert [(one.severity, one.title) for one in findings(folder)] == [(WARNING, NO_BETTER)]


def test_thin_lines_that_only_their_own_size_shows_fit_their_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for stem in STEMS[:12]:
        mask = np.zeros((256, 256), np.uint8)
        for _ in range(4):
            cv2.line(mask, rng.integers(0, 256, 2).tolist(), rng.integers(0, 256, 2).tolist(), 255, 1)
        sharp = mask - cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)  # dark beside the lines: no mean contrast
        write(tmp_path, stem, (rng.integers(60, 160, mask.shape) + 0.1 * sharp).astype(np.uint8), mask)
    images = load_folder(tmp_path, 256)
    assert but_for_size(find_problems(images, split_of(images))) == []


def write_layers(folder: Path, count: int, fewer: int) -> None:
    """Classes 1 to count in each mask, as layers of a retina; one of them is missing in the last `fewer` masks."""
    for index, stem in enumerate(STEMS):
        layers = np.zeros((32, 48), np.uint8)
        for layer in range(1, count + 1 - (index >= len(STEMS) - fewer)):
            layers[3 * layer + index % 2 : 3 * layer + 3] = layer
        write(folder, stem, (RNG.integers(0, 60, layers.shape) + 20 * layers).astype(np.uint8), layers)


@pytest.mark.parametrize("count", [4, 9])
def test_the_same_number_of_values_in_every_mask_is_asked_about_however_many(tmp_path: Path, count: int) -> None:
    write_layers(tmp_path, count, fewer=0)
    (found,) = (one for one in findings(tmp_path) if one.severity == ERROR)
    shown = "0, 1, 2, 3, 4" if count == 4 else "0, 1, 2, 3, 4, 5, 6, 7, ... 9"
    assert found.title == f"24 masks hold the same values ({shown})"
    assert "mask_values=1 (or 1,2) for classes, mask_threshold=0 for objects" in found.meaning
    assert not [one for one in findings(tmp_path, ReadOptions(mask_values="1,2")) if one.severity == ERROR]
    write_layers(tmp_path, count, fewer=1)
    assert not [one for one in findings(tmp_path) if "hold the same" in one.title]


def draw_lines(folder: Path) -> None:
    """Vessels: a loop, and branches beside it."""
    for index, path in enumerate(sorted((folder / "masks").iterdir())):
        mask = cv2.circle(np.zeros((32, 48), np.uint8), (12 + index % 24, 16), 4, 255, 1)
        for row in (3, 28):
            cv2.line(mask, (2, row), (45, row + index % 3), 255, 1)
        cv2.imwrite(str(path), mask)


def number_varying_discs(folder: Path) -> None:
    """Two objects in one half of the masks and three in the other, numbered."""
    number_discs(folder)
    for path in sorted((folder / "masks").iterdir())[::2]:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        mask[14:17, 40:44] = 3
        cv2.imwrite(str(path), mask)


def number_one_mask(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks" / "celld.png"), disc(3) // 255 + 2 * (disc(25) // 255))


def invert_some(folder: Path) -> None:
    for stem in STEMS[:12]:
        path = folder / "masks" / f"{stem}.png"
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def empty_twice(folder: Path) -> None:
    for stem in STEMS[:2]:
        cv2.imwrite(str(folder / "masks" / f"{stem}.png"), np.zeros((32, 48), np.uint8))


SOUND: dict[str, tuple[Callable[[Path], object], str]] = {
    "as many objects in each mask as there happen to be": (number_varying_discs, "the same few values"),
    "a single mask of two objects": (number_one_mask, "the same few values"),
    "inverted masks, but not nearly all": (invert_some, "may be inverted"),
    "contrast that goes both ways often": (invert_some, "suspicious pair"),
    "lines that branch and meet": (draw_lines, "closed lines"),
    "two empty masks, which are equal": (empty_twice, "share a mask"),
}


@pytest.mark.parametrize("kind", SOUND)
def test_what_only_resembles_it_is_not_found(tmp_path: Path, kind: str) -> None:
    change, title = SOUND[kind]
    folder = healthy(tmp_path, STEMS)
    change(folder)
    assert not [found for found in findings(folder) if title in found.title]


@pytest.mark.parametrize(("count", "few"), [(10, "1 image with"), (40, "4 images with"), (60, "")])
def test_a_validation_or_test_set_of_fewer_than_five_images_is_said_loudly(
    tmp_path: Path, count: int, few: str
) -> None:
    images = load_folder(healthy(tmp_path, [f"cell{chr(97 + k // 10)}{chr(97 + k % 10)}" for k in range(count)]), 32)
    titles = [found.title for found in find_problems(images, split_of(images)) if "JUDGE" in found.title]
    assert titles == (
        [f"TOO LITTLE TO JUDGE BY: the validation set has {few} foreground and the test set has {few} foreground"]
        if few
        else []
    )


def test_images_without_foreground_do_not_judge(tmp_path: Path) -> None:
    folder = healthy(tmp_path, [f"cell{chr(97 + k // 10)}{chr(97 + k % 10)}" for k in range(50)])
    for path in sorted((folder / "masks").iterdir())[10:]:
        cv2.imwrite(str(path), np.zeros((32, 48), np.uint8))
    images = load_folder(folder, 32)
    assert any("TOO LITTLE TO JUDGE BY" in found.title for found in find_problems(images, split_of(images)))


def invert(path: Path) -> None:
    cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("count", [1, 5, 12])
def test_masks_that_are_inverted_beside_the_others_are_an_error_that_names_them(tmp_path: Path, count: int) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem in STEMS[:count]:
        invert(folder / "masks" / f"{stem}.png")
    errors = [found for found in findings(folder) if found.severity == ERROR]
    assert [found.stems for found in errors] == [tuple(STEMS[:count])]
    assert f"{count} mask{'s' * (count > 1)} of 24 look inverted beside the others" in errors[0].title


def test_large_objects_that_fill_some_images_are_not_inverted(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem in STEMS[:6]:
        mask = np.full((32, 48), 255, np.uint8)
        mask[:6, :6] = 0
        write(folder, stem, (RNG.integers(0, 70, mask.shape) + 0.7 * mask).astype(np.uint8), mask)
    assert not [found for found in findings(folder) if found.severity == ERROR]


def test_dark_and_bright_foreground_in_one_set_is_no_inversion(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem in STEMS[:8]:
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), 255 - image_of(folder, stem))
    assert not [found for found in findings(folder) if found.severity == ERROR]


def set_foreground(folder: Path, stems: list[str], value: int) -> None:
    for stem in stems:
        path = folder / "masks" / f"{stem}.png"
        cv2.imwrite(str(path), (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8) * value)


def test_255_beside_1_is_asked_about_and_each_answer_is_taken(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    set_foreground(folder, STEMS[4:], 1)
    (found,) = findings(folder)
    assert (found.severity, found.stems) == (ERROR, tuple(STEMS[:4]))
    assert "1 in 20" in found.title
    assert "255 in 4" in found.title
    for option in ("mask_threshold=0", "mask_values=1", "ignore_value=255"):
        assert option in found.meaning
    assert findings(folder, ReadOptions(mask_threshold="0")) == []
    ignoring = load_folder(folder, 32, reading=ReadOptions(ignore_value="255"))
    assert set(np.unique(ignoring.masks[:4])) == {0, 2}
    assert "0.7 % of the pixels do not count" in describe_data(ignoring, "")[2] or ignoring.facts[0].ignored > 0


def test_255_in_a_mask_of_0_and_1_is_never_foreground_in_silence(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    set_foreground(folder, STEMS, 1)
    path = folder / "masks" / f"{STEMS[0]}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    mask[0] = 255
    cv2.imwrite(str(path), mask)
    with pytest.raises(UnusableError, match=r"3 values \(0, 1, 255\).*ignore_value=255 .*does not count"):
        load_folder(folder, 32)
    images = load_folder(folder, 32, reading=ReadOptions(ignore_value="255"))
    assert images.facts[0].ignored == pytest.approx(1 / 32)
    assert images.facts[0].foreground == pytest.approx((mask == 1).sum() / (31 * 48))


def test_8_and_16_bit_masks_of_black_and_white_are_one_kind(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    path = folder / "masks" / f"{STEMS[0]}.png"
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 257)
    assert findings(folder) == []


@pytest.mark.parametrize(
    ("turned", "how"),
    [
        ((slice(None, None, -1), slice(None)), "mirrored top to bottom"),
        ((slice(None, None, -1), slice(None, None, -1)), "turned by 180 degrees"),
    ],
)
def test_masks_that_were_all_turned_against_their_images_are_an_error(
    tmp_path: Path, turned: tuple[slice, slice], how: str
) -> None:
    folder = healthy(tmp_path, STEMS)
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[turned])
    for path in (folder / "images").iterdir():  # off the middle, or a turn would change little
        cv2.imwrite(str(path), np.roll(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 6, axis=0))
    for path in (folder / "masks").iterdir():
        cv2.imwrite(str(path), np.roll(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), -6, axis=0))
    errors = [found for found in findings(folder) if found.severity == ERROR]
    assert any(how in found.title for found in errors), [found.title for found in errors]


def test_a_fourth_channel_that_is_dropped_is_said_and_an_opaque_one_is_not(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem, alpha in ((STEMS[0], 255), (STEMS[1], 120)):
        grey = image_of(folder, stem)
        cv2.imwrite(str(folder / "images" / f"{stem}.png"), np.dstack([grey, grey, grey, np.full_like(grey, alpha)]))
    (found,) = findings(folder)
    assert (found.severity, found.stems) == (WARNING, (STEMS[1],))
    assert "transparency is dropped" in found.title


def test_dark_images_of_8_bits_are_found_and_the_meaning_does_not_say_they_have_16(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for path in (folder / "images").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 4)
    (found,) = findings(folder)
    assert found.title == "no pixel of any image is brighter than 61 of 255"
    assert found.meaning.startswith("Too dark to show much")


def test_classes_are_no_error_once_somebody_said_which_are_foreground(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    number_discs(folder)
    for reading in (ReadOptions(mask_values="1"), ReadOptions(mask_threshold="0")):
        assert ERROR not in [found.severity for found in findings(folder, reading)]


PEOPLE = ("ann", "bob", "cid", "dan", "eve", "flo", "gus", "hal", "ian", "jim", "ken", "leo")
NAMES = {  # of 12 subjects with two images each
    "eyes": [f"patient_{k:02d}{eye}" for k in range(12) for eye in "LR"],
    "eyes apart": [f"p{k:02d}_{eye}" for k in range(12) for eye in ("L", "R")],
    "tiles": [f"slide_{k}_{tile}" for k in range(12) for tile in range(2)],
    "tiles by place": [f"slide{k}_x{x}_y0" for k in range(12) for x in (0, 192)],
    "slices": [f"Patient{k}-Slice{z:03d}" for k in range(12) for z in range(2)],
    "sessions": [f"sub-{k:02d}_ses-{z:02d}" for k in range(12) for z in range(2)],
    "planes": [f"case_{k:03d}_z{z:02d}" for k in range(12) for z in range(2)],
    "letters": [f"{letter}_{z}" for letter in "ABCDEFGHIJKL" for z in range(2)],
    "wells": [f"A{k:02d}_s{site}_w1" for k in range(12) for site in range(2)],
    "days": [f"2020-01-05_mouse{k}_{day}" for k in range(12) for day in range(2)],
    "frames": [f"video{k}_frame{z:04d}" for k in range(12) for z in range(2)],
    "hashes": [f"ff{k:02d}b3a5373f_{z:02d}" for k in range(12) for z in range(2)],
    "eyes first": [f"{eye}_{k:03d}" for k in range(12) for eye in ("OD", "OS")],
    "sides first": [f"{side}{k:03d}" for k in range(12) for side in "LR"],
    "sides last": [f"pat{k:03d}{side}" for k in range(12) for side in ("left", "right")],
    "eyes last": [f"{k:02d}{eye}" for k in range(12) for eye in ("OD", "OS")],
    "before and after": [f"{time}_{k:02d}" for k in range(12) for time in ("pre", "post")],
    "a patient last": [f"img{2 * k + n:02d}_patient{k}" for k in range(12) for n in range(2)],
    "tiles before slides": [f"{x:02d}_0_slide{k}" for k in range(12) for x in range(2)],
    "tiles before words": [f"{k // 2:02d}_{k % 2}_spec{k % 12}" for k in range(24)],
    "people": [f"{name}_{k}" for name in PEOPLE for k in range(2)],
    "scans of people": [f"p{k // 2:02d}_scan{k % 3}" for k in range(24)],
    "a year before": [f"ISBI2016_{k:03d}_{z}" for k in range(12) for z in range(2)],
}


@pytest.mark.parametrize("stems", NAMES.values(), ids=NAMES)
def test_names_of_patients_ask_for_groups_and_the_suggested_rule_works(tmp_path: Path, stems: list[str]) -> None:
    folder = healthy(tmp_path, stems)
    (found,) = (one for one in findings(folder) if "subjects" in one.title)
    assert found.title == "the names look like 12 subjects, but every image is its own group"
    (rule,) = re.findall(r"group='(.*?)', or", found.meaning)
    images = load_folder(folder, 32, reading=ReadOptions(group=rule))
    assert [images.groups.count(group) for group in sorted(set(images.groups))] == [2] * 12
    assert all(group in stem for stem, group in zip(images.stems, images.groups, strict=True))
    assert images.grouped
    assert not [one for one in find_problems(images, split_of(images)) if "subjects" in one.title]


@pytest.mark.parametrize("place", ["{0}/patient{1}/{2}", "patient{1}/{0}/{2}", "patient{1}/{0}/{1}_{2}"])
def test_folders_of_patients_ask_for_groups_and_the_suggested_rule_works(tmp_path: Path, place: str) -> None:
    healthy(tmp_path / "flat", STEMS)
    for k, stem in enumerate(STEMS):
        for side in ("images", "masks"):
            path = tmp_path / "set" / f"{place.format(side, k // 2, stem)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "flat" / side / f"{stem}.png", path)
    (found,) = (one for one in findings(tmp_path / "set") if "subjects" in one.title)
    assert found.title == "the names look like 12 subjects, but every image is its own group"
    (rule,) = re.findall(r"group='(.*?)', or", found.meaning)
    for group in (rule, r"(patient\d+)"):
        images = load_folder(tmp_path / "set", 32, reading=ReadOptions(group=group))
        assert sorted(images.groups) == sorted(f"patient{k // 2}" for k in range(24))


@pytest.mark.parametrize(
    "stems",
    [
        [f"img_{k:03d}" for k in range(24)],
        [f"t{k:03d}" for k in range(24)],
        [f"{kind} ({k})" for kind in ("benign", "malignant", "normal") for k in range(8)],
        [f"{kind}_{k}" for kind in ("benign", "malignant", "normal") for k in range(8)],
        [f"{k * 7919:08x}{k * 104729:08x}" for k in range(24)],
        [f"{part}/{k}" for part in ("train", "val", "test") for k in range(8)],
        [f"fold{part}/{k}" for part in range(3) for k in range(8)],
    ],
)
def test_names_of_kinds_and_numbers_are_no_subjects(tmp_path: Path, stems: list[str]) -> None:
    for stem in stems:
        for side in ("images", "masks"):
            (tmp_path / side / stem).parent.mkdir(parents=True, exist_ok=True)
    assert not [found for found in findings(healthy(tmp_path, stems)) if "subjects" in found.title]


def test_masks_that_are_all_the_same_say_nothing_of_a_picture(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem in STEMS[1:12]:
        copy(folder, "masks", STEMS[0], stem)
    (found,) = (one for one in findings(folder) if "same mask" in one.title)
    assert found.title == "12 of 24 images have one and the same mask"
    assert "mask_folder=" in found.meaning


def test_identical_images_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for stem in STEMS[1:6]:
        copy(folder, "images", STEMS[0], stem)
    images = load_folder(folder, 32)
    assert len(set(images.groups)) == 24 - 5
    split = split_of(images)
    for part in (split.train, split.val, split.test):
        assert len(set(range(6)) & set(part)) in (0, 6)


def test_an_image_in_two_groups_is_an_error_that_stops(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for part in ("images", "masks"):
        copy(folder, part, "cella", "copy")
    rows = "".join(f"{stem},p{k}\n" for k, stem in enumerate([*STEMS, "copy"]))
    (folder / "index.csv").write_text("stem,patient\n" + rows)
    images = load_folder(folder, 32, reading=ReadOptions(group="patient"))
    found = find_problems(images, split_of(images))
    assert (found[0].severity, set(found[0].stems)) == (ERROR, {"cella", "copy"})
    with pytest.raises(ValueError, match="training on it would be wrong\n  - error: 2 images would be on two sides"):
        refuse_errors(images, found)


def test_a_split_that_parts_a_group_is_an_error(tmp_path: Path) -> None:
    folder = healthy(tmp_path, [f"p{k}{eye}" for k in range(12) for eye in "LR"])
    images = load_folder(folder, 32, reading=ReadOptions(group=r"p(\d+)"))
    parted = Split(train=tuple(range(1, 20)), val=(0, 20, 21), test=(22, 23))
    (found,) = but_for_size(find_problems(images, parted))
    assert (found.severity, set(found.stems)) == (ERROR, set(images.stems[:2]))


def test_errors_come_before_warnings_and_warnings_stop_nothing(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    number_discs(folder)
    copy(folder, "images", "cellb", "cellc")
    found = findings(folder)
    assert [finding.severity for finding in found] == [ERROR, WARNING]
    images = load_folder(folder, 32)
    refuse_errors(images, found[1:])
    with pytest.raises(ValueError, match="24 masks hold the same few values") as error:
        refuse_errors(images, found)
    assert "identical" not in str(error.value)


def test_a_finding_is_said_with_its_cure_and_a_few_names() -> None:
    found = Finding(severity=WARNING, title="7 things", meaning="Look.", stems=tuple("abcdefg"))
    assert describe_finding(found) == "warning: 7 things (a, b, c, d, e and 2 more). Look."


def test_a_set_is_described_in_lines(tmp_path: Path) -> None:
    images = load_folder(healthy(tmp_path / "cells", STEMS), 32)
    assert describe_data(images, "") == [
        "cells: images/ and masks/, equal stems",
        "24 images, grey, 48x32 (24); resize to 32x32 pixels",
        "masks: 0 is background, 255 foreground (24 masks); 9.7 % foreground",
    ]


def test_every_kind_of_mask_and_every_note_is_described(tmp_path: Path) -> None:
    folder = healthy(tmp_path / "cells", STEMS)
    empty_twice(folder)
    number_one_mask(folder)
    cv2.imwrite(str(folder / "masks" / "celle.png"), np.full((32, 48), 1, np.uint8))
    healthy(folder / "masks_2nd", ["a"])
    rows = "".join(f"{stem},{k // 2}\n" for k, stem in enumerate(STEMS))
    (folder / "index.csv").write_text("stem,slide\n" + rows)
    images = load_folder(folder, 16, "tile", ReadOptions(group="slide"))
    assert describe_data(images, "")[1:] == [
        "24 images, 12 groups, grey, 48x32 (24); tile to 16x16 pixels, 144 tiles",
        "masks: 0 is background, 255 foreground (20 masks); empty (2 masks); "
        "objects, whose union is foreground (1 mask); all foreground (1 mask); 13.1 % foreground",
        "note: masks_2nd/ (2) left out",
    ]
    assert "masks: foreground is 1; " in describe_data(images, "foreground is 1")[2]


def test_a_value_that_no_mask_holds_is_refused_with_those_there_are(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    for options, what in (
        ({"mask_values": "5,255"}, "mask_values=5,255: no mask holds 5"),
        ({"ignore_value": "7"}, "ignore_value=7: no mask holds 7"),
        ({"mask_threshold": "300"}, "where foreground is every value above 300 .mask_threshold., every mask is empty"),
    ):
        with pytest.raises(ValueError, match=rf"{what}; the masks hold 0, 255"):
            load_folder(folder, 32, reading=ReadOptions(**options))


def test_options_about_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    with pytest.raises(UnusableError, match="image_max=4095 has no use here: all images have 8 bits"):
        load_folder(folder, 32, reading=ReadOptions(image_max="4095"))
    with pytest.raises(UnusableError, match="orientation=apply has no use here: no file carries an orientation tag"):
        load_folder(folder, 32, reading=ReadOptions(orientation="apply"))


def test_masks_of_another_scale_are_not_emptied_by_a_threshold_in_silence(tmp_path: Path) -> None:
    folder = healthy(tmp_path, STEMS)
    set_foreground(folder, STEMS[:3], 1)
    (found,) = [one for one in findings(folder, ReadOptions(mask_threshold="127")) if one.severity == ERROR]
    assert (found.title, found.stems) == (
        "3 masks of two values (0, 1) have none above mask_threshold",
        tuple(STEMS[:3]),
    )
