"""What every command does at its border: where it was typed, what a path means, how it is refused.

Imports nothing heavy, so that --help answers at once.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from training import ROOT
from training.tracking.errors import StoreError

SHELLS = ("bash", "sh", "cmd", "cmd.exe")  # through which MLflow starts a command


class Parser(argparse.ArgumentParser):
    """Raises ValueError, so that every wrong value ends in `refuse`. Takes --val_percent for --val-percent, too.

    So MLproject need not list every parameter: `mlflow run -P val_percent=20` adds --val_percent 20 to a command.
    """

    def __init__(self, module: str, description: str) -> None:
        super().__init__(prog=f"python -m {module}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; --help lists what can be given")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        options, unknown = self.parse_known(arguments)
        if unknown:
            known = ", ".join(sorted(vars(options)))
            extra = " ".join(unknown).removeprefix("--").replace(" ", "=", 1)
            raise ValueError(f"{extra}: there is no such parameter; the parameters are {known}")
        return options

    def parse_known(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """And what is not known here, for whom it is meant."""
        given = [re.sub("^--[^=]+", lambda name: name[0].replace("_", "-"), text) for text in arguments]
        return self.parse_known_args(given)


def user_path(text: str) -> Path:
    """A path as a person writes it: ~ is the home folder. To be an option's `type`."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give a path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def whole_number(text: str) -> int:
    """To be an option's `type`."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def run_command(module: str, command: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> int:
    """The exit status of `python -m module`: what `command` returns of its arguments, or 2 for what it cannot use."""
    enter()
    try:
        return command(sys.argv[1:] if arguments is None else arguments)
    except ValueError as error:
        return refuse(error, module)


def enter() -> None:
    """Work in the folder where `mlflow run` was typed: there relative paths and a relative store mean what was meant.

    MLflow starts a command in the project's folder, which for a git address or a zip is a temporary one.
    """
    if "MLFLOW_RUN_ID" not in os.environ or Path.cwd() != ROOT:
        return
    if typed_in := _caller_folder():
        os.chdir(typed_in)
    elif ROOT.is_relative_to(Path(tempfile.gettempdir()).resolve()):
        print(
            f"warning: this project runs in a temporary folder, {ROOT}, and where the command was typed cannot be "
            "known; give absolute paths (out, data, MLFLOW_TRACKING_URI), or what is written here will be lost",
            file=sys.stderr,
        )


def refuse(error: Exception, module: str) -> int:
    """Say why a command cannot run, and take away the run that `mlflow run` made for it. 2, the exit status."""
    print(f"error: {error}", file=sys.stderr)
    if "MLFLOW_RUN_ID" in os.environ and not isinstance(error, StoreError):
        from training.tracking.mlflow_run import take_away

        try:
            said = take_away(module)
        except ValueError as second:
            said = f"the run that MLflow made for this command could not be taken away: {second}"
        if said:
            print(said, file=sys.stderr)
    return 2


def _caller_folder() -> str:
    """The working folder of the process that runs `mlflow run`; empty where that cannot be known."""
    import psutil

    try:
        for process in psutil.Process().parents():
            words = process.cmdline()
            if Path(words[0]).name in SHELLS and words[1:2] in (["-c"], ["/c"]):
                continue
            python = any(Path(word).name.startswith(("python", "mlflow")) for word in words[:2])
            return str(process.cwd()) if python else ""
    except (psutil.Error, OSError, IndexError):
        pass
    return ""
