"""Which trials are the same: every factor, the images, the split and the code count; comments and layout do not."""

import dataclasses

import pytest

from training.identity import COMPUTES, bare_code, code_digest, trial_hash
from training.trial import Trial

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=3)
KNOWN = ("data", "fixed", "split")
OTHER = {
    str: {
        "loss": "dice",
        "optimizer": "sgd",
        "scheduler": "step",
        "augment": "train",
        "precision": "bf16",
        "fit": "tile",
    }
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Trial)])
def test_every_factor_counts(field: str) -> None:
    value = getattr(TRIAL, field)
    others = {bool: not value, int: 16 + (value if isinstance(value, int) else 0), float: 0.123}
    other = OTHER[str][field] if isinstance(value, str) else others[type(value)]
    changed = TRIAL.replace(**{field: min(other, 4) if field == "fold" else other})
    assert changed != TRIAL
    assert trial_hash(changed, *KNOWN) != trial_hash(TRIAL, *KNOWN)


@pytest.mark.parametrize("place", range(3))
def test_images_protocol_and_split_count(place: int) -> None:
    changed = [*KNOWN[:place], "other", *KNOWN[place + 1 :]]
    assert trial_hash(TRIAL, *changed) != trial_hash(TRIAL, *KNOWN)
    assert trial_hash(TRIAL, *KNOWN) == trial_hash(TRIAL.replace(), *KNOWN)


def test_comments_docstrings_and_layout_do_nothing() -> None:
    plain = 'def f(x):\n    return {\n        "a": x,\n    }\n'
    dressed = '"""A module."""\n\n\ndef f(x):  # why\n    """What."""\n    # how\n'
    dressed += '    return {\n        # here\n        "a": x,\n    }\n'
    assert bare_code(dressed) == bare_code(plain)


@pytest.mark.parametrize("other", ['"b": x,', '"a": -x,', '"a": x, "c": 1,'])
def test_whatever_computes_counts(other: str) -> None:
    source = 'def f(x):\n    return {\n        "a": x,\n    }\n'
    assert bare_code(source.replace('"a": x,', other)) != bare_code(source)


def test_the_code_has_one_digest() -> None:
    assert len(code_digest()) == 12
    assert "engine" in COMPUTES
