"""Which trials are the same: every factor, the images, the split and what computes count."""

import dataclasses

import pytest

from training.execution import identity
from training.execution.identity import minor, result_hash, results_version
from training.study.trial import Trial

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=3)
KNOWN = {"data_digest": "data", "protocol": "fixed", "split_digest": "split"}
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
    assert result_hash(changed, KNOWN) != result_hash(TRIAL, KNOWN)


@pytest.mark.parametrize("tag", KNOWN)
def test_images_protocol_and_split_count(tag: str) -> None:
    changed = KNOWN | {tag: "other"}
    assert result_hash(TRIAL, changed) != result_hash(TRIAL, KNOWN)
    assert result_hash(TRIAL, KNOWN) == result_hash(TRIAL.replace(), KNOWN)


@pytest.mark.parametrize("package", identity.COMPUTES)
def test_another_minor_version_of_what_computes_trains_anew_and_a_patch_does_not(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(known: str) -> str:
        monkeypatch.setattr(identity, "version", lambda name: known if name == package else "1.0")
        return result_hash(TRIAL, KNOWN)

    assert pretend("2.11.0") == pretend("2.11.1+cpu") != pretend("2.12.0")


def test_a_raised_results_version_trains_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = result_hash(TRIAL, KNOWN)
    monkeypatch.setattr(identity, "RESULTS_VERSION", identity.RESULTS_VERSION + 1)
    assert result_hash(TRIAL, KNOWN) != before


def test_the_version_names_what_computes() -> None:
    assert results_version().startswith(f"{identity.RESULTS_VERSION} torch ")
    assert minor("2.11.0+cu128") == "2.11"
