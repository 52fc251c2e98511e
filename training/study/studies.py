"""The studies, as data: what each asks, what it varies, what it takes from the studies before it.

Ten are the report's; the others are what it had no time for.

A study is a table of rows; a row is the factors of one cell of the report's figure. Rows the report has not (declared
`extra`) test what its text only says. Nothing here runs anything.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from training.study.search import DECADES
from training.study.trial import LOSSES, OPTIMIZERS, Trial

REPORT_OPTIMIZERS = tuple(name for name in OPTIMIZERS if name != "adamw")
COMBINATION = ("loss", "optimizer", "scheduler")  # what rates=own searches a learning rate for
LearningRates = Mapping[tuple[str, ...], float]  # by (loss, optimizer) or (loss, optimizer, scheduler)
REPORT_LOSSES = ("switching", "bce", "inverse_dice", "dice")  # in the order of Figure 19
PERCENTS = (20, 40, 60, 80, 100)
FULL_WIDTH = 4 * Trial.width  # the baseline U-Net's; the studies' is a quarter of it


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the earlier studies found best. The defaults are the report's."""

    loss: str = "switching"
    optimizer: str = "adam"
    scheduler: str = "plateau"
    weight_decay: float = 0.01
    dropout: float = 0.0
    augment: str = "none"
    lrs: LearningRates = field(default_factory=dict)

    def lr(self, loss: str, optimizer: str, scheduler: str = "none") -> float:
        """The learning rate for this combination; a loss that none was found for takes switching's. nan: none there."""
        for key in ((loss, optimizer, scheduler), (loss, optimizer), ("switching", optimizer)):
            if key in self.lrs:
                return self.lrs[key]
        return math.nan


@dataclass(frozen=True)
class Row:
    """One cell of a study: Trial fields that differ from the defaults, and whether the report published it."""

    factors: Mapping[str, Any]
    extra: bool = False
    tuned: bool = False  # its learning rate was searched for; rates=own searches anew for this very row


@dataclass(frozen=True, kw_only=True)
class Study:
    name: str
    section: str = ""  # of the report; empty where it has none
    figure: str = ""  # the report's table, or its picture where there is no table; empty likewise
    question: str
    scientific: tuple[str, ...]  # the factors it varies, in table order (the tuning playbook's word)
    rows: Callable[[Baseline], Iterable[Row]] = lambda baseline: ()  # none where a search makes its own
    epochs: int  # the report's; a row may say otherwise
    report_lrs: LearningRates = field(default_factory=dict)  # published beside the figure
    needs: tuple[str, ...] = ()  # the studies whose winners baseline=measured takes, in order
    fixes: tuple[str, ...] = ()  # the fields that later studies take from its winner
    search_lr: bool = False  # each row is the start of a DecadeSearch
    is_table: bool = False  # its trials are cells of a table: scores of images of their own, and no weights


def baseline_from_report(study: Study) -> Baseline:
    return Baseline(lrs=study.report_lrs)


def baseline_from_winners(winners: Mapping[str, list[Trial]]) -> Baseline:
    """What the winners of earlier studies fix, later studies over earlier ones.

    A winner's learning rate stays that of its loss, optimizer and scheduler.
    """
    fixed: dict[str, Any] = {}
    lrs: dict[tuple[str, ...], float] = {}
    for name in (name for name in STUDIES if name in winners):
        for trial in winners[name]:
            combination = (trial.loss, trial.optimizer, trial.scheduler)
            lrs[combination[:2] if STUDIES[name].search_lr else combination] = trial.lr
            fixed |= {factor: getattr(trial, factor) for factor in STUDIES[name].fixes if factor != "lr"}
    return Baseline(lrs=lrs, **fixed)


def _learning_rate(baseline: Baseline) -> Iterable[Row]:
    for loss in ("bce", "switching"):
        for optimizer in REPORT_OPTIMIZERS:
            yield Row({"loss": loss, "optimizer": optimizer, "lr": DECADES[0]})


def _optimizers(baseline: Baseline) -> Iterable[Row]:
    for loss in ("bce", "switching"):
        for optimizer in REPORT_OPTIMIZERS:
            yield Row({"loss": loss, "optimizer": optimizer, "lr": 1e-4})


def _training_data(baseline: Baseline) -> Iterable[Row]:
    for optimizer in ("rmsprop", "adam", "sgd"):
        for percent in PERCENTS:
            lr = baseline.lr("switching", optimizer)
            factors = {"loss": "switching", "optimizer": optimizer, "lr": lr, "train_percent": percent}
            yield Row(factors, extra=optimizer != "rmsprop", tuned=True)


def _schedulers(baseline: Baseline) -> Iterable[Row]:
    for scheduler in ("step", "plateau", "none"):
        for optimizer in ("adam", "adagrad", "adamax", "rmsprop", "sgd"):
            lr = baseline.lr("switching", optimizer, scheduler)
            yield Row({"loss": "switching", "optimizer": optimizer, "scheduler": scheduler, "lr": lr}, tuned=True)


def _schedulers_by_data(baseline: Baseline) -> Iterable[Row]:
    for optimizer in ("adam", "sgd"):
        for percent in (20, 40, 80, 100):
            for scheduler in ("step", "plateau"):
                factors: dict[str, Any] = {"loss": "switching", "optimizer": optimizer, "scheduler": scheduler}
                factors |= {"train_percent": percent, "lr": baseline.lr("switching", optimizer, scheduler)}
                yield Row(factors | ({"epochs": 300} if percent == 20 else {}), tuned=True)


def _fixed(baseline: Baseline) -> dict[str, Any]:
    """What the studies from weight decay on build on; each then varies one factor of it."""
    return {
        "loss": baseline.loss,
        "optimizer": baseline.optimizer,
        "scheduler": baseline.scheduler,
        "lr": baseline.lr(baseline.loss, baseline.optimizer, baseline.scheduler),
        "weight_decay": baseline.weight_decay,
        "dropout": baseline.dropout,
        "augment": baseline.augment,
    }


def _weight_decay(baseline: Baseline) -> Iterable[Row]:
    for percent in (20, 40, 60, 80):
        for weight_decay in (0.1, 0.01, 0.001, 0.0):
            factors = {"train_percent": percent, "weight_decay": weight_decay}
            yield Row(_fixed(baseline) | factors, extra=weight_decay == 0)


def _dropout(baseline: Baseline) -> Iterable[Row]:
    for percent in (20, 40, 60, 80):
        for dropout in (0.2, 0.5, 0.8, 0.0):
            factors = {"train_percent": percent, "dropout": dropout}
            yield Row(_fixed(baseline) | factors, extra=dropout in (0.8, 0.0))


def _losses(baseline: Baseline) -> Iterable[Row]:
    published = ("adam", "rmsprop", "sgd")
    for loss in REPORT_LOSSES:
        for optimizer in dict.fromkeys([*published, baseline.optimizer]):  # what was settled competes, too
            factors = {"loss": loss, "optimizer": optimizer, "lr": baseline.lr(loss, optimizer, baseline.scheduler)}
            yield Row(_fixed(baseline) | factors, extra=optimizer not in published, tuned=True)


def _decay_by_loss(baseline: Baseline) -> Iterable[Row]:
    """The losses study's rows of two optimizers, and the same without decay."""
    decay = baseline.weight_decay or Baseline.weight_decay  # the report's, where none was settled
    for loss in REPORT_LOSSES:
        for optimizer in ("rmsprop", "sgd"):
            for weight_decay in (decay, 0.0):
                factors = {"loss": loss, "optimizer": optimizer, "weight_decay": weight_decay}
                factors |= {"lr": baseline.lr(loss, optimizer, baseline.scheduler)}
                yield Row(_fixed(baseline) | factors, extra=True, tuned=True)


def _augmentation(baseline: Baseline) -> Iterable[Row]:
    for augment in ("none", "train", "both"):
        yield Row(_fixed(baseline) | {"augment": augment}, extra=augment == "train")


def _mask_equalization(baseline: Baseline) -> Iterable[Row]:
    for equalize_masks in (False, True):
        yield Row(_fixed(baseline) | {"equalize_masks": equalize_masks}, extra=not equalize_masks)


def _extensions(baseline: Baseline) -> Iterable[Row]:
    """The baseline, with one thing changed at a time. AdamW takes Adam's learning rate, and is met by Adam."""
    fixed = _fixed(baseline) | {"augment": "none", "epochs": EXTENSION_EPOCHS, "width": Trial.width}
    adam = {"lr": baseline.lr(baseline.loss, "adam", baseline.scheduler)}
    changes: list[dict[str, Any]] = [
        *(
            {"scheduler": name}
            for name in dict.fromkeys([baseline.scheduler, "plateau", "cosine", "onecycle", "cyclic"])
        ),
        *({"optimizer": name} | adam for name in ("adam", "adamw") if name != baseline.optimizer),
        *({"epochs": 2 * EXTENSION_EPOCHS, "augment": augment} for augment in ("none", "train")),
        *({"width": FULL_WIDTH, "augment": augment} for augment in ("none", "train")),
    ]
    for change in changes:
        yield Row(fixed | change, extra=True, tuned=True)


def _default_rates(baseline: Baseline) -> Iterable[Row]:
    for optimizer in REPORT_OPTIMIZERS:
        factors, default = {"loss": "switching", "optimizer": optimizer}, DEFAULT_LRS[optimizer]
        yield Row(factors | {"lr": default}, extra=True)
        if (lr := baseline.lr("switching", optimizer)) != default:
            yield Row(factors | {"lr": lr}, extra=True, tuned=True)


EXTENSION_EPOCHS = 200
DEFAULT_LRS = {  # PyTorch's, of the classes in training/network/optim.py
    **{"adam": 1e-3, "adagrad": 1e-2, "adamax": 2e-3, "rmsprop": 1e-2, "sgd": 1e-3, "adadelta": 1.0, "adamw": 1e-3}
}
_ADAM: LearningRates = {(loss, "adam"): 1e-3 for loss in LOSSES}
_UP_TO_DROPOUT = ("learning_rate", "schedulers", "weight_decay", "dropout")

_ALL = (
    Study(
        name="learning_rate",
        section="2",
        figure="1",
        question="Which learning rate converges fastest for each optimizer and loss?",
        scientific=("loss", "optimizer", "lr"),
        rows=_learning_rate,
        epochs=50,  # not stated; "within a current number of epochs"
        fixes=("lr",),
        search_lr=True,
    ),
    Study(
        name="optimizers",
        section="2",
        figure="2",
        question="Does one learning rate, 1e-4, serve all six optimizers?",
        scientific=("loss", "optimizer"),
        rows=_optimizers,
        epochs=150,
    ),
    Study(
        name="training_data",
        section="2",
        figure="4",
        question="How much training data does an optimizer need?",
        scientific=("optimizer", "train_percent"),
        rows=_training_data,
        epochs=150,
        report_lrs={
            ("switching", "rmsprop"): 1e-3,
            ("switching", "adam"): 1e-3,
            ("switching", "sgd"): 1e-1,
        },
        needs=("learning_rate",),
    ),
    Study(
        name="schedulers",
        section="3",
        figure="6",
        question="Which optimizers gain from a learning-rate scheduler, and from which?",
        scientific=("scheduler", "optimizer"),
        rows=_schedulers,
        epochs=200,
        report_lrs={
            ("switching", "adam"): 1e-3,
            ("switching", "adagrad"): 2e-2,
            ("switching", "adamax"): 2e-2,
            ("switching", "adamax", "none"): 2e-3,
            ("switching", "rmsprop"): 5e-4,
            ("switching", "sgd"): 1e-1,
        },
        needs=("learning_rate",),
        fixes=("optimizer", "scheduler"),
    ),
    Study(
        name="schedulers_by_data",
        section="3",
        figure="11",
        question="Which scheduler is better when training data is scarce?",
        scientific=("optimizer", "train_percent", "scheduler"),
        rows=_schedulers_by_data,
        epochs=200,
        report_lrs={("switching", "adam"): 1e-3, ("switching", "sgd"): 1e-1},
        needs=("learning_rate",),
    ),
    Study(
        name="weight_decay",
        section="4",
        figure="13",
        question="How strong should weight decay be, and does it depend on the amount of data?",
        scientific=("train_percent", "weight_decay"),
        rows=_weight_decay,
        epochs=200,
        report_lrs=_ADAM,
        needs=("learning_rate", "schedulers"),
        fixes=("weight_decay",),
    ),
    Study(
        name="dropout",
        section="5",
        figure="16",
        question="Does dropout help so small a network?",
        scientific=("train_percent", "dropout"),
        rows=_dropout,
        epochs=200,
        report_lrs=_ADAM,
        needs=("learning_rate", "schedulers", "weight_decay"),
        fixes=("dropout",),
    ),
    Study(
        name="losses",
        section="6",
        figure="19",
        question="Which loss segments best, with which optimizer?",
        scientific=("loss", "optimizer"),
        rows=_losses,
        epochs=200,
        report_lrs={("switching", "adam"): 1e-3, ("switching", "rmsprop"): 1e-4, ("switching", "sgd"): 1e-2},
        needs=_UP_TO_DROPOUT,
        fixes=("loss", "optimizer"),
    ),
    Study(
        name="augmentation",
        section="7",
        figure="22",
        question="Does augmentation help, and what if validation images are transformed too?",
        scientific=("augment",),
        rows=_augmentation,
        epochs=200,
        report_lrs=_ADAM,
        needs=(*_UP_TO_DROPOUT, "losses"),
        fixes=("augment",),
    ),
    Study(
        name="mask_equalization",
        section="7",
        figure="23",
        question="What does histogram equalization of the target masks do?",
        scientific=("equalize_masks",),
        rows=_mask_equalization,
        epochs=200,
        report_lrs=_ADAM,
        needs=(*_UP_TO_DROPOUT, "losses", "augmentation"),
    ),
    Study(
        name="extensions",
        question="What do later schedules, AdamW, longer training with augmentation and the full width add?",
        scientific=("optimizer", "scheduler", "augment", "epochs", "width"),
        rows=_extensions,
        epochs=EXTENSION_EPOCHS,
        report_lrs=_ADAM,
        needs=(*_UP_TO_DROPOUT, "losses"),
    ),
    Study(
        name="default_rates",
        question="What is a learning rate of its own worth to each optimizer, against PyTorch's default?",
        scientific=("optimizer", "lr"),
        rows=_default_rates,
        epochs=150,  # as the report's comparison of the optimizers
        report_lrs={  # Figure 1
            ("switching", "adam"): 1e-3,
            ("switching", "adagrad"): 1e-2,
            ("switching", "adamax"): 2e-2,
            ("switching", "rmsprop"): 1e-3,
            ("switching", "sgd"): 1e-1,
            ("switching", "adadelta"): 8e-2,
        },
        needs=("learning_rate",),
    ),
    Study(
        name="decay_by_loss",
        question="With which loss and optimizer does weight decay help?",
        scientific=("loss", "optimizer", "weight_decay"),
        rows=_decay_by_loss,
        epochs=200,  # as the losses study
        report_lrs={("switching", "rmsprop"): 1e-4, ("switching", "sgd"): 1e-2},
        needs=_UP_TO_DROPOUT,
    ),
)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}  # in the report's order, then ours
REPORT_STUDIES = tuple(study for study in _ALL if study.section)
