"""What is missing or failed decides nothing: a claim says what hinders it, in place of a verdict on what is left."""

import math
from typing import Any

import numpy as np
from claim_rows import row, six

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.verdicts import Assessment, assess
from analysis.deciding.outlook import Outlook, foresee
from analysis.evidence.schema import tidy

CLAIMS = {claim.code: claim for claim in ALL_CLAIMS}
OPTIMIZERS = ("adam", "adagrad", "adamax", "rmsprop", "sgd")
Rows = list[dict[str, Any]]


def found(code: str, rows: Rows) -> Assessment:
    return assess(CLAIMS[code], tidy(rows))


def schedules(plateau: dict[str, float], **fields: Any) -> Rows:
    """Five optimizers with each scheduler; what plateau adds to some of them."""
    return six(
        [
            row("schedulers", 0.7 + plateau.get(name, 0.0) * (scheduler == "plateau"), optimizer=name, **fields)
            | {"scheduler": scheduler}
            for name in OPTIMIZERS
            for scheduler in ("none", "step", "plateau")
        ]
    )


def decays(diverged: float) -> Rows:
    """Six seeds without decay and with three; with one of the four, four seeds diverged."""
    rows = six(
        [
            row("weight_decay", 0.7, weight_decay=decay, val_loss=0.3 + 0.2 * (decay > 0), train_percent=80)
            for decay in (0.0, 0.001, 0.01, 0.1)
        ]
    )
    for fields in rows:
        if fields["weight_decay"] == diverged and fields["seed"] < 4:
            fields |= {"diverged": True, "val_loss": None, "val_dice": math.nan}
    return rows


def test_a_setting_that_most_seeds_lack_hinders_a_verdict_on_the_mean_over_all_of_them() -> None:
    rows = schedules({"adamax": 0.1})
    assert found("schedulers.6", rows).verdict == "supported"
    left = [
        fields
        for fields in rows
        if fields["scheduler"] != "plateau" or fields["optimizer"] == "adamax" or fields["seed"] < 2
    ]
    one = found("schedulers.6", left)
    assert (one.verdict, one.p) == ("undecided", 1.0)
    assert one.caveats == ("not decided: most seeds lack Adam, AdaGrad, RMSprop, SGD",)


def test_a_setting_that_one_side_never_had_is_not_missing() -> None:
    """Both lie on the other side in as many seeds; the losses study knows more optimizers than its claim compares."""
    rows = schedules({"adamax": 0.1})
    wide = six([row("schedulers", 0.7, scheduler="none", optimizer="adadelta")])
    assert found("schedulers.6", rows + wide).verdict == "supported"


def test_a_run_that_diverged_has_no_loss_and_so_does_not_prove_that_it_is_low() -> None:
    assert found("weight_decay.1", decays(diverged=-1)).verdict == "supported"
    for decay in (0.0, 0.1):
        one = found("weight_decay.1", decays(diverged=decay))
        assert one.verdict != "supported"
        assert any("diverged and have no such score" in caveat for caveat in one.caveats), one.caveats


def test_where_neither_side_learned_their_difference_says_nothing() -> None:
    rows = schedules({}, collapsed=True)
    one = found("schedulers.2", rows)
    assert one.verdict == "undecided"
    assert "not decided: most runs collapsed or diverged on both sides" in one.caveats
    assert found("schedulers.2", schedules({})).verdict == "contradicted", "alike, and both learned"


def test_an_optimizer_that_learned_nothing_takes_all_its_epochs_and_that_is_what_is_asked() -> None:
    def rows(**failed: Any) -> Rows:
        good = [row("optimizers", 0.7, optimizer=name, epochs=1000, epochs_to_target=90.0) for name in ("adam", "sgd")]
        bad = row("optimizers", 0.0, optimizer="adadelta", epochs=1000, epochs_to_target=1000.0) | failed
        return [one | {"epochs_to_target": one["epochs_to_target"] - one["seed"]} for one in six([*good, bad])]

    assert found("optimizers.3", rows(collapsed=True)).verdict == "supported"
    one = found("optimizers.3", rows(diverged=True))
    assert (one.verdict, one.caveats[0]) == ("undecided", "not decided: 6 runs diverged and have no such score")


def test_no_seeds_are_sent_to_a_claim_that_is_hindered() -> None:
    one = found("schedulers.2", schedules({}, collapsed=True))
    assert foresee(CLAIMS["schedulers.2"], one, 6, 1.0, np.random.default_rng(0)) == Outlook((), ())


def test_on_other_validation_sets_a_fold_is_one_unit_however_many_seeds_it_has() -> None:
    """Twelve seeds on each of three folds, the effect of which differs from fold to fold by far more than by seed."""
    rng = np.random.default_rng(0)
    rows = [
        row("losses", 0.7 + effect * (name == "adam") + rng.normal(0, 1e-3), optimizer=name, loss=loss, fold=fold)
        | {"seed": seed}
        for fold, effect in enumerate((0.08, 0.01, 0.03))
        for name, loss in (("adam", "switching"), ("rmsprop", "bce"))
        for seed in range(12)
    ]
    one = found("summary.3", rows)
    assert (one.verdict, one.counted) == ("undecided", "3 folds")
    assert found("losses.6", rows).units == 36
