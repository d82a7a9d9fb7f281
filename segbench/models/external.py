"""External networks: torchvision's, segmentation_models_pytorch's, and networks given by an import path."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from segbench.errors import ModelRefusal, UnknownNameError, UsageError, WeightsError, did_you_mean
from segbench.import_path import import_attribute
from segbench.models.base import InputConstraint, SegmentationNetwork, constraint_of
from segbench.models.blocks import resize
from segbench.models.outputs import Found, find_auxiliary, find_logits
from segbench.models.padding import PaddedConstraint, pad, padded

if TYPE_CHECKING:
    from segbench.results.outputs import OutputFacts

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


SMP_STEP = 32
"""Images for smp's networks are padded to a multiple of this, unless ``pad_to`` is set."""


class ExternalNetwork(nn.Module):
    """Wraps an external network to return only logits of the image's size.

    Supports all outputs in which ``segbench.models.outputs`` finds logits. Smaller logits are interpolated bilinearly
    (``align_corners=False``), and images are padded if the network needs it.

    Attributes:
        citation: The source of the network.
        output: Location of the logits in the network's output, if not the default.
        step: Images are padded to a multiple of this.
        tried: Its outputs when it was tried; None before.
        adapted: What of its adaption to the images' channels a reader has to know; empty where there is nothing.
    """

    adapted: str = ""

    def __init__(
        self, model: nn.Module, classes: int, *, name: str, step: int = 1, output: str | int | None = None
    ) -> None:
        super().__init__()
        self.model = model  # "model.": a prefix that weights are compared without
        self.classes, self.name, self.step, self.output = classes, name, step, output
        self.citation = str(getattr(model, "citation", "")) or name
        self.tried: OutputFacts | None = None

    @property
    def input_constraint(self) -> InputConstraint:
        """The supported input sizes, if declared."""
        constraint = constraint_of(self.model)
        return constraint if self.step == 1 else PaddedConstraint(pad_to=self.step, inner=constraint)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) logits.

        Raises:
            ModelRefusal: The network does not return logits of these classes.
        """
        return self._fitted(self.logits(self.model(pad(images, self.step))).value, images)

    def outputs(self, images: Tensor, also: Collection[str] = ()) -> dict[str, Tensor]:
        """Map (N, C, H, W) images to logits and auxiliary outputs, each (N, classes, H, W), by path; logits first.

        Args:
            images: The images.
            also: Further names of auxiliary outputs.

        Raises:
            ModelRefusal: The network does not return logits of these classes.
        """
        returned = self.model(pad(images, self.step))
        found = (self.logits(returned), *self.auxiliary(returned, also))
        return {path: self._fitted(value, images) for path, value in found}

    def logits(self, returned: Any) -> Found:
        """Return the logits in an output; see ``find_logits``."""
        return find_logits(returned, classes=self.classes, name=self.name, output=self.output)

    def auxiliary(self, returned: Any, also: Collection[str] = ()) -> tuple[Found, ...]:
        """Return the auxiliary outputs in an output; see ``find_auxiliary``."""
        return find_auxiliary(returned, classes=self.classes, name=self.name, output=self.output, also=also)

    def _fitted(self, logits: Tensor, images: Tensor) -> Tensor:
        """Resize (N, classes, h, w) logits to the padded size and crop them to the images."""
        height, width = images.shape[-2:]
        size = [padded(height, self.step), padded(width, self.step)]
        if list(logits.shape[-2:]) != size:
            logits = resize(logits, *size)
        return logits[..., :height, :width]


def torchvision_model(
    classes: int, channels: int = 3, *, target: str, pretrained: bool | str = False, **options: Any
) -> nn.Module:
    """A segmentation network of torchvision, such as torchvision:fcn_resnet50, with its auxiliary head if asked for.

    Args:
        classes: Number of classes.
        channels: Channels of the images; where they are not 3, the first convolution is adapted, see
            ``take_channels``.
        target: torchvision's name.
        pretrained: Weights of the backbone through torchvision: false, true for its recommended ones, or their name,
            such as IMAGENET1K_V1.
        **options: Further arguments of torchvision's builder, such as aux_loss for the auxiliary head.

    Raises:
        UnknownNameError: torchvision has no such segmentation network.
        ModelRefusal: The images have other than 3 channels, and no convolution can be adapted.
        UsageError: torchvision refuses the options.
        WeightsError: torchvision cannot get the weights.
    """
    from torchvision import models

    name = f"torchvision:{target}"
    known = models.list_models(module=models.segmentation)
    if target not in known:
        raise UnknownNameError("segmentation network of torchvision", target, known)
    _refuse_weights(name, options, ("weights", "weights_backbone"))
    builder = inspect.signature(models.get_model_builder(target))
    for key in options:
        if key not in builder.parameters:  # the builders take any key and ignore it
            raise UsageError(f"{name}: torchvision knows no option {key!r}{did_you_mean(key, builder.parameters)}")
    backbone = "DEFAULT" if pretrained is True else pretrained or None
    try:
        model = models.get_model(target, weights=None, weights_backbone=backbone, num_classes=classes, **options)
    except OSError as error:
        raise WeightsError(
            f"{name}: torchvision could not get the weights of the backbone ({error}); without a network, put them "
            f"into {torch.hub.get_dir()}/checkpoints"
        ) from error
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{name}: torchvision refuses these options: {error}") from error
    network = ExternalNetwork(model, classes, name=name)
    if channels != RGB:
        network.adapted = _adapted(name, model, channels, pretrained=bool(pretrained))
    return network


def _adapted(name: str, model: nn.Module, channels: int, *, pretrained: bool) -> str:
    """Make a network take other channels than RGB; return what of it a reader has to know.

    Raises:
        ModelRefusal: It has no convolution of three channels.
    """
    layer = take_channels(model, channels, pretrained=pretrained)
    if layer is None:
        raise ModelRefusal(
            f"{name} takes images of 3 channels, not {channels}, and has no convolution that could be adapted; read "
            "three bands (dataset.channels: [0, 1, 2]), or take a network with a timm encoder, which is adapted"
        )
    if not pretrained:
        return ""
    rule = "summed over RGB" if channels == 1 else f"repeated over the {channels} channels and scaled by 3/{channels}"
    return (
        f"takes {channels} channels: the pretrained weights of its first convolution, {layer}, are {rule}, as in timm"
    )


def smp_model(
    classes: int, channels: int = 3, *, target: str, pretrained: bool | str = False, **options: Any
) -> nn.Module:
    """A network of segmentation_models_pytorch, such as smp:Unet; images are padded to a multiple of 32.

    Args:
        classes: Number of classes.
        channels: Channels of the images.
        target: smp's name of the architecture.
        pretrained: Weights of the encoder through smp: false, true for imagenet, or their name.
        **options: Further arguments of smp's architecture, such as encoder_name.

    Raises:
        ModelRefusal: The package is not installed.
        UnknownNameError: smp has no such architecture.
        UsageError: smp refuses the options.
        WeightsError: smp cannot get the weights.
    """
    name = f"smp:{target}"
    try:
        smp = importlib.import_module("segmentation_models_pytorch")
    except ImportError as error:
        raise ModelRefusal(
            f"{name} needs a package that is not installed: pip install segmentation-models-pytorch"
        ) from error
    known = {key: kind for key, kind in vars(smp).items() if inspect.isclass(kind) and issubclass(kind, nn.Module)}
    if target not in known:
        raise UnknownNameError("architecture of segmentation_models_pytorch", target, known)
    _refuse_weights(name, options, ("encoder_weights",))
    weights = "imagenet" if pretrained is True else pretrained or None
    try:
        model = known[target](encoder_weights=weights, in_channels=channels, classes=classes, **options)
    except OSError as error:
        raise WeightsError(f"{name}: smp could not get the weights {weights} of the encoder: {error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{name}: segmentation_models_pytorch refuses these options: {error}") from error
    return ExternalNetwork(model, classes, name=name, step=SMP_STEP)


def python_model(classes: int, channels: int = 3, *, target: str, **options: Any) -> nn.Module:
    """A network given by its import path, such as python:package.module.Network.

    Args:
        classes: Number of classes, passed on as ``classes=``.
        channels: Channels of the images, passed on as ``channels=``, or as ``in_channels=`` or ``in_chans=`` if it has
            such a parameter.
        target: ``package.module.attribute`` of a class or function that returns a ``torch.nn.Module``.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, it cannot be called like this, or returns something else.
    """
    name = f"python:{target}"
    factory = import_attribute(name, target)
    passed = {_channels_keyword(factory): channels}
    try:
        with refusing_exit(name):
            model = factory(classes=classes, **passed, **options)
    except TypeError as error:
        given = ", ".join(["classes", *passed, *options])
        raise UsageError(f"{name} cannot be called with {given}: {error}") from error
    if isinstance(model, SegmentationNetwork):
        return model
    if not isinstance(model, nn.Module):
        raise UsageError(f"{name} returned {type(model).__name__}; a torch.nn.Module is expected")
    return ExternalNetwork(model, classes, name=name)


@contextmanager
def refusing_exit(name: str) -> Iterator[None]:
    """Refuse a network whose code exits, which would end segbench without a message.

    Raises:
        ModelRefusal: It raised SystemExit, as ``sys.exit`` does.
    """
    try:
        yield
    except SystemExit as error:
        raise ModelRefusal(
            f"{name} ends the program (SystemExit: {error.code}) when it is built or run; let it raise another error"
        ) from error


def _channels_keyword(factory: Any) -> str:
    """Return the name of a factory's parameter for the channels; ``channels`` if not known."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return "channels"
    return next((key for key in ("channels", "in_channels", "in_chans") if key in parameters), "channels")


def _refuse_weights(name: str, options: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse other options for pretrained weights than ``pretrained``, which reports rely on."""
    for key in keys:
        if options.get(key) is not None:
            raise UsageError(f"{name}: give {key} as 'pretrained', so that the row counts as pretrained")
        if key in options:
            raise UsageError(
                f"{name}: leave {key} out; 'pretrained' decides which weights are loaded, and its default, false, "
                "loads none"
            )
