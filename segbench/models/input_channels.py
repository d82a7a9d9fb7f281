"""Makes the first convolution of a network for RGB take images of other channels."""

from __future__ import annotations

from torch import nn

RGB = 3


def take_channels(network: nn.Module, channels: int, *, pretrained: bool) -> str | None:
    """Replace the first convolution of RGB by one of other channels.

    Random weights are drawn as torchvision's backbones draw them (He et al., ICCV 2015, by the outputs), whose scale
    does not depend on the channels. Pretrained ones are adapted as timm adapts them: summed over RGB for one channel,
    else repeated over the channels and scaled by 3 / channels, so that sums over channels keep their size.

    Args:
        network: The network, changed in place.
        channels: Channels of the images.
        pretrained: Whether its weights were loaded.

    Returns:
        The name of the convolution; None where none takes three channels, so that nothing was changed.
    """
    from timm.models import adapt_input_conv

    name, first = next(((name, one) for name, one in network.named_modules() if _takes_rgb(one)), ("", None))
    if not isinstance(first, nn.Conv2d):
        return None
    wider = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
        bias=first.bias is not None,
        padding_mode=first.padding_mode,
        device=first.weight.device,
        dtype=first.weight.dtype,
    )
    if pretrained:
        wider.weight = nn.Parameter(adapt_input_conv(channels, first.weight.detach()).contiguous())
    else:
        nn.init.kaiming_normal_(wider.weight, mode="fan_out", nonlinearity="relu")
    if first.bias is not None:
        wider.bias = first.bias
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, wider)
    return name


def _takes_rgb(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.in_channels == RGB and layer.groups == 1
