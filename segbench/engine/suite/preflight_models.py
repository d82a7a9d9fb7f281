"""Tries a suite's recipe and networks before training; networks are built on the meta device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
from segbench.models.skeleton import skeleton, skeleton_if_possible
from segbench.models.weights.classes_map import for_classes


def try_recipe(run_data: RunData) -> list[str]:
    """Build the loss and transform the first images.

    External parts are tried: losses on random logits, transforms twice with the same seed.

    Returns:
        Messages for the user.

    Raises:
        UsageError: A part is invalid, or the loss does not match the classes.
    """
    run_data.first_test_size()
    train = run_data.run.recipe.train
    if train is None:
        return []
    remarks = try_losses(train, classes=len(run_data.info.classes))
    run_data.first_training_size()
    _try_transforms(run_data)
    return remarks


def _try_transforms(run_data: RunData) -> None:
    """Check that external training transforms are reproducible."""
    assert run_data.train is not None
    check_repeatable(run_data.training_pipeline(), run_data.train.read(0), (run_data.run.seed, 1, 0))


class Tried(NamedTuple):
    """The inputs that networks are tried on.

    Attributes:
        info: Facts about the data set.
        sizes: Heights and widths of the inputs.
        lone: Size of training images in a batch of one; None if there is no such batch.
    """

    info: DatasetInfo
    sizes: tuple[tuple[int, int], ...]
    lone: tuple[int, int] | None

    def key(self, run: Run) -> str:
        """Return a digest of a run's network and these inputs."""
        return digest([canonical_model(run.model), self.info.classes, self.info.channels, self.sizes, self.lone])


def try_models(
    runs: Sequence[Run], run_data: RunData, splits: Mapping[str, Any], *, known: dict[str, str | None] | None = None
) -> dict[str, str]:
    """Build each network on the meta device, to find errors before training.

    Args:
        runs: Runs with the same recipe and data.
        run_data: Their splits.
        splits: Findings of the data checks, by split key.
        known: Results of equal networks on equal inputs, which are not tried again; new ones are added.

    Returns:
        Why a run's network does not support the images, by run id.

    Raises:
        SuiteError: An option is invalid, a file of weights is missing, or optimizer or schedule cannot be created.
    """
    tried = Tried(run_data.info, inputs_of(run_data, splits).sizes, lone_training_size(run_data))
    known = {} if known is None else known
    keys = {run.id: tried.key(run) for run in runs}
    for run in runs:
        if keys[run.id] not in known:
            known[keys[run.id]] = refusal(run, tried)
    if run_data.run.recipe.train is not None:
        batches, info = len(run_data.training_loader()), run_data.info
        try_training(runs, known, classes=len(info.classes), channels=info.channels, batches=batches)
    return {run_id: reason for run_id, key in keys.items() if (reason := known[key]) is not None}


def lone_training_size(run_data: RunData) -> tuple[int, int] | None:
    """Return the size of training images if a forward pass of training has a single image; else None."""
    train = run_data.run.recipe.train
    if train is None or run_data.train is None or least_images(train, len(run_data.train)) > 1:
        return None
    return run_data.first_training_size()


def refusal(run: Run, tried: Tried) -> str | None:
    """Return why a network does not support the images; None if no problem was found.

    Raises:
        SuiteError: The suite is invalid: an option, weights, optimizer or schedule.
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
    except Exception:  # an external network may not build on the meta device; errors will show in its run
        return None
    return None


def try_training(
    runs: Sequence[Run], known: dict[str, str | None], *, classes: int, channels: int, batches: int | None
) -> None:
    """Create the optimizer and the schedule of a recipe; once for each network if they depend on it.

    Args:
        runs: Runs with the same recipe, which trains.
        known: Keys of earlier attempts; new ones are added.
        classes: Number of classes.
        channels: Channels of the images.
        batches: Batches per epoch; None if not known.

    Raises:
        SuiteError: Optimizer or schedule cannot be created.
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
        elif (network := skeleton_if_possible(run.model, classes=classes, channels=channels)) is not None:
            try_optimizer(train, network, batches=batches, label=run.model.label)


def check_weights(model: ModelEntry, info: DatasetInfo) -> None:
    """Check the names and shapes of a network's initial weights, without reading their values.

    Raises:
        WeightsError: A file is missing, has another format, or does not match the network.
        UsageError: Its map of classes does not match the data set.
    """
    check_pretrained(model)
    if model.weights is not None:
        check_checkpoint(for_classes(model, info.classes), classes=len(info.classes), channels=info.channels)


def output_refusal(run: Run, inputs: NetworkInputs) -> str | None:
    """Run an external network on the meta device; return why it cannot be trained, None if no problem was found."""
    try:
        network = skeleton(run.model, classes=inputs.classes, channels=inputs.channels)
        outputs_of_run(network, run.recipe.train, channels=inputs.channels, size=inputs.sizes[0])
        refuse_sizes(network, channels=inputs.channels, sizes=inputs.sizes)
    except ModelRefusal as refusal:
        return str(refusal)
    except Exception:  # it may not work on the meta device; errors will show in its run
        return None
    return None
