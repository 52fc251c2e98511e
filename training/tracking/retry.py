"""A store that is away for a while: calls to MLflow wait and try again, for RETRY_SECONDS, before they give up.

Says which errors pass by themselves (a locked database, a server that restarts) and which do not (a full disk), and
says aloud that it waits.
"""

import errno
import functools
import os
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
RETRY_SECONDS = "600"  # where UNET_STUDIES_RETRY_SECONDS does not say otherwise
LONGEST_PAUSE = 10.0
SILENT_SECONDS = 4.0  # of waiting, before it is said
NOTICE_SECONDS = 30.0  # between two notices of a process, whose threads wait side by side
FULL = ("disk is full", "No space left", "disk full")  # of SQLite, the system, PostgreSQL
PASSING = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
UNREACHED = ("API request to", "Response: <", "Max retries exceeded", "Connection")  # MLflow's words for no answer

# MLflow's own retries hold a caller for minutes and are not asked whether the disk is full: a few, and ours around them
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


_noticed = -NOTICE_SECONDS


def with_retries(call: Callable[[], T]) -> T:
    """What the call returns, tried again while its error may pass. Raises the last error once the time is over."""
    start, pause = time.monotonic(), 0.2
    deadline = start + float(os.environ.get("UNET_STUDIES_RETRY_SECONDS", RETRY_SECONDS))
    while True:
        try:
            return call()
        except Exception as error:
            now = time.monotonic()
            if not is_transient(error) or now + pause > deadline:
                raise
            if now - start > SILENT_SECONDS:
                _notice(error, deadline - now)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _notice(error: Exception, seconds_left: float) -> None:
    global _noticed  # noqa: PLW0603 - one voice for all threads of a process
    if time.monotonic() - _noticed < NOTICE_SECONDS:
        return
    _noticed = time.monotonic()
    left = f"{seconds_left / 60:.0f} minutes" if seconds_left > 90 else f"{seconds_left:.0f} seconds"
    address = shown(os.environ.get("MLFLOW_TRACKING_URI", ""))
    text = f"the tracking store at {address} does not answer ({reason_of(error)}); trying again for {left} more"
    print(f"{text}; nothing is lost meanwhile", file=sys.stderr, flush=True)


def shown(uri: str) -> str:
    """An address without user and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def reason_of(error: BaseException) -> str:
    """What went wrong in a few words: MLflow and requests wrap it in layers of their own."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    caused = re.search(r"Caused by (.+)", first)
    return (caused[1] if caused else first).rsplit("Error(", 1)[-1].rsplit(": ", 1)[-1].strip("\"'() ")[:200]


def is_transient(error: BaseException) -> bool:
    """Whether the same call may go through a little later."""
    if is_full(error):
        return False
    if isinstance(error, (ConnectionError, TimeoutError)) or type(error).__module__.startswith(("requests", "urllib3")):
        return True
    code = getattr(error, "error_code", "")  # of an MlflowException
    return code in PASSING or (code == "INTERNAL_ERROR" and any(word in str(error) for word in UNREACHED))


def is_full(error: BaseException) -> bool:
    """Whether a disk is full, here or where the store is."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(word in str(error) for word in FULL)


class RetryingClient:
    """Stands for an MlflowClient; each of its calls is made with_retries."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        return with_retries(lambda: getattr(self._client, name)(*args, **options))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        @functools.wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            return with_retries(lambda: method(*args, **options))

        return call
