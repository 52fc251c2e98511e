"""No rule has only one answer: for every claim a small table that supports it, and one that contradicts it."""

from typing import Any

import pytest
from claim_rows import found, row, six

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.verdicts import assess
from analysis.evidence.schema import tidy

Rows = list[dict[str, Any]]
SIX = ("adam", "adagrad", "adamax", "rmsprop", "sgd", "adadelta")
LITTLE = (20, 40)


def rates(*lrs: float) -> Rows:
    return [
        row("learning_rate", 0.8 if lr == best else 0.4, optimizer=name, lr=lr)
        for name, best in zip(("adam", "sgd", "rmsprop"), lrs, strict=True)
        for lr in (1e-4, 1e-3, 1e-2, 1e-1)
    ]


def by_optimizer(study: str, dice: dict[str, float], **fields: Any) -> Rows:
    return [row(study, value, optimizer=name, **fields) for name, value in dice.items()]


def losses(switching: float, bce: float, inverse_dice: float, dice: float) -> Rows:
    means = {"switching": switching, "bce": bce, "inverse_dice": inverse_dice, "dice": dice}
    return [
        row("losses", mean + shift, loss=loss, optimizer=name)
        for loss, mean in means.items()
        for name, shift in (("adam", 0.02), ("rmsprop", 0.0), ("sgd", -0.01))
    ]


def switching_gains(gain: float) -> Rows:
    return by_optimizer("optimizers", dict.fromkeys(SIX, 0.5), loss="bce") + by_optimizer(
        "optimizers", dict.fromkeys(SIX, 0.5 + gain)
    )


def schedules(**by_scheduler: tuple[float, ...]) -> Rows:
    """Dice of Adam, AdaGrad, AdaMax, RMSprop and SGD under each schedule."""
    names = ("adam", "adagrad", "adamax", "rmsprop", "sgd")
    return [
        row("schedulers", dice, scheduler=scheduler, optimizer=name)
        for scheduler, dices in by_scheduler.items()
        for name, dice in zip(names, dices, strict=True)
    ]


def adagrad(epochs: int, dice: float) -> Rows:
    """As rough as it is slow."""
    others = [
        row("schedulers", 0.7, optimizer=name, epochs_to_converge=40, val_dice_roughness=0.04)
        for name in ("adam", "sgd")
    ]
    known = {"epochs_to_converge": epochs, "val_dice_roughness": epochs / 1000}
    return six([*others, row("schedulers", dice, optimizer="adagrad", **known)])


def sensitive(name: str, other: str) -> Rows:
    """One optimizer whose Dice depends on the rate, and two whose does less."""
    return [
        row("learning_rate", 0.7 - step * number, optimizer=one, lr=lr)
        for one, step in ((name, 0.2), (other, 0.05), ("rmsprop", 0.01))
        for number, lr in enumerate((1e-4, 1e-3, 1e-2, 1e-1))
    ]


def long_ones(epochs: int) -> Rows:
    return [
        row("optimizers", 0.7, optimizer=name, epochs=1000, epochs_to_target=needed)
        for name, needed in (("adam", 50), ("sgd", epochs))
    ]


def by_percent(*dices: float) -> Rows:
    return [
        row("training_data", dice, optimizer=name, train_percent=percent)
        for name in ("rmsprop", "adam", "sgd")
        for percent, dice in zip((20, 40, 60), dices, strict=False)
    ]


def ends(score: str, without: float, scheduled: float) -> Rows:
    return [
        row("schedulers", 0.7, scheduler=scheduler, optimizer=name, **{score: value})
        for scheduler, value in (("none", without), ("step", scheduled), ("plateau", scheduled))
        for name in ("adam", "sgd")
    ]


def adam_against_rmsprop(gain: float, fold: int = 0) -> Rows:
    return [
        row("losses", 0.7 + gain, fold=fold),
        row("losses", 0.7, optimizer="rmsprop", loss="bce", fold=fold),
    ]


def on_three_folds(gain: float) -> Rows:
    return [one for fold in range(3) for one in adam_against_rmsprop(gain, fold)]


def grid(by_loss: float, by_rate: float) -> Rows:
    """How far losses, and rates, lie apart."""
    return [
        row("learning_rate", 0.5 + by_loss * (loss == "bce") + by_rate * (lr == 1e-3), loss=loss, lr=lr)
        for loss in ("bce", "switching")
        for lr in (1e-4, 1e-3)
    ]


def scarce(factor: str, better: str, worse: str) -> Rows:
    rest = ("adam", "sgd") if factor == "scheduler" else ("plateau", "step")
    other = "optimizer" if factor == "scheduler" else "scheduler"
    return [
        row(
            "schedulers_by_data", 0.7 if value == better else 0.6, train_percent=percent, **{factor: value, other: name}
        )
        for value in (better, worse)
        for name in rest
        for percent in LITTLE
    ]


def decays(percents: tuple[int, ...], **by_decay: float) -> Rows:
    """Dice under each decay: d1 is 0.1, d01 is 0.01, d001 is 0.001, d0 none; its loss is 1 less the Dice."""
    strength = {"d1": 0.1, "d01": 0.01, "d001": 0.001, "d0": 0.0}
    return [
        row("weight_decay", dice, weight_decay=strength[name], train_percent=percent, val_loss=1 - dice)
        for name, dice in by_decay.items()
        for percent in percents
    ]


def dropped(least: float, most: float, dropouts: tuple[float, ...] = (0.2, 0.5)) -> Rows:
    """What dropout costs at 20 and at 80 %."""
    costs = {20: least, 80: most}
    return [
        row("dropout", 0.7 - (cost if dropout else 0), dropout=dropout, train_percent=percent)
        for percent, cost in costs.items()
        for dropout in (0.0, *dropouts)
    ]


def decayed_or_not(sgd: float, rmsprop: float) -> Rows:
    plain = by_optimizer("schedulers", {"sgd": 0.6, "rmsprop": 0.6}, weight_decay=0.0)
    return plain + by_optimizer("losses", {"sgd": 0.6 + sgd, "rmsprop": 0.6 + rmsprop})


def decayed_with_every_loss(sgd: float, rmsprop: float) -> Rows:
    return [
        row("decay_by_loss", 0.6 + gain * (decay > 0), optimizer=name, loss=loss, weight_decay=decay)
        for name, gain in (("sgd", sgd), ("rmsprop", rmsprop))
        for loss in ("switching", "bce", "inverse_dice", "dice")
        for decay in (0.01, 0.0)
    ]


def default_rates(adam: tuple[float, float], sgd: tuple[float, float]) -> Rows:
    """Dice at the default rate and at an own one."""
    return [
        row("default_rates", dice, optimizer=name, lr=lr)
        for name, dices in (("adam", adam), ("sgd", sgd))
        for lr, dice in zip((1e-3, 5e-2), dices, strict=True)
    ]


def consistent(adam: float, rmsprop: float) -> Rows:
    """How far the Dice lies apart between two losses."""
    return [
        row("losses", 0.6 + spread * (loss == "bce"), loss=loss, optimizer=name)
        for name, spread in (("adam", adam), ("rmsprop", rmsprop))
        for loss in ("switching", "bce")
    ]


def changed(gain: float, **change: Any) -> Rows:
    settled = {"scheduler": "plateau", "epochs": 20, "width": 16}
    return six([row("extensions", 0.6, **settled), row("extensions", 0.6 + gain, **{**settled, **change})])


def longer(gain: float) -> Rows:
    return six(
        [
            row("extensions", 0.6, epochs=40, width=16),
            row("extensions", 0.6 + gain, epochs=40, width=16, augment="train"),
            row("extensions", 0.6, epochs=20, width=16),
        ]
    )


BOTH_WAYS: dict[str, tuple[Rows, Rows]] = {
    "learning_rate.1": (rates(1e-4, 1e-1, 1e-3), rates(1e-3, 1e-3, 1e-3)),
    "learning_rate.2": (sensitive("adam", "sgd"), sensitive("sgd", "adam")),
    "optimizers.1": (
        by_optimizer("optimizers", {"adam": 0.8, "sgd": 0.1}),
        by_optimizer("optimizers", {"adam": 0.8, "sgd": 0.7}),
    ),
    "optimizers.2": (switching_gains(0.1), switching_gains(-0.1)),
    "optimizers.3": (long_ones(900), long_ones(500)),
    "training_data.1": tuple(
        six(
            [
                row("training_data", dice, optimizer=name, train_percent=percent)
                for percent in LITTLE
                for name, dice in zip(order, (0.5, 0.6, 0.7), strict=True)
            ]
        )
        for order in (("rmsprop", "sgd", "adam"), ("adam", "sgd", "rmsprop"))
    ),  # type: ignore[dict-item]
    "training_data.2": (by_percent(0.5, 0.6, 0.7), by_percent(0.5, 0.6, 0.4)),
    "training_data.3": (by_percent(0.5, 0.6), by_percent(0.6, 0.4)),
    "schedulers.1": (
        schedules(none=(0.6,) * 5, step=(0.7, 0.7, 0.5, 0.7, 0.7), plateau=(0.5,) * 5),
        schedules(none=(0.6,) * 5, step=(0.5, 0.5, 0.5, 0.7, 0.5), plateau=(0.5,) * 5),
    ),
    "schedulers.2": (
        six(schedules(none=(0.6,) * 5, step=(0.5,) * 5, plateau=(0.5,) * 5)),
        six(schedules(none=(0.6,) * 5, step=(0.7,) * 5, plateau=(0.5,) * 5)),
    ),
    "schedulers.3": (adagrad(10, 0.5), adagrad(60, 0.9)),
    "schedulers.4": (
        six(schedules(none=(0.6,) * 5, step=(0.62,) * 5, plateau=(0.61,) * 5)),
        six(schedules(none=(0.6,) * 5, step=(0.8,) * 5, plateau=(0.7,) * 5)),
    ),
    "schedulers.5": (
        six(schedules(none=(0.5,) * 5, step=(0.6,) * 5, plateau=(0.7,) * 5)),
        six(schedules(none=(0.7,) * 5, step=(0.6,) * 5, plateau=(0.5,) * 5)),
    ),
    "schedulers.6": (
        schedules(none=(0.5,) * 5, step=(0.6,) * 5, plateau=(0.7, 0.71, 0.72, 0.7, 0.7)),
        schedules(none=(0.7,) * 5, step=(0.6,) * 5, plateau=(0.5, 0.51, 0.52, 0.5, 0.5)),
    ),
    "schedulers.7": (ends("fall_from_best", 0.1, 0.02), ends("fall_from_best", 0.02, 0.1)),
    "schedulers.8": (ends("val_dice_roughness", 0.1, 0.02), ends("val_dice_roughness", 0.02, 0.1)),
    "schedulers_by_data.1": (scarce("scheduler", "plateau", "step"), scarce("scheduler", "step", "plateau")),
    "schedulers_by_data.2": (scarce("optimizer", "adam", "sgd"), scarce("optimizer", "sgd", "adam")),
    "weight_decay.1": (six(decays((80,), d0=0.7, d01=0.72)), six(decays((80,), d0=0.4, d01=0.7))),
    "weight_decay.2": (six(decays(LITTLE, d1=0.5, d01=0.7, d001=0.6)), six(decays(LITTLE, d1=0.5, d01=0.6, d001=0.7))),
    "weight_decay.3": (
        six(decays((80,), d1=0.5, d01=0.6, d001=0.7)),
        six(decays((80,), d1=0.7, d01=0.6, d001=0.5)),
    ),
    "weight_decay.4": (
        six(decays((20, 60), d01=0.6, d001=0.6) + decays((80,), d01=0.8, d001=0.6)),
        six(decays((20, 60), d01=0.6, d001=0.6) + decays((80,), d01=0.6, d001=0.8)),
    ),
    "dropout.1": (dropped(0.2, 0.3), dropped(-0.2, -0.1)),
    "dropout.2": (six(dropped(0.1, 0.4)), six(dropped(0.4, 0.1))),
    "dropout.3": (dropped(0.6, 0.5, (0.8,)), dropped(0.1, 0.1, (0.8,))),
    "losses.1": (losses(0.8, 0.6, 0.7, 0.5), losses(0.5, 0.6, 0.7, 0.8)),
    "losses.2": (losses(0.8, 0.6, 0.7, 0.5), losses(0.8, 0.7, 0.6, 0.5)),
    "losses.3": (losses(0.8, 0.6, 0.7, 0.5), losses(0.5, 0.6, 0.7, 0.8)),
    "losses.4": (
        six([row("losses", 0.8, loss="bce", optimizer="rmsprop"), row("losses", 0.6)]),
        six([row("losses", 0.6, loss="bce", optimizer="rmsprop"), row("losses", 0.8)]),
    ),
    "losses.5": (six(decayed_or_not(-0.1, 0.1)), six(decayed_or_not(0.1, -0.1))),
    "losses.6": (adam_against_rmsprop(-0.02), adam_against_rmsprop(-0.2)),
    "augmentation.1": tuple(
        six([row("augmentation", 0.6), row("augmentation", 0.6 + gain, augment="train")]) for gain in (-0.1, 0.1)
    ),  # type: ignore[dict-item]
    "mask_equalization.1": tuple(
        six([row("mask_equalization", 0.7), row("mask_equalization", 0.7 - cost, equalize_masks=True)])
        for cost in (0.3, 0.0)
    ),  # type: ignore[dict-item]
    "decay_by_loss.1": (decayed_with_every_loss(-0.1, 0.1), decayed_with_every_loss(0.1, 0.1)),
    "summary.1": (consistent(0.05, 0.2), consistent(0.2, 0.05)),
    "summary.2": (grid(0.3, 0.05), grid(0.05, 0.3)),
    "summary.3": (on_three_folds(0.1), on_three_folds(-0.1)),
    "extensions.1": (changed(0.0, scheduler="cosine"), changed(-0.1, scheduler="cosine")),
    "extensions.2": (changed(0.1, scheduler="onecycle"), changed(-0.1, scheduler="onecycle")),
    "extensions.3": (changed(0.0, scheduler="cyclic"), changed(-0.1, scheduler="cyclic")),
    "extensions.4": (changed(0.1, optimizer="adamw"), changed(-0.1, optimizer="adamw")),
    "extensions.5": (changed(0.1, epochs=40), changed(-0.1, epochs=40)),
    "extensions.6": (longer(0.1), longer(-0.1)),
    "extensions.7": (changed(0.1, width=64), changed(0.0, width=64)),
    "extensions.8": tuple(
        [row("extensions", 0.6, width=64), row("extensions", 0.6 + gain, width=64, augment="train")]
        for gain in (0.1, -0.1)
    ),  # type: ignore[dict-item]
    "default_rates.1": (default_rates((0.5, 0.7), (0.4, 0.7)), default_rates((0.7, 0.5), (0.7, 0.4))),
    "default_rates.2": (default_rates((0.7, 0.7), (0.4, 0.7)), default_rates((0.7, 0.7), (0.7, 0.4))),
}


def test_every_claim_can_go_both_ways() -> None:
    assert list(BOTH_WAYS) == [claim.code for claim in ALL_CLAIMS]


@pytest.mark.parametrize(("side", "verdict"), [(0, "supported"), (1, "contradicted")])
@pytest.mark.parametrize("claim", ALL_CLAIMS, ids=lambda claim: claim.code)
def test_a_claim_is_supported_or_contradicted_by_what_was_measured(claim: Any, side: int, verdict: str) -> None:
    rows = BOTH_WAYS[claim.code][side]
    found = assess(claim, tidy(six(rows)))
    assert found.verdict == verdict, found
    if found.unit_words != "fold":  # of which each is a unit, with one seed or many
        alone = assess(claim, tidy([fields for fields in six(rows) if fields["seed"] == 0]))
        assert alone.verdict == "undecided", "one run per cell decides nothing"


def test_spreads_that_differ_by_less_than_is_worth_the_name_contradict_that_one_is_steadier() -> None:
    """As means do that differ by less than 0.01 Dice; and the numbers are not rounded to 0."""
    alike = found("summary.1", six(consistent(0.001, 0.004)))
    assert alike.verdict == "contradicted"
    assert "0.000 " not in alike.text, "in two digits of its own, as it is small"
    assert found("summary.1", six(consistent(0.001, 0.04))).verdict == "supported"


@pytest.mark.parametrize(
    ("dice", "verdict"),
    [
        ((0.600, 0.606, 0.612), "supported"),
        ((0.600, 0.602, 0.604), "contradicted"),
        ((0.600, 0.630, 0.615), "contradicted"),
    ],
    ids=["small steps", "small on the whole", "a step back"],
)
def test_a_trend_may_be_of_small_steps_but_not_be_small_on_the_whole(dice: Any, verdict: str) -> None:
    """With steps as fine as one likes, none would be worth the name."""
    assert found("training_data.2", six(by_percent(*dice))).verdict == verdict
