"""The factor that decides has most of the importance, surely; of few trials nothing is said."""

import numpy as np

from training.study.importance import MIN_TRIALS, importances
from training.study.space import FACTORS, SPACE, from_shares
from training.study.trial import Trial

BASE = Trial(loss="switching", optimizer="adam", lr=1e-4, epochs=9)


def tried(count: int) -> dict[Trial, float]:
    """Random trials whose Dice is made of their rate alone, and of noise; one diverged."""
    rng = np.random.default_rng(0)
    trials = [from_shares(BASE, rng.random(len(SPACE)).tolist()) for _ in range(count)]
    scores = {trial: 0.8 - 0.1 * abs(np.log10(trial.lr) + 3) + rng.normal(0, 0.01) for trial in trials}
    return scores | {trials[0]: np.nan}


def test_the_rate_that_decides_is_the_most_important_and_surely_so() -> None:
    found = importances(tried(100))
    assert set(found) <= set(FACTORS)
    first, *others = found
    assert first == "lr"
    assert found["lr"].low > max(found[name].high for name in others)
    assert all(one.low <= one.high <= 1 for one in found.values())
    assert abs(sum(one.share for one in found.values()) - 1) < 1e-6


def test_of_few_trials_nothing_is_said() -> None:
    assert importances(tried(MIN_TRIALS - 1)) == {}
