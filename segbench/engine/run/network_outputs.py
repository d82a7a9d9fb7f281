"""Tries a run's network before training: its outputs, and the auxiliary outputs that the recipe trains on."""

from __future__ import annotations

from torch import nn

from segbench.config.suite import Train
from segbench.engine.training.auxiliary_losses import names_in, weights_by_path
from segbench.models.tryout import try_outputs
from segbench.models.weights.classes_map import MappedClasses
from segbench.results.outputs import OutputFacts


def outputs_of_run(
    network: nn.Module, recipe: Train | None, *, channels: int, size: tuple[int, int]
) -> OutputFacts | None:
    """Try an external network on a random image.

    Args:
        network: The network, on the CPU or the meta device.
        recipe: The recipe.
        channels: Channels of the images.
        size: Height and width of the images.

    Returns:
        The outputs; None for built-in networks, and for those that cannot be run.

    Raises:
        ModelRefusal: It returns no logits, or the number of auxiliary outputs does not match the recipe's weights.
    """
    weights = recipe.auxiliary if recipe is not None else None
    if isinstance(network, MappedClasses):
        network = network.model
    found = try_outputs(network, channels=channels, size=size, also=names_in(weights))
    if found is None or weights is None:
        return found
    return found.model_copy(update={"auxiliary_weights": weights_by_path(weights, found.auxiliary)})
