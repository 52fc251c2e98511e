"""Which result is which: trials of one hash give the same numbers, so the second need not be trained.

The hash covers all factors, the images as they were read, who trains and validates, and the code that computes.
"""

import functools
import hashlib
import io
import tokenize
from pathlib import Path

from training.trial import Trial

COMPUTES = ("batches", "engine", "losses", "metrics", "optim", "step", "unet", "data/split")  # what numbers depend on
LAYOUT = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def trial_hash(trial: Trial, data_digest: str, protocol: str, split_digest: str) -> str:
    """16 hexadecimal digits. Device, workers and compilation are left out: they change numbers within seed noise."""
    parts = (trial.to_json(), data_digest, protocol, split_digest, code_digest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def code_digest() -> str:
    """12 hexadecimal digits of the code that computes; comments, docstrings and layout do not count."""
    here = Path(__file__).parent
    text = "\n".join(bare_code((here / f"{name}.py").read_text()) for name in COMPUTES)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def bare_code(source: str) -> str:
    """The tokens of a file that do something."""
    kept, begins_line = [], True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        does_something = token.type not in LAYOUT and not (begins_line and token.type == tokenize.STRING)
        kept += [token.string] if does_something else []
        begins_line = token.type in LAYOUT
    return " ".join(kept)
