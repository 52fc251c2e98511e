"""Which value stands for white is found over the set, or asked for; it is never guessed per image."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from serving.promotion.card import preprocessing_json
from training.data.decisions.ranges import Span, find_range
from training.data.image_set import ImageSet, UnusableError
from training.data.read_options import ReadOptions
from training.data.reading import load_folder


def spans(*highest: float, kind: str = "uint", bits: int = 16) -> list[Span]:
    return [Span(f"s{k}", kind, bits, value, value) for k, value in enumerate(highest)]


@pytest.mark.parametrize(
    ("highest", "found"),
    [((3000, 4095), 4095), ((900, 1023), 1023), ((12000, 2000), 16383), ((40000, 9000), 65535), ((180, 120), 255)],
)
def test_the_smallest_usual_range_that_holds_all_is_taken(highest: tuple[float, ...], found: float) -> None:
    assert find_range(spans(*highest)) == found


def test_floats_up_to_1_are_read_as_such_and_others_asked_about() -> None:
    assert find_range(spans(0.8, 1.0, kind="float", bits=32)) == 1
    with pytest.raises(ValueError, match=r"float numbers up to 212\.5.*image_max=255"):
        find_range(spans(212.5, kind="float", bits=32))
    with pytest.raises(ValueError, match=r"32-bit numbers up to 70000.*image_max=70000"):
        find_range(spans(70000, bits=32))


def test_8_and_12_bits_in_files_of_16_are_two_ranges_and_asked_about() -> None:
    with pytest.raises(
        ValueError, match=r"2 of 3 images of 16 bits hold values up to 255 only \(s0, s1\).*image_max=4095"
    ):
        find_range(spans(255, 240, 3900))
    assert find_range(spans(600, 3900)) == 4095, "a darker image has no range of its own"
    assert find_range(spans(60, *[3900] * 11)) == 4095, "nor has a single dark one"


def test_hot_pixels_do_not_make_a_set_dark_in_silence() -> None:
    hot = [*spans(3900, 4000), Span("s2", "uint", 16, 65535, 3800)]
    with pytest.raises(ValueError, match=r"a few pixels go up to 65535 \(s2\), and 999 of 1000 are at most 4000"):
        find_range(hot)


def folder(root: Path, levels: list[int], dtype: type = np.uint16, suffix: str = ".tif") -> Path:
    """Images of one bright disc of these levels on a dark ground; and one 8-bit image's worth of masks."""
    for k, level in enumerate(levels):
        mask = cv2.circle(np.zeros((32, 48), np.uint8), (12 + k, 16), 7, 255, -1)
        for part in ("images", "masks"):
            (root / part).mkdir(exist_ok=True)
        pixels = np.where(mask > 0, level, level // 4).astype(dtype)
        if suffix == ".tif":
            tifffile.imwrite(root / "images" / f"c{k}.tif", pixels)
        else:
            cv2.imwrite(str(root / "images" / f"c{k}{suffix}"), pixels)
        cv2.imwrite(str(root / "masks" / f"c{k}.png"), mask)
    return root


def load(root: Path, **options: str) -> ImageSet:
    return load_folder(root, 48, reading=ReadOptions(**options))


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_12_bits_in_16_keep_their_grey_levels(tmp_path: Path, suffix: str) -> None:
    images = load(folder(tmp_path, [2000, 4000, 3000], suffix=suffix))
    assert images.range_max == 4095
    assert [int(image.max()) for image in images.images] == [round(level * 255 / 4095) for level in (2000, 4000, 3000)]
    assert any("read as 0 to 4095" in note for note in images.notes)


def test_an_option_goes_before_what_was_found(tmp_path: Path) -> None:
    images = load(folder(tmp_path, [2000, 4000]), image_max="16383")
    assert [int(image.max()) for image in images.images] == [31, 62]
    assert images.range_max == 0


def test_a_file_s_own_statement_goes_before_what_was_found(tmp_path: Path) -> None:
    folder(tmp_path, [2000, 4000])
    stated = np.full((32, 48), 500, np.uint16)
    tifffile.imwrite(tmp_path / "images" / "c0.tif", stated, extratags=[(281, 3, 1, 1000, True)])
    images = load(tmp_path)
    assert int(images.images[0].max()) == 128
    assert int(images.images[1].max()) == round(4000 * 255 / 4095)


def state(root: Path, stated: list[int]) -> None:
    """What the images of a folder say of white."""
    for k, value in enumerate(stated):
        path = root / "images" / f"c{k}.tif"
        tifffile.imwrite(path, tifffile.imread(path), extratags=[(281, 3, 1, value, True)])


def test_each_image_s_own_highest_value_is_no_statement_of_white(tmp_path: Path) -> None:
    state(folder(tmp_path, [900, 2000, 4000]), [900, 2000, 4000])
    images = load(tmp_path)
    assert [int(image.max()) for image in images.images] == [round(v * 255 / 4095) for v in (900, 2000, 4000)]
    assert (images.range_max, images.overrides_stated) == (4095, True)
    assert any("3 images state different values for white (900 to 4000)" in note for note in images.notes)
    facts = json.loads(preprocessing_json(images, ReadOptions(), "fp32"))
    assert (facts["image_max"], facts["image_max_overrides"]) == (4095, True), "uploads are read alike"
    assert [int(image.max()) for image in load(tmp_path, image_max="16383").images] == [14, 31, 62]


@pytest.mark.parametrize("stated", [[4000] * 3, [4095, 4095, 16383]])
def test_white_that_all_files_state_alike_or_as_cameras_do_is_taken(tmp_path: Path, stated: list[int]) -> None:
    state(folder(tmp_path, [900, 2000, 4000]), stated)
    images = load(tmp_path)
    whites = [round(v * 255 / white) for v, white in zip((900, 2000, 4000), stated, strict=True)]
    assert [int(image.max()) for image in images.images] == whites
    assert not images.overrides_stated


def test_12_bits_in_16_with_0_for_white_keep_their_grey_levels(tmp_path: Path) -> None:
    for path in (folder(tmp_path, [1000, 4000, 3000]) / "images").iterdir():
        tifffile.imwrite(path, tifffile.imread(path), photometric="miniswhite")
    images = load(tmp_path)
    assert images.range_max == 4095
    assert [int(image.min()) for image in images.images] == [255 - round(v * 255 / 4095) for v in (1000, 4000, 3000)]
    assert [int(image.max()) for image in images.images] == [255 - round(v * 255 / 4095) for v in (250, 1000, 750)]


def test_8_bit_files_beside_12_bit_ones_keep_their_own_white(tmp_path: Path) -> None:
    folder(tmp_path, [2000, 4000])
    cv2.imwrite(str(tmp_path / "images" / "c0.png"), np.full((32, 48), 255, np.uint8))
    (tmp_path / "images" / "c0.tif").unlink()
    images = load(tmp_path)
    assert int(images.images[0].min()) == 255
    assert images.range_max == 4095


def test_floats_above_1_are_asked_about_before_anything_is_read(tmp_path: Path) -> None:
    folder(tmp_path, [300, 400], np.float32)
    with pytest.raises(UnusableError, match=r"float numbers up to 400.*image_max=1023"):
        load(tmp_path)
    assert int(load(tmp_path, image_max="400").images.max()) == 255
