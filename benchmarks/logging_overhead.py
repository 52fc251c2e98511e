"""What share of a trial at the `report` preset goes into logging it: `python -m benchmarks.logging_overhead`.

Trains two epochs of a report-sized trial on synthetic images, on this machine, to know what an epoch costs; then logs
200 such epochs to a fresh SQLite store with all artifacts, and prints the ratio.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import torch

from training.command.machine import find_device, find_precision, keep_memory
from training.data.pictures import TRAIN_PICTURE, VAL_PICTURE
from training.data.reading import load_folder
from training.data.split import make_split
from training.execution.workers import draw_sheet, score_images
from training.network.batches import DeviceSet
from training.network.engine import begin, make_model, train
from training.study.trial import Trial
from training.synthetic import write_folder
from training.tracking import store
from training.tracking.trial_run import TrialRun

REPORT_EPOCHS = 200
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=100, help="synthetic images; real sets have more, so epochs last longer"
    )
    count = parser.parse_args().count
    keep_memory()
    device = find_device("auto")
    trial = Trial(
        loss="switching",
        optimizer="adam",
        lr=1e-3,
        epochs=REPORT_EPOCHS,
        image_size=256,
        precision=find_precision("auto", device),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder / "cells", count=count, size=256, seed=0)
        cells = load_folder(folder / "cells", trial.image_size)
        images = DeviceSet.on(device, cells)
        split = make_split(cells.groups, cells.foreground, "fixed", trial.train_percent)
        model = make_model(trial, cells.channels, device)
        epochs = train(begin(model, trial), images, split)
        next(epochs)  # warm
        epoch = next(epochs)
        client = store.connect_to(f"sqlite:///{folder}/mlflow.db")
        experiment = client.create_experiment("logging", artifact_location=str(folder / "artifacts"))
        seconds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run = TrialRun(client, experiment, "trial", trial, {}, "")
            for number in range(1, REPORT_EPOCHS + 1):
                run.log(dataclasses.replace(epoch, epoch=number))
            parts = {VAL_PICTURE: split.val, TRAIN_PICTURE: split.train}
            pictures = {name: draw_sheet(model, trial, cells, images, part[:4]) for name, part in parts.items()}
            scores = score_images(model, trial, cells, images, split.val)
            run.finish(model, pictures, 0.0, "", cells.stems, scores)
            seconds.append(time.perf_counter() - start)
    logging, training = sorted(seconds)[REPEATS // 2], REPORT_EPOCHS * epoch.epoch_seconds
    print(f"{device}, {trial.precision}, torch {torch.__version__}, {len(split.train)} training images of 256x256")
    print(f"an epoch: {epoch.epoch_seconds:.2f} s; {REPORT_EPOCHS} of them: {training:.0f} s")
    print(f"logging {REPORT_EPOCHS} epochs, pictures and weights: {logging:.2f} s (median of {REPEATS})")
    print(f"share of the trial: {100 * logging / (logging + training):.2f} %; under 3 % above {logging / 0.03:.0f} s")


if __name__ == "__main__":
    main()
