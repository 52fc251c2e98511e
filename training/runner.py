"""Runs studies: `python -m training.runner STUDY --data FOLDER ...`, which is what `mlflow run . -e STUDY` calls.

Everything a person gave is checked before the first run exists (training/command/preparation.py). Then: propose, train,
propose again, until the search is done (training/execution/invocation.py).
"""

from collections.abc import Sequence

from training.command.entry import run_command
from training.command.options import parse
from training.command.preparation import prepare
from training.command.progress import leave

MODULE = "training.runner"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every trial is there, 1 when some are missing, 2 for a value that cannot be used (no run is left then),
    130 when it was stopped.
    """
    return run_command(MODULE, run, arguments)


def run(arguments: Sequence[str]) -> int:
    """Check everything, then run the studies that were asked for. Raises ValueError before any run exists."""
    prepared = prepare(parse(arguments))
    from training.execution.invocation import run_studies  # MLflow takes seconds to import: checks come first

    return run_studies(prepared, MODULE)


if __name__ == "__main__":
    leave(main())
