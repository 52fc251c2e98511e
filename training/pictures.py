"""The two pictures of a trial: its learning curve and its predictions. Arrays and epochs in, pictures out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.data.images import Pixels, to_channels

if TYPE_CHECKING:  # it would import torch, which a contact sheet does without
    from training.engine import Epoch

TRAIN, VAL = "#0072B2", "#D55E00"  # Okabe and Ito's blue and vermilion
TRUTH_RGB, PREDICTION_RGB = (0, 158, 115), (230, 159, 0)  # their green and orange
PANEL = 192  # pixels
GAP = 6  # pixels
COLUMNS = ("image", "truth", "prediction")


def draw_learning_curve(epochs: Sequence["Epoch"], title: str) -> Figure:
    """Loss and Dice by epoch, training beside validation, with the best epoch marked."""
    figure = Figure(figsize=(8, 3), dpi=100, layout="constrained")
    loss_axes, dice_axes = figure.subplots(1, 2)
    numbers = [epoch.epoch for epoch in epochs]
    for axes, name in ((loss_axes, "loss"), (dice_axes, "dice")):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = [getattr(epoch, f"{part}_{name}") for epoch in epochs]
            axes.plot(numbers, values, color=colour, label=part, marker="o" if len(numbers) < 12 else "", markersize=3)
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
    loss_axes.set_ylabel("loss")
    dice_axes.set_ylabel("Dice (mean over images)")
    dice_axes.set_ylim(0, 1)
    best = max(epochs, key=lambda epoch: epoch.val_dice)
    dice_axes.plot(best.epoch, best.val_dice, "o", color=VAL, markersize=7, markerfacecolor="none")
    dice_axes.set_title(f"best {best.val_dice:.3f} in epoch {best.epoch}", fontsize=9)
    loss_axes.set_title(title, fontsize=9, wrap=True)
    dice_axes.legend(frameon=False)
    return figure


@dataclass(frozen=True)
class Row:
    """What is shown of one image; all of its size."""

    image: Pixels  # (h, w, c)
    mask: Pixels  # (h, w) of 0 and 1
    probability: NDArray[np.float32]  # (h, w)
    dice: float


def draw_predictions(rows: Sequence[Row]) -> Pixels:
    """A row an image: the image, its true mask, and the prediction over it, outlined; RGB."""
    drawn = [_header()]
    for row in rows:
        colour = to_panel(to_channels(row.image, 3))
        truth = outline(colour, to_panel(row.mask), TRUTH_RGB)
        prediction = outline(colour, to_panel((row.probability > 0.5).astype(np.uint8)), PREDICTION_RGB)
        text = f"Dice {row.dice:.2f}"
        place = (6, len(colour) - 8)
        cv2.putText(prediction, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(prediction, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        drawn.append(_beside(colour, truth, prediction))
    return np.concatenate(drawn)


def to_panel(image: Pixels) -> Pixels:
    """(h, w, c) or a mask (h, w), as wide as a panel."""
    height = max(1, round(PANEL * image.shape[0] / image.shape[1]))
    smooth = cv2.INTER_AREA if image.shape[1] > PANEL else cv2.INTER_LINEAR
    return cv2.resize(image, (PANEL, height), interpolation=cv2.INTER_NEAREST if image.ndim == 2 else smooth).astype(
        np.uint8
    )


def outline(image: Pixels, mask: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """The image with the mask tinted and outlined."""
    tinted = np.where(mask[..., None] > 0, (0.65 * image + 0.35 * np.array(colour)), image).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(tinted, contours, -1, colour, 1).astype(np.uint8)


def _beside(*panels: NDArray[Any]) -> Pixels:
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    return np.concatenate([row, np.full((GAP, row.shape[1], 3), 255, np.uint8)]).astype(np.uint8)


def _header() -> Pixels:
    titles = []
    for title in COLUMNS:
        panel = np.full((22, PANEL, 3), 255, np.uint8)
        titles.append(cv2.putText(panel, title, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA))
    return _beside(*[title.astype(np.uint8) for title in titles])
