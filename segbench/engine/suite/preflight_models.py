"""Tries what a suite names before an hour of training: its recipe, and networks that are built without memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from segbench.config.component import ModelEntry
from segbench.config.plan import Run, digest
from segbench.config.sections.training import Train
from segbench.data.base import DatasetInfo
from segbench.data.loading.pipeline import check_repeatable
from segbench.engine.run.data import Materials
from segbench.engine.run.network_inputs import NetworkInputs, inputs_of
from segbench.engine.run.network_outputs import outputs_of_run
from segbench.engine.training.accumulation import steps_per_epoch, total_steps
from segbench.engine.training.lone_images import check_lone_image, least_images
from segbench.engine.training.losses.base import Loss
from segbench.engine.training.losses.foreign import try_loss
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.optim.schedules import create_schedule
from segbench.errors import ModelRefusal, SuiteError, UsageError
from segbench.import_path import ForeignPartError
from segbench.models.build import check_input, check_pretrained
from segbench.models.build import check_weights as check_checkpoint
from segbench.models.skeleton import skeleton
from segbench.models.tryout import refuse_sizes
from segbench.models.weights.classes_map import for_classes


def try_recipe(materials: Materials) -> list[str]:
    """Build the loss, transform the first images, and set up an optimizer and its schedule.

    Parts from elsewhere are tried: losses on random logits, transforms twice with the same seed.

    Returns:
        What a person should know of them, in sentences.

    Raises:
        UsageError: One of them is impossible, or the loss does not fit the classes.
    """
    materials.first_test_size()
    train = materials.run.recipe.train
    if train is None:
        return []
    remarks = _tried_losses(train, classes=len(materials.info.classes))
    materials.first_training_size()
    _try_transforms(materials)
    batches = len(materials.training_loader())
    with _at("train.optimizer"):
        optimizer = create_optimizer(train.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    steps = total_steps(train, batches)
    with _at("train.schedule"):
        create_schedule(train.schedule, optimizer, total_steps=steps, steps_per_epoch=steps_per_epoch(train, batches))
    return remarks


def _tried_losses(train: Train, *, classes: int) -> list[str]:
    """Build the loss, and try what of it is from elsewhere; return what a person should know.

    Raises:
        UsageError: A term cannot be made, or fails.
    """
    with _at("train.loss"):
        loss = build_loss(train.loss, classes=classes, median_frequency=lambda: [1.0] * classes)
        remarks = [try_loss(term) for term in loss.losses if isinstance(term, Loss)]
    if train.micro_batch is not None and not loss.is_pixel_mean:
        remarks.append(
            f"train.micro_batch: {' + '.join(loss.names)} is not a plain mean over pixels: it is computed part by "
            "part, and then averaged"
        )
    return [remark for remark in remarks if remark is not None]


def _try_transforms(materials: Materials) -> None:
    """See that training transforms from elsewhere can be repeated."""
    assert materials.train is not None
    check_repeatable(materials.training_pipeline(), materials.train.read(0), (materials.run.seed, 1, 0))


@contextmanager
def _at(key: str) -> Iterator[None]:
    """Name the key of a part from elsewhere that goes wrong; other errors name theirs."""
    try:
        yield
    except ForeignPartError as error:
        raise SuiteError(str(error), key=key) from error


def try_models(runs: Sequence[Run], materials: Materials, splits: Mapping[str, Any]) -> dict[str, str]:
    """Build each network without memory, so that what is impossible is found before an hour of training.

    Returns:
        For each run whose network cannot take the images, why.

    Raises:
        SuiteError: An option has an impossible value, or a file of weights is missing.
    """
    sizes = inputs_of(materials, splits).sizes
    lone = lone_training_size(materials)
    tried: dict[str, str | None] = {}
    for run in runs:
        key = digest(run.model.model_dump(mode="json"))
        if key not in tried:
            tried[key] = refusal(run, materials.info, sizes, lone)
    reasons = {run.id: tried[digest(run.model.model_dump(mode="json"))] for run in runs}
    return {run_id: reason for run_id, reason in reasons.items() if reason is not None}


def lone_training_size(materials: Materials) -> tuple[int, int] | None:
    """Return the size of training images where a forward pass of training has one alone; None where none has."""
    train = materials.run.recipe.train
    if train is None or materials.train is None or least_images(train, len(materials.train)) > 1:
        return None
    return materials.first_training_size()


def refusal(
    run: Run, info: DatasetInfo, sizes: Iterable[tuple[int, int]], lone: tuple[int, int] | None = None
) -> str | None:
    """Return why a network cannot take the images; None when nothing speaks against it.

    Args:
        run: The run of the network.
        info: What is true of the data set.
        sizes: Heights and widths that it meets.
        lone: The size of a training image that is alone in its batch, if there is one.
    """
    try:
        check_weights(run.model, info)
        network = skeleton(run.model, classes=len(info.classes), channels=info.channels)
        for size in sizes:
            check_input(network, *size)
        if lone is not None:
            check_lone_image(network, channels=info.channels, size=lone)
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


def output_refusal(run: Run, inputs: NetworkInputs) -> str | None:
    """Run a network from elsewhere without memory; return why it cannot be trained, None where nothing shows."""
    try:
        network = skeleton(run.model, classes=inputs.classes, channels=inputs.channels)
        outputs_of_run(network, run.recipe.train, channels=inputs.channels, size=inputs.sizes[0])
        refuse_sizes(network, channels=inputs.channels, sizes=inputs.sizes)
    except ModelRefusal as refusal:
        return str(refusal)
    except Exception:  # it may not run without memory; its run will show what it can
        return None
    return None
