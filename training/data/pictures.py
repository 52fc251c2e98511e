"""A trial's predictions as one picture, and that picture taken apart again. Arrays in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.framing import OUTSIDE
from training.data.images import Pixels, to_channels

VAL_PICTURE, TRAIN_PICTURE = "predictions.png", "train_predictions.png"  # artifacts of a trial
TRUTH_RGB, PREDICTION_RGB = (0, 158, 115), (230, 159, 0)  # their green and orange
VEIL = 128  # grey over pixels that do not count
PANEL = 192  # pixels; a panel is a square, whatever the image
GAP = 6  # pixels
HEADER = 22  # pixels
COLUMNS = ("image", "truth", "prediction")


@dataclass(frozen=True)
class PredictionRow:
    """What is shown of one image; all of its size."""

    image: Pixels  # (h, w, c)
    mask: Pixels  # (h, w) of 0, 1 and OUTSIDE
    probability: NDArray[np.float32]  # (h, w)
    dice: float  # nan of an image without foreground

    @property
    def score(self) -> str:
        """In words: its Dice; of an image without foreground, whether any is predicted."""
        if not np.isnan(self.dice):
            return f"Dice {self.dice:.2f}"
        counted = self.mask != OUTSIDE
        if not counted.any():
            return "not scored"
        return "false alarm" if ((self.probability > 0.5) & counted).any() else "empty"


def draw_predictions(rows: Sequence[PredictionRow]) -> Pixels:
    """One row per image: the image, its true mask, and the prediction over it, outlined; RGB."""
    drawn = [_header()]
    for row in rows:
        colour = to_panel(to_channels(row.image, 3))
        truth = outline(colour, to_panel(row.mask), TRUTH_RGB)
        prediction = outline(colour, to_panel((row.probability > 0.5).astype(np.uint8)), PREDICTION_RGB)
        place = (6, len(colour) - 8)
        cv2.putText(prediction, row.score, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(prediction, row.score, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        drawn.append(_beside(*map(_to_square, (colour, truth, prediction))))
    return np.concatenate(drawn)


def cut_predictions(picture: Pixels) -> list[tuple[Pixels, Pixels, Pixels]]:
    """The panels image, truth and prediction of each row that `draw_predictions` drew; none of any other picture."""
    step, top = PANEL + GAP, HEADER + GAP
    height, width = picture.shape[:2]
    if width != len(COLUMNS) * step - GAP or (height - top) % step:
        return []
    starts = range(top, height, step)
    return [tuple(picture[y : y + PANEL, x : x + PANEL] for x in range(0, width, step)) for y in starts]  # type: ignore[misc]


def to_panel(image: Pixels) -> Pixels:
    """(h, w, c) or a mask (h, w), its long side as long as a panel's."""
    scale = PANEL / max(image.shape[:2])
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST if image.ndim == 2 else smooth).astype(
        np.uint8
    )


def outline(image: Pixels, mask: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """The image with the mask's foreground tinted and outlined, and what is OUTSIDE veiled in grey."""
    veiled = np.where(mask[..., None] == OUTSIDE, 0.35 * image + 0.65 * VEIL, image)
    foreground = (mask == 1).astype(np.uint8)
    tinted = np.where(foreground[..., None] > 0, 0.65 * image + 0.35 * np.array(colour), veiled).astype(np.uint8)
    contours, _ = cv2.findContours(foreground, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(tinted, contours, -1, colour, 1).astype(np.uint8)


def _beside(*panels: NDArray[Any]) -> Pixels:
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    return np.concatenate([row, np.full((GAP, row.shape[1], 3), 255, np.uint8)]).astype(np.uint8)


def _to_square(panel: Pixels) -> Pixels:
    top, left = (PANEL - panel.shape[0]) // 2, (PANEL - panel.shape[1]) // 2
    square = np.full((PANEL, PANEL, 3), 255, np.uint8)
    square[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return square


def _header() -> Pixels:
    titles = []
    for title in COLUMNS:
        panel = np.full((HEADER, PANEL, 3), 255, np.uint8)
        titles.append(cv2.putText(panel, title, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA))
    return _beside(*[title.astype(np.uint8) for title in titles])
