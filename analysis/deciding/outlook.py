"""What further seeds would bring: the chance that an undecided claim is decided, from the spreads seen so far.

Seeds that nobody trained are drawn beside those that were: around a mean and with a spread that the trained ones leave
open, contrasts correlated as they were. What is drawn is looked at as real seeds will be (looks.py). Only for choosing
what to train, and for saying what it would take: no verdict rests on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.contrasts import POWER, Contrast, Finding, p_values
from analysis.claims.looks import share_of, up_to
from analysis.claims.verdicts import ERROR, Assessment, Claim
from training.study.intervals import MIN_UNITS

DRAWS = 100
MAX_SEEDS = 150  # beyond these, nobody trains a cell


@dataclass(frozen=True)
class Outlook:
    """Of an undecided claim, at each look to come: with how many seeds (on each fold), and how likely it is decided."""

    seeds: tuple[int, ...]
    chances: tuple[float, ...]

    @property
    def needed(self) -> int | None:
        """The seeds with which 4 of 5 such claims are decided; None where MAX_SEEDS are not enough."""
        likely = (seeds for seeds, chance in zip(self.seeds, self.chances, strict=True) if chance >= POWER)
        return next(likely, None)


def foresee(
    claim: Claim, found: Assessment, first: int, decided: float, rng: np.random.Generator, folds: int = 1
) -> Outlook:
    """first: seeds of the first pass, on each of the folds; decided: the share of the page's claims that are decided
    already, this one counted, on which its p has to rank (Benjamini and Hochberg).
    """
    ahead = [(number, seeds) for number, seeds in enumerate(up_to(MAX_SEEDS, first), start=1) if number > found.looks]
    known = pd.concat([one.contrast.per_unit for one in found.findings], axis="columns", join="inner").to_numpy()
    if len(known) < MIN_UNITS or not ahead or not all(_grows(one.contrast) for one in found.findings):
        return Outlook((), ())
    drawn = _draw(known, ahead[-1][1] * folds - len(known), rng)
    is_decided, chances = np.zeros(DRAWS, dtype=bool), []
    for number, seeds in ahead:
        p = _judge(claim, found.findings, drawn[:, : seeds * folds]) / share_of(number)
        is_decided |= p <= ERROR * decided
        chances.append(float(is_decided.mean()))
    return Outlook(tuple(seeds for _, seeds in ahead), tuple(chances))


def _grows(contrast: Contrast) -> bool:
    """Whether further seeds are further units, and may decide."""
    return contrast.of_what == "seed" and not contrast.hindrances


def _draw(known: np.ndarray, more: int, rng: np.random.Generator) -> np.ndarray:
    """The known units (units, contrasts) and so many more, DRAWS times: (DRAWS, units, contrasts)."""
    units, contrasts = known.shape
    mean = known.mean(axis=0)
    root = (known - mean) / math.sqrt(units - 1)  # root.T @ root is the covariance of the contrasts
    scale = np.sqrt((units - 1) / rng.chisquare(units - 1, (DRAWS, 1, 1)))
    centre = mean + scale * (rng.normal(size=(DRAWS, 1, units)) @ root) / math.sqrt(units)
    drawn = centre + scale * (rng.normal(size=(DRAWS, more, units)) @ root)
    return np.concatenate([np.broadcast_to(known, (DRAWS, units, contrasts)), drawn], axis=1)


def _judge(claim: Claim, findings: Sequence[Finding], samples: np.ndarray) -> np.ndarray:
    """The two-sided p value of the claim in each of the samples (DRAWS, units, contrasts)."""
    by_contrast = [p_values(one.contrast, samples[..., place]) for place, one in enumerate(findings)]
    effects = samples.mean(axis=1)
    p = np.empty(len(samples))
    for draw in range(len(samples)):
        judged = claim.judge(
            [
                Finding(
                    contrast=one.contrast,
                    effect=effects[draw, place],
                    spread=math.nan,
                    low=math.nan,
                    high=math.nan,
                    p_for=p_for[draw],
                    p_against=p_against[draw],
                    units=samples.shape[1],
                )
                for place, (one, (p_for, p_against)) in enumerate(zip(findings, by_contrast, strict=True))
            ]
        )
        p[draw] = 2 * min(judged.p_for, judged.p_against)
    return p
