"""The served model: blended tiles show no seam, mirrored images agree, and a faster precision is chosen when it costs
next to nothing."""

import itertools
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from chain import Chain, make_chain

from serving.inference.openvino_network import load_network
from serving.inference.segmenter import Segmenter
from serving.inference.tiles import OVERLAP, blend_tiles, fade, starts, summed
from serving.promotion import precision
from serving.promotion.precision import agreement, choose
from training.data.images import Pixels

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The promoted model's files."""
    chain: Chain = make_chain(tmp_path_factory)
    (folder,) = (path for path in (chain.bentoml_home / "models" / "unet").iterdir() if path.is_dir())
    return folder


def changed(stored: Path, folder: Path, **facts: object) -> Path:
    """The same model with other facts."""
    shutil.copytree(stored, folder)
    known = json.loads((folder / "preprocessing.json").read_text())
    (folder / "preprocessing.json").write_text(json.dumps(known | facts))
    return folder


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 1), dtype=np.uint8)


@pytest.mark.parametrize(("length", "size"), [(32, 32), (33, 32), (100, 32), (1000, 64), (65, 64)])
def test_tiles_begin_and_end_at_the_edges_and_overlap_by_a_quarter(length: int, size: int) -> None:
    begins = starts(length, size)
    assert begins[0] == 0
    assert begins[-1] == length - size
    assert all(after - before <= size - size // OVERLAP for before, after in itertools.pairwise(begins))
    assert (summed(fade(size), begins, length) > 0).all()


@pytest.mark.parametrize(("height", "width"), [(50, 70), (16, 16), (10, 40), (33, 100)])
def test_blending_gives_back_what_every_tile_says(height: int, width: int) -> None:
    """A model that looks at one pixel is the same in tiles."""

    def predict(tiles: Pixels) -> np.ndarray:
        return tiles[..., 0].astype(np.float32) / 255

    image = noise(height, width)
    assert blend_tiles(image, 16, predict) == pytest.approx(image[..., 0] / 255, abs=1e-5)


def test_a_large_image_in_tiles_equals_the_whole_away_from_the_borders(stored: Path, tmp_path: Path) -> None:
    """The network sees some 100 pixels around each; tiles of 512 leave a middle that sees no border."""
    infer = load_network(stored, "fp32")

    def predict(tiles: Pixels) -> np.ndarray:
        return infer(np.ascontiguousarray(tiles))

    rng = np.random.default_rng(1)
    image = (60 + 20 * rng.random((704, 704, 1))).astype(np.uint8)
    for _ in range(40):
        y, x = rng.integers(0, 690, 2)
        image[y : y + 14, x : x + 14] += 100
    whole, tiled = predict(image[None])[0], blend_tiles(image, 512, predict)
    inner = (slice(100, -100), slice(100, -100))
    assert np.abs(whole - tiled)[inner].max() < 0.02
    assert ((whole > 0.5) != (tiled > 0.5))[inner].mean() < 0.001


def test_torch_says_what_openvino_says_in_every_thread(stored: Path, tmp_path: Path) -> None:
    """The path that a GPU takes, on the processor."""
    exact = changed(stored, tmp_path / "fp32", precision="fp32")
    ours, other = Segmenter(exact), Segmenter(exact, "cpu")
    assert (other.precision, other.computed_by) == ("fp32", "torch, cpu")
    images = [noise(64, 64), noise(100, 40), noise(30, 30)]
    with ThreadPoolExecutor(3) as pool:
        for one, two in zip(map(ours.probability, images), pool.map(other.probability, images), strict=True):
            assert np.abs(one - two).max() < 1e-4
    assert Segmenter(changed(stored, tmp_path / "int8", precision="int8"), "cpu").precision == "bf16"


def test_a_device_or_weights_that_are_not_there_are_refused_with_the_cure(stored: Path, tmp_path: Path) -> None:
    for name in ("gpu", "cuda:99", "meta:x"):
        with pytest.raises(ValueError, match=f"SEGMENT_DEVICE='{name}': torch cannot use it .*leave it out"):
            Segmenter(stored, name)
    old = changed(stored, tmp_path / "old")
    shutil.rmtree(old / "weights")
    with pytest.raises(ValueError, match=r"weights is missing: .*promote it again"):
        Segmenter(old, "cpu")


def test_a_model_of_tiles_sees_an_image_at_its_own_resolution(stored: Path, tmp_path: Path) -> None:
    frame = {"fit": "tile", "image_size": 32, "height": 32, "width": 32}
    segmenter = Segmenter(changed(stored, tmp_path / "tiled", frame=frame))
    for height, width in ((150, 90), (20, 50), (64, 200), (32, 32)):
        assert segmenter.probability(noise(height, width)).shape == (height, width)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_of_wide_images_takes_square_and_tall_ones(stored: Path, tmp_path: Path, precision: str) -> None:
    """Which get as many pixels as they need: more than the frame has."""
    frame = {"fit": "resize", "image_size": 64, "height": 48, "width": 64}
    folder = changed(stored, tmp_path / "wide", frame=frame, precision=precision)
    segmenter, other = Segmenter(folder), Segmenter(folder, "cpu")
    for height, width in ((150, 200), (200, 200), (200, 150), (1, 1), (150, 200)):
        found = segmenter.probability(noise(height, width))
        assert found.shape == (height, width)
        if precision == "fp32":
            assert np.abs(found - other.probability(noise(height, width))).max() < 1e-4


def test_test_time_augmentation_is_the_mean_over_mirror_images(stored: Path) -> None:
    segmenter, image = Segmenter(stored), noise(64, 48)
    found = segmenter.probability(image, tta=True)
    flipped = segmenter.probability(np.ascontiguousarray(image[:, ::-1]), tta=True)
    assert found == pytest.approx(flipped[:, ::-1], abs=1e-5)
    assert not np.allclose(found, segmenter.probability(image))


def test_the_same_image_gives_the_same_mask_again_and_after_a_restart(stored: Path) -> None:
    first, second = Segmenter(stored), Segmenter(stored)
    image = noise(80, 100)
    assert np.array_equal(first.probability(image), first.probability(image))
    assert np.array_equal(first.probability(image), second.probability(image))


@pytest.mark.parametrize(
    ("lost", "shifted", "chosen"),
    [
        ({"int8": 0.001, "bf16": 0.0}, {}, "int8"),
        ({"int8": 0.003, "bf16": 0.001}, {}, "bf16"),
        ({"int8": 0.003, "bf16": 0.003}, {}, "fp32"),
        ({"int8": 0.0, "bf16": 0.0}, {"int8": 0.3}, "bf16"),
    ],
)
def test_the_fastest_precision_that_costs_next_to_nothing_is_chosen(
    lost: dict[str, float],
    shifted: dict[str, float],
    chosen: str,
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(stored, tmp_path / "model")
    monkeypatch.setattr(precision, "servable", lambda name: name)
    plain = torch.linspace(0, 1, 100).reshape(1, 1, 10, 10)
    made = {name: plain - shifted.get(name, 0.0) + index * 1e-6 for index, name in enumerate(("fp32", "bf16", "int8"))}
    monkeypatch.setattr(precision, "predict_served", lambda folder, name, images: made[name])
    losses = {id(made[name]): lost.get(name, 0.0) for name in made}
    dice: Callable[[torch.Tensor], float] = lambda probabilities: 0.8 - losses[id(probabilities)]  # noqa: E731
    images = torch.zeros((2, 1, 64, 64), dtype=torch.uint8)
    choice = choose(folder, images, images, dice)
    assert choice.precision == chosen
    assert (folder / "model_int8.xml").exists() == (chosen == "int8")
    assert choice.val_dice["fp32"] == 0.8


def test_masks_that_agree_agree_wholly_and_empty_ones_too() -> None:
    half = torch.zeros((1, 1, 2, 2))
    half[..., 0] = 1
    assert agreement(half, half) == agreement(half * 0, half * 0) == 1.0
    assert agreement(half, 1 - half) == 0.0
