"""Which process, on which machine and of which commit, wrote something, and when. Nothing here knows what it is for."""

import functools
import hashlib
import os
import socket
import subprocess
import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil


def provenance() -> dict[str, str]:
    """Which process, on which machine and of which commit, writes a run; and when it was last heard of."""
    return {"process": this_process(), "heartbeat": now(), "git_commit": _git_commit(), "torch": version("torch")}


def this_process() -> str:
    """`host:pid:start:place`, which names a process for good; start in seconds since 1970."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}:{this_place()}"


@functools.cache
def this_place() -> str:
    """Where our process numbers hold: one machine since its last start, and there one container (pid namespace).

    A host name says nothing of it: containers have the same one, or that of the machine. Where Linux is not, the
    network card stands for the machine; without one this is random, and processes are judged by their beat alone.
    """
    try:
        known = [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
        machine = Path("/etc/machine-id")
        known += [machine.read_text()] if machine.is_file() else []
    except OSError:
        known = [str(uuid.getnode())]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def version(package: str) -> str:
    return metadata.version(package)


@functools.cache
def _git_commit() -> str:
    """The commit this code runs from, marked when the tree differs from it; empty outside a git checkout."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip()
