"""The picture of a trial's learning curve. Epochs in, a figure out."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from training.network.engine import Epoch, find_best

TRAIN, VAL = "#0072B2", "#D55E00"  # Okabe and Ito's blue and vermilion


def draw_learning_curve(epochs: Sequence[Epoch], title: str) -> Figure:
    """Loss and Dice by epoch, training beside validation, with the best epoch marked."""
    figure = Figure(figsize=(8, 3), dpi=100)
    margins = {"left": 0.075, "right": 0.99, "bottom": 0.16, "top": 0.91, "wspace": 0.2}  # layouts draw all twice
    loss_axes, dice_axes = figure.subplots(1, 2, gridspec_kw=margins)
    numbers = [epoch.epoch for epoch in epochs]
    for axes, name in ((loss_axes, "loss"), (dice_axes, "dice")):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = [getattr(epoch, f"{part}_{name}") for epoch in epochs]
            axes.plot(numbers, values, color=colour, label=part, marker="o" if len(numbers) < 12 else "", markersize=3)
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
    loss_axes.set_ylabel("loss")
    dice_axes.set_ylabel("Dice (mean over images)")
    dice_axes.set_ylim(0, 1)
    best = find_best(epochs)
    dice_axes.plot(best.epoch, best.val_dice, "o", color=VAL, markersize=7, markerfacecolor="none")
    dice_axes.set_title(f"best {best.val_dice:.3f} in epoch {best.epoch}", fontsize=9)
    loss_axes.set_title(title, fontsize=9, wrap=True)
    dice_axes.legend(frameon=False)
    return figure
