"""Do forecasts of what more images bring come true? `python -m benchmarks.label_forecast --data FOLDER [FOLDER ...]`.

Of each folder and each of its five folds: trials on 10 to 50 % of the images forecast the Dice of 80 %, which is then
trained. Printed are each forecast beside what it came to, the mean error, and in how many the interval held it; and the
error of the trivial forecast, that more images change nothing.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from analysis.claims.more_images import forecast
from training.command.machine import find_device, find_precision, keep_memory
from training.data.image_set import ImageSet
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import make_split
from training.network.batches import DeviceSet
from training.network.engine import begin, make_model, train
from training.study.trial import FOLDS, Trial

SEEN, LATER = (10, 20, 30, 40, 50), 80  # percent of all images


def main() -> None:
    options = parse()
    keep_memory()
    torch.set_num_threads(1)
    heads = ("data", "fold", f"at {SEEN[-1]} %", "forecast", "95 %", "came to", "error", "held")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    errors, trivial, held = [], [], []
    for folder in options.data:
        images = load_folder(folder, options.image_size, options.fit, ReadOptions(group=options.group))
        for fold in range(options.folds):
            scores = measure(images, fold, options)
            (said,) = forecast(scores[list(SEEN)], (LATER / SEEN[-1],))
            before, came = scores[SEEN[-1]].mean(), scores[LATER].mean()
            errors.append(abs(said.dice - came))
            trivial.append(abs(before - came))
            held.append(said.low <= came <= said.high)
            numbers = f"{before:.3f} | {said.dice:.3f} | {said.low:.3f} to {said.high:.3f} | {came:.3f}"
            error, yes = f"{said.dice - came:+.3f}", "yes" if held[-1] else "no"
            print(f"| {images.name} | {fold} | {numbers} | {error} | {yes} |", flush=True)
    print(
        f"\nmean error {np.mean(errors):.4f} Dice, of no change {np.mean(trivial):.4f}; "
        f"the interval held {sum(held)} of {len(held)}"
    )


def measure(images: ImageSet, fold: int, options: argparse.Namespace) -> pd.DataFrame:
    """Best validation Dice (at image_size) by seed (rows) and training fraction (columns)."""
    device = find_device("auto")
    on_device = DeviceSet.on(device, images)
    found = pd.DataFrame(index=range(options.seeds), columns=[*SEEN, LATER], dtype=float)
    cells = [(seed, percent) for seed in found.index for percent in found.columns]
    for seed, percent in tqdm(cells, desc=f"{images.name}, fold {fold}", unit="trial"):
        trial = Trial(
            loss="bce",
            optimizer="adam",
            lr=1e-3,
            epochs=round(options.epochs * LATER / percent),  # as many steps for each fraction
            image_size=options.image_size,
            fit=options.fit,
            train_percent=percent,
            fold=fold,
            seed=seed,
            precision=find_precision("auto", device),
        )
        split = make_split(images.groups, images.foreground, "fixed", percent, fold)
        epochs = train(begin(make_model(trial, images.channels, device), trial), on_device, split)
        found.loc[seed, percent] = max(epoch.val_dice for epoch in epochs)
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of images and masks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--epochs", type=int, default=12, help="on 80 %% of the images; on fewer as many steps")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--fit", default="resize")
    parser.add_argument("--group", default="auto", help="what must stay together")
    return parser.parse_args()


if __name__ == "__main__":
    main()
