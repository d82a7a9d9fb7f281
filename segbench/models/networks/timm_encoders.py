"""Encoders of the timm library: any of its feature pyramids, at any input size, with weights from a file or its own."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.config import files
from segbench.config.files import encoder_weights
from segbench.errors import UnknownNameError, UsageError, WeightsError

WEIGHTS_FOLDER = files.WEIGHTS_FOLDER
"""Environment variable that names the folder of ``<timm name>.safetensors`` files."""

_FLEXIBLE: tuple[dict[str, Any], ...] = ({"strict_img_size": False}, {"dynamic_img_size": True}, {})
"""What makes timm's transformers accept other image sizes than the one they were trained on, by family."""


class TimmEncoder(nn.Module):
    """A timm network without its classifier: maps (N, C, H, W) images to its feature maps, finest first.

    A map of stride ``s`` has H/s rows, rounded up or down as the network does it. Images smaller than the deepest
    stride are padded with zeros (the mean of normalised images), and so are all images to a multiple of that stride
    for networks that need it (most transformers, HRNet); the maps are cropped accordingly.

    Attributes:
        name: timm's name.
        channels: Channels of each map.
        strides: Stride of each map in pixels.
        step: Image sizes are padded to a multiple of this; 1 for no padding.
    """

    def __init__(self, name: str, body: nn.Module, *, channels: int) -> None:
        super().__init__()
        self.name, self.body = name, body
        information: Any = body.feature_info
        self.channels: list[int] = information.channels()
        self.strides: list[int] = information.reduction()
        self._channels_last = str(getattr(body, "output_fmt", "NCHW")).endswith("NHWC")
        self.step = _needed_step(self, channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return one (N, channels[i], ~H/strides[i], ~W/strides[i]) map a level."""
        height, width = images.shape[-2:]
        bottom, right = (_missing(size, self.step, max(self.strides)) for size in (height, width))
        if bottom or right:
            images = functional.pad(images, (0, right, 0, bottom))
        maps: list[Tensor] = self.body(images)
        if self._channels_last:
            maps = [features.permute(0, 3, 1, 2) for features in maps]
        if bottom or right:
            maps = [
                features[..., : -(-height // stride), : -(-width // stride)]
                for features, stride in zip(maps, self.strides, strict=True)
            ]
        return maps

    def at_stride(self, stride: int) -> int:
        """Return the index of the deepest map of a stride.

        Raises:
            UsageError: The encoder has none.
        """
        if stride not in self.strides:
            raise UsageError(
                f"encoder {self.name} has no features of stride {stride}, which this network needs; "
                f"it has {', '.join(map(str, self.strides))}"
            )
        return len(self.strides) - 1 - self.strides[::-1].index(stride)


def timm_encoder(
    name: str,
    *,
    channels: int,
    pretrained: bool | str,
    output_stride: int = 32,
    changes: Mapping[str, Any] | None = None,
) -> TimmEncoder:
    """Build a timm network as an encoder.

    On the meta device, where it has no values, its options and the weights' file are checked and no weights are read.

    Args:
        name: timm's name, such as ``resnet50`` or ``tf_efficientnet_lite0``.
        channels: Channels of the images; pretrained first convolutions are adapted as timm does it.
        pretrained: False; True for the file that ``weights_file`` finds, else timm's own weights; or the path of a
            file in timm's key layout.
        output_stride: Stride of the deepest map; less than 32 replaces strides by dilation, where timm can.
        changes: Options of this network's own constructor in timm.

    Raises:
        UnknownNameError: timm has no such network; the nearest name is given.
        UsageError: The network gives no feature maps, not at this output stride, or not at varying image sizes.
        WeightsError: The weights cannot be had, or do not fit.
    """
    import timm

    if not timm.is_model(name):
        raise _unknown(name, timm.list_models())
    file = weights_file(name, pretrained)
    options: dict[str, Any] = {"features_only": True, "in_chans": channels, **(changes or {})}
    if output_stride != 32:
        options["output_stride"] = output_stride
    if pretrained and torch.get_default_device().type != "meta":
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            created = _create(name, options)
        body = _create_pretrained(name, file, created.options)
    else:
        body = _create(name, options).body
    return TimmEncoder(name, body, channels=channels)


def weights_file(name: str, pretrained: bool | str) -> Path | None:
    """Return the weights file that a pretrained encoder reads.

    Args:
        name: timm's name of the network.
        pretrained: False; True for ``$SEGBENCH_WEIGHTS/<name>.safetensors``; or a path.

    Returns:
        The file, or None when there is none: without pretraining, or when timm is to fetch its own weights.

    Raises:
        WeightsError: A path was given and there is no such file.
    """
    if isinstance(pretrained, str):
        path = Path(pretrained).expanduser()
        if not path.is_file():
            raise WeightsError(f"pretrained: {pretrained}: there is no such file (weights of {name})")
        return path
    return encoder_weights(name) if pretrained else None


def _unknown(name: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return UnknownNameError("timm encoder", name, near)
    return UsageError(f"unknown timm encoder {name!r}; timm.list_models() in Python lists them")


class _Created(NamedTuple):
    body: nn.Module
    options: dict[str, Any]


def _create(name: str, options: dict[str, Any]) -> _Created:
    """Create a network without weights, adding what it needs in order to take any image size."""
    import timm

    configuration = timm.get_pretrained_cfg(name)
    problem = ""
    for extra in _FLEXIBLE if configuration and configuration.fixed_input_size else ({},):
        try:
            return _Created(timm.create_model(name, **options, **extra), options | extra)
        except (TypeError, RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
            problem = _first_words(error)
    stride = options.get("output_stride", 32)
    raise UsageError(
        f"timm's {name} gives no feature maps at output stride {stride} ({problem}); "
        "choose another encoder, such as resnet50"
    )


def _create_pretrained(name: str, file: Path | None, options: dict[str, Any]) -> nn.Module:
    import timm

    if file:
        options = options | {"pretrained_cfg_overlay": {"file": str(file)}}
    try:
        with _unwarned():
            body: nn.Module = timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # the hub's client and safetensors raise errors of their own
        if file:
            raise WeightsError(f"{file}: these are no weights of timm's {name}: {_first_words(error)}") from error
        raise WeightsError(
            f"timm could not get the weights of {name} ({_first_words(error)}); without a network, put "
            f"{name}.safetensors into the folder that {WEIGHTS_FOLDER} names "
            f"(now {os.environ.get(WEIGHTS_FOLDER, 'not set')}), or give the file: pretrained: PATH"
        ) from error
    if file:
        _check_loaded(name, body, file)
    return body


def _check_loaded(name: str, body: nn.Module, file: Path) -> None:
    """Refuse a file of which timm took next to nothing: it ignores keys that it does not know without a word.

    Weights (not biases and norms, many of which are constant) are compared by number of elements and sum, because
    timm renames and reshapes some while loading; a tenth may differ (an adapted first convolution, resampled
    position tables).
    """
    from timm.models import load_state_dict

    given = {_fingerprint(tensor) for tensor in load_state_dict(str(file)).values()}
    weights = [parameter.detach() for parameter in body.parameters() if parameter.ndim > 1]
    found = sum(_fingerprint(weight) in given for weight in weights)
    if found < 0.9 * len(weights):
        raise WeightsError(
            f"{file}: only {found} of the {len(weights)} weights of timm's {name} are in this file; "
            "is it in timm's key layout?"
        )


def _fingerprint(tensor: Tensor) -> tuple[int, float]:
    """Return size and sum of a tensor's values, the same in any order of the elements."""
    values = tensor.to(torch.float32).double()
    return tensor.numel(), round(float(values.sum()), 6)


def _needed_step(encoder: TimmEncoder, channels: int) -> int:
    """Return 1 when the network takes odd image sizes, else its deepest stride; tried out on the meta device.

    Raises:
        UsageError: The network takes one image size only.
    """
    deepest = max(encoder.strides)
    problem = _problem_at(encoder.body, channels, height=3 * deepest + 1, width=4 * deepest - 1)
    if problem is None:
        return 1
    if problem := _problem_at(encoder.body, channels, height=3 * deepest, width=5 * deepest):
        raise UsageError(f"timm's {encoder.name} takes images of one size only ({problem}); choose another encoder")
    return deepest


def _problem_at(body: nn.Module, channels: int, *, height: int, width: int) -> str | None:
    """Return why a network cannot take an image size, or None if it can; costs neither memory nor arithmetic."""
    tensors = chain(body.named_parameters(), body.named_buffers())
    state = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    body.eval()
    try:
        with torch.no_grad(), torch.device("meta"):
            torch.func.functional_call(body, state, (torch.empty(1, channels, height, width),))
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        return _first_words(error)
    finally:
        body.train()
    return None


def _missing(size: int, step: int, minimum: int) -> int:
    """Return how many pixels a height or width lacks to a multiple of the step that is not below the minimum."""
    return max(-(-size // step) * step, minimum) - size


def _first_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextmanager
def _unwarned() -> Iterator[None]:
    """Silence timm's list of the tensors that it does not use; what it uses is checked here."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
