"""Tries what a suite names before an hour of training: its recipe, and networks that are built without memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from segbench.config.component import ModelEntry
from segbench.config.plan import Run, digest
from segbench.data.base import DatasetInfo
from segbench.engine.losses import build_loss
from segbench.engine.materials import Materials
from segbench.engine.optimizers import create_optimizer
from segbench.engine.schedules import create_schedule
from segbench.engine.train import steps_per_epoch, total_steps
from segbench.errors import ModelRefusal, SuiteError, UsageError
from segbench.models.build import check_input, check_pretrained
from segbench.models.build import check_weights as check_checkpoint
from segbench.models.classes_map import for_classes
from segbench.models.skeleton import skeleton


def try_recipe(materials: Materials) -> None:
    """Build the loss, transform the first images, and set up an optimizer and its schedule.

    Raises:
        UsageError: One of them is impossible, or the loss does not fit the classes.
    """
    materials.first_test_size()
    train = materials.run.recipe.train
    if train is None:
        return
    classes = len(materials.info.classes)
    build_loss(train.loss, classes=classes, median_frequency=lambda: [1.0] * classes)
    materials.first_training_size()
    batches = len(materials.training_loader())
    optimizer = create_optimizer(train.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    steps = total_steps(train, batches)
    create_schedule(train.schedule, optimizer, total_steps=steps, steps_per_epoch=steps_per_epoch(train, batches))


def try_models(runs: Sequence[Run], materials: Materials, splits: Mapping[str, Any]) -> dict[str, str]:
    """Build each network without memory, so that what is impossible is found before an hour of training.

    Returns:
        For each run whose network cannot take the images, why.

    Raises:
        SuiteError: An option has an impossible value, or a file of weights is missing.
    """
    counted = splits[materials.test.cache_key()]["sizes"]
    sizes = materials.seen_sizes([read_size(size) for size in counted])
    tried: dict[str, str | None] = {}
    for run in runs:
        key = digest(run.model.model_dump(mode="json"))
        if key not in tried:
            tried[key] = refusal(run, materials.info, sizes)
    reasons = {run.id: tried[digest(run.model.model_dump(mode="json"))] for run in runs}
    return {run_id: reason for run_id, reason in reasons.items() if reason is not None}


def refusal(run: Run, info: DatasetInfo, sizes: Iterable[tuple[int, int]]) -> str | None:
    """Return why a network cannot take the images; None when nothing speaks against it."""
    try:
        check_weights(run.model, info)
        network = skeleton(run.model, classes=len(info.classes), channels=info.channels)
        for size in sorted(sizes):
            check_input(network, *size)
    except ModelRefusal as error:
        return str(error)
    except UsageError as error:
        raise SuiteError(str(error), key=f"models ({run.model.label})") from None
    except Exception:  # a foreign network may not build without memory; its run will show what it can
        return None
    return None


def check_weights(model: ModelEntry, info: DatasetInfo) -> None:
    """Look at the weights that a network starts from: at their names and shapes, not at their values.

    Raises:
        WeightsError: A file is missing, is something else, or does not fit the network.
        UsageError: The map of its classes is not one of the data set's.
    """
    check_pretrained(model)
    if model.weights is not None:
        check_checkpoint(for_classes(model, info.classes), classes=len(info.classes), channels=info.channels)


def read_size(text: str) -> tuple[int, int]:
    """Return the height and width in ``"360x480"``."""
    height, width = text.split("x")
    return int(height), int(width)
