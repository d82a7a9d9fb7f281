"""Trains a pruned network on, by the suite's own recipe, for a share of its length."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from segbench.config.plan import Run
from segbench.config.sections.training import Train
from segbench.data.validation.check import check_dataset, median_frequency_weights
from segbench.engine.device import deterministic
from segbench.engine.run.data import RunData
from segbench.engine.run.parts import loss_of, training_config
from segbench.engine.training.history import History
from segbench.engine.training.trainer import Trainer


def shortened(train: Train, share: float) -> Train:
    """Return a recipe of a share of the epochs or steps, at least one, whose last weights are taken.

    The warm-up is shortened as the training is, rounded down, so that it never takes all of it.
    """
    unit, whole = ("steps", train.steps) if train.steps is not None else ("epochs", train.epochs)
    assert whole is not None
    length = max(1, round(share * whole))
    changes = {"select": "last", "early_stopping": None, "validate_every": None, "compile": False}
    short = Train.model_validate({**train.model_dump(mode="json"), **changes, unit: length})
    warmup = train.schedule.warmup_steps * length // whole
    return short.model_copy(update={"schedule": train.schedule.model_copy(update={"warmup_steps": warmup})})


def fine_tune(network: nn.Module, run: Run, data: RunData, *, share: float, device: torch.device) -> int:
    """Train a network on, in place.

    The optimizer starts anew, and so does the schedule: its warm-up is shortened, and ``poly`` and ``cosine`` have the
    whole of their course in the shorter time; the others count epochs as ever. The images come in the order of the
    run's first epochs.

    Args:
        network: The network.
        run: The run that trained it.
        data: Its splits and transforms.
        share: How much of the recipe's length.
        device: Where.

    Returns:
        How many epochs were trained, the last one perhaps in part.

    Raises:
        TrainingError: The loss is not a number.
    """
    assert run.recipe.train is not None
    recipe = shortened(run.recipe.train, share)
    loss = loss_of(
        run.recipe,
        classes=len(data.info.classes),
        median_frequency=lambda: median_frequency_weights(check_dataset(data.train or data.test)),
    )
    with (
        data.training_loader() as loader,
        tempfile.TemporaryDirectory() as folder,
        torch.random.fork_rng(devices=[device.index] if device.type == "cuda" else []),
        deterministic(wanted=recipe.deterministic),
    ):
        torch.manual_seed(run.seed)
        compute = training_config(run.recipe, device)
        history = History(Path(folder) / "history.csv")
        trainer = Trainer(network, recipe, loader=loader, loss=loss, compute=compute, history=history)
        with compute.matrix_precision():
            trained = trainer.fit()
    network.load_state_dict(trained.network.state_dict())
    network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    return trained.epochs
