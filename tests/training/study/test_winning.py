"""One rule says who wins: cells by their means, failures counted, on equal data; the incumbent stays within noise."""

import math

import pytest

from training.study.plan import Plan, make_plan
from training.study.settings import Settings
from training.study.studies import STUDIES, Baseline, baseline_from_report
from training.study.trial import Trial
from training.study.winning import Repeats, find_consistent, find_winner, rank_cells, score_of

ADAM = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=2)
SGD = ADAM.replace(optimizer="sgd", lr=0.1)
SETTINGS = Settings(
    preset="demo",
    epochs="preset",
    image_size="64",
    fit="resize",
    seeds=3,
    baseline="measured",
    search="geometric",
    rates="shared",
    budget="epochs",
    protocol="fixed",
    switching_tau=0.05,
    precision="fp32",
    val_percent=10,
    test_percent=10,
    fold=0,
)


def trials(plan: Plan) -> list[Trial]:
    return [trial for search in plan.searches for trial in search.propose({})]


def scores(*cells: tuple[Trial, list[float]]) -> dict[Trial, float]:
    return {cell.replace(seed=seed): dice for cell, dices in cells for seed, dice in enumerate(dices)}


def test_a_cell_s_mean_counts_and_not_its_luckiest_run() -> None:
    runs = [("lucky", 80, 0.9), ("lucky", 80, 0.1), ("steady", 80, 0.7), ("steady", 80, 0.7)]
    assert rank_cells(runs) == {"steady": pytest.approx(0.7), "lucky": pytest.approx(0.5)}
    assert next(iter(rank_cells(runs))) == "steady"


def test_a_run_that_failed_counts_0_in_its_cell() -> None:
    runs = [("half", 80, 0.9), ("half", 80, math.nan), ("whole", 80, 0.5), ("whole", 80, 0.5), ("none", 80, 0.0)]
    assert list(rank_cells(runs)) == ["whole", "half"]


def test_cells_compete_at_the_largest_training_fraction_alone() -> None:
    assert rank_cells([("little data", 20, 0.9), ("much data", 80, 0.6)]) == {"much data": 0.6}


@pytest.mark.parametrize(
    ("gains", "winner"),
    [
        ([0.02, 0.03, 0.025, 0.02, 0.03, 0.025], SGD),
        ([0.05, -0.04, 0.03, -0.02, 0.04, -0.01], ADAM),
        ([0.02], SGD),  # one seed does not tell what noise is
        ([-0.02, -0.03], ADAM),
    ],
)
def test_the_incumbent_is_replaced_by_what_is_better_by_more_than_noise(gains: list[float], winner: Trial) -> None:
    results = scores((ADAM, [0.7] * len(gains)), (SGD, [0.7 + gain for gain in gains]))
    assert find_winner(results, ADAM) == winner


def test_an_incumbent_that_predicts_nothing_is_replaced() -> None:
    assert find_winner(scores((ADAM, [0.0] * 3), (SGD, [0.5, 0.6, 0.4])), ADAM) == SGD


def test_what_was_settled_is_a_row_of_the_next_study() -> None:
    """AdaMax, which the losses study of the report does not hold, competes there once it was settled."""
    lrs = {("switching", name): 0.01 for name in ("adam", "adamax", "rmsprop", "sgd")}
    baseline = Baseline(optimizer="adamax", lrs=lrs)
    plan = make_plan(STUDIES["losses"], baseline, SETTINGS)
    incumbent = plan.find_incumbent(trials(plan))
    assert incumbent is not None
    assert (incumbent.optimizer, incumbent.loss) == ("adamax", "switching")
    assert plan.num_trials == 3 * 16
    report = make_plan(STUDIES["losses"], baseline_from_report(STUDIES["losses"]), SETTINGS)
    assert report.num_trials == 3 * 12


def test_the_incumbent_stands_at_the_most_data() -> None:
    plan = make_plan(STUDIES["weight_decay"], baseline_from_report(STUDIES["weight_decay"]), SETTINGS)
    incumbent = plan.find_incumbent(trials(plan))
    assert incumbent is not None
    assert (incumbent.train_percent, incumbent.weight_decay) == (80, 0.01)
    searches = make_plan(STUDIES["learning_rate"], Baseline(), SETTINGS)
    assert searches.find_incumbent(trials(searches)) is None


def test_a_run_that_predicts_nothing_counts_0_and_one_that_diverged_is_unknown() -> None:
    assert score_of(0.8, collapsed=False, diverged=False) == 0.8
    assert score_of(0.8, collapsed=True, diverged=False) == score_of(math.nan, collapsed=True, diverged=True) == 0
    assert math.isnan(score_of(0.8, collapsed=False, diverged=True))


def cell(*dices: float) -> Repeats:
    return dict(enumerate(dices))


def test_the_most_consistent_cell_is_the_steadiest_of_those_that_noise_keeps_from_the_first_place() -> None:
    cells = {
        "highest": cell(0.70, 0.90, 0.80),  # mean 0.8, sd 0.1
        "steady": cell(0.78, 0.80, 0.79),  # mean 0.79, sd 0.01: within noise of the highest
        "worse": cell(0.50, 0.70, 0.60),  # 0.2 below on every seed
        "lucky": cell(0.79, 0.79),  # two seeds do not tell
    }
    assert find_consistent(cells, "highest") == "steady"
    assert find_consistent(cells | {"as steady": cell(0.785, 0.805, 0.795)}, "highest") == "as steady"
    assert find_consistent({name: cells[name] for name in ("highest", "worse", "lucky")}, "highest") == "highest"


def test_cells_with_more_seeds_are_compared_on_those_that_all_have() -> None:
    cells = {"highest": cell(0.80, 0.81, 0.80, 0.70, 0.90), "fewer": cell(0.79, 0.81, 0.80)}
    assert find_consistent(cells, "highest") == "highest", "of as many seeds it is the steadier one"


def test_a_seed_that_diverged_makes_a_cell_unsteady() -> None:
    cells = {"highest": cell(0.7, 0.9, 0.8), "half": cell(0.79, math.nan, 0.79)}
    assert find_consistent(cells, "highest") == "highest"


def test_without_three_seeds_of_the_winner_none_is_the_most_consistent() -> None:
    assert find_consistent({"one": cell(0.8, 0.9), "other": cell(0.7, 0.7, 0.7)}, "one") is None
