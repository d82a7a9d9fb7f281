"""Describes networks without their weights: structure, supported images, and cost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.errors import ModelRefusal, SegbenchError, UsageError
from segbench.models.base import constraint_of
from segbench.models.cost import Cost, cost_of
from segbench.models.create import create, labelling_every_pixel
from segbench.models.external import refusing_exit
from segbench.models.fitting_sizes import refuse_sizes
from segbench.models.tryout import try_outputs
from segbench.results.outputs import OutputFacts


@dataclass(frozen=True)
class Description:
    """Cost and source of a network.

    Attributes:
        name: The row's label.
        parameters: Number of learned parameters.
        macs: Multiply-adds of one forward pass of one image.
        activation_bytes: Bytes of float32 activations kept for the backward pass per image.
        weights_bytes: Size of the weights on disk.
        citation: The paper.
        input_constraint: The supported image sizes in words.
        output_size: Height and width of the logits; smaller than the image's for valid convolutions.
        outputs: Outputs of an external network; None for built-in ones.
    """

    name: str
    parameters: int
    macs: int
    activation_bytes: int
    weights_bytes: int
    citation: str
    input_constraint: str
    output_size: tuple[int, int]
    outputs: OutputFacts | None = None


def skeleton(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Build a model entry's network on the meta device, without memory and without reading weights.

    An external network that reads values during construction is built on the CPU, and its values are dropped.

    Raises:
        UsageError: An option is invalid.
        ModelRefusal: The network does not support what is asked.
    """
    return labelling_every_pixel(bare_skeleton(entry, classes=classes, channels=channels))


def skeleton_if_possible(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module | None:
    """Like ``skeleton``; None for a network that cannot be built there, which its run will show."""
    try:
        return skeleton(entry, classes=classes, channels=channels)
    except Exception:  # an external network may fail there in any way
        return None


def bare_skeleton(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Like ``skeleton``, but without mirrored borders for valid convolutions."""
    try:
        with torch.device("meta"):
            return _untrained(entry, classes=classes, channels=channels)
    except SegbenchError:
        raise
    except Exception:  # constructors may fail on missing values in any way
        return _untrained(entry, classes=classes, channels=channels).to("meta")


def _untrained(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    if entry.options.get("pretrained"):
        entry = entry.model_copy(update={"options": entry.options | {"pretrained": False}})
    with torch.random.fork_rng(devices=[]):
        return create(entry, classes=classes, channels=channels)


def describe_network(entry: ModelEntry, *, classes: int, channels: int, size: tuple[int, int]) -> Description:
    """Describe an entry's network from its structure, without reading or downloading weights.

    It is built on the meta device or, if that fails, on the CPU. A network with valid convolutions is described with
    its smaller output, not with the mirrored tiles of the evaluation.

    Args:
        entry: The network and its options.
        classes: Number of classes.
        channels: Channels of the images.
        size: Height and width of the image.

    Raises:
        UsageError: An option is impossible, or the network cannot be built.
        ModelRefusal: The network cannot take this size.
    """
    network = _built(entry, classes=classes, channels=channels)
    constraint = constraint_of(network)
    constraint.check(entry.name, *size)
    margin = getattr(network, "output_margin", 0)
    with refusing_exit(entry.name):
        outputs = try_outputs(network, channels=channels, size=size)
        if outputs is not None:
            outputs = _real_outputs(entry, classes=classes, channels=channels, size=size) or outputs
        refuse_sizes(network, channels=channels, sizes=[size])
        cost = _cost(entry, network, classes=classes, channels=channels, size=size)
    return Description(
        name=entry.label or entry.name,
        parameters=cost.parameters,
        macs=cost.macs,
        activation_bytes=cost.activation_bytes,
        weights_bytes=cost.weights_bytes,
        citation=getattr(network, "citation", ""),
        input_constraint=str(constraint),
        output_size=(size[0] - 2 * margin, size[1] - 2 * margin),
        outputs=outputs,
    )


def _real_outputs(entry: ModelEntry, *, classes: int, channels: int, size: tuple[int, int]) -> OutputFacts | None:
    """Return an external network's outputs with real values, which reveal a softmax; None if it cannot be run.

    Raises:
        ModelRefusal: The network returns no logits of its classes.
    """
    try:
        return try_outputs(_untrained(entry, classes=classes, channels=channels), channels=channels, size=size)
    except SegbenchError:
        raise
    except Exception:  # the description only needs the meta device
        return None


def _cost(entry: ModelEntry, network: nn.Module, *, classes: int, channels: int, size: tuple[int, int]) -> Cost:
    """Count the cost on the meta device or, for a network that reads values, on the CPU.

    Raises:
        ModelRefusal: The network does not support the size.
    """
    try:
        return cost_of(network, channels, *size)
    except SegbenchError:
        raise
    except Exception:  # either an unsupported size or missing values; the CPU shows which
        real = _untrained(entry, classes=classes, channels=channels)
    try:
        return cost_of(real, channels, *size, device="cpu")
    except SegbenchError:
        raise
    except Exception as error:
        height, width = size
        raise ModelRefusal(f"{entry.name} cannot take {height}x{width} images: {_line(error)}") from error


def _built(entry: ModelEntry, *, classes: int, channels: int) -> nn.Module:
    """Build a network; converts errors of other packages.

    Raises:
        UsageError: Building it failed.
    """
    try:
        return bare_skeleton(entry, classes=classes, channels=channels)
    except SegbenchError:
        raise
    except Exception as error:
        raise UsageError(f"{entry.name} cannot be built: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """Describe an error in one line, with its class if the message is short."""
    text = (str(error).strip().splitlines() or [""])[0][:300]
    return text if isinstance(error, AssertionError | RuntimeError) and text else f"{type(error).__name__}: {text}"
