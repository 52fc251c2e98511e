"""Where the measured numbers come from: data, machine, versions, commit, dates, and the command that repeats them.

The tidy table in, words out. Nothing is read here.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from training.study.settings import PRESETS, scale_epochs, usual_rates
from training.study.studies import STUDIES
from training.study.words import pluralize

DEFAULTS = {  # a study's defaults
    "preset": "small",
    "baseline": "report",
    "search": "geometric",
    "budget": "epochs",
    "protocol": "fixed",
    "fit": "resize",
    "fold": 0,
    "precision": "auto",  # which a processor decides, so what it was is always said
}
EACH_FOLD = "fold=$fold"  # in a loop of the shell
LABELS = {  # column: what it is called
    "data": "data",
    "data_digest": "digest of the data",
    "preset": "preset",
    "image_size": "pixels",
    "fold": "folds",
    "seed": "seeds",
    "baseline": "baseline",
    "rates": "learning rates",
    "protocol": "protocol",
    "precision": "precision",
    "device": "device",
    "torch": "torch",
    "mlflow": "MLflow",
    "git_commit": "commit",
}


def provenance(trials: pd.DataFrame, images: Mapping[Any, int], notes: Sequence[str] = ()) -> dict[str, str]:
    """What is known of all measured rows, by name; several values with commas. Empty without rows.

    `images`: how many each data set has, by its digest; 0: not known. `notes`: what was left out.
    """
    if trials.empty:
        return {}
    facts = {name: _values(trials[column]) for column, name in LABELS.items()}
    facts["images"] = " + ".join(str(images[data]) for data in trials["data_digest"].unique() if images.get(data))
    trained = trials["trained_run_id"].nunique()
    facts["trials"] = f"{pluralize(len(trials), 'trial')} in {_studies(trials)}"
    if trained < len(trials):
        facts["trials"] += f", {trained} of them trained and the rest reused"
    started = trials["started"].dropna()
    facts["trained or reused"] = f"{started.min()} to {started.max()} UTC" if len(started) else ""
    facts["left out"] = "; ".join(notes)
    facts["factors read back"] = _applied(trials)
    sets = [own for _, own in trials.groupby("data_digest", sort=False, dropna=False)]
    facts["command"] = "; ".join(one for own in sets for one in commands(own))
    return {name: value for name, value in facts.items() if value}


def provenance_by_set(trials: pd.DataFrame, images: Mapping[Any, int]) -> tuple[dict[str, str], ...]:
    """The same of each data set."""
    return tuple(provenance(own, images) for _, own in trials.groupby("data_digest", sort=False, dropna=False))


def commands(trials: pd.DataFrame) -> list[str]:
    """The commands that repeat all of it: `main`, where the studies took over each other's winners."""
    studies = list(trials["study"].unique())
    if trials["first_seeds"].notna().any():
        return [command("decide", trials)]
    reported = [name for name in studies if STUDIES[name].figure]
    if len(reported) > 1 and set(trials["baseline"]) == {"measured"}:
        others = [name for name in studies if name not in reported]
        return [
            command("", trials[trials["study"].isin(reported)]),
            *(command(name, trials[trials["study"] == name]) for name in others),
        ]
    return [command(name, trials[trials["study"] == name]) for name in studies]


def command(name: str, trials: pd.DataFrame) -> str:
    """The command that repeats a study (without a name: all of them) as it was run; as it would be run first where it
    has no runs.
    """
    words = [f"mlflow run . -e {name}" if name else "mlflow run ."]
    if trials.empty:
        return f"{words[0]} -P data=FOLDER"
    first = trials.iloc[0]
    folds = [f"{fold:g}" for fold in sorted(trials["fold"].dropna().unique())]
    parameters: dict[str, Any] = {"data": f"path/to/{first['data']}"}
    if pd.notna(first["data_options"]):
        parameters |= dict(word.split("=", 1) for word in shlex.split(first["data_options"]))
    for key, default in DEFAULTS.items():
        if key == "baseline" and not name:
            continue  # `main` always measures
        if key == "fold" and len(folds) > 1:
            parameters[key] = "$fold"
        elif pd.notna(first[key]) and first[key] != default:
            parameters[key] = f"{first[key]:g}" if isinstance(first[key], float) else first[key]
    if pd.notna(first["rates"]) and first["rates"] != usual_rates(first["baseline"], trials["seed"].nunique()):
        parameters["rates"] = first["rates"]
    if first["switching_tau_origin"] == "given":
        parameters["switching_tau"] = f"{first['switching_tau']:g}"
    parameters |= _beside_preset(trials)
    if (seeds := trials[trials["first_seeds"].isna()]["seed"].nunique()) > 1:
        parameters["seeds"] = seeds
    given = [f"{key}={value}" for key, value in parameters.items()]
    one = " ".join([*words, *(f"-P {word if word == EACH_FOLD else shlex.quote(word)}" for word in given)])
    return f"for fold in {' '.join(folds)}; do {one}; done" if len(folds) > 1 else one


def _beside_preset(trials: pd.DataFrame) -> dict[str, Any]:
    """image_size and epochs, where they are not what the preset says."""
    preset = PRESETS.get(str(trials["preset"].iloc[0]))
    if preset is None:
        return {}
    parameters = {}
    if (pixels := trials["image_size"].iloc[0]) != preset.image_size:
        parameters["image_size"] = f"{pixels:.0f}"
    on_most_data = trials[~(trials["train_percent"] < trials["train_percent"].max())]
    epochs = {str(name): float(own.min()) for name, own in on_most_data.groupby("study")["epochs"]}
    if not _is_share(preset.epoch_share, epochs):
        percent = next((percent for percent in range(1, 1000) if _is_share(percent / 100, epochs)), None)
        is_same = percent is None or len(set(trials["epochs"])) == 1  # with budget=steps less data is trained longer
        parameters["epochs"] = f"{min(epochs.values()):.0f}" if is_same else f"{percent}%"
    return parameters


def _is_share(share: float, epochs: Mapping[str, float]) -> bool:
    """Whether each study's epochs are this share of the report's."""
    return all(scale_epochs(STUDIES[name].epochs, share) == found for name, found in epochs.items())


def _applied(trials: pd.DataFrame) -> str:
    """Of how many trials the factors, read back from what trained them, are those that were asked for."""
    known = trials.drop_duplicates("trained_run_id")["applied"]
    if known.notna().sum() == 0:
        return ""
    others = known[known.notna() & (known != "all")].value_counts()
    right = f"as asked for in {int((known == 'all').sum())} of {pluralize(len(known), 'trial')}"
    unknown = f", not known of {int(known.isna().sum())}" if known.isna().any() else ""
    return "; ".join([right + unknown, *(f"in {count} {what}" for what, count in others.items())])


def _values(column: pd.Series) -> str:
    values = sorted(column.dropna().unique())
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values if value != "")


def _studies(trials: pd.DataFrame) -> str:
    count = trials["study"].nunique()
    return "1 study" if count == 1 else f"{count} studies"
