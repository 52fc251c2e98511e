"""A trial is a value: checked once, hashable, and the same after a trip through MLflow's strings."""

import dataclasses
import json

import pytest

from training.study.trial import LATER, Trial

TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=2)


def test_equal_factors_are_one_key() -> None:
    assert {TRIAL: 0.5}[TRIAL.replace()] == 0.5
    assert TRIAL.digest == TRIAL.replace(seed=0).digest
    assert TRIAL.digest != TRIAL.replace(seed=1).digest


def test_params_read_back_give_the_same_trial() -> None:
    trial = TRIAL.replace(equalize_masks=True, lr=3e-4, step_length=1 / 3)
    params = {name: str(value) for name, value in dataclasses.asdict(trial).items()}
    assert Trial.from_params(params) == trial
    assert Trial.from_json(trial.to_json()) == trial


def test_params_and_files_of_earlier_versions_read_back_with_the_defaults_they_were_trained_with() -> None:
    fields = {name: value for name, value in dataclasses.asdict(TRIAL).items() if name not in LATER}
    assert Trial.from_params({name: str(value) for name, value in fields.items()}) == TRIAL
    assert Trial.from_json(json.dumps(fields)) == TRIAL
    with pytest.raises(KeyError):
        Trial.from_params({name: str(value) for name, value in fields.items() if name != "width"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", "focal"),
        ("optimizer", "Adam"),
        ("scheduler", "linear"),
        ("augment", "yes"),
        ("precision", "fp16"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", -1e-3),
        ("epochs", 0),
        ("weight_decay", -0.1),
        ("dropout", 1.0),
        ("train_percent", 0),
        ("train_percent", 101),
        ("width", 0),
        ("image_size", 100),
        ("batch_size", 0),
        ("sgd_momentum", 1.0),
        ("adagrad_accumulator", -0.1),
        ("rmsprop_alpha", 1.0),
        ("adadelta_rho", 1.0),
        ("adadelta_eps", 0.0),
        ("step_length", 0.0),
        ("plateau_patience", 2.0),
        ("switching_lam", 1.5),
        ("switching_tau", -0.1),
        ("fold", -1),
        ("seed", -1),
    ],
)
def test_a_value_out_of_range_is_named_with_its_rule(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{field}=.*; it must be "):
        TRIAL.replace(**{field: value})
