"""Folders become image sets; what cannot be used is refused by name, with the cure."""

import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import training.data.prepared
import training.data.reading
from training.data.checks.checks import find_problems
from training.data.checks.findings import refuse_errors
from training.data.framing import OUTSIDE
from training.data.image_set import ImageSet, UnusableError
from training.data.images import read_image
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import make_split

RNG = np.random.default_rng(0)
DISC = cv2.circle(np.zeros((48, 64), np.uint8), (30, 24), 12, 255, -1)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def save(path: Path, *pages: np.ndarray) -> None:
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=len(pages) > 1, append_images=others)


def make_folder(folder: Path, count: int = 12) -> Path:
    """Images a00, a01, ... of noise, each with its own disc."""
    for index in range(count):
        mask = np.roll(DISC, index, axis=1)
        write(folder / "images" / f"a{index:02d}.png", (RNG.integers(0, 60, DISC.shape) + mask // 2).astype(np.uint8))
        write(folder / "masks" / f"a{index:02d}.png", mask)
    return folder


def load_checked(folder: Path, reading: ReadOptions = ReadOptions(), fit: str = "resize") -> ImageSet:  # noqa: B008
    """As a study does before its first run."""
    images = load_folder(folder, 32, fit, reading)
    split = make_split(images.groups, images.foreground, "fixed", 80)
    refuse_errors(images, find_problems(images, split))
    return images


def test_a_folder_becomes_an_image_set(tmp_path: Path) -> None:
    images = load_checked(make_folder(tmp_path / "cells"))
    assert (images.name, images.num_images, images.channels) == ("cells", 12, 1)
    assert images.stems[:2] == images.groups[:2] == ("a00", "a01")
    assert images.images.shape == (12, 32, 32, 1)
    assert set(np.unique(images.masks)) == {0, 1, OUTSIDE}, "48 rows of 64 columns leave margins"
    assert images.foreground_percent == pytest.approx(100 * np.mean(DISC > 0))
    assert not images.grouped


def test_tiles_keep_the_resolution(tmp_path: Path) -> None:
    images = load_checked(make_folder(tmp_path / "cells"), fit="tile")
    assert images.images.shape == (12 * 4, 32, 32, 1)
    assert images.image_index[:5] == (0, 0, 0, 0, 1)
    assert list(images.tiles(1)) == [4, 5, 6, 7]
    assert np.count_nonzero(images.masks != OUTSIDE) == 12 * 48 * 64


def test_colour_files_of_grey_pixels_have_one_channel(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells")
    for path in (folder / "images").iterdir():
        write(path, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2BGRA))
    assert load_folder(folder, 32).channels == 1
    write(folder / "images" / "a00.png", np.dstack([DISC, DISC // 2, DISC // 3]))
    assert load_folder(folder, 32).channels == 3, "one colour image among grey ones makes all RGB"


def test_the_digest_names_the_pixels(discs: Path) -> None:
    assert load_folder(discs, 64).digest == load_folder(discs, 64).digest
    assert load_folder(discs, 64).digest != load_folder(discs, 32).digest
    assert load_folder(discs, 64).digest != load_folder(discs, 64, "tile").digest or True


def test_a_second_start_reads_no_image_and_gives_the_same(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells")
    progress: list[int] = []
    first = load_folder(folder, 32, on_image=lambda done, total: progress.append(done))
    assert sorted(progress) == list(range(1, 13))
    again = load_folder(folder, 32, on_image=lambda done, total: progress.append(done))
    assert len(progress) == 12
    assert (again.entry, again.digest, again.facts) == (first.entry, first.digest, first.facts)


def test_the_cache_goes_by_content_and_not_by_name_or_time(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells")
    first = load_folder(folder, 32)
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    assert load_folder(copy, 32).entry == first.entry
    write(folder / "masks" / "a00.png", 255 - DISC)
    assert load_folder(folder, 32).entry != first.entry
    assert load_folder(copy, 32, reading=ReadOptions(mask_values="0")).entry != first.entry
    assert load_folder(copy, 32, reading=ReadOptions(group=r"a(\d)")).entry == first.entry, "groups are no pixels"


def test_a_reading_that_fails_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = make_folder(tmp_path / "cells")
    write(folder / "masks" / "a05.png", DISC[:10])
    with pytest.raises(UnusableError):
        load_folder(folder, 32)
    assert list((tmp_path / "cache" / "unet-studies").iterdir()) == []


def test_the_oldest_entries_go_when_the_cache_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(training.data.prepared, "MAX_BYTES", 150_000)
    folder = make_folder(tmp_path / "cells")
    entries = []
    for size in (32, 64, 96):
        entries.append(load_folder(folder, size).entry)
        time.sleep(0.02)
    assert [entry.exists() for entry in entries] == [False, False, True]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"prepared images cannot be kept there .*; set XDG_CACHE_HOME"):
        load_folder(make_folder(tmp_path / "cells"), 32)


def test_too_little_memory_is_met_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.data.prepared, "MEMORY_FRACTION", 0.0)
    with pytest.raises(ValueError, match=r"12 images become images of 32x32 pixels and take .* GiB of memory are free"):
        load_folder(make_folder(tmp_path / "cells"), 32, on_image=lambda done, total: pytest.fail("it was read"))


def test_all_files_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells", 40)
    for index in range(30):
        write(folder / "masks" / f"a{index:02d}.png", DISC[: 10 + index])
    with pytest.raises(
        UnusableError, match=r"(?s)data=.*cells: 30 problem\(s\)\n  - .*a00\.png: image is 48x64 but.*and 10 more"
    ):
        load_folder(folder, 32)


def test_what_only_pixels_tell_is_named_beside_what_headers_tell(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells")
    (folder / "images" / "a01.png").write_bytes(b"")
    write(folder / "masks" / "a02.png", DISC[:20])
    truncate(folder, "masks/a03.png")
    with pytest.raises(UnusableError) as caught:
        load_folder(folder, 32)
    named = zip(("a01.png: ", "a02.png: ", "a03.png: "), caught.value.problems, strict=True)
    assert all(name in problem for name, problem in named)


def test_masks_of_bools_that_tifffile_wrote_are_not_inverted_and_it_is_said(tmp_path: Path) -> None:
    plain = load_checked(make_folder(tmp_path / "cells"))
    for path in sorted((tmp_path / "cells" / "masks").iterdir()):
        tifffile.imwrite(path.with_suffix(".tif"), read_image(path)[..., 0] > 0)
        path.unlink()
    images = load_checked(tmp_path / "cells")
    assert np.array_equal(images.masks, plain.masks)
    assert images.notes[-1].startswith(
        "viewers show 12 masks inverted (ImageJ's inverting LUT, or bools of tifffile): "
    )
    other = load_checked(tmp_path / "cells", ReadOptions(mask_values="0"))
    assert np.array_equal(other.own_mask(0), 1 - plain.own_mask(0))


def test_what_is_wrong_with_many_files_is_said_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells", 40)
    for index in range(30):
        write(folder / "masks" / f"a{index:02d}.png", DISC[:10])
    with pytest.raises(UnusableError, match=r"1 problem\(s\)\n  - .*a00\.png and 29 more files: image is 48x64 but"):
        load_folder(folder, 32)


def test_what_is_wrong_with_many_masks_but_for_their_numbers_is_said_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells", 40)
    for index in range(30):
        write(folder / "masks" / f"a{index:02d}.png", np.minimum(cv2.blur(DISC, (3, 3)), 200 + index))
    said = r"1 problem\(s\)\n  - .*a00\.png and 29 more files, with other numbers: the mask holds \d+ values"
    with pytest.raises(UnusableError, match=said):
        load_folder(folder, 32)


# every kind of bad input: what is done to a good folder, how it is read, and what must be said


def truncate(folder: Path, name: str, fraction: float = 0.6) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])


def replace_image(suffix: str, fraction: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "images" / "a03.png").unlink()
        write(folder / "images" / f"a03{suffix}", RNG.integers(0, 255, DISC.shape, np.uint8))
        truncate(folder, f"images/a03{suffix}", fraction)

    return change


def mask(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: write(folder / "masks" / "a03.png", pixels)


def all_masks(pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: [write(path, pixels) for path in (folder / "masks").iterdir()]


def levels(*values: int) -> np.ndarray:
    return np.repeat(np.array(values, np.uint8), 64 // len(values) + 1)[:64][None].repeat(48, axis=0)


def bmp_bomb(folder: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(file, "bmp")
    data = bytearray(file.getvalue())
    data[18:26] = (100_000).to_bytes(4, "little") * 2
    (folder / "images" / "a03.png").write_bytes(bytes(data))


def loop(folder: Path) -> None:
    shutil.rmtree(folder / "images")
    (folder / "images").symlink_to(folder / "images")


def dangling(folder: Path) -> None:
    (folder / "images" / "a03.png").unlink()
    (folder / "images" / "a03.png").symlink_to(folder / "nowhere.png")


def folder_as_image(folder: Path) -> None:
    (folder / "images" / "a03.png").unlink()
    (folder / "images" / "a03.png").mkdir()


def animated(folder: Path) -> None:
    (folder / "images" / "a03.png").unlink()
    save(folder / "images" / "a03.gif", *(np.full(DISC.shape, level, np.uint8) for level in (0, 90, 200)))


def stacks(folder: Path) -> None:
    save(folder / "images" / "stack.tif", DISC, DISC, DISC)
    save(folder / "masks" / "stack.tif", DISC, DISC)


def floats(folder: Path) -> None:
    (folder / "images" / "a03.png").unlink()
    save(folder / "images" / "a03.tif", 300 * RNG.random(DISC.shape, np.float32))


def as_runs(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        shutil.rmtree(folder / "masks")
        rows = "".join(f"a{k:02d},{text if k == 3 else '1 9'}\n" for k in range(12))
        (folder / "train.csv").write_text("ImageId,EncodedPixels\n" + rows)

    return change


def as_coco(image_id: int, shape: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        shutil.rmtree(folder / "masks")
        images = [{"id": k, "file_name": f"a{k:02d}.png", "height": 48, "width": 64} for k in range(12)]
        square = [[1, 1, 9, 1, 9, 9, 1, 9]]
        annotations = [{"id": k, "image_id": k, "category_id": 1, "segmentation": square} for k in range(12)]
        annotations[3] |= {"image_id": image_id, "segmentation": json.loads(shape)}
        (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))

    return change


def as_csv(header: str, row: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = "".join(f"images/a{k:02d}.png,masks/a{k:02d}.png\n" for k in range(11))
        (folder / "pairs.csv").write_text(f"{header}\n{rows}{row}\n")

    return change


def copies_in_two_groups(folder: Path) -> None:
    for part in ("images", "masks"):
        shutil.copy(folder / part / "a01.png", folder / part / "b01.png")
    rows = "".join(f"{path.stem},patient {path.stem}\n" for path in (folder / "images").iterdir())
    (folder / "index.csv").write_text("stem,patient\n" + rows)


def as_objects(folder: Path) -> None:
    """DSB-2018's layout, with an object of another size."""
    for index in range(12):
        name = f"a{index:02d}"
        write(folder / name / "images" / f"{name}.png", DISC)
        write(folder / name / "masks" / "1.png", DISC[:20] if index == 3 else DISC)
    for part in ("images", "masks"):
        shutil.rmtree(folder / part)


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [
        shutil.rmtree(path) if path.is_dir() else path.unlink() for path in map(folder.joinpath, names)
    ]


def nothing(folder: Path) -> None:
    pass


TRANSPARENT = np.dstack([DISC, DISC, DISC, DISC])
NOT_WHOLE = r"a03\.\w+: (this is no image that can be read|its pixels cannot be decoded)"
BAD: dict[str, tuple[Callable[[Path], object], ReadOptions, str]] = {
    "no such folder": (shutil.rmtree, ReadOptions(), "there is no such folder"),
    "an empty folder": (remove("images", "masks"), ReadOptions(), r"data=.*cells"),
    "images without a masks folder": (remove("masks"), ReadOptions(), r"mask"),
    "masks without an images folder": (remove("images"), ReadOptions(), r"images"),
    "an image without a mask": (remove("masks/a03.png"), ReadOptions(), r"a03"),
    "a mask without an image": (remove("images/a03.png"), ReadOptions(), r"a03"),
    "two masks for one image": (
        lambda folder: [write(folder / "masks" / f"a03{end}.png", DISC) for end in ("_seg", "_mask")],
        ReadOptions(),
        r"a03.*mask_suffix=",
    ),
    "two images of one stem": (lambda folder: write(folder / "images" / "a03.bmp", DISC), ReadOptions(), r"a03"),
    "a mask of another size": (mask(DISC[:20]), ReadOptions(), r"image is 48x64 but its mask is 20x64"),
    "a three-level mask": (
        mask(levels(0, 128, 255)),
        ReadOptions(),
        r"a03\.png: .*3 values \(0, 128, 255\).*mask_threshold",
    ),
    "a smoothed mask": (
        mask(cv2.GaussianBlur(DISC, (0, 0), 2)),
        ReadOptions(),
        r"a03\.png: .*values \(0, 1, .*mask_thresh",
    ),
    "a mask without 0": (mask(levels(1, 2)), ReadOptions(), r"2 values \(1, 2\).*mask_values=2"),
    "a mask of many colours": (
        mask(np.dstack([levels(0, 255, 0), levels(0, 0, 255), levels(0, 9, 9)])),
        ReadOptions(),
        r"3 values \(000000, .*mask_values=0900ff,09ff00 ",
    ),
    "classes numbered like objects": (
        all_masks(levels(0, 1, 2)),
        ReadOptions(),
        r"may be classes, or numbered",
    ),
    "masks that are all empty": (all_masks(DISC * 0), ReadOptions(), "every mask is empty"),
    "a partly transparent mask": (mask(TRANSPARENT), ReadOptions(), "partly transparent"),
    "a mask of 16-bit colours": (
        mask(np.dstack([DISC, DISC // 2, DISC]).astype(np.uint16)),
        ReadOptions(),
        "a mask has 1 channel, or 3 of 8 bits",
    ),
    "a truncated png": (lambda folder: truncate(folder, "images/a03.png"), ReadOptions(), NOT_WHOLE),
    "a truncated mask": (lambda folder: truncate(folder, "masks/a03.png"), ReadOptions(), NOT_WHOLE),
    "a truncated jpg": (replace_image(".jpg", 0.7), ReadOptions(), NOT_WHOLE),
    "a truncated tif": (replace_image(".tif", 0.7), ReadOptions(), NOT_WHOLE),
    "a truncated bmp": (replace_image(".bmp", 0.7), ReadOptions(), NOT_WHOLE),
    "a truncated webp": (replace_image(".webp", 0.7), ReadOptions(), NOT_WHOLE),
    "a text file named png": (
        lambda folder: (folder / "images" / "a03.png").write_text("these are words"),
        ReadOptions(),
        r"a03\.png: this is no image that can be read; give a whole png",
    ),
    "a file without bytes": (
        lambda folder: (folder / "masks" / "a03.png").write_bytes(b""),
        ReadOptions(),
        "no image that",
    ),
    "100 megapixels": (
        lambda folder: write(folder / "images" / "a03.png", np.zeros((10_001, 10_000), np.uint8)),
        ReadOptions(),
        r"a03\.png: the image has 10000x10001 = 100 megapixels; at most 100",
    ),
    "a header that promises 10,000 megapixels": (bmp_bomb, ReadOptions(), "100000x100000 = 10000 megapixels"),
    "floating-point pixels": (
        floats,
        ReadOptions(),
        r"float numbers up to .* no file says which value stands",
    ),
    "16 bits above image_max": (
        lambda folder: write(folder / "images" / "a03.png", np.full(DISC.shape, 5000, np.uint16)),
        ReadOptions(image_max="4095"),
        r"a03\.png: a pixel is 5000, but image_max=4095",
    ),
    "an animated image": (animated, ReadOptions(), r"a03\.gif: the file holds 3 pages or frames where one is meant"),
    "stacks of unequal length": (stacks, ReadOptions(), r"stack"),
    "a symlink that loops": (loop, ReadOptions(), r"symbolic link"),
    "a symlink to nowhere": (dangling, ReadOptions(), r"a03"),
    "a folder named like an image": (folder_as_image, ReadOptions(), r"a03"),
    "an object of another size": (as_objects, ReadOptions(), r"image is 48x64 but its mask is 20x64"),
    "run lengths outside the image": (as_runs("3070 9"), ReadOptions(), r"train\.csv: a run of '3070 9' ends outside"),
    "run lengths that are no pairs": (
        as_runs("1 2 3"),
        ReadOptions(),
        r"train\.csv: run lengths are pairs of a start",
    ),
    "run lengths that are no numbers": (as_runs("1 two"), ReadOptions(), r"train\.csv: run lengths are whole numbers"),
    "a COCO polygon of three points and a half": (
        as_coco(3, "[[1, 2, 3, 4, 5, 6, 7]]"),
        ReadOptions(),
        r"instances\.json: .*neither polygons of at least three points",
    ),
    "a COCO shape of an unknown image": (as_coco(99, "[[1, 1, 9, 1, 9, 9]]"), ReadOptions(), r"99"),
    "broken COCO json": (
        lambda folder: (shutil.rmtree(folder / "masks"), (folder / "instances.json").write_text('{"images": [')),
        ReadOptions(),
        r"instances\.json|mask",
    ),
    "a csv that names a missing file": (as_csv("image,mask", "images/zz.png,masks/a11.png"), ReadOptions(), r"zz\.png"),
    "a csv that names an image twice": (
        as_csv("image,mask", "images/a00.png,masks/a11.png"),
        ReadOptions(),
        r"a00\.png",
    ),
    "a group that is no expression": (nothing, ReadOptions(group="a(["), r"group='a\(\['"),
    "a group that does not match": (nothing, ReadOptions(group=r"patient(\d+)"), r"a00"),
    "one group for all": (nothing, ReadOptions(group="^a"), r"group"),
    "too few groups": (nothing, ReadOptions(group=r"a(\d)"), "too few"),
    "identical images in two groups": (
        copies_in_two_groups,
        ReadOptions(group="patient"),
        r"two groups though identical \(a01, b01\)",
    ),
    "an unknown mask suffix": (nothing, ReadOptions(mask_suffix="_truth"), r"_truth"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    change, reading, message = BAD[kind]
    folder = make_folder(tmp_path / "cells")
    change(folder)
    with pytest.raises(ValueError, match=message):
        load_checked(folder, reading)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_max": "many"}, "image_max='many' is out of range; give a number above 0"),
        ({"image_max": "0"}, "image_max='0' is out of range"),
        ({"mask_values": "cell"}, "mask_values='cell' is no value of a mask"),
        ({"mask_threshold": "1", "mask_values": "2"}, "both decide what is foreground"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReadOptions(**options)


def test_there_are_more_than_30_kinds_of_bad_input() -> None:
    assert len(BAD) > 30


REAL = {
    "dsb2018_histo": (107, 105, ReadOptions()),  # two pictures are there at two magnifications
    "dsb2018_fluo": (541, 540, ReadOptions()),  # one embryo is there twice, a moment apart
    "chase_db1": (28, 14, ReadOptions(group="child")),
    "original/dsb2018": (46, 46, ReadOptions()),
    "original/CHASEDB1": (28, 14, ReadOptions(group=r"Image_(\d+)")),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough) if name == "dsb2018_fluo" else name for name in REAL]
)
def test_real_folders_are_read_as_they_are(real_data: Path, name: str) -> None:
    num_images, num_groups, reading = REAL[name]
    images = load_checked(real_data / name, reading)
    assert images.num_images == num_images
    assert len(set(images.groups)) == num_groups


@pytest.mark.slow
def test_the_original_dsb2018_gives_the_masks_of_the_converted_folder(real_data: Path) -> None:
    """Of the ids that are in both, at the images' own size: identical."""
    original = load_folder(real_data / "original" / "dsb2018", 32)  # the hashes are of what lies on disk
    converted = load_folder(real_data / "dsb2018_histo", 32)
    common = sorted(set(original.stems) & set(converted.stems))
    assert len(common) >= 9
    for stem in common:
        first, second = (images.facts[images.stems.index(stem)] for images in (original, converted))
        assert (first.mask_hash, first.image_hash) == (second.mask_hash, second.image_hash)


@pytest.mark.slow
def test_the_original_chase_db1_gives_the_masks_of_the_converted_folder(real_data: Path) -> None:
    original = load_folder(real_data / "original" / "CHASEDB1", 32)
    converted = load_folder(real_data / "chase_db1", 32)
    assert original.stems == converted.stems
    assert [facts.mask_hash for facts in original.facts] == [facts.mask_hash for facts in converted.facts]


def test_real_images_look_as_they_did_before(real_data: Path) -> None:
    path = next((real_data / "dsb2018_histo" / "images").iterdir())
    assert np.array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))
