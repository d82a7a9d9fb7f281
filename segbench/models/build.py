"""Builds the network of a model entry: seeds its initial weights and loads checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.plan import digest, seeding_model
from segbench.config.sections.training import InitScheme
from segbench.models import CATALOG
from segbench.models.base import constraint_of
from segbench.models.create import create, labelling_every_pixel
from segbench.models.initial import InitialWeights, initialise
from segbench.models.networks.timm_encoders import TimmEncoder, weights_file
from segbench.models.networks.vgg import VGG16Trunk
from segbench.models.skeleton import skeleton
from segbench.models.weights.checkpoint import MIN_FIT, Rules, WeightsReport, compare_weights, load_weights
from segbench.models.weights.classes_map import count_outputs, mapped


def build_network(
    entry: ModelEntry, *, classes: int, channels: int, seed: int, init: InitScheme = "paper"
) -> nn.Module:
    """Build a model entry's network on the CPU with its initial weights.

    The initial weights depend only on the entry (without label), the seed and the scheme. The global random state is
    not changed.

    Args:
        entry: The network and its options.
        classes: Number of classes.
        channels: Channels of the images.
        seed: The run's seed.
        init: The init scheme; all except ``paper`` build the network twice, to find the weights that no seed changes.

    Returns:
        A network from (N, channels, H, W) images to (N, classes, H, W) logits; with ``classes_map``, wrapped in
        ``MappedClasses``. If the entry has ``weights``, see ``weights_report_of`` for what was loaded.

    Raises:
        UsageError: An option is invalid, or weights cannot be read or do not match.
        ModelRefusal: The network does not support what is asked.
    """
    outputs = count_outputs(entry, classes=classes, channels=channels)
    with _seeded(entry, seed):
        network = mapped(labelling_every_pixel(create(entry, classes=outputs, channels=channels)), entry)
    if init != "paper":
        network.initial_weights = _initialise(network, entry, init, classes=classes, channels=channels, seed=seed)  # type: ignore[assignment]
    if entry.weights is not None:
        network.weights_report = load_weights(network, entry.weights, rules=_rules(entry))  # type: ignore[assignment]
    return network


def check_weights(entry: ModelEntry, *, classes: int, channels: int) -> None:
    """Refuse a checkpoint that does not match, by names and shapes only.

    Raises:
        UsageError: The network cannot be built, or the checkpoint cannot be read or does not match.
        ModelRefusal: The network does not support what is asked.
    """
    if entry.weights is None:
        return
    outputs = count_outputs(entry, classes=classes, channels=channels)
    network = mapped(skeleton(entry, classes=outputs, channels=channels), entry)
    compare_weights(network, entry.weights, rules=_rules(entry))


def _rules(entry: ModelEntry) -> Rules:
    return Rules(entry.strict, entry.weights_key, MIN_FIT if entry.min_fit is None else entry.min_fit)


def _initialise(
    network: nn.Module, entry: ModelEntry, init: InitScheme, *, classes: int, channels: int, seed: int
) -> InitialWeights:
    with _seeded(entry, seed + 1):
        twin = labelling_every_pixel(create(entry, classes=classes, channels=channels))
    with _seeded(entry, seed):
        return initialise(network, init, twin=twin, classes=classes, channels=channels)


@contextmanager
def _seeded(entry: ModelEntry, seed: int) -> Iterator[None]:
    """Seed torch's CPU random state for a network, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        # Only on the CPU: torch.manual_seed would change accelerators too.
        torch.default_generator.manual_seed(initial_seed(entry, seed))
        yield


def initial_weights_of(network: nn.Module) -> InitialWeights | None:
    """Return what ``build_network`` did by an init scheme; None for ``paper``."""
    drawn = getattr(network, "initial_weights", None)
    return drawn if isinstance(drawn, InitialWeights) else None


def weights_report_of(network: nn.Module) -> WeightsReport | None:
    """Return what ``build_network`` loaded from the entry's checkpoint; None without one."""
    report = getattr(network, "weights_report", None)
    return report if isinstance(report, WeightsReport) else None


@dataclass(frozen=True)
class PretrainedReport:
    """The tensors of a network that were loaded from VGG-16 weights.

    Attributes:
        source: A file's name, or a description of timm's network.
        tensors: Names of the loaded tensors by part: ``convolutions``, ``batch norms``, ``fc6``, ``fc7``; without step
            counters of batch norm.
        initialised: The parts without pretrained weights.
    """

    source: str
    tensors: dict[str, tuple[str, ...]]
    initialised: tuple[str, ...]


def pretrained_report_of(network: nn.Module) -> PretrainedReport | None:
    """Return what ``pretrained`` loaded into a network with a VGG-16 trunk; None for others or without pretraining."""
    loaded = next((part.loaded for part in network.modules() if isinstance(part, VGG16Trunk)), None)
    if loaded is None:
        return None
    names = {layer: name for name, layer in network.named_modules()}
    tensors = {
        part: tuple(
            f"{names[layer]}.{key}" for layer in layers for key in layer.state_dict() if key != "num_batches_tracked"
        )
        for part, layers in loaded.parts.items()
    }
    return PretrainedReport(loaded.source, tensors, loaded.initialised)


def check_pretrained(entry: ModelEntry) -> None:
    """Refuse an invalid ``pretrained`` without reading tensors.

    Invalid are options without existing weights, unknown timm encoders, and missing files. Built-in networks are built
    on the meta device for this; external ones are not.

    Raises:
        UsageError: The options exclude weights, or another option is invalid.
        WeightsError: The file that ``pretrained`` names does not exist.
    """
    if entry.options.get("pretrained") and entry.name in CATALOG:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            create(entry, classes=1, channels=3)


def initial_weights_file(entry: ModelEntry, network: nn.Module) -> Path | None:
    """Return the file of a network's initial weights, for the record of a run.

    Args:
        entry: The network's entry.
        network: The network from ``build_network``.

    Returns:
        The checkpoint, or the file of the pretrained VGG-16 or timm encoder; None without one, or if timm or another
        package downloaded its own.

    Raises:
        WeightsError: The file no longer exists.
    """
    if entry.weights is not None:
        return Path(entry.weights)
    pretrained = entry.options.get("pretrained", False)
    if not pretrained or ":" in entry.name:
        return None
    for part in network.modules():
        if isinstance(part, TimmEncoder):
            return weights_file(part.name, pretrained)
        if isinstance(part, VGG16Trunk):
            return weights_file(part.timm_name, pretrained)
    return None


def initial_seed(entry: ModelEntry, seed: int) -> int:
    """Return the seed of a network's initial weights, below 2**63: a hash of network and seed."""
    return int(digest({"model": seeding_model(entry), "seed": seed})[:16], 16) >> 1


def check_input(network: nn.Module, height: int, width: int) -> None:
    """Refuse an image size outside a network's input constraint, if it declares one.

    Raises:
        ModelRefusal: The size is not supported; the message says which are.
    """
    constraint_of(network).check(str(getattr(network, "name", type(network).__name__)), height, width)
