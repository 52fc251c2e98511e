"""The process that worker processes are forked from: it imports torch and MLflow once, for all of them."""

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

from training import ROOT

PRELOADED = [
    "training.execution.workers",
    *("mlflow.store.tracking.sqlalchemy_store", "sqlalchemy.dialects.sqlite"),  # which MLflow imports when it connects
]


def start_forkserver() -> ForkServerContext:
    """The context in which to start workers. It imports what they need while this process goes on with its own work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in known:  # it knows no sys.path but this, and leaves out in silence what it cannot import
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, known)])
    forkserver.ensure_running()
    return context
