"""What a network costs at an input size: parameters, multiply-adds, memory for training, bytes on disk."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segbench.models.base import count_macs, count_parameters


@dataclass(frozen=True)
class Cost:
    """What a network costs at one input size.

    Attributes:
        parameters: Learned parameters.
        macs: Multiply-adds of one forward pass of one image.
        activation_bytes: What one image adds to the memory that a training forward pass keeps for the backward pass,
            in float32; see ``count_activation_bytes``.
        weights_bytes: Size of the network's tensors on disk; see ``count_weights_bytes``.
    """

    parameters: int
    macs: int
    activation_bytes: int
    weights_bytes: int


def cost_of(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> Cost:
    """Return what a network costs for images of (channels, height, width); on the meta device, nothing is computed.

    Args:
        network: Any network, on any device; it is left as it is.
        channels: Channels of the images.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        device: Where it is counted: ``cpu`` for a network that looks at values, which the meta device has none of.

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
    """Return the bytes of all tensors of the state dict at their own types: a safetensors file without its header.

    A tensor that stands under two names counts twice, because it is written twice.
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def count_activation_bytes(network: nn.Module, channels: int, height: int, width: int, *, device: str = "meta") -> int:
    """Return the bytes that each image of a batch adds to what training keeps between forward and backward pass.

    These are the storages of all tensors that autograd saves in a float32 forward pass in training mode, the images
    themselves included where a layer saves them. A storage that several layers save counts once, and whole, also where
    only a part of it is saved; parameters and buffers do not count, nor does the loss. What two images save is taken
    from what three save, so that what does not depend on the batch (the statistics of batch norm) is left out, and
    networks that refuse to be trained on a single image have a figure too.

    It is counted on the meta device unless another is named, as the CPU's operators save it. Kernels of other devices
    may save less (dropout masks of one byte) or keep workspaces beside.
    """
    network = deepcopy(network).to(device).float().train()
    two, three = (_saved_bytes(network, torch.zeros(n, channels, height, width, device=device)) for n in (2, 3))
    return three - two


def _saved_bytes(network: nn.Module, images: Tensor) -> int:
    """Return the bytes of all storages that one forward pass saves, those of parameters and buffers not counted."""
    own = {_address(tensor) for tensor in (*network.parameters(), *network.buffers())}
    saved: dict[int, Tensor] = {}  # holds the tensors, so that no address is used again

    def note(tensor: Tensor) -> Tensor:
        saved.setdefault(_address(tensor), tensor.detach())
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(images)
    return sum(tensor.untyped_storage().nbytes() for address, tensor in saved.items() if address not in own)


def _address(tensor: Tensor) -> int:
    """Tell storages apart; on the meta device, where none has data, by the object that stands for them."""
    return int(tensor.untyped_storage()._cdata)
