"""What is written down of a run beside its scores: the network's size, where its weights came from, the machine."""

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
"""Where a record's environment tells what earlier pieces of a run were done with."""
_GOES_ON = {
    "accelerator": "was begun on {was} and goes on on {now}: its times are of both",
    "threads": "was begun with threads: {was} and goes on with threads: {now}; its scores are those of neither alone",
    "cpu_capability": "was begun on a processor of {was} and goes on on one of {now}; its scores are those of neither "
    "alone",
}


def weights_digest(run: Run, network: nn.Module) -> str | None:
    """Return the SHA-256 of the file that a network's weights came from; None when there was none."""
    from segbench.models.build import initial_weights_file
    from segbench.models.weights.checkpoint import file_digest

    file = initial_weights_file(run.model, network)
    return file_digest(file) if file is not None else None


def cost_facts(network: nn.Module, channels: int, height: int, width: int) -> dict[str, int | None]:
    """Return what a network costs for one image beside its parameters, by the record's names.

    Multiply-adds and activations are None for a network that cannot be traced without data.
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
    except Exception:  # foreign networks may look at values, which the meta device has none of
        return None


def accelerator_name(device: torch.device) -> str | None:
    """Return the name of a CUDA device, such as ``NVIDIA H200``; None for others."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def compute_facts(device: torch.device) -> dict[str, Any]:
    """Return what the computation depends on beside versions: threads, kernels, accelerator."""
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device_name": accelerator_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,  # type: ignore[no-untyped-call]
    }


def recipe_precision(run: Run) -> str:
    """Return in words the precision that a run's recipe asks for."""
    train, evaluate = run.recipe.train, run.recipe.evaluate
    return precision_in_words(train.precision if train else None, evaluate.precision)


def place_facts(device: torch.device) -> dict[str, Any]:
    """Return what may differ between the pieces of a run that is gone on with, and changes times or results."""
    return {
        "accelerator": accelerator_name(device),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def earlier_places(places: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return, for a run's record, what of its earlier pieces was not as in the last: threads, for example.

    Args:
        places: The ``place_facts`` of its pieces, this one last; earlier versions told accelerators only.
    """
    found: dict[str, list[Any]] = {}
    for fact, key in _EARLIER.items():
        values = dict.fromkeys(place.get(fact) for place in places)
        others = [value for value in values if value not in (None, places[-1].get(fact))]
        if others:
            found[key] = others
    return found


def tell_of_other_places(places: Sequence[Mapping[str, Any]], tell: Callable[[str], None]) -> None:
    """Tell that a run goes on elsewhere than it was begun."""
    for fact, key in _EARLIER.items():
        was, now = ", ".join(map(str, earlier_places(places).get(key, ()))), places[-1].get(fact)
        if was:
            tell(_GOES_ON[fact].format(was=was, now=now))


def derived_seed(run: Run) -> int:
    """Return the seed of what is random in training beside the data (dropout): a hash of network and run's seed."""
    return int(digest({"training": seeding_model(run.model), "seed": run.seed})[:16], 16) >> 1
