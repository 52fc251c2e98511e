"""A split that a file fixed is kept to the letter; what a file cannot mean is refused with its lines."""

from pathlib import Path

import pytest

from training.data.split import find_leaks, make_split, shares
from training.data.split_file import read_parts

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


def test_what_validates_is_taken_from_the_training_images_in_whole_groups() -> None:
    val_percent, test_percent = shares(FIRST_8, 10)
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
    split = make_split(GROUPS, EVEN, "fixed", 22, 0, *shares(parts, 10), parts)
    assert shares(parts, 10) == (7, 71)
    assert split.val == (0, 1)
    assert sorted(split.train) == list(range(2, 8))


def test_one_training_image_cannot_validate_as_well() -> None:
    parts = ("train", *["test"] * 27)
    with pytest.raises(ValueError, match="too few to hold out"):
        make_split(STEMS, EVEN, "fixed", 20, 0, 10, 70, parts)


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (
            ["a,train"],
            "image,part",
            "must be a csv with the columns stem and part, one row per image; it has image, part",
        ),
        ([], "stem,part", "it has no rows"),
        (["a,train", "b,training"], "stem,part", "b: a part other than train, val, test"),
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
