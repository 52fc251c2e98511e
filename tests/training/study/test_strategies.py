"""Every strategy keeps its budget, asks for the same after any stop, and finds what is good; one's own does, too."""

import math
import re
import zlib
from pathlib import Path
from typing import ClassVar

import pytest
from conftest import ROOT

from training.study.search import DECADES
from training.study.space import SPACE, from_shares, holds, point_of
from training.study.strategies import STRATEGIES, make_strategy
from training.study.trial import OPTIMIZERS, Trial
from training.study.tuning import BATCH, Tuning

BASE = Trial(loss="switching", optimizer="adam", lr=1e-4, epochs=9)
BUDGET = 20
OWN = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tuning.md").read_text(), re.DOTALL)[0]
NAMES = [pytest.param(name, marks=pytest.mark.thorough) if name == "gp" else name for name in STRATEGIES]


@pytest.fixture(params=[*NAMES, "own"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a strategy; the last is the one in the docs."""
    if request.param != "own":
        return str(request.param)
    (tmp_path / "mine.py").write_text(OWN)
    return f"{tmp_path}/mine.py:Mine"


def dice(trial: Trial) -> float:
    """Made up: a rate of its own for each optimizer, BCE better than the others, some noise; some predict nothing."""
    noise = zlib.crc32(repr(sorted(point_of(trial).items())).encode()) % 1000 / 1e5
    best = {"sgd": -1.0, "adadelta": 0.0}.get(trial.optimizer, -2.5)
    score = 0.85 - 0.1 * abs(math.log10(trial.lr) - best) + 0.05 * (trial.loss == "bce") + noise
    return max(0.0, score) * (trial.epochs / BASE.epochs) ** 0.1


def play(name: str, stop_after: int = 0, known: dict[Trial, float] | None = None) -> tuple[dict[Trial, float], Tuning]:
    """All its trials, in order; started anew, with what is finished, after every so many questions."""
    tuning, results, asked = Tuning(BASE, name, BUDGET, known or {}), dict[Trial, float](), 0
    while batch := tuning.propose(results):
        asked += 1
        for trial in batch[: 1 if stop_after and asked % 2 else None]:  # a stop may hit a batch in its midst
            results[trial] = dice(trial)
        if stop_after and asked % stop_after == 0:
            tuning = Tuning(BASE, name, BUDGET, known or {})
    return results, tuning


def test_a_strategy_keeps_its_budget_and_stays_in_the_space(name: str) -> None:
    results, tuning = play(name)
    cost = sum(trial.epochs for trial in results) / BASE.epochs
    assert BUDGET * 0.8 <= cost <= BUDGET
    assert all(holds(BASE, trial.replace(epochs=BASE.epochs)) for trial in results)
    assert all(tuning.holds(trial) for trial in results)
    found = tuning.best_so_far(results)
    assert list(found) == sorted(found)
    assert max(found) <= BUDGET
    best = list(found.values())
    assert best == sorted(best)
    assert best[-1] == max(results[trial] for trial in results if trial.epochs == BASE.epochs)


def test_stopped_again_and_again_it_asks_for_the_same_trials(name: str) -> None:
    assert set(play(name, stop_after=2)[0]) == set(play(name)[0])


def test_it_finds_better_than_the_usual_draw(name: str) -> None:
    drawn = sorted(dice(from_shares(BASE, [(k * 0.37 + i * 0.61) % 1 for i in range(len(SPACE))])) for k in range(200))
    assert max(play(name)[0].values()) > drawn[100]


def test_what_was_known_before_is_told_first_where_it_is_of_the_space() -> None:
    good = BASE.replace(loss="bce", lr=0.003)
    other = good.replace(epochs=5), good.replace(image_size=256), good.replace(train_percent=40)
    tuning = Tuning(BASE, "tpe", BUDGET, {good: 0.9, **dict.fromkeys(other, 0.99)})
    tuning.propose({})
    assert dict(tuning.known) == {good: 0.9}
    assert tuning._strategy
    assert vars(tuning._strategy)["told"] == {good}


def test_staged_tries_rates_for_each_optimizer_first_then_one_factor_at_a_time() -> None:
    tuning, results = Tuning(BASE, "staged", 60), dict[Trial, float]()
    while batch := tuning.propose(results):
        results |= {trial: dice(trial) for trial in batch}
    order = list(results)
    first = order[: len(OPTIMIZERS) * len(DECADES)]
    assert {(trial.optimizer, trial.lr) for trial in first} == {(name, lr) for name in OPTIMIZERS for lr in DECADES}
    best = max(first, key=lambda trial: results[trial])
    schedulers = order[len(first) : len(first) + 4]
    assert {trial.replace(scheduler=best.scheduler) for trial in schedulers} == {best}
    assert {trial.scheduler for trial in schedulers} == {"step", "plateau", "cosine", "onecycle"}
    decays = order[len(first) + 4 : len(first) + 7]
    assert {trial.weight_decay for trial in decays} == {0.001, 0.01, 0.1}


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in ("staged", "gp")])
def test_another_seed_draws_other_trials(name: str) -> None:
    one, other = (Tuning(BASE.replace(seed=seed), name, BUDGET).propose({}) for seed in (0, 1))
    assert not {trial.replace(seed=0) for trial in other} & set(one)


def test_halving_takes_the_best_third_three_times_as_long() -> None:
    results, _ = play("halving")
    rungs = [[trial for trial in results if trial.epochs == epochs] for epochs in (1, 3, 9)]
    assert [len(rung) for rung in rungs] == [60, 20, 6]
    assert Tuning(BASE, "halving", BUDGET).num_trials == 86
    kept = sorted(rungs[0], key=lambda trial: -results[trial])[:20]
    assert {trial.replace(epochs=1) for trial in rungs[1]} == set(kept)


def test_a_batch_is_asked_for_at_once_and_no_trial_twice() -> None:
    tuning = Tuning(BASE, "random", BUDGET)
    batch = tuning.propose({})
    assert len(set(batch)) == BATCH
    assert tuning.propose(dict.fromkeys(batch[1:], 0.5)) == batch[:1]


def test_a_strategy_that_repeats_itself_comes_to_an_end(tmp_path: Path) -> None:
    file = tmp_path / "stubborn.py"
    file.write_text(
        "class One:\n    def __init__(self, base, trials): self.base = base\n"
        "    def suggest(self, number, results): return self.base\n"
    )
    tuning = Tuning(BASE, f"{file}:One", BUDGET)
    assert tuning.propose({}) == [BASE]
    assert tuning.propose({BASE: 0.5}) == []


def test_who_repeats_what_is_not_finished_is_told_what_it_came_to_before_it_is_asked_again() -> None:
    class Cautious:
        """Another rate only once the one before is known."""

        numbers: ClassVar[list[int]] = []

        def suggest(self, number: int, results: dict[Trial, float]) -> Trial:
            self.numbers.append(number)
            return BASE.replace(lr=1e-4 * (1 + len(results)))

    tuning = Tuning(BASE, "cautious", BUDGET, strategy=Cautious())
    first = tuning.propose({})
    assert len(first) == 1
    assert len(Cautious.numbers) == 1 + BATCH
    assert tuning.propose({first[0]: 0.5}) == [BASE.replace(lr=2e-4)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "best",
            "strategy='best' is unknown; it must be one of staged, random, sobol, tpe, gp, halving, one_epoch, or",
        ),
        ("nowhere.py:Mine", "strategy=nowhere.py:Mine: there is no file nowhere.py"),
        ("{folder}/empty.py:Mine", "has no class Mine with a method `suggest(number, results)`"),
    ],
)
def test_what_is_no_strategy_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match="strategy") as refused:
        make_strategy(name.format(folder=tmp_path), BASE, 1)
    assert words in str(refused.value)


def test_a_strategy_that_leaves_the_space_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wide.py"
    file.write_text(
        "class Wide:\n    def __init__(self, base, trials): self.base = base\n"
        "    def suggest(self, number, results): return self.base.replace(width=64)\n"
    )
    with pytest.raises(ValueError, match="differs from `base` in more than the factors of"):
        Tuning(BASE, f"{file}:Wide", BUDGET).propose({})
