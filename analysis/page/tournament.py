"""The page of a tournament: who finds what, and what became of the expectations. An outcome in, files out."""

from dataclasses import fields
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.claims.labels import DASH, number, signed
from analysis.claims.verdicts import Assessment
from analysis.evidence.files import to_parquet, write
from analysis.page import exports
from analysis.page.chapters import GLYPHS
from analysis.page.figures import LINES, MUTED, OPTIMIZER_COLOURS
from analysis.page.panels import WIDTH
from analysis.page.svg import render
from analysis.replays.board import Board
from analysis.replays.expectations import CLAIMS, LABELS
from analysis.replays.live import Comparison, Live
from analysis.replays.outcome import Outcome, Standing

COLOURS = (*OPTIMIZER_COLOURS.values(), MUTED)
ANSWERS = {  # by the verdict of the first claim
    "supported": "Yes, on this table: after one pass it has found better than random search with as many trials.",
    "contradicted": "No, not on this table: after one pass it has found nothing better than random search.",
    "undecided": "This table cannot say: against random search with as many trials nothing is decided.",
    "untested": "Nobody played that: {reason}.",
}
TOP = 0.1  # of the cells
FEWEST = 50  # cells among the best, below which a correlation of theirs says nothing
WEAK = 0.3  # a rank correlation below it
LIVE = [*(field.name for field in fields(Comparison)), "holds"]
ASSESSED = ("verdict", "text", "effect", "low", "high", "p", "p_adjusted", "units")


def write_page(out: Path, board: Board, outcome: Outcome, share: float, live: Live) -> Path:
    """The page and its numbers, into a folder. `share`: of the whole grid, the part that is there. The page's path."""
    first = outcome.assessments[CLAIMS[0].code]
    content = {
        "outcome": outcome,
        "data": board.data,
        "num_cells": len(board.cells.trials),
        "num_images": board.judged.shape[-1],
        "one_pass": board.one_pass,
        "share": f"{share:.0%}" if share >= 0.01 else f"{share:.1%}",
        "best": number(board.best),
        "answer": ANSWERS[first.verdict].format(reason=first.text),
        "spread": say_spread(outcome),
        "lesson": say_lesson(outcome),
        "way": number(outcome.way, 4),
        "foresight": say_foresight(board),
        "curves": render(lambda: curves_figure(outcome.curves, board.best), "Dice of the choice by what was spent"),
        "rows": [_row(one) for one in outcome.standings],
        "live_answer": answer_live(live),
        "live_rows": [_live_row(one) for one in live.comparisons],
        "claims": [(claim, outcome.assessments[claim.code]) for claim in CLAIMS],
        "glyphs": GLYPHS,
    }
    page = out / "index.html"
    write(page, exports.render("tournament.html", content))
    write(out / "replays.parquet", to_parquet(outcome.replays))
    write(out / "standings.csv", pd.DataFrame([vars(one) for one in outcome.standings]).to_csv(index=False))
    write(out / "curves.csv", outcome.curves.to_csv(index_label="trials"))
    write(out / "claims.csv", _claims(outcome.assessments).to_csv(index=False))
    compared = pd.DataFrame([vars(one) | {"holds": one.holds} for one in live.comparisons], columns=LIVE)
    write(out / "live.csv", compared.to_csv(index=False))
    return page


def say_spread(outcome: Outcome) -> str:
    """In words: how far players are from random search at the end, in Dice. Empty where nobody else played."""
    others = [one for one in outcome.standings if one.low != one.high]
    if not others:
        return ""
    low, high = min(one.low for one in others) * outcome.way, max(one.high for one in others) * outcome.way
    reach = f"{signed(low)} to {signed(high)}"
    return f"In Dice, the intervals of all players lie within {reach} of random search's choice."


def say_lesson(outcome: Outcome) -> str:
    """In words: who learns what the factors do? Empty unless it is decided both how much and how often wrongly."""
    shown = {one.player: one for one in outcome.standings}
    if any(outcome.assessments[code].verdict != "supported" for code in ("tournament.12", "tournament.13")):
        return ""
    stages, others = shown["staged_starts"], shown["random"]
    return (
        f"What factors do, random trials tell better: of {others.decided:.1f} comparisons that such a replay decides "
        f"{others.wrong:.0%} are wrong, and of {stages.decided:.1f} that stages decide {stages.wrong:.0%}."
    )


def say_foresight(board: Board) -> str:
    """In words: does the validation Dice that players see tell what a cell is worth? Empty of too few cells to tell."""
    cells = TOP * len(board.cells.trials)
    if cells < FEWEST:
        return ""
    everywhere, best = board.foresight(1.0), board.foresight(TOP)
    luck = "; there a choice is mostly luck, whoever asks for the trials" if best < WEAK else ""
    return (
        f"over all cells, the validation Dice of one training ranks what the other one comes to with r = "
        f"{number(everywhere, 2)} (Spearman), and among the best tenth, {cells:.0f} of them, with r = "
        f"{number(best, 2)}{luck}."
    )


def answer_live(live: Live) -> str:
    """In words: do replays say what live plays come to? Empty where nobody played live."""
    if live.why_not:
        return f"Live plays are not compared: {live.why_not}."
    held = " and of ".join(label_of(one.player) for one in live.comparisons if one.holds)
    said = [f"The replays' interval holds the live plays of {held}."] if held else []
    missed = ((label_of(one.player), _too(one)) for one in live.comparisons if not one.holds)
    said += [
        f"The replays' interval does not hold the live plays of {name}: its replays say too {too}."
        for name, too in missed
    ]
    return " ".join([*said, *_not_replayed(live)])


def say_live(live: Live) -> list[str]:
    """The same as lines to print, one per player, with the numbers; none where nobody played live."""
    if live.why_not:
        return [answer_live(live)]
    lines = [
        f"{label_of(one.player):<38} live {one.live:.3f} (n={one.plays}), its replays {one.low:.3f} to {one.high:.3f}: "
        + ("they hold it" if one.holds else f"they do not hold it, they say too {_too(one)}")
        for one in live.comparisons
    ]
    return [*lines, *_not_replayed(live)]


def _not_replayed(live: Live) -> list[str]:
    return [f"{label_of(name)} played live and was not replayed." for name in live.not_replayed]


def _too(one: Comparison) -> str:
    return "much" if one.live < one.low else "little"


def _live_row(one: Comparison) -> tuple[str, ...]:
    interval = f"{number(one.low)} to {number(one.high)}"
    verdict = "yes" if one.holds else f"no: too {_too(one)}"
    return (label_of(one.player), str(one.plays), number(one.live), number(one.replayed), interval, verdict)


def curves_figure(curves: pd.DataFrame, best: float) -> Figure:
    """Dice of the choice by full trials spent: a line per player, named where it ends."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(best, color=MUTED, lw=1, linestyle=LINES[2])
    for place, name in enumerate(curves.iloc[-1].sort_values(ascending=False).index):
        colour, line = COLOURS[place % len(COLOURS)], LINES[place // len(COLOURS) % len(LINES)]
        axes.plot(curves.index, curves[name], color=colour, linestyle=line, label=label_of(str(name)))
    low = float(curves.iloc[len(curves) // 6].min())  # the first few trials say little, and would take all the room
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))  # of 0.0025, say, labels would be rounded
    margin = 0.1 * (best - low)
    axes.set(xlabel="spent, in full trials", ylabel="Dice of the choice", ylim=(low - margin, best + margin))
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def label_of(player: str) -> str:
    return LABELS.get(player, player)


def _row(one: Standing) -> tuple[str, ...]:
    is_known = pd.notna(one.low) and one.low != one.high  # random search is 0 by definition
    interval = f"{number(one.low, 2)} to {number(one.high, 2)}" if is_known else DASH
    later = [number(value, 2) for value in (one.after_one_pass, one.in_seconds)]
    wrong = f"{one.wrong:.0%}" if pd.notna(one.wrong) else DASH
    first = (label_of(one.player), number(one.dice), number(one.score, 2), interval, f"{one.decided:.1f}", wrong)
    return (*first, *later, str(one.replays))


def _claims(found: dict[str, Assessment]) -> pd.DataFrame:
    return pd.DataFrame(
        {"code": claim.code, "claim": claim.sentence, "rule": claim.rule, "unit": claim.unit}
        | {name: getattr(found[claim.code], name) for name in ASSESSED}
        for claim in CLAIMS
    )
