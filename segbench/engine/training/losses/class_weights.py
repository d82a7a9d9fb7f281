"""Class weights of losses, given or measured on the training split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from segbench.errors import UsageError


def resolve_class_weights(
    options: Mapping[str, Any], frequencies_weights: Callable[[], Sequence[float]]
) -> dict[str, Any]:
    """Replace ``median_frequency`` in a loss's options by measured weights.

    Args:
        options: The options of one loss; not changed.
        frequencies_weights: Returns one weight for each class; called only if it is needed.
    """
    resolved = dict(options)
    if resolved.get("class_weights") == "median_frequency":
        resolved["class_weights"] = [float(weight) for weight in frequencies_weights()]
    return resolved


def class_weights_tensor(loss: str, given: str | Sequence[float], *, classes: int) -> Tensor | None:
    """Return the class weights of a loss's option, (C,) float32; None for ``none``.

    Args:
        loss: The loss's name, for messages.
        given: Its option ``class_weights``.
        classes: The number of classes.

    Raises:
        UsageError: The number of weights does not match the classes, or they were not measured yet.
    """
    if given == "none":
        return None
    if isinstance(given, str):
        raise UsageError(
            f"{loss}: class_weights: {given} has to be measured on the training split first: "
            "pass the options through resolve_class_weights, or give the weights as a list"
        )
    if len(given) != classes:
        raise UsageError(f"{loss}: class_weights has {len(given)} values for {classes} classes; give one each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in given) or not any(given):
        raise UsageError(f"{loss}: class_weights {list(given)}: expected numbers of at least 0, not all 0")
    return torch.tensor(list(given), dtype=torch.float32)
