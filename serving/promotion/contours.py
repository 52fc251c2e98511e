"""How well outlines and objects are found, beside how many pixels: scores of two masks. Arrays in, numbers out.

Distances are those of the library surface-distance (Nikolov et al. 2021, doi:10.2196/26151), in pixels of the image's
own size; the IoU of objects is pycocotools'. What does not count (OUTSIDE) is background in both masks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import surface_distance
from pycocotools import mask as coco

from training.data.framing import OUTSIDE
from training.data.images import Pixels

TOLERANCE = 2.0  # pixels that an outline may be off and still count as found
MIN_IOU = 0.5  # an object is found where one that is predicted has more than this with it


@dataclass(frozen=True)
class Contours:
    """Of one image with foreground."""

    hd95: float  # pixels: 95 % of either outline lie within this of the other; nothing predicted: the image's diagonal
    nsd: float  # share of both outlines that lies within TOLERANCE of the other one; nothing predicted: 0
    object_f1: float  # of connected parts: 2 found / (predicted + true); nothing predicted: 0


def compare_contours(predicted: Pixels, mask: Pixels) -> Contours:
    """(h, w) of 0 and 1, and (h, w) of 0, 1 and OUTSIDE with foreground."""
    truth = mask == 1
    prediction = (predicted == 1) & (mask != OUTSIDE)
    if not prediction.any():
        return Contours(hd95=float(np.hypot(*mask.shape)), nsd=0.0, object_f1=0.0)
    distances = surface_distance.compute_surface_distances(truth, prediction, spacing_mm=(1, 1))
    return Contours(
        hd95=float(surface_distance.compute_robust_hausdorff(distances, 95)),
        nsd=float(surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE)),
        object_f1=_object_f1(prediction.astype(np.uint8), truth.astype(np.uint8)),
    )


def _object_f1(prediction: Pixels, truth: Pixels) -> float:
    """Objects are connected parts (8 neighbours). Above an IoU of one half no object has two partners (Kirillov et al.
    2019, arXiv:1801.00868), and the only one it can have is the one that covers most of it.
    """
    num_predicted, predicted, boxes, _ = cv2.connectedComponentsWithStats(prediction, connectivity=8)
    num_true, true, true_boxes, _ = cv2.connectedComponentsWithStats(truth, connectivity=8)
    found = 0
    for label in range(1, num_true):
        x, y, width, height = (int(side) for side in true_boxes[label][:4])
        inside = true[y : y + height, x : x + width] == label
        covering = np.bincount(predicted[y : y + height, x : x + width][inside])
        covering[0] = 0
        if partner := int(covering.argmax()):
            left, top, across, down = (int(side) for side in boxes[partner][:4])
            rows = slice(min(y, top), max(y + height, top + down))
            columns = slice(min(x, left), max(x + width, left + across))
            pair = (
                np.asfortranarray(part[rows, columns] == one, np.uint8)
                for part, one in ((predicted, partner), (true, label))
            )
            one, other = (coco.encode(part) for part in pair)
            found += float(coco.iou([one], [other], [0])[0, 0]) > MIN_IOU
    return 2 * found / (num_predicted - 1 + num_true - 1)
