"""check_data says what was found, shows it on a page, and its status says whether training would be right."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow_runs import made_by_mlflow

from training.check_data import main
from training.data.checks.sheet import CELL, MAX_CELLS, choose, draw_sheet
from training.data.reading import load_folder


def check(folder: Path, out: Path, *options: str) -> int:
    return main(["--data", str(folder), "--out", str(out), "--image-size", "64", *options])


def test_a_good_folder_is_fit_and_its_page_stands_alone(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(discs, tmp_path / "page") == 0
    said = capsys.readouterr().out
    assert "discs: images/ and masks/, equal stems" in said
    assert "masks: 0 is background, 255 foreground (20 masks)" in said
    assert f"{discs} is fit to train on, but too small to judge by; to look at: 1 warning\n" in said
    page = (tmp_path / "page" / "index.html").read_text()
    assert "fit to train on" in page
    assert "disc_13" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page), "nothing is loaded from elsewhere"
    sheet = cv2.imread(str(tmp_path / "page" / "contact_sheet.png"))
    assert sheet.shape[1] >= 8 * CELL


def test_a_folder_with_a_broken_file_is_not_fit_and_the_page_names_it(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(discs, folder)
    (folder / "images" / "disc_03.png").write_text("no image")
    cv2.imwrite(str(folder / "masks" / "disc_05.png"), np.zeros((9, 9), np.uint8))
    assert check(folder, tmp_path / "page") == 1
    assert "disc_03.png: this is no image that can be read" in capsys.readouterr().out
    assert "disc_03.png" in (tmp_path / "page" / "index.html").read_text()
    (folder / "images" / "disc_03.png").unlink()
    (folder / "masks" / "disc_03.png").unlink()
    assert check(folder, tmp_path / "page") == 1
    assert "image is 64x64 but its mask is 9x9" in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.slow
def test_an_odd_folder_is_fit_with_warnings_and_the_odd_ones_come_first(discs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(discs, folder)
    cv2.imwrite(str(folder / "masks" / "disc_07.png"), np.zeros((64, 64), np.uint8))
    shutil.copy(folder / "images" / "disc_11.png", folder / "images" / "disc_12.png")
    assert check(folder, tmp_path / "page") == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "1 mask without foreground" in page
    assert "2 images are identical to another, but their masks differ" in page
    images = load_folder(folder, 64)
    assert [images.stems[k] for k in choose(images, ["disc_12", "disc_07"])[:2]] == ["disc_12", "disc_07"]


def test_too_few_images_are_an_error_of_the_folder(discs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
        for index in range(3):
            shutil.copy(discs / part / f"disc_{index:02d}.png", folder / part)
    assert check(folder, tmp_path / "page") == 1
    assert "3 images in 3 groups are too few" in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "data=nowhere: there is no such folder"),
        (["--image-size", "100"], "image_size=100: it must be a multiple of 16"),
        (["--fit", "crop"], "fit='crop' is unknown"),
        (["--mask_threshold", "half"], "mask_threshold='half' is no value of a mask"),
        (["--shape", "round"], "shape=round: there is no such parameter; the parameters are "),
    ],
)
def test_what_cannot_be_used_at_all_ends_with_status_2_and_no_page(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert check(discs, tmp_path / "page", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@pytest.mark.slow
def test_names_of_files_are_text_and_never_markup(discs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "markup"
    shutil.copytree(discs, folder)
    for part in ("images", "masks"):
        (folder / part / "disc_00.png").rename(folder / part / "<script>alert(1)<script>.png")
    assert check(folder, tmp_path / "page") == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
def test_a_large_set_is_shown_by_a_sample_from_little_to_much_foreground(tmp_path: Path) -> None:
    for index in range(100):
        mask = np.zeros((32, 32), np.uint8)
        mask[: 1 + index // 4] = 255
        for part, pixels in (("images", np.roll(mask // 2 + 9, index % 31, axis=1)), ("masks", mask)):
            (tmp_path / part).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / part / f"{index:03d}.png"), pixels)
    images = load_folder(tmp_path, 32)
    chosen = choose(images, [])
    shares = [images.facts[k].foreground for k in chosen]
    assert len(chosen) == MAX_CELLS
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (1 / 32, 25 / 32)
    assert draw_sheet(images, []).ndim == 3


@pytest.mark.slow
def test_under_mlflow_run_the_page_is_an_artifact_of_the_run(
    discs: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(new_store)
    client = MlflowClient()
    run_id = made_by_mlflow("check_data", data=str(discs))
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert check(discs, new_store / "page") == 0
    assert {file.path for file in client.list_artifacts(run_id)} == {"index.html", "contact_sheet.png"}
    tags = client.get_run(run_id).data.tags
    assert tags["role"] == "check_data"
    assert "`discs` is fit to train on" in tags["mlflow.note.content"]
