"""The runner, called as a person calls it: training knows nothing of claims, and a round's memory goes with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from training import ROOT

STOPPED = 130  # its exit status where it was stopped


def call_runner(arguments: Sequence[str], seconds: float | None) -> int:
    """Its exit status. After so many seconds it is stopped; what it has finished by then stays."""
    command = [sys.executable, "-m", "training.runner", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_RUN_ID"}  # that run is ours
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(command, env=environment)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait()
    except KeyboardInterrupt:  # which it was sent, too
        return process.wait() or STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)
