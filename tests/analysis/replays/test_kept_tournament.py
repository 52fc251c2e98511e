"""The tournament of README and docs: its numbers are those of its page, and the kept table gives them again."""

import html
import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from analysis.evidence.grid_table import read
from analysis.page.tournament import label_of, say_foresight
from analysis.replays.board import Board, make_board
from analysis.replays.outcome import judge
from analysis.replays.replay import play

KEPT = ROOT / "analysis" / "measured" / "tournament_dsb2018_histo"
TABLE = ROOT / "analysis" / "measured" / "grid_dsb2018_histo"
TRIALS = 60


@pytest.fixture(scope="module")
def board() -> Board:
    return make_board(read(TABLE))


@pytest.fixture(scope="module")
def standings() -> pd.DataFrame:
    return pd.read_csv(KEPT / "standings.csv").set_index("player")


def test_the_table_is_whole(board: Board) -> None:
    assert read(TABLE).share == 1
    assert len(board.cells.trials) == 1152


def test_its_page_has_the_verdicts_and_the_numbers_that_are_kept(standings: pd.DataFrame) -> None:
    page = html.unescape((ROOT / "docs" / "gallery" / "tournament.html").read_text())
    claims = pd.read_csv(KEPT / "claims.csv").set_index("code")
    shown = dict(re.findall(r'<code>(tournament\.\d+)</code>.*?<span class="badge (\w+)">', page, re.DOTALL))
    assert shown == claims["verdict"].to_dict()
    for player, row in standings.iterrows():
        (cells,) = re.findall(rf"<tr><td>{re.escape(label_of(str(player)))}</td>(.*?)</tr>", page)
        numbers = re.findall(r"<td[^>]*>(.*?)</td>", cells)
        assert numbers[0] == f"{row['dice']:.3f}"
        assert float(numbers[1].replace("\N{MINUS SIGN}", "-")) == pytest.approx(row["score"], abs=0.005)
        assert int(numbers[-1]) == row["replays"]


def test_its_page_says_what_the_table_says_of_foresight(board: Board) -> None:
    assert say_foresight(board) in html.unescape((ROOT / "docs" / "gallery" / "tournament.html").read_text())


def test_what_has_no_chance_in_it_comes_to_the_same_again(board: Board, standings: pd.DataFrame) -> None:
    """Stages from the report's start: every replay is the same."""
    played = [play(board, "staged", TRIALS, replay) for replay in range(2)]
    again = judge(board, played, [one.choices[-1] for one in played]).mean()
    assert again == pytest.approx(standings.loc["staged", "dice"], abs=1e-9)


def test_random_search_comes_to_what_is_kept(board: Board) -> None:
    played = [play(board, "random", TRIALS, replay) for replay in range(100)]
    curve = pd.read_csv(KEPT / "curves.csv", index_col="trials")["random"]
    for spent in (5, 20, TRIALS):
        dice = judge(board, played, [one.choices[spent - 1] for one in played]).mean(axis=1)
        assert abs(dice.mean() - curve[spent]) < 4 * dice.std(ddof=1) / np.sqrt(len(dice))


def test_readme_and_docs_say_what_is_kept(standings: pd.DataFrame) -> None:
    readme, docs = ((ROOT / name).read_text() for name in ("README.md", "docs/tuning.md"))
    for player, row in standings.iterrows():
        name, dice, counted = (
            label_of(str(player)),
            f"{row['dice']:.3f}",
            f"{row['decided']:.1f} | {row['wrong']:.0%} |",
        )
        counted = counted.replace("%", " %")
        assert re.search(rf"\| {re.escape(name)} \| {dice} \| {row['score']:.2f} \| .* \| {counted}", docs), player
        short = f"| {name} | "
        assert short not in readme or f"{short}{dice} | {counted}" in readme
    assert f"| {label_of('random')} | " in readme


def test_live_plays_come_to_what_is_kept_and_said(board: Board) -> None:
    """The Dice of six plays of each player is in the table; the interval of their replays is as random as these."""
    table, docs = read(TABLE), (ROOT / "docs" / "tuning.md").read_text()
    kept = pd.read_csv(KEPT / "live.csv").set_index("player")
    judges = table.plays[table.plays["role"] == "judges"].groupby("player")["judge_dice"]
    assert judges.count().to_dict() == kept["plays"].to_dict() == dict.fromkeys(kept.index, 6)
    assert judges.mean().to_dict() == pytest.approx(kept["live"].to_dict())
    for player, row in kept.iterrows():
        holds = "yes" if row["holds"] else "no: replays say too much"
        line = f"| {label_of(str(player))} | {row['live']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {holds} |"
        assert line in docs
        played = [play(board, str(player), 34, replay) for replay in range(40)]
        replayed = judge(board, played, [one.choices[-1] for one in played]).mean(axis=1)
        error = replayed.std(ddof=1) / np.sqrt(len(replayed))
        assert abs(replayed.mean() - row["replayed"]) < 4 * error
