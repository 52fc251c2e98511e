"""What is said of a champion, on test images that can be checked by eye: at their own size, of groups, counted."""

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from serving.promotion.candidate import Candidate, Rival
from serving.promotion.card import card_json, model_card
from serving.promotion.model_scores import describe_comparison, describe_interval, describe_reads
from serving.promotion.reads import TAG, count_read, digest_of
from serving.promotion.scores import CHAMPION, OwnSize, assess, frame_and_back, interval_over_groups, measure
from training.data.framing import make_frame
from training.data.images import Pixels
from training.data.originals import find_originals
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.study.intervals import mean_interval
from training.study.trial import Trial
from training.tracking.runs import begin_run, connect

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1, image_size=32)
NUM_IMAGES = 8


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """Eight images of 64 x 96 at an image_size of 32; a disc is bright on dark ground, and its mask its own shape."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "discs" / part).mkdir(parents=True)
    for k in range(NUM_IMAGES):
        mask = cv2.circle(np.zeros((64, 96), np.uint8), (30 + 4 * k, 32), 10 + k, 255, -1)
        image = (mask // 2 + rng.integers(0, 40, mask.shape)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "discs" / "images" / f"{k}.png"), image)
        cv2.imwrite(str(tmp_path / "discs" / "masks" / f"{k}.png"), mask)
    rival = Rival(name="runner_up", run_id="b", hashes={}, trial=TRIAL.replace(optimizer="sgd", lr=0.1, seed=2))
    return Candidate(
        run_id="a", hashes={}, trial=TRIAL, choose="winner", rivals=(rival,), val_dice=0.9,
        images=load_folder(tmp_path / "discs", 32), reading=ReadOptions(), train=(0, 1, 2), val=(3,), test=(4, 5, 6, 7),
    )  # fmt: skip


def bright(image: Pixels) -> Pixels:
    """What a perfect network would predict."""
    return (image[..., 0] > 80).astype(np.uint8)


def left_half(image: Pixels) -> Pixels:
    found = bright(image)
    found[:, image.shape[1] // 2 :] = 0
    return found


def assessed(candidate: Candidate) -> OwnSize:
    originals = find_originals(candidate.images, candidate.reading)
    return assess(candidate, originals, {CHAMPION: bright, "runner_up": left_half}, dark=False)


def framed(candidate: Candidate) -> torch.Tensor:
    masks = candidate.images.masks[candidate.tiles(candidate.test)]
    return torch.from_numpy(masks == 1).float()[:, None] * 0.98 + 0.01


def test_a_mask_that_is_perfect_at_the_image_s_own_size_scores_1_whatever_the_size_it_was_trained_at(
    candidate: Candidate,
) -> None:
    scores, images = measure(candidate, assessed(candidate), framed(candidate), False, "fp32", 1)
    assert (scores.test_dice, scores.test_iou, scores.test_global_dice) == (1, 1, 1)
    assert (scores.test_hd95, scores.test_nsd, scores.test_object_f1) == (0, 1, 1)
    assert [image.index for image in images] == [4, 5, 6, 7]


def test_the_true_masks_lose_by_being_scaled_to_the_size_trained_at_and_back(candidate: Candidate) -> None:
    scores, _ = measure(candidate, assessed(candidate), framed(candidate), False, "fp32", 1)
    assert scores.test_dice_at_image_size == 1, "of the frames, in which nothing is lost"
    assert 0.85 < scores.test_dice_ceiling < 0.99, "a disc of radius 16 is one of 5 there"


def test_a_mask_whose_squares_are_whole_pixels_of_the_frame_loses_its_corners_alone() -> None:
    """96 pixels become 32: a square of 30 is one of 10, and bilinear scaling rounds no more than its corners."""
    mask = np.zeros((96, 96), np.uint8)
    mask[30:60, 30:60] = 1
    back = frame_and_back(mask, make_frame("resize", 32, [(96, 96)]))
    assert (back[31:59, 31:59] == 1).all()
    assert back.sum() == pytest.approx(900, abs=12)
    assert (frame_and_back(mask, make_frame("tile", 32, [(96, 96)])) == mask).all(), "tiles lose nothing"


def test_others_are_compared_on_the_same_images(candidate: Candidate) -> None:
    own_size = assessed(candidate)
    scores, _ = measure(candidate, own_size, framed(candidate), False, "fp32", 1)
    otsu, runner_up = scores.comparisons
    assert (otsu.name, otsu.dice, otsu.gain) == ("otsu", 1, 0), "a threshold finds bright discs, too"
    assert (runner_up.run_id, runner_up.differs) == ("b", "optimizer=sgd lr=0.1")
    counts = own_size.counts["runner_up"]
    dices = (2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)).tolist()
    assert runner_up.gain == pytest.approx(1 - sum(dices) / 4)
    assert (runner_up.low, runner_up.high) == pytest.approx(mean_interval([1 - dice for dice in dices]))


def test_where_nothing_is_predicted_the_distance_is_the_image_s_diagonal(candidate: Candidate) -> None:
    originals = find_originals(candidate.images, candidate.reading)
    own_size = assess(
        candidate, originals, {CHAMPION: lambda image: 0 * bright(image), "runner_up": left_half}, dark=False
    )
    scores, _ = measure(candidate, own_size, framed(candidate), False, "fp32", 1)
    assert (scores.test_dice, scores.test_nsd, scores.test_object_f1) == (0, 0, 0)
    assert scores.test_hd95 == pytest.approx(math.hypot(64, 96))


def test_an_interval_takes_three_images_or_three_groups() -> None:
    assert all(map(math.isnan, interval_over_groups([0.7, 0.8], ["a", "b"])))
    assert all(map(math.isnan, interval_over_groups([0.7, 0.8, 0.9, 0.8], ["a", "a", "b", "b"])))
    assert interval_over_groups([0.7, 0.8, 0.9], ["a", "b", "c"]) == pytest.approx(mean_interval([0.7, 0.8, 0.9]))


def test_images_of_a_group_count_as_one() -> None:
    values, groups = [0.6, 0.8, 0.8, 0.8, 0.9, 0.9], ["a", "a", "b", "b", "c", "c"]
    assert interval_over_groups(values, groups) == pytest.approx(mean_interval([0.7, 0.8, 0.9]))
    copied = interval_over_groups([0.7] * 9 + [0.8] * 9 + [0.9] * 9, ["a"] * 9 + ["b"] * 9 + ["c"] * 9)
    assert copied == pytest.approx(mean_interval([0.7, 0.8, 0.9])), "copies of an image make nothing surer"


def test_the_interval_of_unequal_groups_lies_around_the_mean_over_images() -> None:
    low, high = interval_over_groups([0.5, 0.9, 0.9, 0.9, 0.7], ["a", "b", "b", "b", "c"])
    assert (low + high) / 2 == pytest.approx(0.78)


def test_the_interval_over_groups_holds_the_true_mean_95_times_in_100() -> None:
    """Eight groups of two or six images with a shift of their own; over images it would hold it much less often."""
    rng = np.random.default_rng(0)
    groups = [str(group) for group in range(8) for _ in range(2 + 4 * (group % 2))]
    held = {"groups": 0, "images": 0}
    for _ in range(400):
        shift = rng.normal(0, 0.1, 8)
        values = [0.8 + shift[int(group)] + rng.normal(0, 0.02) for group in groups]
        for name, units in (("groups", groups), ("images", [str(k) for k in range(len(groups))])):
            low, high = interval_over_groups(values, units)
            held[name] += low <= 0.8 <= high
    assert 0.89 < held["groups"] / 400 < 0.98
    assert held["images"] / 400 < 0.8


@pytest.mark.parametrize("sizes", [(18, 1, 1), (30, 2, 2, 2), (20, *[1] * 9)], ids=str)
def test_a_group_that_holds_most_images_does_not_hide_its_own_error(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    held = 0
    for _ in range(400):
        shift = rng.normal(0, 0.05, len(sizes))
        low, high = interval_over_groups([0.8 + shift[int(group)] + rng.normal(0, 0.03) for group in groups], groups)
        held += low <= 0.8 <= high
    assert held / 400 > 0.87, "with each group's plain residual it was about a half"


@pytest.mark.slow
@pytest.mark.usefixtures("new_store")
def test_every_promotion_that_read_the_same_test_images_is_counted(candidate: Candidate) -> None:
    client, experiment = connect()

    def begin(**tags: str) -> str:
        return begin_run(client, experiment, "promote", {"role": "promote", **tags})

    earlier = [begin(data_digest=candidate.images.digest) for _ in range(2)]
    client.log_metric(earlier[0], "test_dice", 0.8)  # the other one stopped before it read them
    begin(**{TAG: "other images"})
    assert count_read(client, begin(), candidate) == 2, "the earlier one that has a score is the first"
    assert count_read(client, begin(), candidate) == 3
    assert client.get_run(earlier[0]).data.tags.get(TAG) is None


def test_test_images_are_known_by_their_pixels(candidate: Candidate, tmp_path: Path) -> None:
    larger = replace(candidate, images=load_folder(tmp_path / "discs", 64))
    assert larger.images.digest != candidate.images.digest
    assert digest_of(larger) == digest_of(candidate), "at another image_size they are the same images"
    assert digest_of(replace(candidate, test=(3, 4, 5, 6))) != digest_of(candidate)


def test_the_card_says_what_the_network_saw_and_what_it_was_compared_with(candidate: Candidate) -> None:
    scores, _ = measure(candidate, assessed(candidate), framed(candidate), False, "fp32", 2)
    card = model_card(TRIAL, scores, "how far to trust it")
    assert "| **test Dice** | 1.0000 | of images never trained on; 95 % 1.0000 to 1.0000, over 4 images |" in card
    assert "test Dice at 32 pixels" in card
    assert "| the next best configuration (optimizer=sgd lr=0.1) |" in card
    assert "read for the 2nd time" in card
    assert "how far to trust it" in card
    assert "true masks, in tiles of 32 pixels and back" in model_card(TRIAL.replace(fit="tile"), scores, "")
    facts = json.loads(card_json(TRIAL, replace(scores, test_dice_low=math.nan), {"fp32": 0.9}, "1", "no seeds"))
    assert facts["test_dice_low"] is None
    assert facts["comparisons"][1]["name"] == "runner_up"


def test_what_is_said(candidate: Candidate) -> None:
    scores, _ = measure(candidate, assessed(candidate), framed(candidate), False, "fp32", 1)
    assert describe_reads(scores) == "the test images were read for the first time, as far as this store knows"
    assert describe_reads(replace(scores, test_reads=3)).startswith(
        "the test images were read for the 3rd time; a score"
    )
    assert "for the 12th time" in describe_reads(replace(scores, test_reads=12))
    assert describe_interval(scores, 2) == "95 % 1.00 to 1.00, over 4 images"
    few = replace(scores, test_dice_low=math.nan, test_units=2, test_unit="group")
    assert describe_interval(few, 2) == "no interval: it takes 3, and there are only 2 groups"
    assert describe_comparison(replace(scores.comparisons[0], gain=0.1, low=-0.05, high=0.25), 2) == (
        "+0.10 (95 % -0.05 to +0.25)"
    )
