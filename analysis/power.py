"""How large an effect would be seen: `python -m analysis.power STUDY --data FOLDER --seeds 6`, before any trial.

From the spreads over seeds of earlier runs on these images (the newest size and reading of them that has enough) or,
without any, of the kept runs of others in analysis/measured/. The plan of a study ends with it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.command.entry import Parser, run_command, user_path, whole_number
from training.command.options import ALL
from training.data.image_set import data_name
from training.study.intervals import MIN_UNITS
from training.study.studies import STUDIES

if TYPE_CHECKING:  # pandas and MLflow take seconds to import, and --help does without
    import pandas as pd

    from analysis.claims.verdicts import Assessments

MODULE = "analysis.power"
MEASURED = Path(__file__).parent / "measured"


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 for a value that cannot be used."""
    return run_command(MODULE, power, arguments)


def power(arguments: Sequence[str]) -> int:
    """Raises ValueError for what cannot be used."""
    parser = Parser(MODULE, "Say how large an effect each claim would be seen with, with so many seeds.")
    parser.add_argument("study", nargs="?", default=ALL, help=f"{', '.join(STUDIES)}, or {ALL} of the report's")
    parser.add_argument("--data", type=user_path, required=True, help="a folder of images and masks, or a csv")
    parser.add_argument("--seeds", type=whole_number, default=1, help="that are planned, of every cell")
    options, _ = parser.parse_known(arguments)  # what else a plan was given says nothing here
    found, source = _known(data_name(options.data)) if options.seeds >= MIN_UNITS else ({}, "")
    print("", *describe(options.study, options.seeds, found, source), sep="\n")
    return 0


def describe(study: str, seeds: int, found: "Assessments", source: str) -> list[str]:
    """A line per claim about Dice whose spread is known: what would be seen in 4 of 5 tries."""
    from analysis.claims.claims import ALL_CLAIMS
    from analysis.claims.contrasts import detectable

    if study not in (*STUDIES, ALL):
        return [f"{study} trains too few seeds of a configuration, so it decides no claim"]
    if seeds < MIN_UNITS:
        return [f"with {seeds} of every cell no verdict is decided: give at least -P seeds={MIN_UNITS}"]
    claims = [claim for claim in ALL_CLAIMS if study in (ALL, claim.study) and claim.unit == "Dice"]
    known = [claim for claim in claims if claim.code in found and found[claim.code].spread > 0]
    if not known:
        return [f"how large an effect {seeds} seeds would show is not known yet: {source}"]
    lines = [
        f"{claim.code:<22}{found[claim.code].spread:>8.3f}{detectable(found[claim.code].spread, seeds):>10.3f}  "
        f"{claim.sentence}"
        for claim in known
    ]
    head = f"what {seeds} seeds would show (Dice; in 4 of 5 tries, each claim by itself), from {source}:"
    return [head, f"{'claim':<22}{'sd':>8}{'effect':>10}", *lines]


def _known(data: str) -> "tuple[Assessments, str]":
    """What earlier runs decide, and which these are, in words."""
    from analysis.claims.claims import check_claims
    from analysis.evidence.evidence import from_store
    from analysis.evidence.runs import known_data, load_trials
    from analysis.evidence.snapshot import from_folders

    digests = (digest for digest, name in known_data().items() if name == data)  # the newest first
    if digest := next((one for one in digests if _has_enough_seeds(load_trials(one))), ""):
        own = from_store(digest, "").trials
        return check_claims(own), f"the {len(own)} trials of {data} in the store"
    folders = [folder for folder in sorted(MEASURED.iterdir()) if (folder / "trials.parquet").is_file()]
    names = ", ".join(folder.name for folder in folders) or "none"
    trials = from_folders(folders, "").trials if folders else None
    if trials is None or not _has_enough_seeds(trials):
        return {}, f"neither {data} nor the kept runs of other images ({names}) have {MIN_UNITS} seeds of a cell"
    return check_claims(trials), f"the kept runs of other images ({names})"


def _has_enough_seeds(trials: "pd.DataFrame") -> bool:
    return bool(trials["seed"].nunique() >= MIN_UNITS)


if __name__ == "__main__":
    raise SystemExit(main())
