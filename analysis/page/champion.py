"""What the page says of the champion, by the tags of its version: earlier promotions know less, and what is missing is
not shown. Tags in, words out; no files, no MLflow.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.claims.labels import number, signed, signed_interval
from training.study.words import COMPARED_WITH, pluralize

SCORES = (  # tag, what it is, digits
    ("test_dice_at_image_size", "at image_size, before the mask gets the image's own size again", 3),
    (
        "test_dice_ceiling",
        "the true masks, scaled to image_size and back: what hard edges keep of that size, soft ones may keep more",
        3,
    ),
    ("test_hd95", "outlines: HD95 in pixels of the image (nothing predicted: its diagonal)", 1),
    ("test_nsd", "outlines: NSD, the share that is at most 2 pixels off (nothing predicted: 0)", 3),
    ("test_object_f1", "objects: F1 of connected parts, found where the IoU exceeds 0.5", 3),
)
MIN_TEST_IMAGES = 5  # with foreground; fewer say little of a champion
RULES = {
    "winner": "chosen by validation Dice",
    "consistent": "chosen for consistency: of the configurations as good as the best but for noise, the one whose "
    "validation Dice varies least over its seeds",
}


@dataclass(frozen=True)
class ComparedScore:
    """The champion beside something else on the same test images, ready to be read."""

    name: str
    dice: str  # of the other
    gain: str  # of the champion, image by image
    interval: str  # 95 %; a dash where there are too few images


def compared(tags: Mapping[str, str]) -> tuple[ComparedScore, ...]:
    """None of an earlier promotion."""
    found = []
    for one in json.loads(tags.get("comparisons", "[]")):
        differs = f" ({one['differs']})" if one["differs"] else ""
        name, interval = COMPARED_WITH.get(one["name"], one["name"]) + differs, signed_interval(one["low"], one["high"])
        found.append(ComparedScore(name, number(one["dice"]), signed(one["gain"]), interval))
    return tuple(found)


def more_scores(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What each is, and its value; those that are known."""
    return tuple((what, number(float(tags[name]), digits)) for name, what, digits in SCORES if name in tags)


def describe_rule(tags: Mapping[str, str]) -> str:
    """Who chose it; earlier promotions knew one rule."""
    return RULES.get(tags.get("chosen_by", "winner"), "chosen by validation Dice")


def describe_reads(tags: Mapping[str, str]) -> str:
    """How often the test images had been read when these scores were made, in words."""
    images = f"the {tags.get('test_images', 'held-out')} test images"
    reads = int(tags.get("test_reads", "0"))
    if not reads:
        return f"how often {images} were read was not counted then"
    if reads == 1:
        return f"{images} were read for the first time, as far as that store knows"
    return f"{images} had been read {pluralize(reads - 1, 'time')} before; scores looked at before choosing flatter"


def describe_test(tags: Mapping[str, str]) -> dict[str, str]:
    """What the champion's test scores are means over, and what they leave out, in words; by its tags.

    `scored`: `12 test images with foreground`; `left_out`: `false alarms on 1 of 48 images without foreground`, empty
    where all have some; `few`: a warning, where a mean says little. An earlier promotion knows only how many images
    there were.
    """
    if "test_empty_images" not in tags:
        return {"scored": f"{tags.get('test_images', 'held-out')} test images", "left_out": "", "few": ""}
    empty, alarms, otsu = (int(tags[name]) for name in ("test_empty_images", "test_false_alarms", "otsu_false_alarms"))
    scored = pluralize(int(tags["test_foreground_images"]), "test image") + (" with foreground" if empty else "")
    left_out = f"false alarms on {alarms} of {pluralize(empty, 'image')} without (Otsu: {otsu})" if empty else ""
    few = f"A mean of {scored} says little." if int(tags["test_foreground_images"]) < MIN_TEST_IMAGES else ""
    return {"scored": scored, "left_out": left_out, "few": few}


def is_among(params: Mapping[str, str], trials: pd.DataFrame) -> bool:
    """Whether any of the trials was trained as long, and at the size, that the champion was."""
    alike = pd.Series(True, index=trials.index)
    for name in ("epochs", "image_size"):
        alike &= trials[name].astype(float) == float(params.get(name, math.nan))
    return bool(alike.any())
