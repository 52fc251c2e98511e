"""What a report rests on as a folder of small files, so that it can be made again without any store.

Such folders lie in `measured/`, one per data set. Parquet keeps types and bits; the csv beside it is for people.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.evidence.curve_scores import add_curve_scores
from analysis.evidence.evidence import NO_CURVES, Evidence
from analysis.evidence.failures import forget_old_scores
from analysis.evidence.files import to_parquet, write
from analysis.evidence.pooling import newest_first, pool
from analysis.evidence.provenance import provenance, provenance_by_set
from analysis.evidence.schema import ADDED, CURVE, RATE_AT_EDGE, SCHEMA, SETTINGS, modernize, tidy
from analysis.evidence.store import TEST_COLUMNS, Champion
from analysis.evidence.thumbnails import Thumbnails, to_webp
from training.tracking.kept_runs import RUNS, each_epoch_once

TRIALS, CURVES, PREDICTIONS = "trials.parquet", "curves.parquet", "predictions.parquet"
CHAMPION, WORST, PROVENANCE = "champion.json", "champion_worst_images.webp", "provenance.json"
OTHER_CHAMPIONS = "other_champions.json"


def from_files(folder: Path, server: str) -> Evidence:
    """What `write_files` wrote, here or on another machine."""
    if not (folder / TRIALS).is_file():
        raise ValueError(f"tables={folder}: it has no {TRIALS}; it must be the tables/ folder beside a report")
    trials = modernize(pd.read_parquet(folder / TRIALS))
    later = (*ADDED, *CURVE, *SETTINGS, RATE_AT_EDGE)
    if missing := [name for name in SCHEMA if name not in trials and name not in later]:
        raise ValueError(f"tables={folder}: {TRIALS} lacks {', '.join(missing)}; write that report again")
    thumbnails = _thumbnails(folder / PREDICTIONS)
    facts = json.loads((folder / PROVENANCE).read_text()) if (folder / PROVENANCE).is_file() else {}
    sets = tuple(facts.pop("sets", []))
    others = json.loads((folder / OTHER_CHAMPIONS).read_text()) if (folder / OTHER_CHAMPIONS).is_file() else []
    has_curves = (folder / CURVES).is_file()
    curves = each_epoch_once(pd.read_parquet(folder / CURVES)) if has_curves else pd.DataFrame(columns=NO_CURVES)
    trials = forget_old_scores(tidy(trials), curves)
    return Evidence(
        trials=add_curve_scores(trials, curves),
        curves=curves,
        kept_runs=pd.read_parquet(folder / RUNS) if (folder / RUNS).is_file() else pd.DataFrame(),
        champion=_champion(folder),
        load_thumbnails=lambda run_id, part: thumbnails.get((run_id, part)),
        server=server,
        provenance=facts or provenance(trials, {}),
        sets=sets or ((facts,) if facts else ()),
        other_champions=tuple(_read_champion(known, b"") for known in others),
    )


def from_folders(folders: Sequence[Path], server: str) -> Evidence:
    """What several such folders hold, together; of the same images by the rule that holds for a store, too."""
    found = [from_files(folder, server) for folder in folders]
    if len(found) == 1:
        return found[0]
    together = pd.concat([one.trials for one in found], ignore_index=True)
    pooled = pool(newest_first(together))
    trials = together.loc[sorted(pooled.trials.index)].reset_index(drop=True)
    curves = each_epoch_once(pd.concat([one.curves for one in found]))
    trials = add_curve_scores(trials, curves)  # anew: the Dice that epochs_to_target asks for is common to all of them
    known = [fields for one in found for fields in one.sets]
    images = {fields.get("digest of the data"): int(fields.get("images", 0)) for fields in known}
    champions = [champion for one in found for champion in (one.champion, *one.other_champions) if champion]
    return Evidence(
        trials=trials,
        curves=curves[curves["run_id"].isin(trials["run_id"])],
        kept_runs=pd.concat([one.kept_runs for one in found], ignore_index=True).drop_duplicates(),
        champion=champions[0] if champions else None,
        load_thumbnails=lambda *shown: next(filter(None, (one.load_thumbnails(*shown) for one in found)), None),
        server=server,
        provenance=provenance(trials, images, pooled.notes),
        sets=provenance_by_set(trials, images),
        other_champions=tuple(champions[1:]),
    )


def write_files(folder: Path, found: Evidence, shown: Iterable[tuple[str, str]]) -> None:
    """All of it; of the predictions, those that the page shows: (run_id, part of PARTS)."""
    loaded = {one: found.load_thumbnails(*one) for one in dict.fromkeys(shown)}
    thumbnails = [{"run_id": one[0], "part": one[1], **asdict(kept)} for one, kept in loaded.items() if kept]
    write(folder / TRIALS, to_parquet(found.trials))
    write(folder / "trials.csv", found.trials.to_csv(index=False))
    write(folder / CURVES, to_parquet(found.curves))
    if len(found.kept_runs):
        write(folder / RUNS, to_parquet(found.kept_runs))
    if thumbnails:
        write(folder / PREDICTIONS, to_parquet(pd.DataFrame(thumbnails)))
    if found.provenance:
        sets = {"sets": found.sets} if len(found.sets) > 1 else {}
        write(folder / PROVENANCE, _json({**found.provenance, **sets}))
    if found.champion:
        known = _champion_as_json(found.champion)
        write(folder / CHAMPION, _json(known))
        if found.champion.worst_images:
            write(folder / WORST, to_webp(found.champion.worst_images))
    if found.other_champions:  # without their pictures, which the page has no place for
        write(folder / OTHER_CHAMPIONS, _json([_champion_as_json(one) for one in found.other_champions]))


def _champion_as_json(champion: Champion) -> dict[str, Any]:
    images = champion.test_images.astype(object)
    known = asdict(champion) | {"test_images": images.where(images.notna(), None).to_dict("records")}
    del known["worst_images"]
    return known


def _champion(folder: Path) -> Champion | None:
    if not (folder / CHAMPION).is_file():
        return None
    worst = folder / WORST
    return _read_champion(json.loads((folder / CHAMPION).read_text()), worst.read_bytes() if worst.is_file() else b"")


def _read_champion(known: dict[str, Any], worst: bytes) -> Champion:
    images = pd.DataFrame(known.pop("test_images"), columns=list(TEST_COLUMNS))
    images = images.where(images.notna(), math.nan).astype({"image": "str", "dice": "float64"})
    return Champion(**known, test_images=images, worst_images=worst)


def _thumbnails(path: Path) -> dict[tuple[str, str], Thumbnails]:
    """Version 0.2 kept those of validation images alone, and did not say so."""
    rows = pd.read_parquet(path).to_dict("records") if path.is_file() else []
    return {
        (row["run_id"], row.get("part", "val")): Thumbnails(row["images"], row["truth"], row["predictions"])
        for row in rows
    }


def _json(known: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(known, indent=1, ensure_ascii=False) + "\n"
