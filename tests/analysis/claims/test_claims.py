"""Claims are rules: on the printed numbers they give the known verdicts, on other numbers other ones."""

import math
from typing import Any

import numpy as np
import pytest
from claim_rows import row, six

from analysis.claims.claims import ALL_CLAIMS, CLAIMS, check_claims
from analysis.claims.rules import by_share
from analysis.claims.stats import holm, interquartile_mean, interval, jackknife_interval, p_value, pair
from analysis.claims.verdicts import Verdict
from analysis.evidence.schema import load_published, tidy
from training.study.studies import STUDIES

# Computed apart from this code, when the report was transcribed: what its printed tables themselves support.
ON_THE_PRINTED_NUMBERS = {
    "learning_rate.1": "supported",
    "optimizers.1": "supported",
    "optimizers.2": "supported",
    "training_data.1": "supported",
    "schedulers.1": "supported",
    "schedulers.2": "supported",
    "schedulers.3": "untested",
    "schedulers.4": "contradicted",
    "schedulers.5": "supported",
    "schedulers.6": "undecided",
    "schedulers_by_data.1": "supported",
    "schedulers_by_data.2": "supported",
    "weight_decay.1": "untested",
    "weight_decay.2": "contradicted",
    "weight_decay.3": "supported",
    "weight_decay.4": "supported",
    "dropout.1": "supported",
    "dropout.2": "supported",
    "dropout.3": "untested",
    "losses.1": "undecided",
    "losses.2": "undecided",
    "losses.3": "undecided",
    "losses.4": "supported",
    "losses.5": "supported",
    "augmentation.1": "untested",
    "mask_equalization.1": "untested",
    "summary.1": "supported",
}


@pytest.fixture(scope="module")
def printed() -> dict[str, Verdict]:
    return check_claims(load_published())


def verdict(code: str, rows: list[dict[str, Any]]) -> Verdict:
    (claim,) = (claim for claim in ALL_CLAIMS if claim.code == code)
    return claim.check(tidy(rows))


def test_there_are_27_claims_in_the_order_of_the_report() -> None:
    assert [claim.code for claim in CLAIMS] == list(ON_THE_PRINTED_NUMBERS)
    assert {claim.study for claim in ALL_CLAIMS} == {*STUDIES, "summary"}


@pytest.mark.parametrize("code", list(ON_THE_PRINTED_NUMBERS))
def test_the_printed_numbers_support_what_the_golden_column_says(code: str, printed: dict[str, Verdict]) -> None:
    assert printed[code].answer == ON_THE_PRINTED_NUMBERS[code]


@pytest.mark.parametrize(
    ("code", "effect", "low", "high", "pairs"),
    [
        ("schedulers.6", 0.003, -0.099, 0.095, 5),
        ("schedulers_by_data.1", 0.077, 0.059, 0.103, 4),
        ("schedulers_by_data.2", 0.053, 0.030, 0.074, 4),
    ],
)
def test_effects_and_intervals_on_the_printed_numbers(
    code: str, effect: float, low: float, high: float, pairs: int, printed: dict[str, Verdict]
) -> None:
    found = printed[code]
    assert found.pairs == pairs
    assert (found.effect, found.low, found.high) == pytest.approx((effect, low, high), abs=0.0015)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("learning_rate.1", "100x apart"),
        ("optimizers.1", "0.133 to 0.859"),
        ("optimizers.2", "5 of 6 pairs; mean +0.148"),
        ("schedulers.1", "3 of 5"),
        ("schedulers.4", "Adam: spread 0.093, SGD: spread 0.097"),
        ("schedulers.5", "0.604 (none) < 0.633 (step) < 0.736 (plateau)"),
        ("schedulers_by_data.1", "4 of 4"),
        ("schedulers_by_data.2", "4 of 4"),
        ("weight_decay.2", "best at 20 %: 0.001; best at 40 %: 0.001"),
        ("weight_decay.3", "0.909 (0.1) < 0.940 (0.01) < 0.963 (0.001)"),
        ("weight_decay.4", "0.822"),
        ("dropout.1", "lower in 8 of 8 pairs; mean \N{MINUS SIGN}0.368"),
        ("dropout.2", "0.164 at 20 %"),
        ("dropout.2", "0.556 at 80 %"),
        ("losses.1", "switching 0.745"),
        ("losses.2", "BCE 0.689, inverse Dice BCE 0.672"),
        ("losses.3", "Dice BCE 0.613"),
        ("losses.4", "0.859"),
        ("summary.1", "0.090 (Adam) against 0.112 (RMSprop)"),
    ],
)
def test_the_evidence_on_the_printed_numbers(code: str, words: str, printed: dict[str, Verdict]) -> None:
    assert words in printed[code].text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("optimizers.2", "rests on one pair (AdaDelta, +0.70)"),
        ("training_data.1", "scheduler"),
        ("schedulers.2", "confounded: the arms differ in learning rate"),
        ("schedulers_by_data.1", "validation images are the training images"),
        ("weight_decay.4", "n = 1"),
        ("dropout.2", "at the ends only"),
        ("losses.4", "repeats one of optimizers"),
        ("losses.5", "confounded: the arms differ in learning rate"),
        ("summary.1", "at a lower mean"),
    ],
)
def test_the_caveats_on_the_printed_numbers(code: str, words: str, printed: dict[str, Verdict]) -> None:
    assert words in "; ".join(printed[code].caveats)


def test_nothing_measured_leaves_every_claim_untested() -> None:
    assert {found.answer for found in check_claims(tidy([])).values()} == {"untested"}


def test_a_claim_cannot_tell_measured_from_printed(printed: dict[str, Verdict]) -> None:
    assert check_claims(load_published().assign(source="measured")) == pytest.approx(printed, nan_ok=True)


@pytest.mark.parametrize(
    ("switching", "answer"), [((0.8, 0.7, 0.6, 0.9), "supported"), ((0.3, 0.2, 0.1, 0.4), "contradicted")]
)
def test_switching_beats_bce_or_does_not(switching: tuple[float, ...], answer: str) -> None:
    names = ("adam", "sgd", "rmsprop", "adagrad")
    rows = [row("optimizers", 0.5, optimizer=name, loss="bce") for name in names]
    rows += [row("optimizers", dice, optimizer=name) for name, dice in zip(names, switching, strict=True)]
    assert verdict("optimizers.2", rows).answer == answer


@pytest.mark.parametrize(("best", "answer"), [(0.1, "supported"), (0.01, "supported"), (0.001, "contradicted")])
def test_little_data_needs_the_decay_that_does_best_there(best: float, answer: str) -> None:
    rows = [
        row("weight_decay", 0.6 if decay == best else 0.5, weight_decay=decay, train_percent=percent)
        for decay in (0.1, 0.01, 0.001)
        for percent in (20, 40)
    ]
    assert verdict("weight_decay.2", six(rows)).answer == answer
    assert verdict("weight_decay.2", rows).answer == "undecided", "one seed"


@pytest.mark.parametrize(("dice", "answer"), [(0.2, "supported"), (0.8, "contradicted")])
def test_dropout_is_judged_against_the_same_studys_control(dice: float, answer: str) -> None:
    rows = [row("dropout", 0.5, dropout=0.0), row("dropout", dice, dropout=0.2), row("dropout", dice, dropout=0.5)]
    rows += [row("weight_decay", 0.0)]  # would turn the verdict, were it the control
    found = verdict("dropout.1", rows)
    assert (found.answer, found.pairs) == (answer, 2)


@pytest.mark.parametrize(
    ("dices", "answer"), [((0.02, 0.03), "supported"), ((0.02, 0.9), "undecided"), ((0.9, 0.9), "contradicted")]
)
def test_dropout_of_0_8_converges_or_does_not(dices: tuple[float, float], answer: str) -> None:
    rows = [row("dropout", dice, dropout=0.8, train_percent=p) for dice, p in zip(dices, (20, 80), strict=True)]
    assert verdict("dropout.3", rows).answer == answer


@pytest.mark.parametrize(("gain", "answer"), [(-0.1, "supported"), (0.1, "contradicted")])
def test_augmentation_helps_or_does_not(gain: float, answer: str) -> None:
    rows = [row("augmentation", 0.6), row("augmentation", 0.6 + gain, augment="train")]
    assert verdict("augmentation.1", six(rows)).answer == answer


@pytest.mark.parametrize(("loss", "answer"), [(0.3, "supported"), (0.1, "undecided"), (0.0, "contradicted")])
def test_equalized_masks_cost_very_much_or_not(loss: float, answer: str) -> None:
    rows = [row("mask_equalization", 0.7), row("mask_equalization", 0.7 - loss, equalize_masks=True)]
    assert verdict("mask_equalization.1", six(rows)).answer == answer


def test_adagrad_early_and_lower_needs_epochs_to_converge() -> None:
    rows = [row("schedulers", 0.5, optimizer="adagrad", epochs_to_converge=10)]
    rows += [row("schedulers", 0.7, optimizer=name, epochs_to_converge=40) for name in ("adam", "sgd")]
    assert verdict("schedulers.3", six(rows)).answer == "supported"
    assert verdict("schedulers.3", [{**r, "epochs_to_converge": None} for r in rows]).answer == "untested"


def test_rows_validated_on_training_images_decide_nothing() -> None:
    rows = [row("schedulers_by_data", 0.9, scheduler="plateau", train_percent=100)]
    rows += [row("schedulers_by_data", 0.1, scheduler="step", train_percent=100)]
    assert verdict("schedulers_by_data.1", rows).answer == "untested"
    assert verdict("weight_decay.4", [row("weight_decay", 0.9, train_percent=100)]).answer == "untested"


def test_seeds_pair_with_themselves_and_count_as_one_cell() -> None:
    rows = [
        row("mask_equalization", 0.7 + 0.1 * seed - 0.3 * equalized, equalize_masks=bool(equalized), seed=seed)
        for seed in range(3)
        for equalized in (0, 1)
    ]
    found = verdict("mask_equalization.1", rows)
    assert (found.pairs, found.n) == (1, 6)
    assert found.low == pytest.approx(found.high)  # every seed loses just as much
    assert "one run per cell (n = 1)" not in found.caveats


def test_a_diverged_run_forms_no_pair_and_is_told() -> None:
    rows = [row("mask_equalization", 0.7), row("mask_equalization", math.nan, equalize_masks=True, diverged=True)]
    assert verdict("mask_equalization.1", rows).answer == "untested"
    rows += [row("mask_equalization", 0.7, seed=1), row("mask_equalization", 0.2, equalize_masks=True, seed=1)]
    found = verdict("mask_equalization.1", rows)
    assert found.effect == pytest.approx(-0.5)
    assert "1 run diverged and left no score" in found.caveats


def test_pairs_match_unknown_seeds_with_unknown_seeds_only() -> None:
    table = tidy([row("optimizers", 0.6, seed=None), row("optimizers", 0.5, loss="bce", seed=1)])
    left, right = table[table["loss"] == "switching"], table[table["loss"] == "bce"]
    assert len(pair(left, right, match=["optimizer"], compared="loss")) == 0


def test_the_interval_of_equal_values_is_a_point_and_of_one_value_unknown() -> None:
    assert interval([0.2, 0.2, 0.2]) == pytest.approx((0.2, 0.2))
    assert all(math.isnan(end) for end in interval([0.2]))


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    ends = [interval(rng.normal(size=30)) for _ in range(100)]
    assert sum(low <= 0 <= high for low, high in ends) / 100 == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize(
    ("holds", "answer"), [([True, True], "supported"), ([True, False], "undecided"), ([False], "contradicted")]
)
def test_a_claim_about_several_cells_has_to_hold_in_all_or_none(holds: list[bool], answer: str) -> None:
    assert by_share(holds) == answer


@pytest.mark.parametrize(("seeds", "answer"), [(1, "undecided"), (5, "undecided"), (6, "supported")])
def test_seeds_alone_decide_from_six_on(seeds: int, answer: str) -> None:
    rows = [row("mask_equalization", 0.7, seed=seed) for seed in range(seeds)]
    rows += [row("mask_equalization", 0.2, equalize_masks=True, seed=seed) for seed in range(seeds)]
    found = verdict("mask_equalization.1", rows)
    assert found.answer == answer
    assert any("would be supported, but seeds alone decide here" in note for note in found.caveats) == (seeds < 6)


def test_pairs_over_another_factor_need_no_six_seeds() -> None:
    rows = [
        row("schedulers_by_data", 0.6 + 0.1 * (scheduler == "plateau"), scheduler=scheduler, train_percent=percent)
        for scheduler in ("step", "plateau")
        for percent in (20, 40)
    ]
    assert verdict("schedulers_by_data.1", rows).answer == "supported"


def test_a_single_best_cell_has_to_lead_over_its_seeds_too() -> None:
    sure = [row("losses", 0.7, optimizer="rmsprop", loss="bce"), row("losses", 0.6)]
    assert verdict("losses.4", six(sure)).answer == "supported"
    noisy = [fields | {"val_dice": 0.62 + (0.3 if fields["seed"] == 0 else -0.03)} for fields in six(sure[:1])]
    found = verdict("losses.4", noisy + six(sure[1:]))
    assert found.effect > 0.01
    assert found.answer == "undecided"


def test_a_best_value_at_the_edge_of_its_range_is_a_caveat() -> None:
    def tried(best: float) -> tuple[str, ...]:
        decays = (0.1, 0.01, 0.001)
        rows = [row("weight_decay", 0.7 if decay == best else 0.5, weight_decay=decay) for decay in decays]
        return verdict("weight_decay.3", rows).caveats

    assert "the best weight decay is at the edge of the range tried" in tried(0.001)
    assert not any("edge" in caveat for caveat in tried(0.01))


def test_no_dropout_is_the_natural_end_of_its_range_and_no_edge() -> None:
    rows = [row("dropout", 0.7 - dropout, dropout=dropout) for dropout in (0.0, 0.2, 0.5)]
    assert not any("edge" in caveat for caveat in verdict("dropout.1", rows).caveats)


def test_a_collapsed_run_is_told() -> None:
    rows = [row("optimizers", 0.6, optimizer="sgd"), row("optimizers", 0.0, collapsed=True)]
    assert (
        "1 run collapsed: no better than a mask that is all foreground or none" in verdict("optimizers.1", rows).caveats
    )


def test_intervals_over_cells_and_over_seeds_are_kept_apart() -> None:
    """The two optimizers disagree, each very steadily over its seeds."""
    gains = {"adam": 0.3, "sgd": -0.1}
    rows = [
        row("optimizers", 0.5 + (loss == "switching") * gain + 0.001 * seed, optimizer=name, loss=loss, seed=seed)
        for name, gain in gains.items()
        for loss in ("bce", "switching")
        for seed in range(3)
    ]
    table = tidy(rows)
    left, right = table[table["loss"] == "switching"], table[table["loss"] == "bce"]
    found = pair(left, right, match=["optimizer"], compared="loss")
    assert (found.low, found.high) == pytest.approx((-0.1, 0.3))
    assert (found.seed_low, found.seed_high) == pytest.approx((0.1, 0.1))


def test_holm_multiplies_the_smallest_by_all_and_never_goes_down() -> None:
    assert holm([0.01, 0.04, 0.03, math.nan]) == pytest.approx([0.03, 0.06, 0.06, math.nan], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_p_value_flips_all_signs() -> None:
    assert p_value([1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 2**6)
    assert p_value([1, -1]) == 1.0
    assert math.isnan(p_value([1]))


def test_the_jackknife_of_a_mean_is_the_interval_of_student() -> None:
    values = np.array([0.2, 0.5, 0.6, 0.9, 0.4])
    without_one = [float(np.delete(values, k).mean()) for k in range(5)]
    reach = 2.776 * values.std(ddof=1) / math.sqrt(5)  # t of 4 degrees of freedom, from a printed table
    found = jackknife_interval(float(values.mean()), without_one)
    assert found == pytest.approx((values.mean() - reach, values.mean() + reach), abs=1e-4)
    assert all(math.isnan(end) for end in jackknife_interval(0.5, [0.5]))


def test_a_claim_without_pairs_of_its_own_gets_its_interval_from_its_seeds() -> None:
    rows = [
        row("weight_decay", dice + 0.01 * seed * (decay == 0.01), weight_decay=decay, train_percent=percent, seed=seed)
        for decay, dice in ((0.01, 0.7), (0.001, 0.6))
        for percent in (20, 40)
        for seed in range(6)
    ]
    found = verdict("weight_decay.2", rows)
    assert (found.answer, found.effect) == ("supported", pytest.approx(0.125))
    assert found.low == found.seed_low
    assert found.low == pytest.approx(
        0.125 - 2.571 * 0.01871 / math.sqrt(6), abs=1e-4
    )  # t of 5; sd of 0 to 5 hundredths


def test_a_verdict_that_hangs_on_one_seed_is_undecided() -> None:
    rows = six([row("weight_decay", 0.6, weight_decay=decay, train_percent=20) for decay in (0.01, 0.001)])
    rows[0]["val_dice"] = 0.9
    rows[-1]["val_dice"] = 0.61
    found = verdict("weight_decay.2", rows)
    assert found.answer == "undecided"
    assert "would be supported, but it depends on seed 0, without which the answer is another" in found.caveats


def test_an_interval_over_few_pairs_is_said_to_be_too_narrow() -> None:
    rows = [
        row("optimizers", 0.5 + 0.1 * (loss == "switching"), optimizer=name, loss=loss)
        for name in ("adam", "sgd")
        for loss in ("bce", "switching")
    ]
    assert "over 2 pairs a bootstrap interval is too narrow" in verdict("optimizers.2", rows).caveats


def test_the_interquartile_mean_forgets_the_extremes() -> None:
    assert interquartile_mean([0.0, 0.5, 0.7, 1.0]) == pytest.approx(0.6)
    assert math.isnan(interquartile_mean([0.5, 0.7, math.nan]))
