"""How often claims are decided falsely where there is no effect at all, and what they would see, by simulation.

`python -m benchmarks.error_rates [--pages 400] [--seeds 6]` makes tables of trials that nobody trained (every study's
rows, several seeds, four kinds of noise), asks every claim of each, and prints the shares of false verdicts. Beside
them, for claims about Dice: the chance that a true effect of 0.01 and of 0.02 is seen where a run's noise is NOISE.
A page of all claims takes seconds, so that hundreds of them take hours.
"""

import argparse
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.contrasts import power
from analysis.claims.verdicts import Assessment, Claim, assess
from analysis.evidence.schema import tidy
from training.study.search import DECADES
from training.study.studies import STUDIES, baseline_from_report
from training.study.trial import Trial

LEVEL = 0.7  # Dice where there is no effect at all
NOISE = 0.02  # Dice: sd of a run's noise
POWER_PAGES = 20  # tables whose spreads' median the power is of
TRUE_WITHOUT = {  # claims that hold where there is no effect: `does not help`, `does as well`
    *("schedulers.4", "weight_decay.1", "augmentation.1", "extensions.1", "extensions.2", "extensions.3"),
    *("training_data.3", "losses.6"),
}
FALSE_WITHOUT = {  # whose opposite holds there: `costs at least 0.2`, `some do not converge`, `gains at least 0.01`
    *("optimizers.1", "dropout.3", "mask_equalization.1", "extensions.7"),
}


def design(seeds: int) -> pd.DataFrame:
    """Every trial of every study, seeds times, with scores of LEVEL."""
    rows: list[dict[str, Any]] = []
    for study in STUDIES.values():
        for row in study.rows(baseline_from_report(study)):
            for lr in DECADES if study.search_lr else (row.factors["lr"],):
                factors = {**vars(Trial(**{"epochs": study.epochs, **row.factors, "lr": lr, "image_size": 64}))}
                rows += [
                    {**factors, "study": study.name, "seed": seed, "data_digest": "simulated"} for seed in range(seeds)
                ]
    scores = {"val_dice": LEVEL, "train_dice": LEVEL, "val_loss": 0.4, "train_loss": 0.4, "epochs_to_converge": 30.0}
    scores |= {"fall_from_best": 0.03, "val_dice_roughness": 0.03}
    return tidy(pd.DataFrame(rows).assign(**scores))


def cells(table: pd.DataFrame) -> np.ndarray:
    """The number of each row's cell: rows that differ in the seed alone."""
    names = [name for name in Trial.__dataclass_fields__ if name != "seed"]
    return table.groupby(["study", *names], dropna=False, sort=False).ngroup().to_numpy()


def equal(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every run with the same normal noise."""
    return _add(table, rng.normal(0, NOISE, len(table)), rng.normal(0, NOISE, len(table)))


def unequal(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Cells between a tenth and three times as noisy as others."""
    cell = cells(table)
    spread = rng.uniform(0.002, 0.06, cell.max() + 1)[cell]
    return _add(table, rng.normal(0, spread), rng.normal(0, spread))


def failing(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One run in ten diverges, whatever its cell."""
    noisy = equal(table, rng)
    lost = rng.random(len(table)) < 0.1
    scores = ["val_dice", "train_dice", "val_loss", "train_loss"]
    return noisy.assign(diverged=lost, **{name: noisy[name].where(~lost) for name in scores})


def interacting(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A seed is good or bad in all it does, and more so with some optimizers and amounts of data."""
    noisy = equal(table, rng)
    for names, spread in ((["seed"], 0.03), (["optimizer", "seed"], 0.02), (["train_percent", "seed"], 0.02)):
        number = table.groupby(names, dropna=False).ngroup().to_numpy()
        shift = rng.normal(0, spread, number.max() + 1)[number]
        noisy = noisy.assign(val_dice=noisy["val_dice"] + shift, train_dice=noisy["train_dice"] + shift)
    return noisy


NOISES: dict[str, Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]] = {
    one.__name__: one for one in (equal, unequal, failing, interacting)
}


def is_false(claim: Claim, found: Assessment) -> bool:
    """Whether a verdict is wrong where there is no effect: that no difference is worth the name is right."""
    if found.verdict == "supported":
        return claim.code not in TRUE_WITHOUT
    right = claim.code in FALSE_WITHOUT or any(finding.is_nil for finding in found.findings)
    return found.verdict == "contradicted" and not right


def false_rates(claims: Iterable[Claim], noise: str, pages: int, seeds: int) -> dict[str, float]:
    """The share of simulated tables on which each claim is decided falsely; by code."""
    rng, plain, claims = np.random.default_rng(0), design(seeds), list(claims)
    false: Counter[str] = Counter()
    for _ in range(pages):
        table = NOISES[noise](plain, rng)
        false.update(claim.code for claim in claims if is_false(claim, assess(claim, table)))
    return {claim.code: false[claim.code] / pages for claim in claims}


def spreads(claims: Iterable[Claim], pages: int, seeds: int) -> dict[str, float]:
    """The sd over seeds that each claim about Dice meets where all runs have equal noise: the median; by code."""
    rng, plain = np.random.default_rng(1), design(seeds)
    tables = [equal(plain, rng) for _ in range(pages)]
    about_dice = [claim for claim in claims if claim.unit == "Dice"]
    return {claim.code: median(assess(claim, table).spread for table in tables) for claim in about_dice}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=400, help="simulated tables for each kind of noise")
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    with ProcessPoolExecutor(min(len(NOISES), os.cpu_count() or 1)) as workers:
        simulate = functools.partial(_false_rates_of_all, pages=options.pages, seeds=options.seeds)
        found = dict(zip(NOISES, workers.map(simulate, NOISES), strict=True))
    met = spreads(ALL_CLAIMS, min(POWER_PAGES, options.pages), options.seeds)
    error = 2 * (0.05 * 0.95 / options.pages) ** 0.5
    print(
        f"False verdicts in {options.pages} tables of {options.seeds} seeds without any effect (5 % +- {error:.1%})\n"
    )
    heads = [*NOISES, "sees 0.01", "sees 0.02"]
    print("| claim | " + " | ".join(heads) + " |\n| --- |" + " ---: |" * len(heads))
    for claim in ALL_CLAIMS:
        spread = met.get(claim.code, 0.0)
        seen = [f"{power(effect, spread, options.seeds):.0%}" if spread > 0 else "" for effect in (0.01, 0.02)]
        rates = [f"{found[noise][claim.code]:.1%}" for noise in NOISES]
        print(f"| {claim.code} | " + " | ".join([*rates, *seen]) + " |")
    means = (sum(rates.values()) / len(rates) for rates in found.values())
    print("| mean | " + " | ".join(f"{mean:.1%}" for mean in means) + " | | |")


def _false_rates_of_all(noise: str, pages: int, seeds: int) -> dict[str, float]:
    """For another process, which claims cannot be sent to: they hold functions without a name."""
    return false_rates(ALL_CLAIMS, noise, pages, seeds)


def _add(table: pd.DataFrame, val: np.ndarray, train: np.ndarray) -> pd.DataFrame:
    return table.assign(
        val_dice=table["val_dice"] + val,
        train_dice=table["train_dice"] + train,
        val_loss=table["val_loss"] - val,
        train_loss=table["train_loss"] - train,
        epochs_to_converge=table["epochs_to_converge"] + 100 * val,
        fall_from_best=table["fall_from_best"] + val / 4,
        val_dice_roughness=table["val_dice_roughness"] + train / 4,
    )


if __name__ == "__main__":
    main()
