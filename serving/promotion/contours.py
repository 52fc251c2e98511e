"""How well outlines and objects are found, beside how many pixels: scores of two masks. Arrays in, numbers out.

Distances are those of the library surface-distance (Nikolov et al. 2021, doi:10.2196/26151), in pixels of the image's
own size; objects are matched by their IoU. What does not count (OUTSIDE) is background in both masks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import surface_distance
from numpy.typing import NDArray

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
        object_f1=object_f1(*(number_objects(one.astype(np.uint8)) for one in (prediction, truth))),
    )


def number_objects(mask: Pixels) -> NDArray[np.int32]:
    """(h, w) of 0 and the number of each object of a mask of 0 and 1: a connected part (8 neighbours)."""
    return cv2.connectedComponents(mask, connectivity=8)[1].astype(np.int32, copy=False)


def object_f1(predicted: NDArray[np.int32], truth: NDArray[np.int32]) -> float:
    """2 found / (predicted + true), of two (h, w) of 0 and the number of each object; one of them has an object.

    Above an IoU of one half no object has two partners (Kirillov et al. 2019, arXiv:1801.00868).
    """
    areas, true_areas = np.bincount(predicted.ravel()), np.bincount(truth.ravel())
    both = (predicted > 0) & (truth > 0)
    pairs, shared = np.unique(predicted[both] * np.int64(len(true_areas)) + truth[both], return_counts=True)
    one, other = np.divmod(pairs, len(true_areas))
    found = np.count_nonzero(shared > MIN_IOU * (areas[one] + true_areas[other] - shared))
    return 2 * found / (np.count_nonzero(areas[1:]) + np.count_nonzero(true_areas[1:]))
