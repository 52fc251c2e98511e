"""What the page says, study by study. Tables and verdicts in, values for the template out; no files, no MLflow."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from analysis.claims import more_images
from analysis.claims.claims import ALL_CLAIMS, CLAIMS
from analysis.claims.comparisons import compare_with_reference
from analysis.claims.labels import DASH, TIMES, cell_label, factor_label, number, signed, signed_interval, value_label
from analysis.claims.selection import highest_dice, most_consistent
from analysis.claims.verdicts import VERDICTS, Assessment, Assessments, Claim
from analysis.evidence.evidence import Evidence
from analysis.evidence.provenance import command
from analysis.page.averages import Average, averages
from analysis.page.pictures import Picture, Thumbnail, study_pictures, study_thumbnails
from analysis.page.sets import first_set, units_of
from analysis.page.tables import cell_factors, compare
from training.study.studies import STUDIES, Study
from training.study.trial import Trial
from training.study.words import pluralize

SETTINGS = ("loss", "optimizer", "lr", "scheduler", "weight_decay", "dropout", "train_percent", "augment")
MIN_EPOCHS_SHARE = 0.5  # of the report's; below that a chapter says how short its trainings were
GLYPHS = {"supported": "✓", "contradicted": "✗", "undecided": "~", "untested": "·"}


@dataclass(frozen=True)
class TableRow:
    """A line of a study's table, ready to be read."""

    cells: tuple[str, ...]
    extra: bool
    published: str
    measured: str
    n: str
    difference: str
    note: str
    link: str  # to the run in the MLflow UI, or to the study's when there are several; empty when not known


@dataclass(frozen=True)
class ComparedRow:
    """A value against the reference, ready to be read."""

    factor: str
    value: str
    reference: str
    effect: str
    over_seeds: str  # 95 % interval
    wins: str
    p_holm: str
    failed: str  # trials of either value that collapsed or diverged


@dataclass(frozen=True)
class CheckedClaim:
    """A claim with both its assessments."""

    claim: Claim
    published: Assessment
    measured: Assessment

    @property
    def anchor(self) -> str:
        return self.claim.code.replace(".", "-")


@dataclass(frozen=True)
class Chapter:
    study: Study
    is_report: bool  # what it asks is the report's
    heads: tuple[str, ...]  # of the factors' columns
    score: str  # what the table compares
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]  # on the published numbers
    pictures: tuple[Picture, ...]
    thumbnails: tuple[Thumbnail, ...]  # predictions on validation images; empty without runs
    train_thumbnails: tuple[Thumbnail, ...]  # on training images, where the report shows them (Fig. 5)
    runs: str  # `12 runs on cells (protocol fixed, baseline report)`; empty without runs
    switched: str  # how often the switching loss led with Dice; empty where no curve says so
    more_images: str  # what more of them would bring, in the chapter on training data; else empty
    short: str  # a warning, where the runs had far fewer epochs than the report's
    command: str
    has_further: bool  # seeds that `decide` added, which the command does not repeat
    claims: tuple[CheckedClaim, ...]
    compared: tuple[ComparedRow, ...]
    averages: tuple[Average, ...]
    units: str  # what intervals are over: `seeds`, `seeds x folds`
    thumbnails_of: str  # `Of fold 0. `; empty without other folds
    parent_run_id: str  # of the newest study run; empty without runs
    link: str  # to it in the MLflow UI


def checked_claims(published: Assessments, measured: Assessments, study: str) -> tuple[CheckedClaim, ...]:
    """The claims of one study; with no study, all that are the report's."""
    claims = [c for c in ALL_CLAIMS if c.study == study] if study else CLAIMS
    return tuple(CheckedClaim(c, published[c.code], measured[c.code]) for c in claims)


def counts(found: Assessments) -> list[tuple[str, int]]:
    """How many of the report's claims got each verdict, in a fixed order."""
    counted = Counter(found[claim.code].verdict for claim in CLAIMS)
    return [(verdict, counted[verdict]) for verdict in VERDICTS]


def make_chapters(
    published: pd.DataFrame, found: Evidence, verdicts: tuple[Assessments, Assessments], notes: pd.DataFrame
) -> list[Chapter]:
    """One chapter per study, in the report's order, with or without runs.

    All but the claims is of the first data set: scores of several sets have no common mean.
    """
    chapters, trials, curves = [], first_set(found.trials), found.curves
    for study in STUDIES.values():
        runs = trials[trials["study"] == study.name]
        table = compare(study, published, runs)
        chapter = Chapter(
            study=study,
            is_report=any(claim.study == study.name for claim in CLAIMS),
            heads=tuple(factor_label(factor) for factor in cell_factors(study)),
            score="best learning rate" if study.search_lr else "val Dice",
            rows=tuple(_row(study, row, found) for row in table.to_dict("records")),
            notes=tuple(notes[notes["figure"] == study.figure]["note"]),
            pictures=tuple(study_pictures(study, table, runs, curves)),
            thumbnails=tuple(study_thumbnails(study, table, runs, found)),
            train_thumbnails=tuple(
                study_thumbnails(study, table, runs, found, "train") if study.name == "training_data" else ()
            ),
            runs=_runs(runs),
            switched=describe_switching(runs, curves) if study.name == "losses" else "",
            more_images=more_images.describe(runs) if study.name == "training_data" else "",
            short=_short(study, runs),
            command=command(study.name, runs),
            has_further=bool(runs["first_seeds"].notna().any()),
            claims=checked_claims(*verdicts, study.name),
            compared=tuple(_compared(row) for row in compare_with_reference(study, runs).to_dict("records")),
            averages=tuple(averages(study, table)),
            units=units_of(runs),
            thumbnails_of=f"Of fold {runs['fold'].mode()[0]:g}. " if len(runs["fold"].unique()) > 1 else "",
            parent_run_id=str(runs["parent_run_id"].iloc[-1])
            if len(runs) and runs["parent_run_id"].notna().all()
            else "",
            link=found.link(*runs[["experiment_id", "parent_run_id"]].iloc[-1]) if len(runs) else "",
        )
        chapters.append(chapter)
    return chapters


def choices(trials: pd.DataFrame, found: Evidence) -> list[dict[str, str]]:
    """What Section 8 would choose from a table, by both its rules."""
    rules = (("highest validation Dice", highest_dice), ("most consistent over the losses", most_consistent))
    chosen = ((name, choose(trials)) for name, choose in rules)
    return [
        {"rule": name, "trial": describe(row), "val_dice": number(row["val_dice"]), "study": row["study"]}
        | {"own_val_dice": number(row["own_val_dice"]) if pd.notna(row["own_val_dice"]) else ""}
        | {"false_alarms": false_alarms(row["val_false_alarms"], row["val_empty_images"])}
        | {"link": found.link(row["experiment_id"], row["run_id"])}
        for name, row in chosen
        if row is not None
    ]


def describe_switching(trials: pd.DataFrame, curves: pd.DataFrame) -> str:
    """Of the batches of the trials with switching loss; the mean over trials, and their range."""
    if "switched_percent" not in curves:
        return ""
    switching = trials.loc[trials["loss"] == "switching", "run_id"]
    known = curves[curves["run_id"].isin(switching)].dropna(subset="switched_percent")
    shares = known.groupby("run_id")["switched_percent"].mean()
    if shares.empty:
        return ""
    low, high = f"{shares.min():.0f}", f"{shares.max():.0f}"
    spread = f" ({low} to {high} % over trials)" if low != high else ""
    return f"Switching led with Dice in {shares.mean():.0f} % of the batches{spread}."


def false_alarms(alarms: float, empty: float) -> str:
    """Beside a Dice: what it leaves out; nothing where all images have foreground, or where it was not counted."""
    return f"false alarms on {alarms:.3g} of {empty:.0f} empty" if empty > 0 and pd.notna(alarms) else ""


def describe(trial: Mapping[Any, Any] | pd.Series) -> str:
    """The factors that the report tunes, in words; unknown ones are left out."""
    known = [factor for factor in SETTINGS if factor in trial and value_label(factor, trial[factor]) != DASH]
    plain = {"scheduler": "none", "augment": "none", "weight_decay": "0.0", "dropout": "0.0"}
    varied = [factor for factor in known if str(trial[factor]) != plain.get(factor)]
    words = cell_label(dict(trial), [factor for factor in varied if factor != "augment"])
    return f"{words}, augmentation in {value_label('augment', trial['augment'])}" if "augment" in varied else words


def describe_params(params: Mapping[str, str]) -> str:
    """The same of an MLflow run's params; empty when its run is gone."""
    return describe(asdict(Trial.from_params(params))) if params else ""


def _runs(trials: pd.DataFrame) -> str:
    if trials.empty:
        return ""
    first = trials.iloc[0]
    epochs = trials["epochs"]
    folds = sorted(trials["fold"].dropna().unique())
    where = f", folds {', '.join(f'{fold:g}' for fold in folds)}" if len(folds) > 1 else ""
    spread = f"{epochs.min():.0f}" if epochs.min() == epochs.max() else f"{epochs.min():.0f} to {epochs.max():.0f}"
    return (
        f"{pluralize(len(trials), 'run')} on {first['data']}, {spread} epochs at {first['image_size']:.0f} pixels, "
        f"protocol {first['protocol']}, baseline {first['baseline']}{where}"
    )


def _short(study: Study, trials: pd.DataFrame) -> str:
    at_most = trials["train_percent"] == trials["train_percent"].max()  # budget=steps trains longer on less
    longest = trials.loc[at_most, "epochs"].max()
    if trials.empty or longest >= MIN_EPOCHS_SHARE * study.epochs:
        return ""
    return (
        f"At most {longest:.0f} of the report's {study.epochs} epochs: verdicts are about trainings of this length; "
        "longer ones may come out otherwise."
    )


def _row(study: Study, row: Mapping[Any, Any], found: Evidence) -> TableRow:
    link = found.link(row["experiment_id"], row["run_id"] if row["n"] == 1 else row["parent_run_id"])
    cells = tuple(value_label(factor, row[factor]) for factor in cell_factors(study))
    notes = [f"{row[word]} {word}" for word in ("collapsed", "diverged") if row[word]]
    if pd.notna(row["own_val_dice"]):
        notes.append(f"{number(row['own_val_dice'])} at own size")
    if alarms := false_alarms(row["val_false_alarms"], row["val_empty_images"]):
        notes.append(alarms)
    if row.get("train_percent") == 100:
        notes.append("validated on its training images")
    mean, sd = row["val_dice"], row["sd"]
    if study.search_lr:
        if row["n"]:
            notes.append(f"val Dice {number(mean)}")
        rates = [value_label("lr", row[name]) for name in ("published_lr", "lr")]
        ratio = row["lr"] / row["published_lr"]
        difference = f"{TIMES}{ratio:.2g}" if pd.notna(ratio) else DASH
        return TableRow(
            cells, row["extra"], rates[0], rates[1], str(row["n"] or DASH), difference, ", ".join(notes), link
        )
    published, difference = number(row["published_val_dice"]), signed(mean - row["published_val_dice"])
    measured = number(mean) + (f" ± {number(sd)}" if pd.notna(sd) else "")
    return TableRow(cells, row["extra"], published, measured, str(row["n"] or DASH), difference, ", ".join(notes), link)


def _compared(row: Mapping[Any, Any]) -> ComparedRow:
    return ComparedRow(
        factor=factor_label(row["factor"]),
        value=value_label(row["factor"], row["value"]),
        reference=value_label(row["factor"], row["reference"]),
        effect=signed(row["effect"]),
        over_seeds=signed_interval(row["low"], row["high"]),
        wins=f"{row['wins']} of {row['units']}",
        p_holm="< 0.001" if row["p_holm"] < 0.0005 else number(row["p_holm"]),
        failed=str(row["failed"] or ""),
    )
