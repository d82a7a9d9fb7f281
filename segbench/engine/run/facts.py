"""Facts for a run's record besides its scores: cost, origin of the weights, and the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from segbench.config.plan import Run, digest, seeding_model
from segbench.results.environment import precision_in_words

_EARLIER = {
    "accelerator": "earlier_accelerators",
    "threads": "earlier_threads",
    "cpu_capability": "earlier_cpu_capabilities",
}
"""Key in a record's environment for the machines of earlier parts of a resumed run."""
_GOES_ON = {
    "accelerator": "was started on {was} and is resumed on {now}: its times mix both",
    "threads": "was started with threads: {was} and is resumed with threads: {now}; its scores mix both",
    "cpu_capability": "was started on a processor with {was} and is resumed on one with {now}; its scores mix both",
}


def weights_digest(run: Run, network: nn.Module) -> str | None:
    """Return the SHA-256 of a network's file of weights; None if there is none."""
    from segbench.models.build import initial_weights_file
    from segbench.models.weights.checkpoint import file_digest

    file = initial_weights_file(run.model, network)
    return file_digest(file) if file is not None else None


def cost_facts(network: nn.Module, channels: int, height: int, width: int) -> dict[str, int | None]:
    """Return the cost of a network for one image, by field names of the record.

    Multiply-adds and activations are None if the network cannot run on the meta device.
    """
    from segbench.models.base import count_macs
    from segbench.models.cost import count_activation_bytes, count_weights_bytes

    return {
        "macs": _or_none(count_macs, network, channels, height, width),
        "activation_bytes": _or_none(count_activation_bytes, network, channels, height, width),
        "weights_bytes": count_weights_bytes(network),
    }


def _or_none(count: Callable[..., int], *arguments: Any) -> int | None:
    try:
        return count(*arguments)
    except Exception:  # external networks may read values, which the meta device does not have
        return None


def accelerator_name(device: torch.device) -> str | None:
    """Return the name of a CUDA device, such as ``NVIDIA H200``; None for others."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def compute_facts(device: torch.device) -> dict[str, Any]:
    """Return facts that the computation depends on, besides versions: threads, kernels, accelerator."""
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device_name": accelerator_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,  # type: ignore[no-untyped-call]
    }


def recipe_precision(run: Run) -> str:
    """Describe the precision of a run's recipe."""
    train, evaluate = run.recipe.train, run.recipe.evaluate
    return precision_in_words(train.precision if train else None, evaluate.precision)


def place_facts(device: torch.device) -> dict[str, Any]:
    """Return facts that affect times or results and may differ between the parts of a resumed run."""
    return {
        "accelerator": accelerator_name(device),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def earlier_places(places: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return facts of a run's earlier parts that differ from the last part, such as threads.

    Args:
        places: The ``place_facts`` of its parts, this one last; earlier versions stored only accelerators.
    """
    found: dict[str, list[Any]] = {}
    for fact, key in _EARLIER.items():
        values = dict.fromkeys(place.get(fact) for place in places)
        others = [value for value in values if value not in (None, places[-1].get(fact))]
        if others:
            found[key] = others
    return found


def report_other_places(places: Sequence[Mapping[str, Any]], tell: Callable[[str], None]) -> None:
    """Report that a run is resumed on another machine or with other threads."""
    for fact, key in _EARLIER.items():
        was, now = ", ".join(map(str, earlier_places(places).get(key, ()))), places[-1].get(fact)
        if was:
            tell(_GOES_ON[fact].format(was=was, now=now))


def derived_seed(run: Run) -> int:
    """Return the seed of the training's own randomness (dropout): a hash of the network and the run's seed."""
    return int(digest({"training": seeding_model(run.model), "seed": run.seed})[:16], 16) >> 1
