"""Copies of a picture are found whatever was done to them; two pictures of one kind are not taken for copies."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import CASES

from training.data import copies
from training.data.copies import Copies, find_copies, thumbnail, turn
from training.data.images import Pixels, decode_image, read_image
from training.synthetic import make_image

pytestmark = pytest.mark.slow


def cells(count: int, size: int = 96) -> list[Pixels]:
    return [make_image(np.random.default_rng([7, index]), size)[0][..., None] for index in range(count)]


def find(images: Sequence[Pixels]) -> tuple[Copies, ...]:
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    return find_copies(np.stack([thumbnail(image) for image in images]), sizes).copies


def clip(values: np.ndarray) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def as_jpeg(image: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return decode_image(data.tobytes(), "copy.jpg")


def noisy(image: Pixels) -> Pixels:
    return clip(image + np.random.default_rng(1).normal(0, 8, image.shape))


def rotated(image: Pixels, degrees: float, border: int) -> Pixels:
    height, width = image.shape[:2]
    affine = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1)
    return clip(cv2.warpAffine(image, affine, (width, height), borderMode=border))[..., None]


def resized(image: Pixels, height: int, width: int) -> Pixels:
    return clip(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))[..., None]


def part(image: Pixels, top: float, left: float, height: float, width: float) -> Pixels:
    """A part of an image, in shares of its sides."""
    h, w = image.shape[:2]
    return image[int(top * h) : int((top + height) * h), int(left * w) : int((left + width) * w)]


WHOLE: dict[str, Callable[[Pixels], Pixels]] = {
    "jpeg of quality 50": as_jpeg,
    "20 % brighter": lambda image: clip(image * 1.2),
    "20 % darker": lambda image: clip(image * 0.8),
    "less contrast": lambda image: clip((image - image.mean()) * 0.7 + image.mean()),
    "gamma 0.6": lambda image: clip(255 * (image / 255) ** 0.6),
    "noise of 8 levels": noisy,
    "half the size": lambda image: resized(image, image.shape[0] // 2, image.shape[1] // 2),
    "other proportions": lambda image: resized(image, image.shape[0], image.shape[1] // 2),
    "blurred": lambda image: clip(cv2.GaussianBlur(image, (0, 0), 1.0))[..., None],
    "coloured": lambda image: clip(image * (1.0, 0.7, 0.9)),
}
PARTS: dict[str, Callable[[Pixels], Pixels]] = {
    "the middle": lambda image: part(image, 0.125, 0.125, 0.75, 0.75),
    "a part, enlarged to the image's size": lambda image: resized(part(image, 0.2, 0.1, 0.7, 0.8), *image.shape[:2]),
    "a part, mirrored": lambda image: np.ascontiguousarray(part(image, 0.2, 0.0, 0.75, 0.75)[:, ::-1]),
    "a part, darker and turned": lambda image: clip(np.rot90(part(image, 0.0, 0.2, 0.8, 0.8)) * 0.8),
    "moved by a third": lambda image: clip(cv2.copyMakeBorder(part(image, 0, 0.33, 1, 0.67), 0, 0, 0, 32, 4))[
        ..., None
    ],
}


@pytest.fixture(scope="module")
def originals() -> list[Pixels]:
    return cells(12)


def test_different_pictures_of_one_kind_are_no_copies(originals: list[Pixels]) -> None:
    assert find(originals) == ()


def test_all_flips_and_quarter_turns_of_a_picture_are_its_copies(originals: list[Pixels]) -> None:
    ways = [turn(originals[0][..., 0], way)[..., None] for way in range(1, 8)]
    (found,) = find([*originals, *ways])
    assert found.images == (0, *range(12, 19))
    assert found.kinds == ("turned",)
    assert found.likeness > 0.9


def test_a_copy_is_found_whatever_was_done_to_its_pixels(originals: list[Pixels]) -> None:
    made = [change(originals[index]) for index, change in enumerate(WHOLE.values())]
    found = find([*originals, *made])
    assert [group.images for group in found] == [(index, 12 + index) for index in range(len(made))], list(WHOLE)
    assert {group.kinds for group in found} == {("copy",)}


def test_a_flipped_copy_is_found_whatever_was_done_to_its_pixels(originals: list[Pixels]) -> None:
    made = [np.ascontiguousarray(change(originals[index])[:, ::-1]) for index, change in enumerate(WHOLE.values())]
    found = find([*originals, *made])
    assert [group.images for group in found] == [(index, 12 + index) for index in range(len(made))], list(WHOLE)
    assert {group.kinds for group in found} == {("turned",)}


def test_a_part_of_a_picture_is_a_crop_of_it(originals: list[Pixels]) -> None:
    made = [change(originals[index]) for index, change in enumerate(PARTS.values())]
    found = find([*originals, *made])
    assert [group.images for group in found] == [(index, 12 + index) for index in range(len(made))], list(PARTS)
    assert {group.kinds for group in found} == {("crop",)}


@pytest.mark.parametrize("border", [cv2.BORDER_REFLECT, cv2.BORDER_CONSTANT])
def test_a_picture_rotated_by_some_degrees_is_turned(originals: list[Pixels], border: int) -> None:
    made = [rotated(originals[index], degrees, border) for index, degrees in enumerate((10, -20, 5))]
    found = find([*originals, *made])
    assert [group.images for group in found] == [(0, 12), (1, 13), (2, 14)]
    assert {group.kinds for group in found} == {("turned",)}


def test_tiles_that_overlap_by_half_are_found_and_tiles_side_by_side_are_not() -> None:
    pictures = cells(6, 192)
    overlapping = [part(pictures[0], 0, left, 1, 0.6) for left in (0, 0.3)]
    apart = [part(pictures[1], 0, left, 1, 0.5) for left in (0, 0.5)]
    (found,) = find([*pictures[2:], *overlapping, *apart])
    assert found.images == (4, 5)


def test_copies_of_copies_make_one_group(originals: list[Pixels]) -> None:
    flipped = np.ascontiguousarray(originals[3][::-1])
    (found,) = find([*originals, flipped, as_jpeg(flipped), part(originals[3], 0, 0, 0.8, 0.8)])
    assert found.images == (3, 12, 13, 14)
    assert found.kinds == ("copy", "turned", "crop")


def test_flat_pictures_are_nobody_s_copies(originals: list[Pixels]) -> None:
    """Their noise could match, and uniform ones have nothing to compare: equal pixels are told by their hash."""
    rng = np.random.default_rng(0)
    uniform = [np.full((96, 96, 1), value, np.uint8) for value in (0, 0, 90, 255)]
    noise = [clip(rng.normal(20, 1, (96, 96, 1))) for _ in range(6)]
    assert find([*originals[:4], *uniform, *noise]) == ()


def test_a_picture_that_shows_next_to_nothing_is_only_found_where_its_pixels_are_equal() -> None:
    spots = [cv2.circle(np.full((96, 96), 40, np.uint8), place, 3, 200, -1) for place in ((20, 30), (70, 35), (40, 80))]
    images = [spot[..., None] for spot in (*spots, turn(spots[0], 3))]
    assert [group.images for group in find(images)] == [(0, 3)]
    assert find([*images[:3], as_jpeg(images[3])]) == ()


def test_what_every_picture_of_a_set_shows_makes_no_copies() -> None:
    """The bright ring of a field of view, with different cells in it."""
    ring = cv2.circle(np.zeros((96, 96), np.uint8), (48, 48), 44, 255, 3)[..., None]
    inside = cv2.circle(np.zeros((96, 96), np.uint8), (48, 48), 42, 1, -1)[..., None]
    framed = [np.maximum(image * inside, ring).astype(np.uint8) for image in cells(14)]
    assert find(framed) == ()
    (found,) = find([*framed, noisy(framed[5])])
    assert found.images == (5, 14)


def test_few_pictures_are_enough() -> None:
    image, other = cells(2)
    assert find([image, other]) == ()
    assert [group.images for group in find([image, as_jpeg(image)])] == [(0, 1)]
    assert find([image]) == ()


def test_a_large_set_is_not_searched_for_crops_and_that_is_told(
    originals: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MAX_FOR_CROPS", 12)
    images = [*originals, part(originals[0], 0.1, 0.1, 0.7, 0.7), as_jpeg(originals[1])]
    found = find_copies(np.stack([thumbnail(image) for image in images]), [image.shape[:2] for image in images])
    assert not found.crops_searched
    assert [group.images for group in found.copies] == [(1, 13)]


def test_the_order_of_the_images_does_not_matter(originals: list[Pixels]) -> None:
    images = [*originals, part(originals[0], 0.1, 0.1, 0.7, 0.7), np.ascontiguousarray(originals[1][::-1])]
    backwards = find(images[::-1])
    assert {group.images for group in backwards} == {(1, 13), (0, 12)}


def test_a_turned_image_has_the_turned_thumbnail() -> None:
    image = cells(1, 80)[0][:, :50]
    for way in range(8):
        turned = thumbnail(turn(image[..., 0], way)[..., None])
        assert np.abs(turned.astype(int) - turn(thumbnail(image), way)).max() <= 1


def test_roboflow_s_augmented_copies_are_twelve_sources_of_four() -> None:
    folder = CASES / "42-augmented-copies-leak" / "data" / "images"
    if not folder.is_dir():
        pytest.skip(f"no sample folders: {folder} is missing")
    files = sorted(folder.glob("*.png"))
    found = find([read_image(path) for path in files])
    assert [{files[index].name[0] for index in group.images} for group in found] == [{name} for name in "abcdefghijkl"]
    assert sum(len(group.images) for group in found) == 48


def test_real_retinas_are_no_copies_but_their_augmented_copies_are(real_data: Path) -> None:
    """16 eyes, each in the same bright disc; a child's left eye looks much like its mirrored right one."""
    images = [read_image(path) for path in sorted((real_data / "chase_db1" / "images").glob("*.png"))[:16]]
    made = [np.ascontiguousarray(clip(images[3] * 0.8)[:, ::-1]), part(images[9], 0.2, 0.2, 0.6, 0.6)]
    found = find([*images, *made])
    assert [(group.images, group.kinds) for group in found] == [((3, 16), ("turned",)), ((9, 17), ("crop",))]
