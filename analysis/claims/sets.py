"""Several data sets: which there are, what their units say together, and where they disagree.

Every set is read by itself, as if it were alone: one that settled on other values, or was trained longer, is compared
with its own runs only. Together are all their units, so each set weighs by its seeds and folds. Nothing here knows a
claim.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.claims.contrasts import UNIT, Contrast, Finding, examine
from analysis.claims.labels import TIMES, set_names, signed

SET = UNIT[0]
DISAGREE = "the data sets disagree on"


def split_sets(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each data set by its name, in order of appearance."""
    known = table[[SET, "data"]].drop_duplicates(SET)
    names = set_names(zip(known[SET], known["data"].fillna(known[SET]), strict=True))
    return {names[str(digest)]: rows for digest, rows in table.groupby(SET, sort=False, dropna=False)}


def merge(by_set: Sequence[Sequence[Contrast]]) -> list[Contrast]:
    """The units of all sets together, contrast by contrast; in order of appearance. A set with too few units for a
    variance has no values of it, and says nothing.
    """
    found: dict[tuple[str, tuple[str, ...]], Contrast] = {}
    for contrasts in by_set:
        for one in contrasts:
            key = (one.words, one.group)
            known = found.get(key)
            if known is None:
                found[key] = one
            else:
                units = pd.concat([known.per_unit, one.per_unit])
                units = units.dropna() if units.notna().any() else units
                found[key] = replace(known, per_unit=units, **_gaps(known, one))
    return list(found.values())


def _gaps(one: Contrast, other: Contrast) -> dict[str, Any]:
    return {"dropped": one.dropped + other.dropped, "hindrances": hindrances_of([one, other])}


def hindrances_of(contrasts: Iterable[Contrast]) -> tuple[str, ...]:
    """What hinders any of them from deciding, each said once."""
    return tuple(dict.fromkeys(hindrance for one in contrasts for hindrance in one.hindrances))


def merge_notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Of notes by set: as they are where all sets have them, else with the sets that have."""
    having: dict[str, list[str]] = {}
    for name, of_set in notes.items():
        for note in dict.fromkeys(of_set):
            having.setdefault(note, []).append(name)
    return [note if len(names) == len(notes) else f"on {' and '.join(names)}: {note}" for note, names in having.items()]


def by_set(finding: Finding, names: Mapping[str, str]) -> dict[str, Finding]:
    """The same contrast on each of its data sets, by name; `names`: of the sets, by digest."""
    units = finding.contrast.per_unit
    return {
        names[data]: examine(replace(finding.contrast, per_unit=values))
        for data, values in units.groupby(units.index.map(set_of_unit), sort=False)
    }


def disagreements(findings: Sequence[Finding], names: Mapping[str, str]) -> list[str]:
    """Contrasts whose intervals lie above 0 on one set and below 0 on another."""
    notes = []
    for finding in findings if len(names) > 1 else []:
        found = by_set(finding, names)
        above, below = (any(one.low > 0 for one in found.values()), any(one.high < 0 for one in found.values()))
        if finding.contrast.is_difference and above and below:
            effects = ", ".join(f"{signed(one.effect)} on {name}" for name, one in found.items())
            notes.append(f"{DISAGREE} {finding.contrast.words}: {effects}")
    return notes


def names_by_digest(table: pd.DataFrame) -> dict[str, str]:
    return {str(rows[SET].iloc[0]): name for name, rows in split_sets(table).items()}


def set_of_unit(unit: str) -> str:
    """The digest in a unit's name, as `contrasts.by_unit` writes it."""
    return unit.rsplit(" ", len(UNIT) - 1)[0]


def by_fold(per_unit: pd.Series) -> pd.Series:
    """The mean over a fold's seeds: a unit is a fold."""
    data_and_fold = per_unit.index.str.rsplit(" ", n=1).str[0]
    found = per_unit.groupby(data_and_fold, sort=False).mean()
    return found.set_axis(found.index.str.replace(r" (\S+)$", r" all \1", regex=True))


def unit_words(contrasts: Sequence[Contrast]) -> str:
    """What a unit of these is: `seed`, `seed x fold`, `seed x fold x data set`; named is what there is several of."""
    parts = {tuple(unit.rsplit(" ", len(UNIT) - 1)) for contrast in contrasts for unit in contrast.per_unit.index}
    columns = list(zip(*parts, strict=True)) or [(), (), ()]  # of UNIT: data sets, folds, seeds
    several = [word for word, column in (("fold", columns[1]), ("data set", columns[0])) if len(set(column)) > 1]
    return f" {TIMES} ".join([contrasts[0].of_what, *several])


def count_units(count: int, unit: str) -> str:
    """`1 seed`, `12 seeds x folds`."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit.replace(f' {TIMES} ', f's {TIMES} ')}s"
