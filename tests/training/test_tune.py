"""`-e tune` on a real store: told what is known, budget kept, the best so far as a curve, and nothing twice."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from studies import Studies

from analysis.report import main as report

pytestmark = pytest.mark.slow

TUNE = ("--epochs", "2", "--strategy", "tpe", "--trials", "6")


@pytest.fixture(scope="module")
def tuned(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """A study of two trials, then tune, which began a trial or two before it was stopped."""
    studies = Studies(tmp_path_factory.mktemp("tuned"), discs)
    assert studies.run("augmentation", "--epochs", "2")[0] == 0
    status, said = studies.run("tune", *TUNE)
    assert status == 0, said
    assert "2 finished trial(s) of earlier studies are told to tpe first" in said
    return studies


def trials_of(studies: Studies) -> dict[str, str]:
    """Of tune: their result hashes and who they are."""
    runs = studies.runs("tags.role = 'trial' and tags.study = 'tune'")
    return {run.data.tags["params_hash"]: run.info.status for run in runs}


def test_it_trains_as_many_trials_as_it_was_given_and_says_how_the_best_grew(tuned: Studies) -> None:
    (study,) = tuned.runs("tags.role = 'study' and tags.study = 'tune'")
    assert (study.info.status, study.data.tags["strategy"], study.data.tags["trials"]) == ("FINISHED", "tpe", "6")
    assert list(trials_of(tuned).values()) == ["FINISHED"] * 6
    history = MlflowClient(tuned.uri).get_metric_history(study.info.run_id, "best_so_far")
    values = [point.value for point in sorted(history, key=lambda point: point.step)]
    assert len(values) == 6
    assert values == sorted(values)
    scores = [run.data.metrics["own_val_dice"] for run in tuned.runs("tags.role = 'trial' and tags.study = 'tune'")]
    assert values[-1] == pytest.approx(max(scores))
    assert "winner: loss=" in study.data.tags["mlflow.note.content"]


def test_started_again_it_asks_for_the_same_and_a_larger_budget_goes_on(tuned: Studies) -> None:
    before = set(trials_of(tuned))
    status, said = tuned.run("tune", *TUNE)
    assert status == 0, said
    assert set(trials_of(tuned)) == before
    status, said = tuned.run("tune", *TUNE[:-1], "8")
    assert status == 0, said
    assert before < set(trials_of(tuned))
    assert len(trials_of(tuned)) == 8
    assert set(tuned.times_trained().values()) == {1}


def test_a_page_with_tuned_trials_can_be_made(
    tuned: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tuned.uri)
    assert report(["--out", str(tmp_path), "--snapshot", str(tmp_path / "kept")]) == 0, capsys.readouterr().err
    html = (tmp_path / "index.html").read_text()
    section = html.split('id="tune"')[1].split("</section>")[0]
    study = max(tuned.runs("tags.role = 'study' and tags.study = 'tune'"), key=lambda run: run.info.start_time)
    assert f"-e tune -P data=FOLDER -P strategy=tpe -P trials={study.data.tags['trials']}" in section
    best = study.data.metrics["best_so_far"]
    assert f'<td class="num">{best:.3f}</td>' in section
    assert "spent, in full trials" in section.split("</svg>")[0]
    full = len(trials_of(tuned))
    assert f"Every full trial, {full} in all" in section
    assert "not said of fewer than 20 full trials" in section


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--strategy", "luck"], "strategy='luck' is unknown"),
        (["--trials", "0"], "trials must be at least 1"),
        (["--seeds", "3"], "tune trains one seed of a configuration"),
        (["--hours", "-1"], "hours above 0"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_run(
    given: list[str], words: str, discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs)
    status, said = studies.run("tune", *given)
    assert status == 2
    assert words in said
    assert studies.runs() == []
