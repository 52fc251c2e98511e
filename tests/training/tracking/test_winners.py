"""What later studies build on: winners that were chosen on the images that validate now, and on no other fold."""

import pytest

from training.study.trial import Trial
from training.tracking import runs

WINNER = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1)


@pytest.mark.usefixtures("new_store")
def test_winners_of_another_fold_are_not_built_on() -> None:
    client, experiment = runs.connect()
    for split, lr in (("fold 0", 1e-3), ("fold 1", 1e-2)):
        tags = {"role": "study", "study": "schedulers", **_held_out(split)}
        run_id = runs.begin_run(client, experiment, "schedulers", tags)
        runs.describe_study(client, run_id, "", [WINNER.replace(lr=lr)], None)
        runs.end_run(client, run_id)
    found = runs.load_winners(client, ["schedulers"], _held_out("fold 0"))
    assert found == {"schedulers": [WINNER]}, "not those of the newer run"
    with pytest.raises(ValueError, match="with the same fold and images held out; run `mlflow run"):
        runs.load_winners(client, ["schedulers"], _held_out("fold 2"))


def _held_out(split: str) -> dict[str, str]:
    return {"data_digest": "d", "protocol": "fixed", "split_digest": split}
