"""What a run's network returns, tried before it is trained, and which auxiliary outputs the recipe trains on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from segbench.config.plan import Run
from segbench.config.suite import Train
from segbench.engine.auxiliary import names_in, weights_by_path
from segbench.engine.feasible import read_size
from segbench.engine.materials import Materials
from segbench.engine.preflight import NetworkInputs
from segbench.errors import ModelRefusal
from segbench.models.classes_map import MappedClasses
from segbench.models.fitting_sizes import refuse_sizes
from segbench.models.skeleton import skeleton
from segbench.models.tryout import try_outputs
from segbench.results.outputs import OutputFacts


def outputs_of_run(
    network: nn.Module, recipe: Train | None, *, channels: int, size: tuple[int, int]
) -> OutputFacts | None:
    """Try a network from elsewhere on a random image.

    Args:
        network: The network, on the CPU or the meta device.
        recipe: What it is to be trained by.
        channels: Channels of the images.
        size: Height and width of the images.

    Returns:
        What it returned; None for built-in networks, and for those that cannot be run.

    Raises:
        ModelRefusal: It returns no logits, or not as many auxiliary outputs as the recipe has weights.
    """
    weights = recipe.auxiliary if recipe is not None else None
    if isinstance(network, MappedClasses):
        network = network.model
    found = try_outputs(network, channels=channels, size=size, also=names_in(weights))
    if found is None or weights is None:
        return found
    return found.model_copy(update={"auxiliary_weights": weights_by_path(weights, found.auxiliary)})


def inputs_of(materials: Materials, splits: Mapping[str, Any]) -> NetworkInputs:
    """Return what the networks of a run's recipe see.

    Args:
        materials: The run's splits.
        splits: What was counted in splits, by key.
    """
    counted = splits[materials.test.cache_key()]["sizes"]
    sizes = materials.seen_sizes([read_size(size) for size in counted])
    return NetworkInputs(len(materials.info.classes), materials.info.channels, tuple(sorted(sizes)))


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
