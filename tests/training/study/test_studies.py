"""Ten studies are the report's: every published row is a trial, and every other trial says that it lies beyond."""

import inspect
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from training.network.optim import make_optimizer
from training.study.plan import EVALUATION_COST, Plan, estimate_work, find_widest, make_plan
from training.study.search import Search
from training.study.settings import KERAS, PRESETS, RATE_SEED, Settings
from training.study.studies import (
    DEFAULT_LRS,
    REPORT_STUDIES,
    STUDIES,
    Baseline,
    Study,
    baseline_from_report,
    baseline_from_winners,
)
from training.study.trial import Trial
from training.study.winning import Results

PUBLISHED = Path(__file__).parents[3] / "analysis" / "published"
TABLES = {
    "optimizers": "fig02_constant_learning_rate.csv",
    "training_data": "fig04_train_fraction.csv",
    "schedulers": "fig06_schedulers.csv",
    "schedulers_by_data": "fig11_scheduler_by_fraction.csv",
    "weight_decay": "fig13_weight_decay.csv",
    "dropout": "fig16_dropout.csv",
    "losses": "fig19_losses.csv",
}
SCORES = ["train_loss", "val_loss", "train_dice", "val_dice"]


def settings(**changes: object) -> Settings:
    values: dict[str, object] = {"preset": "report", "epochs": "preset", "image_size": "preset", "seeds": 1}
    values |= {
        "baseline": "report",
        "search": "report",
        "rates": "auto",
        "budget": "epochs",
        "protocol": "report",
        "switching_tau": 0.05,
        "precision": "fp32",
    }
    values |= {"val_percent": 10, "test_percent": 10, "fold": 0, "fit": "resize"}
    return Settings(**{**values, **changes})  # type: ignore[arg-type]


def plan(name: str, **changes: object) -> Plan:
    return make_plan(STUDIES[name], baseline_from_report(STUDIES[name]), settings(**changes))


def trials(plan: Plan) -> list[Trial]:
    return [trial for search in plan.searches for trial in search.propose({})]


def extra(plan: Plan) -> list[Trial]:
    return [trial for trial in trials(plan) if plan.row_of(trial) == "extra"]


@pytest.mark.parametrize("name", TABLES)
def test_every_published_row_is_a_trial_and_the_rest_is_declared_beyond(name: str) -> None:
    table = pd.read_csv(PUBLISHED / TABLES[name]).drop(columns=SCORES).rename(columns={"learning_rate": "lr"})
    made = plan(name)
    published = [trial for trial in trials(made) if made.row_of(trial) == "published"]
    assert len(published) == len(table)
    rows = {tuple(row) for row in table.itertuples(index=False)}
    assert {tuple(getattr(trial, factor) for factor in table.columns) for trial in published} == rows


def test_the_learning_rate_study_searches_what_figure_1_lists() -> None:
    table = pd.read_csv(PUBLISHED / "fig01_best_learning_rates.csv")
    made = plan("learning_rate")
    starts = {(trial.loss, trial.optimizer) for trial in trials(made)}
    assert starts == set(zip(table.loss, table.optimizer, strict=True))
    assert made.num_trials == 12 * 9


def test_rows_beyond_the_report_are_those_its_text_speaks_of() -> None:
    assert {trial.weight_decay for trial in extra(plan("weight_decay"))} == {0.0}
    assert {trial.dropout for trial in extra(plan("dropout"))} == {0.8, 0.0}
    assert {trial.optimizer for trial in extra(plan("training_data"))} == {"adam", "sgd"}
    assert {trial.augment for trial in extra(plan("augmentation"))} == {"train"}
    assert [trial.augment for trial in trials(plan("augmentation"))] == ["none", "train", "both"]
    assert [trial.equalize_masks for trial in trials(plan("mask_equalization"))] == [False, True]


def test_beyond_changes_one_thing_at_a_time() -> None:
    made = plan("extensions")
    found = trials(made)
    assert found == extra(made), "none of it is published"
    settled = found[0]
    changes = [{name for name, value in vars(trial).items() if value != getattr(settled, name)} for trial in found]
    schedules = [set(), {"scheduler"}, {"scheduler"}, {"scheduler"}]
    assert changes == [*schedules, {"optimizer"}, {"epochs"}, {"epochs", "augment"}, {"width"}, {"width", "augment"}]
    assert [trial.scheduler for trial in found[:4]] == ["plateau", "cosine", "onecycle", "cyclic"]
    assert (found[-1].width, found[-2].width, found[-3].epochs) == (64, 64, 400)


def test_beyond_starts_from_what_was_settled_and_meets_plateau_and_adam() -> None:
    lrs = {("switching", "sgd"): 0.1, ("switching", "adam"): 1e-3}
    baseline = Baseline(optimizer="sgd", scheduler="none", lrs=lrs)
    found = trials(make_plan(STUDIES["extensions"], baseline, settings()))
    assert [trial.scheduler for trial in found[:2]] == ["none", "plateau"]
    pair = {trial.optimizer: trial.lr for trial in found if trial.optimizer != "sgd"}
    assert pair == {"adam": 1e-3, "adamw": 1e-3}


@pytest.mark.parametrize(("changes", "epochs"), [({"preset": "small"}, {20, 40}), ({"epochs": "7"}, {7, 14})])
def test_twice_as_long_is_twice_whatever_the_study_s_epochs_are(changes: dict[str, object], epochs: set[int]) -> None:
    assert {trial.epochs for trial in trials(plan("extensions", **changes))} == epochs


def test_the_widest_trial_is_what_memory_has_to_hold() -> None:
    assert find_widest(STUDIES.values(), settings()).width == 64
    assert find_widest(REPORT_STUDIES, settings()).width == 16


def test_the_fixed_protocol_leaves_out_100_percent_and_says_why() -> None:
    made = plan("training_data", protocol="fixed")
    assert {trial.train_percent for trial in trials(made)} == {20, 40, 60, 80}
    assert made.left_out[0].startswith("train_percent=100: protocol=fixed holds out 20 %")


def test_presets_share_the_report_s_epochs_out() -> None:
    assert trials(plan("optimizers"))[0].epochs == 150
    assert trials(plan("optimizers", preset="small"))[0].epochs == 15
    assert {trial.epochs for trial in trials(plan("schedulers_by_data"))} == {200, 300}
    assert {trial.epochs for trial in trials(plan("schedulers_by_data", epochs="7"))} == {7}
    assert {trial.epochs for trial in trials(plan("schedulers_by_data", epochs="25%"))} == {50, 75}
    works = [sum(estimate_work(study, settings(preset=preset)) for study in STUDIES.values()) for preset in PRESETS]
    assert works == sorted(works)


def test_with_a_budget_of_steps_trials_on_little_data_get_as_many_steps_as_those_on_the_most() -> None:
    for name in ("training_data", "schedulers_by_data", "weight_decay", "dropout"):
        found = trials(plan(name, protocol="fixed", budget="steps"))
        steps = STUDIES[name].epochs * 80
        assert all(trial.epochs == round(steps / trial.train_percent) for trial in found), name
    report = trials(plan("training_data", protocol="report", budget="steps"))
    assert {trial.train_percent: trial.epochs for trial in report} == {20: 750, 40: 375, 60: 250, 80: 188, 100: 150}
    given = trials(plan("weight_decay", protocol="fixed", budget="steps", epochs="7"))
    assert {trial.train_percent: trial.epochs for trial in given} == {20: 28, 40: 14, 60: 9, 80: 7}


def test_a_budget_of_steps_leaves_trials_on_the_largest_fraction_as_they_are() -> None:
    for name in ("optimizers", "losses", "extensions"):
        assert trials(plan(name, protocol="fixed", budget="steps")) == trials(plan(name, protocol="fixed"))


def test_the_work_of_a_budget_of_steps_is_that_of_the_largest_fraction_for_every_row() -> None:
    study, fixed = STUDIES["weight_decay"], settings(protocol="fixed", budget="steps")
    evaluated = 10 * EVALUATION_COST * 200 * (1 + 4 / 3 + 2 + 4) * 4
    assert estimate_work(study, fixed) == pytest.approx(16 * 200 * 80 + evaluated, rel=1e-3)


def test_optimizers_have_keras_constants_under_the_report_s_protocol_and_torch_s_under_the_fixed_one() -> None:
    for trial in trials(plan("optimizers", protocol="report")):
        assert {name: getattr(trial, name) for name in KERAS} == KERAS
    for trial in trials(plan("optimizers", protocol="fixed")):
        assert {name: getattr(trial, name) for name in KERAS} == {name: getattr(Trial, name) for name in KERAS}


def test_seeds_repeat_every_cell() -> None:
    assert len(trials(plan("losses", seeds=3))) == 36


def test_default_rates_are_torch_s() -> None:
    """`lr` is the default of the very optimizer that a trial gets (training/network/optim.py)."""
    for name, lr in DEFAULT_LRS.items():
        weights = [torch.nn.Parameter(torch.zeros(1))]
        made = make_optimizer(Trial(loss="bce", optimizer=name, lr=lr, epochs=1), weights)
        assert inspect.signature(type(made)).parameters["lr"].default == lr, name


def test_with_decay_the_rows_are_those_of_the_losses_study() -> None:
    decayed = [trial for trial in trials(plan("decay_by_loss")) if trial.weight_decay]
    assert len(decayed) == 8
    assert set(decayed) < set(trials(plan("losses")))


def test_a_default_rate_that_is_the_optimizer_s_own_is_trained_once() -> None:
    """The report's rate for Adam is the default."""
    found = trials(plan("default_rates"))
    assert len(found) == len(set(found)) == 10
    assert {trial.lr for trial in found if trial.optimizer == "sgd"} == {1e-3, 1e-1}


OWN = {"rates": "own", "baseline": "measured", "protocol": "fixed"}


def own_rates(name: str, **changes: object) -> Plan:
    return make_plan(STUDIES[name], Baseline(lrs={}), settings(**OWN, **changes))


def test_rates_are_the_report_s_with_its_baseline_and_a_row_s_own_with_a_measured_one() -> None:
    assert settings(baseline="report").rates_in_use == "shared"
    assert settings(baseline="measured", seeds=3).rates_in_use == "own"
    assert settings(baseline="measured", seeds=2).rates_in_use == "shared", "nothing is decided by two seeds"
    assert settings(baseline="report", rates="own").rates_in_use == "own"


def test_each_loss_optimizer_and_scheduler_that_a_study_compares_is_searched_at_its_own_epochs() -> None:
    made = own_rates("schedulers", seeds=3)
    assert {(rate.start.optimizer, rate.start.scheduler) for rate in made.rates} == {
        (row.factors["optimizer"], row.factors["scheduler"]) for row, _ in made.cells
    }
    assert {rate.start.epochs for rate in made.rates} == {200}
    assert {rate.seeds for rate in made.rates} == {(RATE_SEED,)}
    assert made.num_trials == 15 * 9 + 15 * 3
    assert len(own_rates("losses").rates) == 12
    assert set(own_rates("decay_by_loss").rates) < set(own_rates("losses").rates), "trained once, for both decays"
    assert own_rates("weight_decay").rates == own_rates("optimizers").rates == [], "they compare none of these"


def test_a_rate_is_searched_on_the_most_data_and_the_first_change() -> None:
    by_data = own_rates("schedulers_by_data").rates
    assert {(rate.start.train_percent, rate.start.epochs) for rate in by_data} == {(80, 200)}
    assert set(by_data) <= set(own_rates("schedulers").rates), "trained once for both studies"
    wide = own_rates("extensions").rates
    assert {(rate.start.width, rate.start.epochs, rate.start.augment) for rate in wide} == {(16, 200, "none")}


def test_a_row_waits_for_its_rate_and_what_found_the_rate_is_no_row() -> None:
    made = own_rates("schedulers", seeds=2)

    def dice(trial: Trial) -> float:
        best = 0.1 if trial.scheduler == "none" else 0.01
        return 0.9 - abs(math.log10(trial.lr / best)) / 10

    results: dict[Trial, float] = {}
    while proposed := {trial for search in made.searches for trial in search.propose(results)}:
        results |= {trial: dice(trial) for trial in proposed}
    assert len(results) == made.num_trials
    rows = [trial for trial in results if made.row_of(trial) != "search"]
    assert {trial.seed for trial in rows} == {0, 1}
    assert {trial.seed for trial in results if made.row_of(trial) == "search"} == {RATE_SEED}
    assert {(trial.scheduler, trial.lr) for trial in rows} == {("none", 0.1), ("step", 0.01), ("plateau", 0.01)}


def test_a_row_whose_every_rate_predicts_nothing_is_trained_all_the_same() -> None:
    """It counts as what it is: 0."""
    made = own_rates("schedulers")
    results: dict[Trial, float] = {}
    while proposed := {trial for search in made.searches for trial in search.propose(results)}:
        results |= dict.fromkeys(proposed, 0.0)
    assert len([trial for trial in results if made.row_of(trial) == "published"]) == 15
    assert made.left_out == []


def test_a_winner_s_own_rate_is_what_the_next_studies_build_on() -> None:
    found = Trial(loss="switching", optimizer="adam", scheduler="plateau", lr=0.007, epochs=20)
    searched = found.replace(scheduler="none", lr=0.001)
    baseline = baseline_from_winners({"learning_rate": [searched], "schedulers": [found]})
    assert (baseline.lr("switching", "adam", "plateau"), baseline.lr("switching", "adam")) == (0.007, 0.001)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "huge"),
        ("epochs", "ten"),
        ("epochs", "0"),
        ("epochs", "a%"),
        ("image_size", "100"),
        ("seeds", 0),
        ("baseline", "guess"),
        ("search", "random"),
        ("rates", "mine"),
        ("seeds", 1001),
        ("budget", "hours"),
        ("protocol", "none"),
        ("switching_tau", 1.5),
        ("val_percent", 0),
        ("test_percent", 90),
        ("fold", -1),
        ("fold", 5),
        ("fit", "crop"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        settings(**{field: value})


def test_where_more_is_held_out_every_study_trains_on_what_is_left() -> None:
    made = plan("schedulers", protocol="fixed", val_percent=20, test_percent=20)
    assert {trial.train_percent for search in made.searches for trial in search.propose({})} == {60}
    assert made.left_out == []
    shares = plan("weight_decay", protocol="fixed", val_percent=20, test_percent=20)
    assert {trial.train_percent for search in shares.searches for trial in search.propose({})} == {20, 40, 60}


def run_to_the_end(study: Study, baseline: Baseline) -> list[Trial]:
    """The study's winners in a world where AdaGrad, lr 0.02, the step schedule and weak weight decay are best."""

    def dice(trial: Trial) -> float:
        good = [trial.optimizer == "adagrad", trial.scheduler == "step", trial.weight_decay == 0.001]
        off = abs(math.log10(trial.lr / 0.02)) / 10
        return sum(good) - off + trial.train_percent / 1000 - trial.dropout - trial.equalize_masks

    def finish(search: Search) -> Results:
        results: dict[Trial, float] = {}
        while proposed := search.propose(results):
            results |= {trial: dice(trial) for trial in proposed}
        return results

    chosen = settings(baseline="measured", protocol="fixed", rates="shared")
    searches = make_plan(study, baseline, chosen).searches
    if study.search_lr:
        return [max(finish(search).items(), key=lambda item: item[1])[0] for search in searches]
    results = {trial: score for search in searches for trial, score in finish(search).items()}
    return [max(results, key=lambda trial: results[trial])]


def test_carried_values_are_the_winners_of_the_studies_before() -> None:
    winners: dict[str, list[Trial]] = {}
    for name, study in STUDIES.items():
        winners[name] = run_to_the_end(study, baseline_from_winners(winners))
    baseline = baseline_from_winners({name: winners[name] for name in STUDIES["losses"].needs})
    assert (baseline.optimizer, baseline.scheduler, baseline.weight_decay, baseline.dropout) == (
        "adagrad",
        "step",
        0.001,
        0,
    )
    assert baseline.lr("switching", "adagrad") == 0.02
    assert baseline.lr("dice", "adagrad") == 0.02, "a loss that was not searched takes switching's"
    assert winners["dropout"][0].weight_decay == 0.001


def test_a_study_needs_only_studies_before_it() -> None:
    names = list(STUDIES)
    for position, study in enumerate(STUDIES.values()):
        assert set(study.needs) <= set(names[:position])
        assert all(factor in Trial.__dataclass_fields__ for factor in (*study.scientific, *study.fixes))
