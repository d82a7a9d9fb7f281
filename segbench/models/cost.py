"""Counts the cost of a network at an input size: parameters, multiply-adds, training memory, bytes on disk."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segbench.models.base import count_macs, count_parameters


@dataclass(frozen=True)
class Cost:
    """The cost of a network at one input size.

    Attributes:
        parameters: Number of learned parameters.
        macs: Multiply-adds of one forward pass of one image.
        activation_bytes: Bytes of float32 activations kept for the backward pass per image; see
            ``count_activation_bytes``.
        weights_bytes: Size of the network's tensors on disk; see ``count_weights_bytes``.
    """

    parameters: int
    macs: int
    activation_bytes: int
    weights_bytes: int


def cost_of(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> Cost:
    """Return the cost of a network for images of (channels, height, width); the meta device computes nothing.

    Args:
        network: Any network on any device; it is not changed.
        channels: Channels of the images.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        device: The device for counting; ``cpu`` for a network that reads values, which the meta device lacks.

    Raises:
        ModelRefusal: The network cannot take this size.
    """
    return Cost(
        parameters=count_parameters(network),
        macs=count_macs(network, channels, height, width, device=device),
        activation_bytes=count_activation_bytes(network, channels, height, width, device=device),
        weights_bytes=count_weights_bytes(network),
    )


def count_weights_bytes(network: nn.Module) -> int:
    """Return the bytes of all tensors of the state dict: the size of a safetensors file without its header.

    A tensor with two names counts twice, because it is written twice.
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def count_activation_bytes(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> int:
    """Return the bytes that each image of a batch adds to the activations kept for the backward pass.

    Counts the storages of all tensors that autograd saves in a float32 forward pass in training mode, including the
    images if a layer saves them. A storage saved by several layers, or saved in part, counts once and fully.
    Parameters, buffers and the loss do not count.

    The result is the difference between batches of three and two images. So constants (statistics of batch norm)
    cancel, and networks that cannot train on a single image work too.

    By default it is counted on the meta device, like CPU operators. Kernels of other devices may save less (dropout
    masks of one byte) or need additional workspaces.
    """
    network = deepcopy(network).to(device).float().train()
    two, three = (_saved_bytes(network, torch.zeros(n, channels, height, width, device=device)) for n in (2, 3))
    return three - two


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Return the bytes of all storages that one forward pass saves, without parameters and buffers."""
    own = {_address(tensor) for tensor in (*network.parameters(), *network.buffers())}
    saved: dict[int, Tensor] = {}  # keeps the tensors alive, so that no address is reused

    def note(tensor: Tensor) -> Tensor:
        saved.setdefault(_address(tensor), tensor.detach())
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(images)
    return sum(tensor.untyped_storage().nbytes() for address, tensor in saved.items() if address not in own)


def _address(tensor: Tensor) -> int:
    """Return a unique key of a storage; on the meta device, which has no data, the id of the storage object."""
    return int(tensor.untyped_storage()._cdata)
