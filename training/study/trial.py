"""A trial: every factor of one training run, as one hashable value.

The fields are the MLflow params, the columns of the tidy table and the labels of the axes. Ranges are checked here
and nowhere else. This file knows nothing of torch, of MLflow or of what a study is.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

LOSSES = ("bce", "dice", "inverse_dice", "switching")
OPTIMIZERS = ("adam", "adagrad", "adamax", "rmsprop", "sgd", "adadelta", "adamw")
SCHEDULERS = ("none", "step", "plateau", "cosine", "onecycle", "cyclic")
AUGMENTS = ("none", "train", "both")
PRECISIONS = ("fp32", "bf16")
FITS = ("resize", "tile")
FOLDS = 5
PROTOCOLS = ("fixed", "report")  # what validates and tests: training/data/split.py
LATER = ("adagrad_accumulator", "rmsprop_alpha", "adadelta_rho", "adadelta_eps")  # new in 0.3; until then the defaults


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run, described completely but for the data.

    Raises ValueError, with the value and the rule, for a field outside its range.
    """

    loss: str  # bce, dice (Dice BCE), inverse_dice (Inverse Dice BCE) or switching
    optimizer: str
    lr: float
    epochs: int
    scheduler: str = "none"
    weight_decay: float = 0.0  # torch's, coupled (L2) but for AdamW; a Keras l2(a) is 2a here
    dropout: float = 0.0  # share of values dropped after each block (not "keep")
    train_percent: int = 80  # percent of ALL images, whatever the protocol
    augment: str = "none"  # none; train; both (validation images too, as the report did)
    equalize_masks: bool = False  # train on histogram-equalized masks (report, Section 7)
    width: int = 16  # channels of the first block; the report's quarter of 64
    image_size: int = 128  # pixels: the long side of a resized image, or the side of a tile
    fit: str = "resize"  # the whole image at one scale; or tile: cut into squares, every pixel kept
    batch_size: int = 8  # images; the report does not say
    precision: str = "fp32"  # bf16: autocast in the forward pass; loss and metrics stay fp32
    sgd_momentum: float = 0.9  # the report does not say; Keras' constants and ours: KERAS in settings.py
    adagrad_accumulator: float = 0.0  # the sum of squared gradients that AdaGrad starts from
    rmsprop_alpha: float = 0.99  # share of the mean squared gradient that RMSprop keeps at a step (Keras: rho)
    adadelta_rho: float = 0.9  # likewise, of AdaDelta
    adadelta_eps: float = 1e-6  # sets the size of AdaDelta's first steps
    step_length: float = 1 / 3  # step: share of the epochs after which lr is divided by 10
    plateau_patience: float = 0.05  # plateau: share of the epochs (10 of 200; at least 3 epochs) that bring nothing
    switching_lam: float = 0.75  # arXiv:2008.03750; the weight of the branch that is switched to
    switching_tau: float = 0.05  # share of foreground pixels in a batch above which Dice leads
    fold: int = 0  # 0..4: which fifth of the images the fixed protocol holds out from
    seed: int = 0  # weights, batch order, dropout, augmentation

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, LOSSES)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("scheduler", self.scheduler, SCHEDULERS)
        _one_of("augment", self.augment, AUGMENTS)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("fit", self.fit, FITS)
        _within("lr", self.lr, 0 < self.lr <= 10, "a number above 0 and at most 10")
        _within("epochs", self.epochs, self.epochs >= 1, "at least 1")
        _within("weight_decay", self.weight_decay, 0 <= self.weight_decay <= 1, "between 0 and 1")
        _within("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        _within("train_percent", self.train_percent, 1 <= self.train_percent <= 100, "between 1 and 100")
        _within("width", self.width, 1 <= self.width <= 256, "between 1 and 256 channels")
        _within(
            "image_size",
            self.image_size,
            32 <= self.image_size <= 4096 and self.image_size % 16 == 0,
            "a multiple of 16 between 32 and 4096 pixels",
        )
        _within("batch_size", self.batch_size, self.batch_size >= 1, "at least 1 image")
        _within("sgd_momentum", self.sgd_momentum, 0 <= self.sgd_momentum < 1, "at least 0 and below 1")
        _within("adagrad_accumulator", self.adagrad_accumulator, self.adagrad_accumulator >= 0, "at least 0")
        _within("rmsprop_alpha", self.rmsprop_alpha, 0 <= self.rmsprop_alpha < 1, "at least 0 and below 1")
        _within("adadelta_rho", self.adadelta_rho, 0 <= self.adadelta_rho < 1, "at least 0 and below 1")
        _within("adadelta_eps", self.adadelta_eps, 0 < self.adadelta_eps <= 1, "above 0 and at most 1")
        _within("step_length", self.step_length, 0 < self.step_length <= 1, "above 0 and at most 1")
        _within("plateau_patience", self.plateau_patience, 0 <= self.plateau_patience <= 1, "between 0 and 1")
        _within("switching_lam", self.switching_lam, 0 <= self.switching_lam <= 1, "between 0 and 1")
        _within("switching_tau", self.switching_tau, 0 <= self.switching_tau <= 1, "between 0 and 1")
        _within("fold", self.fold, 0 <= self.fold < FOLDS, f"between 0 and {FOLDS - 1}")
        _within("seed", self.seed, self.seed >= 0, "at least 0")

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that name this combination of factors."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Self:
        """Read back the params of an MLflow run, which are all strings; earlier runs have not those of LATER."""
        parse: dict[Any, Any] = {int: int, float: float, str: str, bool: lambda text: text == "True"}
        known = [f for f in dataclasses.fields(cls) if f.name in params or f.name not in LATER]
        return cls(**{f.name: parse[f.type](params[f.name]) for f in known})

    def replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; it must be one of {', '.join(allowed)}")


def _within(name: str, value: float, holds: bool, rule: str) -> None:
    if not holds or not math.isfinite(value):
        raise ValueError(f"{name}={value} is out of range; it must be {rule}")
