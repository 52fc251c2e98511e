"""The command on a made-up table, and once on cells that were really trained."""

from pathlib import Path

import pandas as pd
import pytest
from grid_tables import IMAGES, make_table
from mlflow import MlflowClient
from mlflow_runs import made_by_mlflow
from studies import Studies

from analysis.evidence.grid_table import keep, read
from analysis.page.tournament import say_live, write_page
from analysis.replays.board import make_board
from analysis.replays.expectations import CLAIMS
from analysis.replays.live import Comparison, Live
from analysis.replays.outcome import find_outcome
from analysis.replays.replay import play
from analysis.table import main as table
from analysis.tournament import main as tournament

LIVE_DICE = {"tpe": 0.66, "sobol": 0.74, "random": 0.6, "halving": 0.8}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made_up") / "table"
    keep(make_table("300", plays=(2, 1)), folder)
    return folder


@pytest.mark.slow
def test_its_page_has_every_player_and_every_claim_and_goes_into_the_run_that_mlflow_made(
    kept: Path, tmp_path: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = made_by_mlflow("tournament", table=str(kept), trials="35", replays=str(2 * IMAGES))
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    options = ["--players", "staged,staged_starts,halving", "--replays", str(2 * IMAGES), "--trials", "35"]
    assert tournament(["--table", str(kept), "--out", str(tmp_path / "page"), *options, "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert {file.path for file in MlflowClient().list_artifacts(run_id)} >= {"index.html", "claims.csv"}
    assert "300 cells of made_up, 26.0% of the grid; players take what is there" in said
    html = (tmp_path / "page" / "index.html").read_text()
    for words in ("one factor at a time, from any start", "successive halving", "random search", "26% of the grid"):
        assert words in html
    assert all(f'id="{claim.code.replace(".", "-")}"' in html for claim in CLAIMS)
    assert "TPE did not play" in html
    assert "spent, in full trials" in html
    assert "Live plays are not compared: they had 2 trials to spend, and these replays 35" in html
    assert "Live plays are not compared: they had 2 trials to spend, and these replays 35" in said
    claims = pd.read_csv(tmp_path / "page" / "claims.csv").set_index("code")
    assert set(claims.loc[["tournament.5", "tournament.7"], "verdict"]) == {"untested"}
    assert claims.loc["tournament.2", "units"] == IMAGES
    replays = pd.read_parquet(tmp_path / "page" / "replays.parquet")
    assert set(replays.groupby("player").size()) == {2 * IMAGES}
    standings = pd.read_csv(tmp_path / "page" / "standings.csv").set_index("player")
    assert set(standings.index) == {"random", "staged", "staged_starts", "halving"}
    assert f"{standings['dice'].to_dict()['halving']:.3f}" in html
    assert "Seen afterwards" not in html, "few cells: their best tenth tells nothing"
    assert f"({make_board(read(kept)).best:.3f} Dice)" in html


def test_the_page_and_what_is_printed_say_whose_live_plays_the_replays_hold(kept: Path, tmp_path: Path) -> None:
    board = make_board(read(kept))
    outcome = find_outcome(board, [play(board, "random", 2, replay) for replay in range(2 * IMAGES)], 2)
    known = {"plays": 6, "replays": 100, "replayed": 0.7, "low": 0.65, "high": 0.75}
    compared = [Comparison(player=name, live=dice, **known) for name, dice in LIVE_DICE.items()]
    live = Live(comparisons=tuple(compared), not_replayed=("gp",))
    html = write_page(tmp_path, board, outcome, 1.0, live).read_text()
    assert "interval holds the live plays of TPE and of Sobol" in html
    assert "does not hold the live plays of random search: its replays say too much." in html
    assert "does not hold the live plays of successive halving: its replays say too little." in html
    assert "a Gaussian process played live and was not replayed." in html
    assert html.count("0.650 to 0.750") == len(LIVE_DICE)
    assert pd.read_csv(tmp_path / "live.csv").set_index("player")["holds"].to_dict() == {
        name: 0.65 <= dice <= 0.75 for name, dice in LIVE_DICE.items()
    }
    lines = say_live(live)
    assert len(lines) == len(LIVE_DICE) + 1
    assert lines[0].split(maxsplit=1)[1] == "live 0.660 (n=6), its replays 0.650 to 0.750: they hold it"
    assert lines[2].endswith("they do not hold it, they say too much")
    assert 'id="live"' not in write_page(tmp_path, board, outcome, 1.0, Live()).read_text()
    assert say_live(Live()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--players", "luck"], "strategy='luck' is unknown; it must be one of"),
        (["--replays", "10"], f"replays=10: {IMAGES} judging images with 2 seeds take at least {2 * IMAGES}"),
        (["--trials", "0"], "at least 1 trial"),
        (["--table", "nowhere"], "table=nowhere: it has no cells.parquet"),
    ],
)
def test_what_cannot_be_used_is_refused(
    given: list[str], words: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tournament(["--table", str(kept), "--out", str(tmp_path), *given]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "index.html").exists()


@pytest.mark.slow
@pytest.mark.thorough
def test_from_images_to_verdicts(discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = Studies(tmp_path, discs)
    status, said = studies.run("grid", "--epochs", "2", "--cells", "12")
    assert status == 0, said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", studies.uri)
    assert table(["--data", str(discs), "--out", str(tmp_path / "table")]) == 0
    options = ["--players", "tpe,one_epoch,staged_orders", "--replays", "40", "--trials", "8"]
    assert tournament(["--table", str(tmp_path / "table"), "--out", str(tmp_path / "page"), *options]) == 0
    curves = pd.read_csv(tmp_path / "page" / "curves.csv", index_col="trials")
    assert list(curves.index) == list(range(1, 9))
    assert curves.iloc[-1].between(0, 1).all()
    claims = pd.read_csv(tmp_path / "page" / "claims.csv").set_index("code")
    assert claims.loc["tournament.5", "verdict"] != "untested"
    assert claims.loc["tournament.1", "verdict"] == "untested"
