"""Decides what can be decided within a budget: `python -m analysis.decide --data FOLDER --hours 8`.

After one pass of the studies, on each of the folds, seeds go where verdicts are open: in rounds, to the rows that an
undecided claim reads, most decisions per trial first (deciding/rounds.py). Every look is paid for (claims/looks.py).
What the first pass found best stays the baseline. Trials are trained by `training.runner`, which takes whatever it
takes: any option of it may be given. Stopped and started again, it goes on with what the store holds.
"""

import argparse
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from training.command.entry import Parser, run_command, user_path, whole_number
from training.command.options import ALL
from training.command.options import parse as parse_runner
from training.command.preparation import make_settings
from training.data.image_set import data_name
from training.study.intervals import MIN_UNITS
from training.study.plan import make_plan
from training.study.settings import BASELINES
from training.study.studies import REPORT_STUDIES, STUDIES, baseline_from_report
from training.study.trial import FOLDS

if TYPE_CHECKING:  # pandas and MLflow take seconds to import, and --help does without
    from analysis.claims.verdicts import Claim
    from analysis.deciding.budget import Budget

MODULE = "analysis.decide"
SUMMARIZED = ("learning_rate", "losses")  # studies that the claims `summary` read


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is left to do within the budget, 2 for a value that cannot be used, 130 when it was stopped."""
    return run_command(MODULE, decide, arguments)


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """And what is given on to the runner, checked."""
    parser = Parser(MODULE, "Train seeds where verdicts are open, until the budget is used up.")
    parser.add_argument("--data", type=user_path, required=True, help="a folder of images and masks, or a csv")
    parser.add_argument("--hours", type=float, default=8.0, help="of this command")
    parser.add_argument("--trials", type=whole_number, default=0, help="in all, in place of hours; 0: hours count")
    parser.add_argument("--claims", default=ALL, help="codes, as losses.1,schedulers.6; all: of the report's studies")
    parser.add_argument("--seeds", type=whole_number, default=MIN_UNITS, help="of every cell, in the first pass")
    parser.add_argument("--folds", type=whole_number, default=1, help=f"1 to {FOLDS}: on each of so many, from 0 on")
    parser.add_argument("--baseline", default="measured", help=f"{' or '.join(BASELINES)}: whose fixed factors")
    options, further = parser.parse_known(arguments)
    if options.hours <= 0 or options.trials < 0:
        raise ValueError(f"hours={options.hours:g} trials={options.trials}: a budget must be above 0")
    if options.seeds < MIN_UNITS:
        raise ValueError(f"seeds={options.seeds}: below {MIN_UNITS} no verdict is decided, and none can be foreseen")
    known = {"--data": options.data, "--seeds": options.seeds, "--baseline": options.baseline}
    rest = [*(str(word) for pair in known.items() for word in pair), *further]
    runner = parse_runner([ALL, *rest])
    if not 1 <= options.folds <= FOLDS:
        raise ValueError(f"folds={options.folds} is out of range; it must be from 1 to {FOLDS}")
    if options.folds > 1 and (runner.fold or runner.split):
        other = f"fold={runner.fold}" if runner.fold else f"split={runner.split}"
        raise ValueError(f"folds={options.folds} and {other} contradict each other; leave one of them out")
    options.places = list(range(options.folds)) if options.folds > 1 else [runner.fold]
    return options, rest


def decide(arguments: Sequence[str]) -> int:
    """Raises ValueError for what cannot be used."""
    options, rest = parse(arguments)
    claims = find_claims(options.claims)
    from analysis.deciding.budget import Budget
    from analysis.deciding.decision import Decision
    from analysis.deciding.decision_run import Describe, as_run

    name, studies = data_name(options.data), find_studies(options.claims, claims, options.baseline)
    if options.trials:
        require_room(options.trials, len(options.places), studies, rest)
    budget = Budget(hours=options.hours, trials=options.trials)

    def work(describe: Describe) -> int:
        decision = Decision(
            data=name,
            folds=options.places,
            seeds=options.seeds,
            arguments=[studies[0], *rest],
            claims=claims,
            budget=budget,
            describe=describe,
        )
        return first_pass(studies, options.places, rest, budget) or decision.run()

    return as_run(MODULE, f"decide {name}", {"data": name, "claims": options.claims}, work)


def find_claims(codes: str) -> "list[Claim]":
    """Raises ValueError for an unknown one."""
    from analysis.claims.claims import ALL_CLAIMS

    if codes == ALL:
        others = {study.name for study in STUDIES.values() if not study.section}
        return [claim for claim in ALL_CLAIMS if claim.study not in others]
    known = {claim.code: claim for claim in ALL_CLAIMS}
    wanted = [code.strip() for code in codes.split(",") if code.strip()]
    if unknown := [code for code in wanted if code not in known]:
        raise ValueError(f"claims={unknown[0]!r} is unknown; it must be {ALL}, or some of {', '.join(known)}")
    return [known[code] for code in wanted]


def find_studies(codes: str, claims: "Iterable[Claim]", baseline: str) -> list[str]:
    """What the first pass runs, in order: all of them; or those that the claims name and, where they build on what
    was measured, those before them.
    """
    if codes == ALL:
        return [ALL]
    named = {study for claim in claims for study in (SUMMARIZED if claim.study == "summary" else (claim.study,))}
    if baseline == "measured":
        named |= {need for study in named for need in STUDIES[study].needs}
    return [study for study in STUDIES if study in named]


def require_room(trials: int, folds: int, studies: Sequence[str], rest: Sequence[str]) -> None:
    """Raises ValueError where so many trials are too few for the first pass alone."""
    settings = make_settings(parse_runner([studies[0], *rest]))
    known = REPORT_STUDIES if studies == [ALL] else [STUDIES[name] for name in studies]
    counts = {one.name: folds * make_plan(one, baseline_from_report(one), settings).num_trials for one in known}
    if trials < (needed := sum(counts.values())):
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(
            f"trials={trials}: the first pass alone has {needed} ({each}); give at least as many, fewer claims or "
            "baseline=report, which needs no studies before a claim's own; or hours, which stop it wherever it is"
        )


def first_pass(studies: Iterable[str], folds: Sequence[int], rest: Sequence[str], budget: "Budget") -> int:
    """Every study with the same seeds of every cell on every fold; an exit status other than 0 ends everything."""
    from analysis.deciding.runner import STOPPED, call_runner

    for fold, study in itertools.product(folds, studies):
        print(f"\nfirst pass: {study}" + (f", fold {fold}" if len(folds) > 1 else ""), flush=True)
        status = call_runner([study, *rest, "--fold", str(fold)], budget.seconds_left)
        if status == STOPPED and budget.left <= 0:
            print("\nthe first pass takes longer than that; the same command goes on with it", flush=True)
        if status not in (0, 1):
            return status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
