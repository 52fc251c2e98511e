"""The engine trains: to a good Dice, the same twice, and it says when it cannot."""

import dataclasses
import itertools
import math
from pathlib import Path

import pytest
import torch

from training.command.machine import find_device, find_precision, set_deterministic
from training.data.framing import OUTSIDE, assemble
from training.data.images import otsu_mask
from training.data.reading import load_folder
from training.data.split import Split, make_split
from training.network.batches import DeviceSet, equalize, make_target
from training.network.engine import (
    Diverged,
    Epoch,
    begin,
    evaluate,
    find_best,
    make_model,
    predict,
    train,
)
from training.network.losses import make_loss
from training.network.metrics import count, dice_per_image, score
from training.study.trial import LOSSES, OPTIMIZERS, Trial
from training.synthetic import write_folder

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TRIAL = Trial(loss="switching", optimizer="adam", lr=3e-3, epochs=3, image_size=64)


@pytest.fixture(scope="module")
def images(discs: Path) -> DeviceSet:
    return DeviceSet.on(CPU, load_folder(discs, 64))


@pytest.fixture(scope="module")
def small(discs: Path) -> DeviceSet:
    """The same at 32 pixels, for facts that do not depend on the size."""
    return DeviceSet.on(CPU, load_folder(discs, 32))


@pytest.fixture(scope="module")
def split() -> Split:
    return make_split(tuple(map(str, range(20))), (0.1,) * 20, "fixed", 80)


def run(trial: Trial, images: DeviceSet, split: Split) -> list[Epoch]:
    return list(train(begin(make_model(trial, 1, CPU), trial), images, split))


def same(first: Epoch, second: Epoch) -> bool:
    return {**first.__dict__, "epoch_seconds": 0} == {**second.__dict__, "epoch_seconds": 0}


def test_a_quarter_unet_passes_0_85_on_the_synthetic_cells_where_otsu_stays_under_0_7(tmp_path: Path) -> None:
    write_folder(tmp_path / "cells", count=80, size=128, seed=0)
    cells = load_folder(tmp_path / "cells", 64)
    on_cpu = DeviceSet.on(CPU, cells)
    split = make_split(cells.groups, cells.foreground, "fixed", 80)
    trial = TRIAL.replace(epochs=12, precision=find_precision("auto", CPU))
    epochs = run(trial, on_cpu, split)
    assert max(epoch.val_dice for epoch in epochs) > 0.85
    otsu = torch.stack([torch.from_numpy(otsu_mask(image, dark=False)) for image in cells.images])[:, None]
    floor = dice_per_image(count(20.0 * otsu.float() - 10, torch.from_numpy(cells.masks)[:, None])).nanmean()
    assert floor < 0.7


def test_the_same_seed_gives_the_same_epochs_bit_for_bit(small: DeviceSet, split: Split) -> None:
    trial = TRIAL.replace(dropout=0.2, augment="train", epochs=2)
    first, second = run(trial, small, split), run(trial, small, split)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert not same(first[0], run(trial.replace(seed=1), small, split)[0])


def test_deterministic_mode_takes_every_loss_optimizer_and_augmentation(small: DeviceSet, split: Split) -> None:
    set_deterministic(True)
    try:
        for loss, optimizer in zip((*LOSSES, *LOSSES), OPTIMIZERS, strict=False):
            trial = TRIAL.replace(loss=loss, optimizer=optimizer, epochs=1, augment="both", dropout=0.2, lr=1e-3)
            assert same(run(trial, small, split)[0], run(trial, small, split)[0])
    finally:
        set_deterministic(False)


def test_an_epoch_depends_on_no_generator_of_the_caller(small: DeviceSet, split: Split) -> None:
    torch.manual_seed(1)
    first = run(TRIAL.replace(epochs=1, dropout=0.5), small, split)
    torch.manual_seed(2)
    assert same(first[0], run(TRIAL.replace(epochs=1, dropout=0.5), small, split)[0])


def test_bf16_and_fp32_begin_alike(images: DeviceSet, split: Split) -> None:
    fp32, bf16 = (run(TRIAL.replace(precision=p, epochs=1), images, split)[0] for p in ("fp32", "bf16"))
    assert bf16.train_loss == pytest.approx(fp32.train_loss, rel=0.02)


def test_an_absurd_learning_rate_diverges_and_says_where(images: DeviceSet, split: Split) -> None:
    trial = TRIAL.replace(optimizer="sgd", lr=10.0, weight_decay=1.0, epochs=40, loss="bce")
    with pytest.raises(Diverged, match=r"(train|val)_loss=(nan|inf|-inf) in epoch \d+"):
        run(trial, images, split)


def test_switched_percent_counts_the_batches_whose_foreground_exceeds_tau(small: DeviceSet, split: Split) -> None:
    assert run(TRIAL.replace(epochs=1, switching_tau=0.0), small, split)[0].switched_percent == 100
    assert run(TRIAL.replace(epochs=1, switching_tau=1.0), small, split)[0].switched_percent == 0


def test_training_on_equalized_masks_ruins_the_prediction(images: DeviceSet, split: Split) -> None:
    plain, equalized = (run(TRIAL.replace(epochs=6, equalize_masks=e), images, split)[-1] for e in (False, True))
    assert plain.val_dice > 0.6
    assert equalized.val_dice < 0.4
    assert equalized.val_predicted_percent > 90, "nearly every pixel looks like foreground"


def test_augmenting_validation_changes_its_scores_but_not_the_training(small: DeviceSet, split: Split) -> None:
    train_only, both = (run(TRIAL.replace(epochs=1, augment=a), small, split)[0] for a in ("train", "both"))
    assert train_only.train_loss == both.train_loss
    assert train_only.val_loss != both.val_loss


def test_a_tiled_image_is_scored_as_a_whole(discs: Path) -> None:
    tiled = load_folder(discs, 32, "tile")
    on_cpu = DeviceSet.on(CPU, tiled)
    model, trial = make_model(TRIAL, 1, CPU), TRIAL.replace(image_size=32, fit="tile")
    list(train(begin(model, trial.replace(epochs=3)), on_cpu, Split(train=tuple(range(16)), val=(16, 17), test=())))
    _, counts = evaluate(model, trial, on_cpu, (9, 4))
    for place, index in enumerate((9, 4)):
        tiles = list(tiled.tiles(index))
        whole = assemble(predict(model, on_cpu.images[tiles], "fp32")[:, 0].numpy(), tiled.frame, 64, 64)
        truth = assemble(tiled.masks[tiles], tiled.frame, 64, 64)
        tp, both = ((whole > 0.5) & (truth == 1)).sum(), (whole > 0.5).sum() + (truth == 1).sum()
        assert dice_per_image(counts)[place].item() == pytest.approx(2 * tp / both)
    assert counts.pixels.tolist() == [64 * 64] * 2


def test_what_lies_outside_the_images_changes_neither_loss_nor_gradient_nor_score(images: DeviceSet) -> None:
    """The same predictions and masks, once alone and once beside pixels that do not count."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 16, 16, generator=generator)
    masks = (torch.rand(3, 1, 16, 16, generator=generator) < 0.2).to(torch.uint8)
    wide_logits = torch.cat([logits, torch.randn(3, 1, 16, 8, generator=generator)], dim=3)
    wide_masks = torch.cat([masks, torch.full((3, 1, 16, 8), OUTSIDE, dtype=torch.uint8)], dim=3)
    for loss in LOSSES:
        loss_of = make_loss(TRIAL.replace(loss=loss))
        alone = loss_of(logits, *make_target(masks, padded=False))
        beside = loss_of(wide_logits.requires_grad_(), *make_target(wide_masks, padded=True))
        assert beside.item() == pytest.approx(alone.item(), rel=1e-6), loss
        (gradient,) = torch.autograd.grad(beside, wide_logits)
        assert gradient[..., 16:].abs().max() == 0
        assert gradient[..., :16].abs().max() > 0
    assert score(count(wide_logits, wide_masks)) == score(count(logits, masks))


def test_pixels_that_do_not_count_in_the_middle_of_an_image_are_neither_learned_nor_scored() -> None:
    """Whatever is predicted there: the same loss and scores, and no gradient."""
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(3, 1, 16, 16, generator=generator) < 0.2).to(torch.uint8)
    masks[:, :, 5:9, 6:12] = OUTSIDE
    masks[2] = OUTSIDE
    logits = torch.randn(3, 1, 16, 16, generator=generator)
    other = torch.where(masks == OUTSIDE, -3 * logits + 1, logits)
    for loss, equalized in itertools.product(LOSSES, (False, True)):
        loss_of = make_loss(TRIAL.replace(loss=loss))
        target, valid = make_target(masks, padded=True)
        target = equalize(target, valid) if equalized else target
        one, two = (loss_of(values.requires_grad_(), target, valid) for values in (logits, other))
        assert one.item() == two.item(), loss
        (gradient,) = torch.autograd.grad(one, logits)
        assert gradient[masks == OUTSIDE].abs().max() == 0
        assert gradient[masks != OUTSIDE].abs().min() > 0
    assert score(count(logits, masks)) == score(count(other, masks))
    assert score(count(logits, masks)).empty_images == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_which_no_pixel_counts_gives_a_finite_loss_without_gradient(loss: str) -> None:
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    value = make_loss(TRIAL.replace(loss=loss))(logits, *make_target(torch.full((2, 1, 8, 8), OUTSIDE).byte(), True))
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_the_best_epoch_has_the_highest_dice_and_the_first_of_equals_and_never_nan(
    small: DeviceSet, split: Split
) -> None:
    (epoch,) = run(TRIAL.replace(epochs=1), small, split)
    epochs = [dataclasses.replace(epoch, epoch=k, val_dice=dice) for k, dice in enumerate((math.nan, 0.5, 0.7, 0.7))]
    assert find_best(epochs).epoch == 2


def test_predictions_are_probabilities(images: DeviceSet) -> None:
    probabilities = predict(make_model(TRIAL, 1, CPU), images.images[:3], "fp32")
    assert probabilities.shape == (3, 1, 64, 64)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1


def test_a_device_or_precision_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="device='tpu' is unknown"):
        find_device("tpu")
    with pytest.raises(ValueError, match="precision='fp8' is unknown"):
        find_precision("fp8", CPU)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no CUDA device"):
            find_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: this path was not tried")
def test_cuda_and_cpu_agree_over_the_first_epoch_in_fp32(discs: Path, split: Split) -> None:
    cuda = torch.device("cuda")
    on_cuda = DeviceSet.on(cuda, load_folder(discs, 64))
    epoch = next(train(begin(make_model(TRIAL, 1, cuda), TRIAL), on_cuda, split))
    on_cpu = run(TRIAL.replace(epochs=1), DeviceSet.on(CPU, load_folder(discs, 64)), split)[0]
    assert epoch.train_loss == pytest.approx(on_cpu.train_loss, rel=1e-3)
