"""How factors, their values and numbers are written for people. Values in, words out; no table, no figure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"  # where there is no number
SMALL = 0.01  # of a number: three digits after the point show it well from there on

FACTORS = {
    "loss": "loss",
    "optimizer": "optimizer",
    "lr": "learning rate",
    "epochs": "epochs",
    "scheduler": "scheduler",
    "weight_decay": "weight decay",
    "dropout": "dropout",
    "train_percent": "training data (%)",
    "augment": "augmentation",
    "equalize_masks": "equalized masks",
    "image_size": "image size (pixels)",
    "batch_size": "batch size",
    "sgd_momentum": "SGD momentum",
    "adagrad_accumulator": "AdaGrad accumulator",
    "rmsprop_alpha": "RMSprop alpha",
    "adadelta_rho": "AdaDelta rho",
    "adadelta_eps": "AdaDelta eps",
    "step_length": "step length",
    "plateau_patience": "plateau patience (share of the epochs)",
    "width": "width (channels)",
}

VALUES: dict[str, dict[Any, str]] = {
    "loss": {"bce": "BCE", "dice": "Dice BCE", "inverse_dice": "inverse Dice BCE", "switching": "switching"},
    "optimizer": {
        "adam": "Adam",
        "adagrad": "AdaGrad",
        "adamax": "AdaMax",
        "rmsprop": "RMSprop",
        "sgd": "SGD",
        "adadelta": "AdaDelta",
        "adamw": "AdamW",
    },
    "scheduler": {"onecycle": "one-cycle"},
    "augment": {"none": "none", "train": "training only", "both": "training and validation"},
    "equalize_masks": {True: "yes", False: "no"},
}


def set_names(sets: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """What data sets are called, by digest: their names, with the digest where two share one. `sets`: digest, name."""
    names = {str(digest): str(name) for digest, name in sets}
    shared = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {digest: f"{name} ({digest})" if name in shared else name for digest, name in names.items()}


def factor_label(factor: str) -> str:
    return FACTORS.get(factor, factor.replace("_", " "))


def value_label(factor: str, value: Any) -> str:
    """A factor's value as a person writes it: `RMSprop`, `1e-4`, `40`; a dash for an unknown one."""
    if isinstance(value, float) and math.isnan(value):
        return DASH
    if factor in VALUES:
        return VALUES[factor].get(value, str(value))
    if factor == "lr":
        return scientific(float(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def scientific(value: float) -> str:
    """1e-4 rather than 0.0001, and 3.2e-5: learning rates are compared by their exponent."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def cell_label(cell: Mapping[Any, Any], factors: Iterable[str]) -> str:
    """One cell of a table in words: `Adam, 20 % data, plateau`."""
    after = {"train_percent": " % data", "loss": " loss"}
    named = {"weight_decay", "dropout", "lr"}
    words = []
    for factor in factors:
        word = value_label(factor, cell[factor]) + after.get(factor, "")
        words.append(f"{factor_label(factor)} {word}" if factor in named else word)
    return ", ".join(words)


def variant_label(cell: Mapping[Any, Any] | Any, settled: Mapping[Any, Any] | Any, factors: Sequence[str]) -> str:
    """What sets a cell apart from the settled one: `one-cycle`; the settled one itself is `as settled`."""
    changed = [factor for factor in factors if cell[factor] != settled[factor]]
    words = [f"{factor_label(factor)} {value_label(factor, cell[factor])}" for factor in changed]
    return ", ".join(words) or "as settled"


def number(value: float, digits: int | None = 3) -> str:
    """A score with a true minus sign, in two significant digits where `digits` is None; a dash where there is none."""
    return DASH if math.isnan(value) else f"{value:{_places(digits)}}".replace("-", MINUS)


def digits_of(values: Iterable[float]) -> int | None:
    """How many `number` shows of numbers side by side: None where all are so small that three would show little."""
    return 3 if any(abs(value) >= SMALL for value in values) else None


def signed(value: float, digits: int | None = 3) -> str:
    """A difference, with its sign."""
    return DASH if math.isnan(value) else f"{value:+{_places(digits)}}".replace("-", MINUS)


def signed_interval(low: float, high: float) -> str:
    """Of a difference; a dash where there are too few units for one."""
    return DASH if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def _places(digits: int | None) -> str:
    return "#.2g" if digits is None else f".{digits}f"
