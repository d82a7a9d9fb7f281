"""Tries what a suite names before an hour of training: its recipe, and networks that are built without memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.plan import Run, canonical_model, digest
from segbench.data.base import DatasetInfo
from segbench.data.loading.pipeline import check_repeatable
from segbench.engine.run.data import RunData
from segbench.engine.run.network_inputs import NetworkInputs, inputs_of
from segbench.engine.run.network_outputs import outputs_of_run
from segbench.engine.suite.preflight_recipes import needs_network, try_losses, try_optimizer
from segbench.engine.training.accumulation import steps_per_epoch, total_steps
from segbench.engine.training.lone_images import check_lone_image, least_images
from segbench.errors import ModelRefusal, SuiteError, UsageError
from segbench.models.build import check_input, check_pretrained
from segbench.models.build import check_weights as check_checkpoint
from segbench.models.fitting_sizes import refuse_sizes
from segbench.models.skeleton import skeleton
from segbench.models.weights.classes_map import for_classes


def try_recipe(materials: RunData) -> list[str]:
    """Build the loss, and transform the first images.

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
    remarks = try_losses(train, classes=len(materials.info.classes))
    materials.first_training_size()
    _try_transforms(materials)
    return remarks


def _try_transforms(materials: RunData) -> None:
    """See that training transforms from elsewhere can be repeated."""
    assert materials.train is not None
    check_repeatable(materials.training_pipeline(), materials.train.read(0), (materials.run.seed, 1, 0))


class Tried(NamedTuple):
    """What networks are tried on.

    Attributes:
        info: What is true of the data set.
        sizes: Heights and widths that they meet.
        lone: The size of a training image that is alone in its batch, if there is one.
    """

    info: DatasetInfo
    sizes: tuple[tuple[int, int], ...]
    lone: tuple[int, int] | None

    def key(self, run: Run) -> str:
        """Return a digest of a run's network and of what it is tried on."""
        return digest([canonical_model(run.model), self.info.classes, self.info.channels, self.sizes, self.lone])


def try_models(
    runs: Sequence[Run], materials: RunData, splits: Mapping[str, Any], *, known: dict[str, str | None] | None = None
) -> dict[str, str]:
    """Build each network without memory, so that what is impossible is found before an hour of training.

    Args:
        runs: Runs of one recipe and data.
        materials: Their splits.
        splits: What was counted in splits, by key.
        known: What came of equal networks on equal inputs before, which are not tried again; more are added.

    Returns:
        For each run whose network cannot take the images, why.

    Raises:
        SuiteError: An option has an impossible value, a file of weights is missing, or what is to train it cannot.
    """
    tried = Tried(materials.info, inputs_of(materials, splits).sizes, lone_training_size(materials))
    known = {} if known is None else known
    keys = {run.id: tried.key(run) for run in runs}
    for run in runs:
        if keys[run.id] not in known:
            known[keys[run.id]] = refusal(run, tried)
    if materials.run.recipe.train is not None:
        batches, info = len(materials.training_loader()), materials.info
        try_training(runs, known, classes=len(info.classes), channels=info.channels, batches=batches)
    return {run_id: reason for run_id, key in keys.items() if (reason := known[key]) is not None}


def lone_training_size(materials: RunData) -> tuple[int, int] | None:
    """Return the size of training images where a forward pass of training has one alone; None where none has."""
    train = materials.run.recipe.train
    if train is None or materials.train is None or least_images(train, len(materials.train)) > 1:
        return None
    return materials.first_training_size()


def refusal(run: Run, tried: Tried) -> str | None:
    """Return why a network cannot take the images; None when nothing speaks against it.

    Raises:
        SuiteError: Something of the suite is wrong: an option, its weights, or what is to train it.
    """
    info = tried.info
    try:
        check_weights(run.model, info)
        network = skeleton(run.model, classes=len(info.classes), channels=info.channels)
        for size in tried.sizes:
            check_input(network, *size)
        if tried.lone is not None:
            check_lone_image(network, channels=info.channels, size=tried.lone)
    except ModelRefusal as error:
        return str(error)
    except UsageError as error:
        raise SuiteError(str(error), key=f"models ({run.model.label})") from None
    except Exception:  # a foreign network may not build without memory; its run will show what it can
        return None
    return None


def try_training(
    runs: Sequence[Run], known: dict[str, str | None], *, classes: int, channels: int, batches: int | None
) -> None:
    """Set up the optimizer and the schedule of a recipe, for each network where it matters which one it is.

    Args:
        runs: Runs of one recipe, which trains.
        known: Keys of what was tried before; more are added.
        classes: How many classes.
        channels: Channels of the images.
        batches: Of an epoch; None where that is not known.

    Raises:
        SuiteError: One of them cannot be made.
    """
    train = runs[0].recipe.train
    assert train is not None
    parts = [train.optimizer.model_dump(mode="json"), train.schedule.model_dump(mode="json")]
    steps = None if batches is None else [total_steps(train, batches), steps_per_epoch(train, batches)]
    for run in runs if needs_network(train) else runs[:1]:
        key = digest([canonical_model(run.model), classes, channels, parts, steps])
        if key in known:
            continue
        known[key] = None
        if not needs_network(train):
            try_optimizer(train, None, batches=batches)
        elif (network := _buildable(run, classes=classes, channels=channels)) is not None:
            try_optimizer(train, network, batches=batches, label=run.model.label)


def _buildable(run: Run, *, classes: int, channels: int) -> nn.Module | None:
    """Return a run's network without memory; None for a foreign one that cannot be built so."""
    try:
        return skeleton(run.model, classes=classes, channels=channels)
    except Exception:  # as in refusal
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
