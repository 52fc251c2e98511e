"""A store that is away for a while: calls to MLflow wait and try again, for PATIENCE_SECONDS, before they give up.

Says which errors pass by themselves (a locked database, a server that restarts) and which do not (a full disk).
"""

import errno
import functools
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
PATIENCE_SECONDS = float(os.environ.get("UNET_STUDIES_PATIENCE_SECONDS", "600"))
LONGEST_PAUSE = 10.0
FULL = ("disk is full", "No space left", "disk full")  # of SQLite, the system, PostgreSQL
PASSING = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
UNREACHED = ("API request to", "Response: <", "Max retries exceeded", "Connection")  # MLflow's words for no answer

# MLflow's own retries hold a caller for minutes and are not asked whether the disk is full: a few, and ours around them
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


def patiently(call: Callable[[], T]) -> T:
    """What the call returns, tried again while its error may pass. Raises the last error once patience is over."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.2
    while True:
        try:
            return call()
        except Exception as error:
            if not may_pass(error) or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def patient(client: "MlflowClient") -> "MlflowClient":
    """The client, each of whose calls is made patiently."""
    return cast("MlflowClient", _Patient(client))


def may_pass(error: BaseException) -> bool:
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


class _Patient:
    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            return patiently(lambda: method(*args, **options))

        return call
