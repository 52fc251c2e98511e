"""A training on disk: whatever its next epoch depends on, so that it ends as if nobody had stopped it.

One safetensors file, put in place whole: weights, the best epoch's weights, the optimizer's state, the generators; and
the epochs so far. The schedule is not in it: told the same validation losses, it comes to the same state again. On the
CPU the numbers are the same bit for bit (tests/training/network/test_checkpoint.py). No pickle is read.
"""

import dataclasses
import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from training.network.engine import Epoch, Training

Weights = dict[str, Tensor]


@dataclass
class TrialProgress:
    """What a trial has to show so far."""

    epochs: list[Epoch]
    best_weights: Weights  # of the epoch with the highest validation Dice; empty before the first
    seconds: float  # spent in training


def write_checkpoint(path: Path, training: Training, progress: TrialProgress) -> None:
    """Put a checkpoint in the place of an older one; a process that dies meanwhile leaves that one whole."""
    tensors = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best_weights.items()}
    for index, state in training.optimizer.state_dict()["state"].items():
        known = {name: value for name, value in state.items() if value is not None}
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in known.items()}
    tensors |= {f"random.{name}": state for name, state in _random_states(training).items()}
    facts = {"epochs": [dataclasses.asdict(epoch) for epoch in progress.epochs], "seconds": progress.seconds}
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}")
    plain = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    with half.open("wb") as file:
        file.write(save(plain, {"facts": json.dumps(facts)}))
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_checkpoint(path: Path, training: Training) -> TrialProgress:
    """Bring a fresh training to where the checkpoint was. Raises ValueError for a file that is no checkpoint of it."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            facts = json.loads(file.metadata()["facts"])
        training.model.load_state_dict(_under("model", tensors))
        _load_optimizer(training, _under("optimizer", tensors))
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: this is no checkpoint of such a trial ({error}); delete it") from error
    epochs = [Epoch(**fields) for fields in facts["epochs"]]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
        for epoch in epochs:
            training.after_epoch(epoch.val_loss)
    _set_random_states(training, _under("random", tensors))
    training.done = len(epochs)
    return TrialProgress(epochs=epochs, best_weights=_under("best", tensors), seconds=facts["seconds"])


def _under(prefix: str, tensors: Weights) -> Weights:
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def _load_optimizer(training: Training, tensors: Weights) -> None:
    optimizer = training.optimizer
    state: dict[int, Weights] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:  # fused steps want the weights' own layout
                values[name] = torch.empty_like(parameter).copy_(value).detach()


def _random_states(training: Training) -> Weights:
    states = {"batches": training.generator.get_state(), "cpu": torch.get_rng_state()}
    device = next(training.model.parameters()).device
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def _set_random_states(training: Training, states: Weights) -> None:
    training.generator.set_state(states["batches"])
    torch.set_rng_state(states["cpu"])
    device = next(training.model.parameters()).device
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
