"""What a study's run says of it in words: whole where there is room, else the best trials, and how many there are."""

import pytest

from training.execution.jobs import Outcome
from training.execution.summary import describe_study, describe_winner, find_winners
from training.study.plan import Plan
from training.study.studies import STUDIES
from training.study.trial import Trial

MLFLOW_LIMIT = 8000  # characters of a tag


@pytest.mark.parametrize(("noise", "stays"), [(0.05, True), (0.001, False)])
def test_a_winner_that_stays_though_another_mean_is_higher_says_so(noise: float, stays: bool) -> None:
    settled = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=2)
    plan = Plan(study=STUDIES["augmentation"], rates=[], cells=[], left_out=[], settled={"augment": "none"})
    dices = {"none": (0.5, 0.5, 0.5), "train": (0.51, 0.51 + noise, 0.51 - noise)}
    outcomes = [
        Outcome(trial=settled.replace(seed=k, augment=name), dice=dice, own_dice=dice, best_epoch=1, seconds=1.0)
        for name, three in dices.items()
        for k, dice in enumerate(three)
    ]
    (winner,) = find_winners(plan, outcomes)
    said = describe_winner(plan, outcomes, winner)
    if stays:
        assert said == (
            "augment=none  val Dice 0.500 at the images' own size; it was settled before and stays: augment=train  "
            "val Dice 0.510 is not better by more than noise"
        )
    else:
        assert said == "augment=train  val Dice 0.510 at the images' own size"


@pytest.mark.parametrize(("count", "whole"), [(40, True), (400, False)])
def test_a_description_has_room_in_mlflow_and_shows_the_best(count: int, whole: bool) -> None:
    plan = Plan(study=STUDIES["learning_rate"], rates=[], cells=[], left_out=[], settled={})
    start = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=2)
    outcomes = [
        Outcome(trial=start.replace(seed=k), dice=k / 1000, own_dice=k / 1000, best_epoch=1, seconds=1.0)
        for k in range(count)
    ]
    said = describe_study(plan, outcomes, [start], seeds=count)
    assert len(said) <= MLFLOW_LIMIT
    rows = [line for line in said.splitlines() if line.startswith("|") and "0." in line.split("|")[-4]]
    assert (f"The best {len(rows)} of {count} trials:" in said) is not whole
    assert rows[-1].split("|")[-5].strip() == str(count - 1), "the best is among them"
    assert whole is (len(rows) == count)
    assert len(said) > MLFLOW_LIMIT - 300 or whole, "no room is left unused"
