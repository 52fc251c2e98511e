"""What a report rests on as a folder of small files, so that it can be made again without any store.

Such folders lie in `measured/`, one a data set. Parquet keeps types and bits; the csv beside it is for people.
"""

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.evidence.curve_scores import add_curve_scores
from analysis.evidence.evidence import NO_CURVES, Evidence
from analysis.evidence.failures import forget_old_scores
from analysis.evidence.files import write
from analysis.evidence.provenance import provenance
from analysis.evidence.schema import ADDED, CURVE, SCHEMA, SETTINGS, modernize
from analysis.evidence.store import TEST_COLUMNS, Champion
from analysis.evidence.thumbnails import Thumbnails, to_webp

TRIALS, CURVES, PREDICTIONS = "trials.parquet", "curves.parquet", "predictions.parquet"
CHAMPION, WORST, PROVENANCE = "champion.json", "champion_worst_images.webp", "provenance.json"


def from_files(folder: Path, server: str) -> Evidence:
    """What `write_files` wrote, here or on another machine."""
    if not (folder / TRIALS).is_file():
        raise ValueError(f"tables={folder}: it has no {TRIALS}; it must be the tables/ folder beside a report")
    trials = modernize(pd.read_parquet(folder / TRIALS))
    if missing := [name for name in SCHEMA if name not in trials and name not in (*ADDED, *CURVE, *SETTINGS)]:
        raise ValueError(f"tables={folder}: {TRIALS} lacks {', '.join(missing)}; write that report again")
    thumbnails = _thumbnails(folder / PREDICTIONS)
    told = folder / PROVENANCE
    curves = pd.read_parquet(folder / CURVES) if (folder / CURVES).is_file() else pd.DataFrame(columns=NO_CURVES)
    trials = forget_old_scores(trials.reindex(columns=list(SCHEMA)).astype(SCHEMA), curves)
    return Evidence(
        trials=add_curve_scores(trials, curves),
        curves=curves,
        champion=_champion(folder),
        load_thumbnails=thumbnails.get,
        server=server,
        provenance=json.loads(told.read_text()) if told.is_file() else provenance(trials, 0),
    )


def write_files(folder: Path, found: Evidence, shown: Iterable[str]) -> None:
    """All of it; of the predictions, those of the runs that the page shows."""
    loaded = {run_id: found.load_thumbnails(run_id) for run_id in dict.fromkeys(shown)}
    thumbnails = [{"run_id": run_id, **asdict(kept)} for run_id, kept in loaded.items() if kept]
    write(folder / TRIALS, _parquet(found.trials))
    write(folder / "trials.csv", found.trials.to_csv(index=False))
    write(folder / CURVES, _parquet(found.curves))
    if thumbnails:
        write(folder / PREDICTIONS, _parquet(pd.DataFrame(thumbnails)))
    if found.provenance:
        write(folder / PROVENANCE, _json(found.provenance))
    if found.champion:
        images = found.champion.test_images.astype(object)
        known = asdict(found.champion) | {"test_images": images.where(images.notna(), None).to_dict("records")}
        worst = known.pop("worst_images")
        write(folder / CHAMPION, _json(known))
        if worst:
            write(folder / WORST, to_webp(worst))


def _champion(folder: Path) -> Champion | None:
    if not (folder / CHAMPION).is_file():
        return None
    known = json.loads((folder / CHAMPION).read_text())
    images = pd.DataFrame(known.pop("test_images"), columns=list(TEST_COLUMNS))
    images = images.where(images.notna(), math.nan).astype({"image": "str", "dice": "float64"})
    worst = folder / WORST
    return Champion(**known, test_images=images, worst_images=worst.read_bytes() if worst.is_file() else b"")


def _thumbnails(path: Path) -> dict[str, Thumbnails]:
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    return {str(run_id): Thumbnails(*parts) for run_id, *parts in table.itertuples(index=False)}


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False, compression="zstd")
    return file.getvalue()


def _json(known: Mapping[str, Any]) -> str:
    return json.dumps(known, indent=1, ensure_ascii=False) + "\n"
