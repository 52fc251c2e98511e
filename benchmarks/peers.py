"""What people use instead of our engine, as a user would write it: the same network, loss, optimizer, batch and epochs.

`python -m benchmarks.peers SYSTEM workload.json` trains its trials one after another and writes what each took. plain:
an eager fp32 loop over tensors in memory. lightning: PyTorch Lightning, with a Dataset that reads files and a
DataLoader. Neither uses anything of ours but the network and its loss.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.network.losses import make_loss
from training.network.unet import UNet
from training.study.trial import Trial

LOADER_WORKERS = 2


@dataclass(frozen=True)
class Workload:
    """Which trials, on which files."""

    trials: list[Trial]
    size: int  # pixels
    channels: int
    train: list[tuple[str, str]]  # (image, mask) files
    val: list[tuple[str, str]]

    @classmethod
    def read(cls, path: Path) -> "Workload":
        content = json.loads(path.read_text())
        trials = [Trial(**fields) for fields in content.pop("trials")]
        return cls(trials=trials, **content)


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Image and mask files, read anew each time, as the tutorials do."""

    def __init__(self, files: list[tuple[str, str]], size: int, channels: int) -> None:
        self.files, self.size, self.channels = files, (size, size), channels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image_path, mask_path = self.files[index]
        flag = cv2.IMREAD_COLOR_RGB if self.channels == 3 else cv2.IMREAD_GRAYSCALE
        image, mask = cv2.imread(image_path, flag), cv2.imread(mask_path, cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert mask is not None
        image = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA).reshape(*self.size, self.channels)
        mask = cv2.resize(mask, self.size, interpolation=cv2.INTER_NEAREST_EXACT)
        pixels = (image.astype(np.float32) - 127.5) / 63.75
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), torch.from_numpy((mask > 0).astype(np.float32))[None]


def dice_of(logits: Tensor, target: Tensor) -> Tensor:
    """Of each image; nan where the truth is empty: such images are in no mean."""
    prediction = (logits > 0).float()
    tp, total = (prediction * target).sum((1, 2, 3)), prediction.sum((1, 2, 3)) + target.sum((1, 2, 3))
    return torch.where(target.sum((1, 2, 3)) > 0, 2 * tp / total.clamp(min=1), torch.nan)


def train_plain(workload: Workload, trial: Trial) -> float:
    """The best validation Dice of a plain eager fp32 loop; all images are float tensors in memory."""
    torch.manual_seed(trial.seed)
    sets = {}
    for part, files in (("train", workload.train), ("val", workload.val)):
        dataset = Pairs(files, workload.size, workload.channels)
        pairs = [dataset[index] for index in range(len(dataset))]
        sets[part] = torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])
    model = UNet(workload.channels, trial.width)
    loss_of, optimizer = make_loss(trial), torch.optim.Adam(model.parameters(), lr=trial.lr)
    best = 0.0
    for _ in range(trial.epochs):
        model.train()
        images, masks = sets["train"]
        for batch in torch.randperm(len(images)).split(trial.batch_size):
            optimizer.zero_grad()
            loss_of(model(images[batch]), masks[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            dices = [dice_of(model(x), y) for x, y in zip(*(part.split(8) for part in sets["val"]), strict=True)]
        best = max(best, torch.cat(dices).nanmean().item())
    return best


def train_lightning(workload: Workload, trial: Trial) -> float:
    """The best validation Dice of segmentation-models-pytorch under PyTorch Lightning, fp32."""
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint

    lightning.seed_everything(trial.seed, verbose=False)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model: nn.Module = UNet(workload.channels, trial.width)
            self.loss_of = make_loss(trial)

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            images, masks = batch
            loss: Tensor = self.loss_of(self.model(images), masks)
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
            images, masks = batch
            self.log("val_dice", dice_of(self.model(images), masks).nanmean(), batch_size=len(images))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=trial.lr)

    def loader(files: list[tuple[str, str]], shuffle: bool) -> DataLoader[tuple[Tensor, Tensor]]:
        pairs = Pairs(files, workload.size, workload.channels)
        options: dict[str, Any] = {"num_workers": LOADER_WORKERS, "persistent_workers": True}
        return DataLoader(pairs, trial.batch_size, shuffle=shuffle, **options)

    best = ModelCheckpoint(dirpath=Path("checkpoints"), monitor="val_dice", mode="max")
    trainer = lightning.Trainer(
        max_epochs=trial.epochs,
        accelerator="auto",
        callbacks=[best],
        logger=lightning.pytorch.loggers.CSVLogger("."),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Module(), loader(workload.train, True), loader(workload.val, False))
    assert best.best_model_score is not None
    return float(best.best_model_score)


SYSTEMS = {"plain": train_plain, "lightning": train_lightning}


def run(system: str, workload: Workload) -> Iterator[dict[str, float]]:
    for trial in workload.trials:
        start = time.perf_counter()
        yield {"dice": SYSTEMS[system](workload, trial), "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    for outcome in run(sys.argv[1], Workload.read(Path(sys.argv[2]))):
        print(json.dumps(outcome), flush=True)
