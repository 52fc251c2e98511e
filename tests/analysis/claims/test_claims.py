"""Claims are rules in one engine: the same for published and measured numbers, and seeds are its units."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from claim_rows import found, row, six

from analysis.claims.claims import ALL_CLAIMS, CLAIMS, check_claims
from analysis.claims.comparisons import compare_with_reference
from analysis.claims.contrasts import SMALLEST
from analysis.claims.rows import edge_caveats
from analysis.claims.stats import holm, interquartile_mean
from analysis.claims.verdicts import Assessment
from analysis.evidence.schema import load_published, tidy
from training.study.plan import make_plan
from training.study.settings import Settings
from training.study.studies import STUDIES, baseline_from_report

# What no published number says anything of: no such row, or a choice among rows that are not published.
UNTESTED_ON_PUBLISHED = {
    *("learning_rate.2", "optimizers.3", "training_data.3", "schedulers.7", "schedulers.8", "summary.2", "summary.3"),
    "decay_by_loss.1",
    *("learning_rate.1", "schedulers.3", "weight_decay.1", "dropout.3", "augmentation.1", "mask_equalization.1"),
    *(claim.code for claim in ALL_CLAIMS if claim.study in ("extensions", "default_rates")),
}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def published() -> dict[str, Assessment]:
    return check_claims(load_published())


def equalized(losses: list[float]) -> Rows:
    """Dice 0.7 with masks as they are, and so much less with equalized ones; a seed each."""
    return [
        row("mask_equalization", 0.7 - cost, equalize_masks=cost > 0, seed=seed)
        for seed, loss in enumerate(losses)
        for cost in (0.0, loss)
    ]


def against_bce(gains: list[float], **fields: Any) -> Rows:
    """Switching's gain over BCE, a seed each, under one optimizer."""
    return [
        row("optimizers", 0.6 + gain * (loss == "switching"), loss=loss, seed=seed, **fields)
        for seed, gain in enumerate(gains)
        for loss in ("switching", "bce")
    ]


def test_there_are_37_claims_of_the_report_and_every_study_has_one() -> None:
    assert len(CLAIMS) == 37
    assert {claim.study for claim in ALL_CLAIMS} == {*STUDIES, "summary"}


@pytest.mark.parametrize("code", [claim.code for claim in ALL_CLAIMS])
def test_one_published_run_per_cell_decides_nothing(code: str, published: dict[str, Assessment]) -> None:
    assert published[code].verdict == ("untested" if code in UNTESTED_ON_PUBLISHED else "undecided")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("optimizers.2", "switching less BCE +0.148; one run per cell decides nothing"),
        ("schedulers.6", "plateau less none +0.003"),
        ("schedulers_by_data.1", "plateau less step +0.077"),
        ("schedulers_by_data.2", "Adam less SGD +0.053"),
        ("weight_decay.2", "best at 20 %: 0.001; best at 40 %: 0.001"),
        ("weight_decay.3", "0.001 less 0.01 +0.023, 0.01 less 0.1 +0.031"),
        ("dropout.1", "none less 0.2 +0.248, none less 0.5 +0.487"),
        ("dropout.2", "0.164 at 20 %"),
        ("dropout.2", "0.556 at 80 %"),
        ("losses.2", "BCE 0.689, inverse Dice BCE 0.672"),
        ("losses.3", "Dice BCE 0.613"),
        ("summary.1", "0.090 (Adam) against 0.112 (RMSprop)"),
    ],
)
def test_the_published_effects_are_told(code: str, words: str, published: dict[str, Assessment]) -> None:
    """Computed apart from this code, when the report was transcribed."""
    assert words in published[code].text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("training_data.1", "scheduler"),
        ("schedulers.2", "confounded: the rows differ in learning rate"),
        ("schedulers_by_data.1", "validation images are the training images"),
        ("losses.4", "repeats one of optimizers"),
        ("losses.5", "confounded: the rows differ in learning rate"),
        ("summary.1", "at a lower mean"),
    ],
)
def test_the_caveats_on_the_published_numbers(code: str, words: str, published: dict[str, Assessment]) -> None:
    assert words in "; ".join(published[code].caveats)


def test_nothing_measured_leaves_every_claim_untested() -> None:
    assert {one.verdict for one in check_claims(tidy([])).values()} == {"untested"}


def test_a_claim_cannot_tell_measured_from_published(published: dict[str, Assessment]) -> None:
    again = check_claims(load_published().assign(source="measured"))
    assert {code: (one.verdict, one.text) for code, one in again.items()} == {
        code: (one.verdict, one.text) for code, one in published.items()
    }


def test_the_interval_is_student_s_over_seeds() -> None:
    """Costs of 0.3 to 0.5: mean 0.4, sd 0.1, t of 2 degrees of freedom 4.303."""
    one = found("mask_equalization.1", equalized([0.3, 0.4, 0.5]))
    reach = 4.303 * 0.1 / math.sqrt(3)
    assert (one.effect, one.low, one.high) == pytest.approx((0.4, 0.4 - reach, 0.4 + reach), abs=1e-4)
    assert (one.verdict, one.units, one.n) == ("undecided", 3, 6)


@pytest.mark.parametrize(("seeds", "verdict"), [(1, "undecided"), (2, "undecided"), (6, "supported")])
def test_fewer_than_three_seeds_decide_nothing(seeds: int, verdict: str) -> None:
    assert found("mask_equalization.1", equalized([0.5, 0.51, 0.49, 0.5, 0.52, 0.48][:seeds])).verdict == verdict


def test_settings_are_averaged_within_a_seed_and_are_no_units() -> None:
    """Two optimizers that disagree, each the same over all seeds: their mean is known for sure."""
    rows = against_bce([0.3, 0.301, 0.299]) + against_bce([-0.1, -0.101, -0.099], optimizer="sgd")
    one = found("optimizers.2", rows)
    assert (one.units, one.n, one.effect) == (3, 12, pytest.approx(0.1))
    assert one.high - one.low < 0.01


def test_a_sure_but_tiny_effect_is_no_difference_worth_the_name() -> None:
    tiny = [0.003, 0.0031, 0.0029, 0.003, 0.0032, 0.0028]
    one = found("optimizers.2", against_bce(tiny))
    assert one.low > 0
    assert one.high < SMALLEST
    assert one.verdict == "contradicted"
    assert found("optimizers.2", against_bce([10 * gain for gain in tiny])).verdict == "supported"


def test_a_run_that_diverged_counts_as_dice_0() -> None:
    """Switching is better by 0.2 where it converges, and diverges in four of six seeds: that is no better loss."""
    rows = against_bce([0.2, 0.21, 0.19, 0.2, 0.22, 0.18])
    for fields in rows:
        if fields["loss"] == "switching" and fields["seed"] < 4:
            fields |= {"val_dice": math.nan, "diverged": True}
    one = found("optimizers.2", rows)
    assert one.effect == pytest.approx((4 * -0.6 + 0.22 + 0.18) / 6)
    assert one.verdict == "undecided"
    assert "4 of 12 runs diverged: as Dice they count 0" in one.caveats


def test_both_means_one_by_one() -> None:
    """Dropout 0.2 helps and 0.5 hurts a lot: in the mean they hurt, and `both are too high` is wrong."""
    rows = [row("dropout", dice, dropout=dropout) for dropout, dice in ((0.0, 0.7), (0.2, 0.75), (0.5, 0.4))]
    one = found("dropout.1", six(rows))
    assert one.verdict == "contradicted"
    assert "none less 0.2 \N{MINUS SIGN}0.050" in one.text


def test_of_seeds_that_lack_rows_the_rest_decides() -> None:
    rows = against_bce([0.1] * 4) + against_bce([0.2] * 3, optimizer="sgd")
    one = found("optimizers.2", rows)
    assert (one.units, one.effect) == (3, pytest.approx(0.15))
    assert "left out: 1 seed without all of the rows" in one.caveats


def test_folds_and_data_sets_are_units_too() -> None:
    rows = [
        fields | {"fold": fold, "data_digest": data}
        for fold, data in ((0, "a"), (1, "a"), (0, "b"))
        for fields in equalized([0.5, 0.52])
    ]
    one = found("mask_equalization.1", rows)
    assert (one.units, one.verdict) == (6, "supported")


def test_what_was_chosen_is_judged_on_other_seeds() -> None:
    """Of four rates that all do the same, each optimizer's best one looks better than a common one, by luck alone."""
    rng = np.random.default_rng(0)
    rows = [
        row("learning_rate", 0.7 + rng.normal(0, 0.03), loss=loss, optimizer=name, lr=lr, seed=seed)
        for loss in ("bce", "switching")
        for name in ("adam", "sgd", "rmsprop")
        for lr in (1e-4, 1e-3, 1e-2, 1e-1)
        for seed in range(6)
    ]
    one = found("learning_rate.1", rows)
    assert "x apart" in one.text
    assert one.low < 0 < one.high


def test_among_many_claims_a_p_of_one_in_thirty_decides_nothing() -> None:
    """By itself it does: the false discovery rate of the page is held over all claims that were tested."""
    rows = against_bce([0.03, 0.05, 0.01, 0.02, 0.06, -0.005])
    assert found("optimizers.2", rows).verdict == "supported"
    rng, losses = np.random.default_rng(0), ("bce", "dice", "switching", "inverse_dice")
    others = [row("losses", 0.7, loss=loss, optimizer=name) for loss in losses for name in ("adam", "sgd", "rmsprop")]
    noisy = [fields | {"val_dice": 0.7 + rng.normal(0, 0.05)} for fields in six(others)]
    one = check_claims(tidy(rows + noisy))["optimizers.2"]
    assert one.verdict == "undecided"
    assert any("by itself it would be supported" in caveat for caveat in one.caveats)
    assert one.p < 0.05 < one.p_adjusted


def test_rows_validated_on_training_images_decide_nothing() -> None:
    rows = [row("schedulers_by_data", 0.9, scheduler="plateau", train_percent=100)]
    rows += [row("schedulers_by_data", 0.1, scheduler="step", train_percent=100)]
    assert found("schedulers_by_data.1", six(rows)).verdict == "untested"
    assert found("weight_decay.4", six([row("weight_decay", 0.9, train_percent=100)])).verdict == "untested"


def test_dropout_is_compared_with_the_same_study_s_control() -> None:
    rows = [row("dropout", 0.5, dropout=0.0), row("dropout", 0.2, dropout=0.2), row("dropout", 0.2, dropout=0.5)]
    rows += [row("weight_decay", 0.0)]  # would turn the verdict, were it the control
    assert found("dropout.1", six(rows)).verdict == "supported"


def test_adagrad_early_and_lower_needs_epochs_to_converge() -> None:
    curve = {"epochs_to_converge": 40, "val_dice_roughness": 0.05}
    rows = [row("schedulers", 0.7, optimizer=name, **curve) for name in ("adam", "sgd")]
    rows += [row("schedulers", 0.5, optimizer="adagrad", epochs_to_converge=10, val_dice_roughness=0.01)]
    assert found("schedulers.3", six(rows)).verdict == "supported"
    assert found("schedulers.3", six([{**r, "epochs_to_converge": None} for r in rows])).verdict == "untested"


def test_a_best_value_at_the_edge_of_its_range_is_a_caveat() -> None:
    def tried(best: float) -> tuple[str, ...]:
        decays = (0.1, 0.01, 0.001)
        rows = [row("weight_decay", 0.7 if decay == best else 0.5, weight_decay=decay) for decay in decays]
        return found("weight_decay.3", rows).caveats

    assert "the best weight decay is at the edge of the range tried" in tried(0.001)
    assert not any("edge" in caveat for caveat in tried(0.01))


@pytest.mark.parametrize(
    ("best", "rates", "edge"),
    [
        (1e-3, (1e-4, 1e-3, 1e-2, 1e-1, 2e-3, 3e-3, 4e-3, 5e-3, 7e-3), True),  # search=report, best digit 1
        (2e-3, (1e-4, 1e-3, 1e-2, 1e-1, 2e-3, 3e-3, 4e-3, 5e-3, 7e-3), False),
        (9e-3, (1e-4, 1e-3, 1e-2, 1e-1, 5e-3, 6e-3, 7e-3, 8e-3, 9e-3), False),
        (1e-3, (1e-4, 1e-3, 1e-2, 1e-1), False),  # decades only
        (1e-3, (1e-4, 1e-3, 1e-2, 1e-1, 3.2e-4, 3.2e-3, 5.6e-4, 1.8e-3, 1.3e-3), False),  # search=geometric
        (1.3e-5, (1e-4, 1e-3, 1e-2, 1e-1, 3.2e-5, 3.2e-4, 1.8e-5, 5.7e-5, 1.3e-5), True),
    ],
)
def test_a_best_rate_whose_lower_decade_a_search_left_untried_is_at_an_edge(
    best: float, rates: tuple[float, ...], edge: bool
) -> None:
    rows = [row("learning_rate", 0.7 if lr == best else 0.5, lr=lr) for lr in rates]
    assert ("the best learning rate is at the edge of the range tried" in edge_caveats(tidy(rows))) == edge


def test_a_row_s_own_rate_at_the_edge_of_its_search_is_a_caveat() -> None:
    rows = [row("schedulers", 0.7, optimizer=name, rate_at_edge=name == "sgd") for name in ("adam", "sgd", "rmsprop")]
    assert edge_caveats(tidy(six(rows))) == ["the best learning rate is at the edge of the range tried in 1 of 3 rows"]
    assert edge_caveats(tidy(six([one | {"rate_at_edge": False} for one in rows]))) == []


def test_no_dropout_is_the_natural_end_of_its_range_and_no_edge() -> None:
    rows = [row("dropout", 0.7 - dropout, dropout=dropout) for dropout in (0.0, 0.2, 0.5)]
    assert not any("edge" in caveat for caveat in found("dropout.1", rows).caveats)


def test_a_collapsed_run_is_told() -> None:
    rows = [row("optimizers", 0.6, optimizer="sgd"), row("optimizers", 0.0, collapsed=True)]
    caveats = found("optimizers.1", rows).caveats
    assert "1 run collapsed: no better than a mask that is all foreground or none" in caveats


def test_holm_multiplies_the_smallest_by_all_and_never_goes_down() -> None:
    assert holm([0.01, 0.04, 0.03, math.nan]) == pytest.approx([0.03, 0.06, 0.06, math.nan], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_interquartile_mean_forgets_the_extremes() -> None:
    assert interquartile_mean([0.0, 0.5, 0.7, 1.0]) == pytest.approx(0.6)
    assert math.isnan(interquartile_mean([0.5, 0.7, math.nan]))


def test_trials_of_as_many_steps_are_judged_as_those_of_as_many_epochs_are() -> None:
    """With budget=steps epochs differ by the amount of data, which confounds nothing: rows are matched by it."""

    def measured(budget: str) -> pd.DataFrame:
        chosen = Settings(
            preset="small", epochs="preset", image_size="preset", fit="resize", seeds=3, baseline="report",
            search="geometric", rates="auto", budget=budget, protocol="fixed", switching_tau=0.05, precision="fp32",
            val_percent=10, test_percent=10, fold=0,
        )  # fmt: skip
        rows = []
        for name in ("training_data", "schedulers_by_data", "weight_decay", "dropout"):
            made = make_plan(STUDIES[name], baseline_from_report(STUDIES[name]), chosen)
            trials = [trial for search in made.searches for trial in search.propose({})]
            rng = np.random.default_rng(0)
            rows += [
                {"source": "measured", "study": name, "val_dice": rng.uniform(0.5, 0.9), **vars(trial)}
                for trial in trials
            ]
        return tidy(rows)

    steps, epochs = measured("steps"), measured("epochs")
    assert steps["epochs"].nunique() > epochs["epochs"].nunique()
    judged = [
        {code: (one.verdict, one.text, one.caveats, one.n) for code, one in check_claims(table).items()}
        for table in (steps, epochs)
    ]
    assert judged[0] == judged[1]
    for study in STUDIES.values():
        pd.testing.assert_frame_equal(compare_with_reference(study, steps), compare_with_reference(study, epochs))
