"""Where a trial is kept while it trains. What is in such a file only a worker knows: training/network/checkpoint.py."""

from pathlib import Path

FOLDER = Path("mlruns/checkpoints")


def checkpoint_of(digest: str) -> Path:
    """Of the trial of this result hash."""
    return FOLDER.resolve() / f"{digest}.safetensors"


def drop_checkpoint(path: Path) -> None:
    """A trial that is finished needs none; nor what a process that died wrote half."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)
