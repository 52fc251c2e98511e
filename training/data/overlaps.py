"""Pictures that share a part: crops, zooms, shifted tiles and pictures turned by any angle, found by their keypoints.

Keypoints (SIFT) only propose how one picture lies on the other; what decides is whether the fine structure of the part
that both show is the same. Every picture is seen as its thumbnail. Thumbnails in, pairs of indices out; nothing here
knows files or splits.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.images import Pixels

CELL = 16  # pixels, side of the cells whose structure is compared, and their distance
FAINT = 2.0  # grey levels; weaker structure counts little
MIN_CELLS = 6.0  # cells with structure, below which likeness shrinks: little cannot prove much
MAX_KEYPOINTS = 64  # of a picture
DIMENSIONS = 32  # that descriptors are reduced to where all are compared with all
ALIKE = 0.85  # cosine of two descriptors that may be the same point
NEIGHBOURS = 2  # of each point, among those of all other pictures
MIN_POINTS = 4  # that agree on how a picture lies on another; three fix it
MAX_PARTNERS = 8  # pictures that one is laid on
MAX_ZOOM, MAX_STRETCH = 4.0, 1.6
MAX_TILT = 2.0  # degrees; more is a turn
SAME = 0.05  # of the side; less is no crop
PICTURES = 4  # whose points are compared at once with all others

Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two pictures of which parts lie on each other."""

    first: int
    second: int
    likeness: float  # -1..1, of the part that both show
    whole: bool  # both show the same from edge to edge, but for corners that a turn cuts
    turned: bool  # mirrored, or rotated by more than 2 degrees


def fine_structure(thumbnail: NDArray[Any]) -> Plane:
    """What is 1 to 4 pixels wide: no brightness, no shading, little of the noise."""
    plane = thumbnail.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(plane, (0, 0), s, borderType=cv2.BORDER_REFLECT) for s in (1.0, 4.0))
    return np.asarray(fine - coarse, np.float32)


def compare(first: Plane, second: Plane, shared: Plane) -> float:
    """Likeness of two (h, w) structures where `shared` is 1: the mean correlation of their cells, 1 for the same.

    A cell weighs by how much structure it has in either. Where one picture has more noise everywhere than the other,
    the difference is no structure.
    """

    def cells(plane: Plane) -> Plane:
        means = cv2.blur(plane, (CELL, CELL), borderType=cv2.BORDER_CONSTANT)
        return np.asarray(means[CELL // 2 :: CELL, CELL // 2 :: CELL])

    area = cells(shared)
    inside = area > 0.5
    if not inside.any():
        return 0.0
    a, b, aa, bb, ab = (
        cells(plane * shared)[inside] / area[inside] for plane in (first, second, first**2, second**2, first * second)
    )
    variance_a, variance_b, covariance = aa - a * a, bb - b * b, ab - a * b
    excess = float(np.percentile(variance_a, 20) - np.percentile(variance_b, 20))
    variance_a, variance_b = np.maximum(variance_a - max(excess, 0), 0), np.maximum(variance_b - max(-excess, 0), 0)
    structure = np.maximum(variance_a, variance_b)
    weights = structure / (structure + FAINT**2)
    noise = (FAINT / 2) ** 2
    correlation = np.clip(covariance / np.sqrt((variance_a + noise) * (variance_b + noise)), -1, 1)
    return float((weights * correlation).sum() / max(weights.sum(), MIN_CELLS))


def find_overlaps(pictures: Sequence[Pixels], known: Set[tuple[int, int]]) -> list[Overlap]:
    """Pairs of (h, w) thumbnails in true proportions that can be laid on each other, less those known already.

    Points are compared all with all: time grows with the square of the number of pictures.
    """
    with ThreadPoolExecutor() as threads:
        points = list(threads.map(_keypoints, pictures))
        candidates = _candidates([descriptors for _, descriptors in points], known)
        return list(filter(None, threads.map(lambda pair: _lay(pair, pictures, points), candidates)))


def _keypoints(picture: Pixels) -> tuple[Plane, Plane]:
    """Places (n, 2) and descriptors (n, 128) of unit length, in RootSIFT's form (Arandjelovic and Zisserman 2012)."""
    sift = cv2.SIFT.create(nfeatures=MAX_KEYPOINTS, contrastThreshold=0.01, edgeThreshold=12)
    keypoints, descriptors = sift.detectAndCompute(picture, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    places = np.array([point.pt for point in keypoints[:MAX_KEYPOINTS]], np.float32)
    descriptors = descriptors[:MAX_KEYPOINTS]
    return places, np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))


def _mirror(descriptors: Plane) -> Plane:
    """What the mirrored picture's would be: rows of SIFT's 4 x 4 grid reversed, its 8 directions negated."""
    grid = descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
    return np.ascontiguousarray(grid[..., -np.arange(8) % 8]).reshape(-1, 128)


def _candidates(descriptors: Sequence[Plane], known: Set[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """Pairs (first, second, mirrored) with enough points in common, those of most points for each picture."""
    votes: Counter[tuple[int, int, bool]] = Counter()
    if any(map(len, descriptors)):
        points = np.concatenate(descriptors)
        centred = points - points.mean(axis=0)
        basis = np.linalg.eigh(centred.T @ centred)[1][:, -DIMENSIONS:]  # principal components
        for mirrored in (False, True):
            for pair in _nearest(descriptors, basis, mirrored):
                votes[min(pair), max(pair), mirrored] += 1
    partners: Counter[int] = Counter()
    chosen = []
    for (first, second, mirrored), count in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0])):
        wanted = count >= MIN_POINTS and (first, second) not in known
        if wanted and min(partners[first], partners[second]) < MAX_PARTNERS:
            chosen.append((first, second, mirrored))
            partners.update((first, second))
    return chosen


def _nearest(descriptors: Sequence[Plane], basis: Plane, mirrored: bool) -> Iterator[tuple[int, int]]:
    """For every point, the pictures that hold the NEIGHBOURS points most like it, if they are alike enough."""
    points = np.concatenate(descriptors)
    mean = points.mean(axis=0)
    left, right = (_normalize((side - mean) @ basis) for side in (points, _mirror(points) if mirrored else points))
    ends = np.cumsum([0, *map(len, descriptors)])
    image_index = np.repeat(np.arange(len(descriptors)), np.diff(ends))
    for block in range(0, len(descriptors), PICTURES):
        last = min(block + PICTURES, len(descriptors))
        start = ends[block]
        cosines = left[start : ends[last]] @ right.T
        for picture in range(block, last):
            cosines[ends[picture] - start : ends[picture + 1] - start, ends[picture] : ends[picture + 1]] = -1
        rows = np.arange(len(cosines))
        for _ in range(NEIGHBOURS):
            columns = cosines.argmax(axis=1)
            near = cosines[rows, columns] > ALIKE
            yield from zip(image_index[start + rows[near]].tolist(), image_index[columns[near]].tolist(), strict=True)
            cosines[rows, columns] = -1


def _lay(
    pair: tuple[int, int, bool], pictures: Sequence[Pixels], points: Sequence[tuple[Plane, Plane]]
) -> Overlap | None:
    """Lay one picture on the other and compare what both show. None where no way of laying fits."""
    first, second, mirrored = pair
    affine = _match(points[first], points[second], mirrored)
    if affine is None or not _plausible(affine, mirrored):
        return None
    upper, lower = pictures[first], pictures[second]
    if abs(np.linalg.det(affine[:, :2])) > 1:  # compare at the coarser of both
        upper, lower, affine = lower, upper, cv2.invertAffineTransform(affine)
    back: NDArray[Any] = np.asarray(cv2.invertAffineTransform(affine), np.float32)
    everywhere = np.ones(upper.shape, np.uint8)
    steps = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-3)
    try:
        back = np.asarray(cv2.findTransformECC(lower, upper, back, cv2.MOTION_AFFINE, steps, everywhere, 5)[1])
    except cv2.error:  # the pictures differ so much that no step improves
        return None
    affine = cv2.invertAffineTransform(back)
    if not _plausible(affine, mirrored):
        return None
    return Overlap(
        first=first,
        second=second,
        likeness=_compare_laid(upper, lower, affine),
        whole=_covers(affine, upper.shape, lower.shape),
        turned=mirrored or abs(float(np.degrees(np.arctan2(affine[1, 0], affine[0, 0])))) > MAX_TILT,
    )


def _match(first: tuple[Plane, Plane], second: tuple[Plane, Plane], mirrored: bool) -> NDArray[Any] | None:
    """The affine map (2, 3) from the first picture to the second on which most points agree."""
    (places, descriptors), (others, other_descriptors) = first, second
    if mirrored:
        other_descriptors = _mirror(other_descriptors)
    matches = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(descriptors, other_descriptors)
    if len(matches) < MIN_POINTS:
        return None
    start = places[[match.queryIdx for match in matches]]
    end = others[[match.trainIdx for match in matches]]
    affine, inliers = cv2.estimateAffine2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=2.5, maxIters=1000)
    return affine if inliers is not None and int(inliers.sum()) >= MIN_POINTS else None


def _compare_laid(upper: Pixels, lower: Pixels, affine: NDArray[Any]) -> float:
    size = lower.shape[1], lower.shape[0]
    laid = cv2.warpAffine(upper, affine, size, borderMode=cv2.BORDER_REFLECT)
    covered = cv2.warpAffine(np.ones(upper.shape, np.float32), affine, size)
    shared = cv2.erode((covered > 0.99).astype(np.float32), np.ones((5, 5), np.uint8))
    return compare(fine_structure(laid), fine_structure(lower), np.asarray(shared, np.float32))


def _plausible(affine: NDArray[Any], mirrored: bool) -> bool:
    if not np.isfinite(affine).all():
        return False
    large, small = np.linalg.svd(affine[:, :2], compute_uv=False)
    reflects = bool(np.linalg.det(affine[:, :2]) < 0)
    return bool(small > 1 / MAX_ZOOM and large < MAX_ZOOM and large / small < MAX_STRETCH) and reflects == mirrored


def _covers(affine: NDArray[Any], upper: tuple[int, ...], lower: tuple[int, ...]) -> bool:
    """Of nearly one size, and laid middle on middle."""
    middle = affine @ (upper[1] / 2, upper[0] / 2, 1) - (lower[1] / 2, lower[0] / 2)
    sizes = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(np.abs(middle).max() < SAME * max(lower) and np.abs(sizes - 1).max() < SAME)


def _normalize(vectors: Plane) -> Plane:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))
