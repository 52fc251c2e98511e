"""The switching loss can switch on the data it is trained on, because its threshold is read off the training masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.command.options import parse
from training.command.preparation import Prepared, prepare
from training.command.switching import find_tau, read_tau
from training.data.reading import load_folder
from training.study.trial import Trial

SIDE = 32


def write(folder: Path, fractions: list[float], width: int = SIDE) -> Path:
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index, fraction in enumerate(fractions):
        mask = np.zeros((SIDE, width), np.uint8)
        mask[: round(fraction * SIDE)] = 255
        image = rng.integers(0, 100, mask.shape) + 0.5 * mask
        cv2.imwrite(str(folder / "images" / f"{index:02d}.png"), image.astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{index:02d}.png"), mask)
    return folder


@pytest.mark.parametrize(
    ("fractions", "value", "why"),
    [
        ([0.125, 0.25, 0.375, 0.875], 0.31, "the training masks' median foreground"),
        ([0.0, 0.0, 0.0, 0.5], 0.12, "the training masks' mean foreground; their median is 0"),
        ([1.0, 1.0, 1.0, 0.5], 0.88, "the training masks' mean foreground; their median is 1"),
    ],
)
def test_tau_is_the_median_of_the_training_masks_or_their_mean_where_that_never_switches(
    fractions: list[float], value: float, why: str, tmp_path: Path
) -> None:
    images = load_folder(write(tmp_path / "data", fractions), SIDE)
    found = find_tau(images, range(len(fractions)))
    assert (found.value, found.origin, found.why) == (value, "auto", why)
    assert found.text == f"switching_tau={value}: {why}"


def test_only_masks_that_train_count(tmp_path: Path) -> None:
    images = load_folder(write(tmp_path / "data", [0.125, 0.25, 0.875]), SIDE)
    assert find_tau(images, [1]).value == 0.25


def test_without_any_foreground_that_trains_the_default_stays(tmp_path: Path) -> None:
    images = load_folder(write(tmp_path / "data", [0.0, 0.25]), SIDE)
    assert find_tau(images, [0]).value == Trial.switching_tau


def test_what_lies_beyond_an_image_is_neither_foreground_nor_background(tmp_path: Path) -> None:
    """A wide image is padded to a square; a quarter of its own pixels are foreground."""
    images = load_folder(write(tmp_path / "data", [0.25], width=2 * SIDE), 64)
    assert find_tau(images, [0]).value == 0.25


def settled(discs: Path, *more: str) -> Prepared:
    small = ["--preset", "demo", "--image-size", "32", "--workers", "1", "--device", "cpu", "--compile", "false"]
    return prepare(parse(["losses", "--data", str(discs), *small, *more]))


@pytest.mark.slow
def test_every_trial_of_a_study_has_the_training_masks_median_and_it_is_said(discs: Path) -> None:
    prepared = settled(discs)
    tau = prepared.settings.switching_tau
    assert tau == find_tau(prepared.images, prepared.split.train).value
    assert 0.04 < tau < 0.2
    assert prepared.settings.base(epochs=1)["switching_tau"] == tau
    assert f"switching_tau={tau:g}: the training masks' median foreground" in prepared.text


@pytest.mark.slow
def test_a_number_is_taken_as_given_and_the_report_s_protocol_keeps_its_own(discs: Path) -> None:
    assert settled(discs, "--switching-tau", "0.3").settings.switching_tau == 0.3
    report = settled(discs, "--protocol", "report")
    assert report.settings.switching_tau == 0.05
    assert "switching_tau=0.05: protocol=report keeps it, whatever the masks" in report.text
    assert settled(discs, "--protocol", "report", "--switching-tau", "0.3").settings.switching_tau == 0.3


@pytest.mark.parametrize("text", ["much", "", "1.5", "nan", "-0.1"])
def test_a_tau_that_cannot_be_used_is_named_with_its_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"^switching_tau=.*(give one between 0 and 1|it must be between 0 and 1)"):
        Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1, switching_tau=read_tau(text, "fixed").value)
