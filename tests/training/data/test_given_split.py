"""A split that a person fixed is kept to the letter; what a file or folders cannot mean is refused with the names."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.given_split import check_folders, find_parts, given_parts, hint, read_parts
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import MaskFile, Pair
from training.data.reading import load_folder
from training.data.split import find_leaks, held_out_percents, make_split

STEMS = tuple(f"image{k}" for k in range(28))
GROUPS = tuple(f"child{k // 2}" for k in range(28))
EVEN = (0.2,) * 28
FIRST_8 = tuple("train" if k < 8 else "test" for k in range(28))  # as CHASE_DB1 is split by others


def write(path: Path, rows: list[str], header: str = "stem,part") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_parts_are_those_of_the_file_whatever_the_order_of_its_rows(tmp_path: Path) -> None:
    rows = [f"{stem};{part.upper()}" for stem, part in zip(STEMS, FIRST_8, strict=True)]
    assert read_parts(write(tmp_path / "s.csv", rows[::-1], "Stem;Part"), STEMS) == FIRST_8


def test_the_csv_of_the_images_may_say_it_in_a_column_of_its_own(tmp_path: Path) -> None:
    rows = ["pics/a.png,segs/a.png,Training", "pics/b.jpg,segs/b.png,validation", "pics/c.d.tif,segs/c.png,test"]
    path = write(tmp_path / "pairs.csv", rows, "image,mask,split")
    assert read_parts(path, ["pics/a", "pics/b", "pics/c.d"]) == ("train", "val", "test")


def test_what_validates_is_taken_from_the_training_images_in_whole_groups() -> None:
    val_percent, test_percent = held_out_percents(FIRST_8, 10, 10)
    assert (val_percent, test_percent) == (10, 71)
    split = make_split(GROUPS, EVEN, "fixed", 19, 0, val_percent, test_percent, FIRST_8)
    assert split.test == tuple(range(8, 28))
    assert sorted(split.train + split.val) == list(range(8))
    assert len(split.val) == 2
    assert find_leaks(split, GROUPS) == []
    smaller = make_split(GROUPS, EVEN, "fixed", 10, 0, val_percent, test_percent, FIRST_8)
    assert (smaller.val, smaller.test) == (split.val, split.test)
    assert set(smaller.train) < set(split.train)
    assert len(smaller.train) == 2


def test_a_file_may_say_what_validates_too() -> None:
    parts = ("val", "val", *FIRST_8[2:])
    split = make_split(GROUPS, EVEN, "fixed", 22, 0, *held_out_percents(parts, 10, 10), parts)
    assert held_out_percents(parts, 10, 10) == (7, 71)
    assert split.val == (0, 1)
    assert sorted(split.train) == list(range(2, 8))


def test_percents_that_a_person_gave_count_where_nobody_fixed_the_split() -> None:
    assert held_out_percents((), 15, 5) == (15, 5)


def test_one_training_image_cannot_validate_as_well() -> None:
    parts = ("train", *["test"] * 27)
    with pytest.raises(ValueError, match="too few to hold out"):
        make_split(STEMS, EVEN, "fixed", 20, 0, 10, 70, parts)


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (
            ["a,train"],
            "image,use",
            "must be a csv with the columns stem and part, one row per image; it has image, use",
        ),
        ([], "stem,part", "it has no rows"),
        (["a,train", "b,learning"], "stem,part", "b: a part other than train, val, test"),
        (["a,train", "b,test", "a,test"], "stem,part", "a: more than one row"),
        (["a,train", "b,test", "c,test"], "stem,part", "c: a row, but no image in the folder"),
        (["a,train"], "stem,part", "b: no row"),
        (["a,train", "b,train"], "stem,part", "no image has the part test"),
        (["a,test", "b,test"], "stem,part", "no image has the part train"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(rows: list[str], header: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split=") as refused:
        read_parts(write(tmp_path / "s.csv", rows, header), ("a", "b"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("train/images", "train"),
        ("data/Validation/images", "val"),
        ("images/test", "test"),
        ("imagesTr", "train"),
        ("val2017", "val"),
        ("ISIC-2017_Test_v2_Data", "test"),
        ("train/test strip", "train"),
        ("train_test", ""),
        ("trainers", ""),
        ("images", ""),
        ("", ""),
    ],
)
def test_a_folder_s_name_says_which_part_it_is(place: str, part: str, tmp_path: Path) -> None:
    data = tmp_path / "test"  # where the set itself lies says nothing
    data.mkdir()
    image = data / place / "a.png"
    assert find_parts(data, [Pair(stem="a", image=image, mask=MaskFile(image))]) == (part,)


def make_parts(folder: Path, *parts: str) -> Path:
    """12 pairs, of which the first part has half and the others share the rest."""
    generator = np.random.default_rng(0)
    for k in range(12):
        part = parts[0] if k < 6 else parts[1 + k % (len(parts) - 1)]
        image, mask = generator.integers(0, 256, (32, 32), np.uint8), np.zeros((32, 32), np.uint8)
        mask[4:12, 4 + k : 12 + k] = 255
        for side, pixels in (("images", image), ("masks", mask)):
            (folder / part / side).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / part / side / f"{k}.png"), pixels)
    return folder


def test_folders_are_kept_as_they_are_called_where_a_person_says_so(tmp_path: Path) -> None:
    images = load_folder(make_parts(tmp_path / "set", "train", "valid", "test"), 32)
    assert given_parts(None, images) == ()
    assert hint(images) == "; split=folders keeps train, val, test, as folders or tables are called"
    parts = given_parts(Path("folders"), images)
    assert [parts.count(name) for name in ("train", "val", "test")] == [6, 3, 3]
    split = make_split(images.groups, EVEN[:12], "fixed", 50, 0, *held_out_percents(parts, 10, 10), parts)
    assert {images.stems[index] for index in split.train} == {str(k) for k in range(6)}


def test_tables_called_train_and_test_say_the_parts_of_their_images(tmp_path: Path) -> None:
    make_parts(tmp_path, "pics", "more")
    for name, rows in {"test": range(3), "train": range(2, 6), "all": range(6)}.items():
        lines = [f"pics/images/{k}.png,pics/masks/{k}.png" for k in rows]
        write(tmp_path / f"{name}.csv", lines, "image,mask")
    pairs = find_layout(tmp_path).pairs
    assert find_parts(tmp_path, pairs) == ("test", "test", "", "train", "train", "train")


def test_folders_that_do_not_say_what_tests_are_not_hinted_at_and_refused(tmp_path: Path) -> None:
    images = load_folder(make_parts(tmp_path / "set", "train", "val"), 32)
    assert hint(images) == ""
    with pytest.raises(ValueError, match="split=folders: no image has the part test; some must train and some test"):
        given_parts(Path("folders"), images)


def test_images_whose_folder_says_nothing_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"split=folders: b, c: no folder of theirs is called train, val or test; rename folders, or"
    ):
        check_folders(("train", "", "", "test"), ("a", "b", "c", "d"))
