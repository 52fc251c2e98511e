"""`live`: three players tune for real on the cells of the grid, so that their replays can be held against it.

A play is a replay in which everything is trained: the same start, the same cells, the same budget (docs/tuning.md). Its
trials have a training seed of the play's own, and what it chooses is trained once more with another one, which judges
it, on the images that judge the grid's cells. So nothing is shared between plays, or with a table.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from training.study.grid import GRID, all_cells
from training.study.players import begin
from training.study.trial import Trial
from training.study.tuning import Tuning
from training.study.winning import Results

PLAYERS = ("staged_starts", "random", "tpe")
ROLES = ("tunes", "judges")  # of a play's trainings
FIRST_SEED = 3000  # above those of the grid, which are above all others
MAX_REPEATS = 1000
LIVE = replace(GRID, name="live", question="Do replays on a table say what players come to that really train?")


def play_seed(player: str, repeat: int, role: str) -> int:
    """The training seed of what a play tunes with, or is judged by; `repeat` from 0. No two are the same."""
    return FIRST_SEED + len(ROLES) * (len(PLAYERS) * repeat + PLAYERS.index(player)) + ROLES.index(role)


@dataclass(frozen=True)
class Play:
    """A search: what a player asks for until its budget is used, then what it chooses, with the seed that judges."""

    player: str
    repeat: int  # from 0
    tuning: Tuning

    @property
    def start(self) -> Trial:
        return self.tuning.start

    @property
    def num_trials(self) -> int:
        return self.tuning.num_trials + 1

    def propose(self, results: Results) -> list[Trial]:
        if missing := self.tuning.propose(results):
            return missing
        judge = self.judge(results)
        return [judge] if judge not in results else []

    def judge(self, results: Results) -> Trial:
        """The training that judges the choice, once the budget is used."""
        return self.tuning.choose(results).replace(seed=play_seed(self.player, self.repeat, "judges"))

    def holds(self, trial: Trial) -> bool:
        return trial.seed in self.seeds

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(play_seed(self.player, self.repeat, role) for role in ROLES)


def make_plays(start: Trial, trials: int, repeats: int) -> list[Play]:
    """So many plays of each of PLAYERS, each with a budget of so many trials. `start`: all but the grid's factors.

    Raises ValueError for what is no number of plays or trials.
    """
    if not (trials >= 1 and 1 <= repeats <= MAX_REPEATS):
        raise ValueError(
            f"trials={trials} and repeats={repeats}: a play takes at least 1 trial, and a player plays 1 to "
            f"{MAX_REPEATS} times"
        )
    cells = all_cells(start)
    return [
        Play(player, repeat, begin(cells, player, trials, play_seed(player, repeat, "tunes")))
        for repeat in range(repeats)
        for player in PLAYERS
    ]


def find_plays(results: Results, trials: int) -> tuple[list[Play], int]:
    """The plays that are finished with this budget, and how many have only begun: they ask for their trials again, so
    both follow from the results alone. `results`: of trainings of `live` that differ in nothing but VALUES and seed.
    """
    begun = {trial.seed for trial in results}
    plays = [play for play in make_plays(next(iter(results)), trials, _repeats(begun)) if begun & set(play.seeds)]
    finished = [play for play in plays if not play.propose(results)]
    return finished, len(plays) - len(finished)


def _repeats(seeds: Iterable[int]) -> int:
    """How many plays of each player have these seeds at most."""
    return (max(seeds) - FIRST_SEED) // (len(ROLES) * len(PLAYERS)) + 1
