"""Further seeds of cells that a study has already: what is asked for where verdicts are open, as a file.

Nothing here knows why they are asked for.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.study.plan import Plan
from training.study.search import Grid, Search
from training.study.studies import STUDIES, Row
from training.study.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Further:
    """One trial more of a study run."""

    study: str
    parent: str  # the study run's id
    is_extra: bool  # of a row beyond the report
    trial: Trial


@dataclass(frozen=True, kw_only=True)
class FurtherSeeds:
    first_seeds: int  # that every cell had before any was added
    trials: tuple[Further, ...]

    @property
    def studies(self) -> list[str]:
        return list(dict.fromkeys(one.study for one in self.trials))

    def plans(self) -> dict[str, Plan]:
        """By study run: its further trials."""
        by_parent: dict[str, list[Further]] = {}
        for one in self.trials:
            by_parent.setdefault(one.parent, []).append(one)
        return {parent: _plan(trials) for parent, trials in by_parent.items()}


def write(path: Path, first_seeds: int, trials: Iterable[Further]) -> None:
    kept = {"first_seeds": first_seeds, "trials": [dataclasses.asdict(one) for one in trials]}
    path.write_text(json.dumps(kept, indent=1))


def read(path: Path) -> FurtherSeeds:
    """Raises ValueError for what is no such file."""
    try:
        known = json.loads(path.read_text())
        trials = tuple(Further(**{**one, "trial": Trial(**one["trial"])}) for one in known["trials"])
        found = FurtherSeeds(first_seeds=int(known["first_seeds"]), trials=trials)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"further={path}: no list of further trials can be read from it: {error}") from None
    if unknown := [name for name in found.studies if name not in STUDIES]:
        raise ValueError(f"further={path}: study={unknown[0]!r} is unknown; it must be one of {', '.join(STUDIES)}")
    return found


def _plan(trials: list[Further]) -> Plan:
    cells: list[tuple[Row, Search]] = [(Row({}, extra=one.is_extra), Grid((one.trial,))) for one in trials]
    return Plan(study=STUDIES[trials[0].study], rates=[], cells=cells, left_out=[], settled={})
