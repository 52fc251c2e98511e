"""The synthetic images are the same for the same seed, are what a folder should be, and do not yield to a threshold."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.images import otsu_mask
from training.data.reading import load_folder
from training.synthetic import main, make_image, write_folder

ROOT = Path(__file__).parents[2]

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """The first 64 images of the default folder."""
    return [make_image(np.random.default_rng([0, index]), 128) for index in range(64)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dice(prediction: np.ndarray, mask: np.ndarray) -> float:
    return float(2 * (prediction & mask).sum() / (prediction.sum() + mask.sum()))


def test_the_same_seed_writes_the_same_bytes_and_another_seed_writes_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_folder(tmp_path / name, count=3, size=64, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    ours, others = contents(tmp_path / "a"), contents(tmp_path / "c")
    assert set(ours) == set(others)
    assert not any(ours[name] == others[name] for name in ours)


def test_an_image_does_not_depend_on_how_many_follow_it(tmp_path: Path) -> None:
    write_folder(tmp_path / "few", count=2, size=64, seed=0)
    write_folder(tmp_path / "many", count=5, size=64, seed=0)
    few, many = contents(tmp_path / "few"), contents(tmp_path / "many")
    shared = {f"{part}/cell_{index:03d}.png" for part in ("images", "masks") for index in range(2)}
    assert set(few) == shared | {"README.txt"}
    assert {name: few[name] for name in shared} == {name: many[name] for name in shared}


def test_images_and_masks_are_uint8_of_the_size_and_masks_hold_0_and_255(pairs: list[Pair]) -> None:
    for image, mask in pairs:
        assert image.shape == mask.shape == (128, 128)
        assert image.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("size", [32, 100, 256])
def test_an_image_of_any_size_has_cells_and_shades(size: int) -> None:
    image, mask = make_image(np.random.default_rng(0), size)
    assert image.shape == mask.shape == (size, size)
    assert 0.03 < (mask > 0).mean() < 0.2
    assert len(np.unique(image)) > 50


def test_cells_cover_5_to_15_percent_on_average_and_no_image_is_without(pairs: list[Pair]) -> None:
    shares = [(mask > 0).mean() for _, mask in pairs]
    assert 0.05 < np.mean(shares) < 0.15
    assert min(shares) > 0.03
    assert max(shares) < 0.2


def test_images_keep_within_the_range_of_uint8(pairs: list[Pair]) -> None:
    clipped = [((image == 0) | (image == 255)).mean() for image, _ in pairs]
    assert np.mean(clipped) < 0.01


@pytest.mark.parametrize("size", [64, 128])
def test_otsu_scores_a_dice_below_70_percent_but_above_chance(pairs: list[Pair], size: int) -> None:
    scores = []
    for image, mask in pairs:
        small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)[..., None].astype(np.uint8)
        truth = cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST) // 255
        scores.append(max(dice(otsu_mask(small, dark), truth) for dark in (False, True)))
    assert 0.4 < np.mean(scores) < 0.7


def test_no_threshold_at_all_reaches_70_percent(pairs: list[Pair]) -> None:
    best = [max(dice(image > level, mask > 0) for level in range(20, 250, 10)) for image, mask in pairs]
    assert np.mean(best) < 0.7


def test_the_folder_loads_as_any_other(tmp_path: Path) -> None:
    write_folder(tmp_path / "cells", count=2, size=64, seed=0)
    images = load_folder(tmp_path / "cells", 64)
    assert images.stems == ("cell_000", "cell_001")
    assert images.images.shape == (2, 64, 64, 1)
    np.testing.assert_array_equal(images.images[1, ..., 0], make_image(np.random.default_rng([0, 1]), 64)[0])
    np.testing.assert_array_equal(images.masks[1] * 255, make_image(np.random.default_rng([0, 1]), 64)[1])


def test_the_readme_says_that_images_are_synthetic_and_how_to_make_them_again(tmp_path: Path) -> None:
    write_folder(tmp_path, count=1, size=64, seed=7)
    text = (tmp_path / "README.txt").read_text()
    assert "Synthetic" in text
    assert "python -m training.synthetic --out FOLDER --count 1 --size 64 --seed 7" in text


def test_an_empty_folder_is_filled_and_a_full_one_refused_untouched(tmp_path: Path) -> None:
    write_folder(tmp_path, count=1, size=64, seed=0)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"out=.* is not an empty folder; choose a new or empty one"):
        write_folder(tmp_path, count=2, size=64, seed=1)
    assert contents(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ValueError, match="is not an empty folder"):
        write_folder(tmp_path / "taken", count=1, size=64, seed=0)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_run_that_is_stopped_leaves_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(rng: np.random.Generator, size: int) -> Pair:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.synthetic.make_image", stop)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path, count=1, size=64, seed=0)
    assert not list(tmp_path.iterdir())


def test_the_command_says_in_one_line_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path / "cells"), "--count", "2", "--size", "64", "--seed", "5"])
    said = f"{tmp_path / 'cells'}: wrote 2 synthetic images of 64x64 pixels and their masks, seed 5\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "0"], "count=0 is out of range; choose a whole number between 1 and 1000"),
        (["--count", "1001"], "count=1001 is out of range"),
        (["--size", "16"], "size=16 is out of range; choose a whole number between 32 and 1024"),
        (["--seed", "-1"], "seed=-1 is out of range; choose a whole number between 0 and"),
        (["--count", "many"], "argument --count: 'many' is no whole number"),
        (["--shape", "square"], "shape=square: there is no such parameter; the parameters are count, out, seed, size"),
    ],
)
def test_a_bad_value_stops_with_code_2_and_writes_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "cells"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "cells").exists()


def test_a_folder_that_cannot_be_made_stops_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["--out", str(tmp_path / "file" / "cells"), "--count", "1"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_module_runs_without_torch_as_a_command(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path / "cells"), "--count", "1", "--size", "32"]
    code = "import sys; from training.synthetic import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True)
    module = [sys.executable, "-m", "training.synthetic", *arguments]
    again = subprocess.run(module, cwd=ROOT, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "is not an empty folder" in again.stderr
