"""Several data sets: each is read by itself, together are all their units, and where they disagree it is said."""

from typing import Any

import pandas as pd
import pytest
from claim_rows import row

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.contrasts import contrast
from analysis.claims.labels import set_names
from analysis.claims.sets import count_units, split_sets, unit_words
from analysis.claims.verdicts import Assessment, assess
from analysis.evidence.schema import tidy

CELLS, NUCLEI = {"data": "cells", "data_digest": "aa"}, {"data": "nuclei", "data_digest": "bb"}
TIMES = "\N{MULTIPLICATION SIGN}"


def gains(values: list[float], **fields: Any) -> list[dict[str, Any]]:
    """Training images augmented less not augmented: a value each seed."""
    return [
        row("augmentation", 0.6 + gain * (augment == "train"), augment=augment, seed=seed, **fields)
        for seed, gain in enumerate(values)
        for augment in ("none", "train")
    ]


def found(code: str, rows: list[dict[str, Any]]) -> Assessment:
    (claim,) = (claim for claim in ALL_CLAIMS if claim.code == code)
    return assess(claim, tidy(rows))


def test_together_are_the_units_of_all_sets_and_folds() -> None:
    rows = [*gains([0.01, 0.02, 0.03], **CELLS), *gains([0.05, 0.06], fold=1, **CELLS), *gains([0.10], **NUCLEI)]
    one = found("augmentation.1", rows)
    assert (one.units, one.n, one.effect) == (6, 12, pytest.approx((0.01 + 0.02 + 0.03 + 0.05 + 0.06 + 0.10) / 6))
    assert one.counted == f"6 seeds {TIMES} folds {TIMES} data sets"
    assert one.text.endswith(f"; 6 seeds {TIMES} folds {TIMES} data sets")


def test_together_is_what_the_sets_say_each_by_itself() -> None:
    cells, nuclei = gains([0.01, 0.02, 0.03], **CELLS), gains([-0.04, -0.02, -0.03, -0.03], **NUCLEI)
    parts = [found("augmentation.1", rows) for rows in (cells, nuclei)]
    together = found("augmentation.1", cells + nuclei)
    assert together.effect == pytest.approx(sum(one.effect * one.units for one in parts) / 7)


def test_sets_that_disagree_in_sign_are_told() -> None:
    cells, nuclei = gains([0.03, 0.031, 0.032], **CELLS), gains([-0.019, -0.020, -0.021], **NUCLEI)
    (note,) = (note for note in found("augmentation.1", cells + nuclei).caveats if "disagree" in note)
    assert note == ("the data sets disagree on training only less none: +0.031 on cells, \N{MINUS SIGN}0.020 on nuclei")
    for other in ([-0.019, 0.02, -0.021], [-0.02, -0.02], [0.01, 0.011, 0.012]):  # unsure, too few, of the same sign
        caveats = found("augmentation.1", cells + gains(other, **NUCLEI)).caveats
        assert not any("disagree" in note for note in caveats)


def test_a_set_that_settled_on_other_values_is_compared_with_its_own_runs() -> None:
    """Another optimizer, rate and number of epochs: pooled by cells, no unit would have both sides."""
    base = {"scheduler": "plateau", "width": 16, "augment": "none"}
    rows = [
        row("extensions", dice, epochs=epochs, seed=seed, optimizer=optimizer, lr=lr, **base, **data)
        for data, optimizer, lr, longer in ((CELLS, "adam", 1e-3, (20, 40)), (NUCLEI, "sgd", 1e-1, (6, 12)))
        for epochs, dice in zip(longer, (0.6, 0.7), strict=True)
        for seed in range(3)
    ]
    one = found("extensions.5", rows)
    assert (one.units, one.verdict, one.effect) == (6, "supported", pytest.approx(0.1))
    assert one.text.startswith("twice the epochs less the settled ones")
    assert not any("confounded" in note or "left out" in note for note in one.caveats)


def test_what_one_set_lacks_is_said_with_its_name() -> None:
    one = found("augmentation.1", [*gains([0.01] * 3, **CELLS), row("augmentation", 0.6, **NUCLEI)])
    assert one.units == 3
    assert "nothing of nuclei: no rows with and without augmentation" in one.caveats
    both = [*gains([0.01] * 3, **CELLS), row("augmentation", 0.6, augment="both", **CELLS), *gains([0.0], **NUCLEI)]
    assert any(note.startswith("on cells: where validation images") for note in found("augmentation.1", both).caveats)


def test_sets_are_named_and_by_their_digest_too_where_two_share_a_name() -> None:
    assert set_names([("aa", "cells"), ("bb", "nuclei")]) == {"aa": "cells", "bb": "nuclei"}
    assert set_names([("aa", "cells"), ("bb", "cells")]) == {"aa": "cells (aa)", "bb": "cells (bb)"}
    table = tidy([*gains([0.1], **NUCLEI), *gains([0.1], **CELLS), *gains([0.1], data_digest="cc")])
    assert list(split_sets(table)) == ["nuclei", "cells", "cc"]


@pytest.mark.parametrize(
    ("folds", "sets", "words"),
    [
        (1, 1, "2 seeds"),
        (2, 1, f"2 seeds {TIMES} folds"),
        (1, 2, f"2 seeds {TIMES} data sets"),
    ],
)
def test_a_unit_is_named_by_what_there_is_several_of(folds: int, sets: int, words: str) -> None:
    units = ["a 0.0 0.0", f"{'ab'[sets - 1]} {folds - 1}.0 1.0"]
    (known,) = contrast("a gain", pd.Series([0.1, 0.2], index=units))
    assert count_units(2, unit_words([known])) == words
    assert count_units(1, unit_words([known])).startswith("1 seed")


def test_a_set_with_too_few_seeds_for_a_variance_leaves_the_others_as_they_are() -> None:
    def scores(seeds: int, **fields: Any) -> list[dict[str, Any]]:
        gains = {
            ("adam", "switching"): 0.01,
            ("adam", "bce"): 0.02,
            ("rmsprop", "switching"): 0.0,
            ("rmsprop", "bce"): 0.1,
        }
        return [
            row(
                "losses",
                0.7 + gain + 0.001 * seed * (loss == "bce"),
                optimizer=optimizer,
                loss=loss,
                seed=seed,
                **fields,
            )
            for seed in range(seeds)
            for (optimizer, loss), gain in gains.items()
        ]

    alone = found("summary.1", scores(4, **CELLS))
    both = found("summary.1", scores(4, **CELLS) + scores(1, **NUCLEI))
    assert alone.effect < 0
    assert (both.effect, both.low, both.high, both.units) == (alone.effect, alone.low, alone.high, alone.units)
