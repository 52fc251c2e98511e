"""Files that are there whole or not at all: a reader never meets half a page."""

import io
import tempfile
from pathlib import Path

import pandas as pd


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def to_parquet(table: pd.DataFrame) -> bytes:
    """What `write` takes: the table without its index."""
    file = io.BytesIO()
    table.to_parquet(file, index=False, compression="zstd")
    return file.getvalue()
