"""Which process, on which machine and of which commit, wrote something, and when. Nothing here knows what it is for."""

import functools
import os
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil


def provenance() -> dict[str, str]:
    """Which process, on which machine and of which commit, writes a run; and when it was last heard of."""
    return {"process": this_process(), "heartbeat": now(), "git_commit": _git_commit(), "torch": _version("torch")}


def this_process() -> str:
    """`host:pid:start`, which names a process for good; start in seconds since 1970."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def _version(package: str) -> str:
    return metadata.version(package)


@functools.cache
def _git_commit() -> str:
    """The commit this code runs from, marked when the tree differs from it; empty outside a git checkout."""
    here = Path(__file__).parent
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip()
