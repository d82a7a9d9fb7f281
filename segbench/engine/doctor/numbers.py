"""Compares what a network computes on a device, in several precisions, with float64 on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.engine.device import ComputeConfig
from segbench.errors import ModelRefusal

FP32_LOGITS_LIMIT = 1e-4
"""Limit of the relative error of fp32 logits. All networks of the catalogue stay below 3e-6 on CPUs. TF32, which must
not be used for fp32, gives about 1e-3."""
FP32_GRADIENTS_LIMIT = 1e-3
"""Limit of the relative error of all gradients together; observed values stay below 1e-5."""
PRECISION_LOGITS_LIMITS = {"tf32": 0.2, "fp16": 0.2, "bf16": 0.5}
"""Limit of the relative error of logits against fp32. In bf16 most networks stay below 0.05. In networks with pooling
indices (SegNet-Basic, 0.17), rounding moves some values to other places. Unrelated logits differ by 1.4."""
DRAWS = 3
"""Largest number of random draws of images. If two values are almost equal, rounding may select the other one as
maximum, which changes everything after it. That is rare, while a real fault shows on every image."""


@dataclass(frozen=True)
class Computed:
    """The result of a forward and backward pass.

    Attributes:
        logits: (N, classes, H, W) float64 on the CPU.
        gradients: Gradients of all parameters that have one, float64 on the CPU.
    """

    logits: Tensor
    gradients: tuple[Tensor, ...]

    def check_finite(self, precision: str) -> None:
        """Check that all values are finite.

        Raises:
            ModelRefusal: A logit or a gradient is NaN or infinite.
        """
        for what, tensors in (("logits", (self.logits,)), ("gradients", self.gradients)):
            count = sum(int((~tensor.isfinite()).sum()) for tensor in tensors)
            if count:
                total = sum(tensor.numel() for tensor in tensors)
                raise ModelRefusal(f"{count:,} of {total:,} {what} are not finite in {precision}")


def fill_zeros(network: nn.Module) -> nn.Module:
    """Fill parameters that are all zero; a score layer of zeros would hide all errors."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def reference(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Computed, str]:
    """Compute in float64 on the CPU, or in float32 if the network does not support float64.

    Returns:
        The result and the name of its dtype.
    """
    try:
        return _computed(network.double(), images.double(), labels, ComputeConfig(images.device)), "float64"
    except RuntimeError:
        return _computed(network.float(), images, labels, ComputeConfig(images.device)), "float32"


def computed(network: nn.Module, images: Tensor, labels: Tensor, compute: ComputeConfig) -> Computed:
    """Run a forward and backward pass in evaluation mode, which is deterministic.

    Batch norm uses its running statistics, and dropout is off.

    Args:
        network: The network on the CPU; it is moved to the device.
        images: (N, C, H, W) float32 on the CPU.
        labels: (N, H, W) int64 class indices on the CPU.
        compute: Device, precision and memory layout.

    Raises:
        ModelRefusal: The output has another shape, or values that are not finite.
    """
    found = _computed(compute.place(network), compute.images(images), labels, compute)
    found.check_finite(compute.precision)
    return found


def relative_error(found: Iterable[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the norm of the difference divided by the norm of the expected values, over all tensors."""
    difference = math.sqrt(sum(float((a - b).square().sum()) for a, b in zip(found, expected, strict=True)))
    size = math.sqrt(sum(float(b.square().sum()) for b in expected))
    return difference / size if size else (math.inf if difference else 0.0)


def beyond_limits(errors: Mapping[str, float], *, precision: str, compared_with: str) -> list[str]:
    """Describe which relative errors exceed their limits.

    Args:
        errors: Errors by name: ``logits`` and ``gradients`` of fp32, and ``precision_logits`` if the recipe has another
            precision.
        precision: The recipe's precision.
        compared_with: The reference of fp32, such as ``float64``.
    """
    limits = {"logits": FP32_LOGITS_LIMIT, "gradients": FP32_GRADIENTS_LIMIT}
    texts = {name: f"fp32 {name} differ from the CPU's in {compared_with}" for name in limits}
    limits["precision_logits"] = PRECISION_LOGITS_LIMITS.get(precision, FP32_LOGITS_LIMIT)
    texts["precision_logits"] = f"{precision} logits differ from those in fp32"
    return [
        f"{texts[name]} by {error:.1e} of their size, limit {limits[name]:g}"
        for name, error in errors.items()
        if not error <= limits[name]  # NaN exceeds every limit
    ]


def _computed(network: nn.Module, images: Tensor, labels: Tensor, compute: ComputeConfig) -> Computed:
    network.eval().zero_grad(set_to_none=True)
    with compute.matrix_precision():
        with compute.autocast():
            logits: Tensor = network(images)
        _check_logits(logits, labels, images)
        exact = logits if logits.dtype == torch.float64 else logits.float()
        if logits.requires_grad:
            functional.cross_entropy(exact, labels.to(exact.device)).backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in network.parameters() if parameter.requires_grad]
    return Computed(
        logits.detach().cpu().double(),
        tuple(gradient.cpu().double() for gradient in gradients if gradient is not None),
    )


def _check_logits(logits: object, labels: Tensor, images: Tensor) -> None:
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim != 4:
        raise ModelRefusal(f"gave {_kind(logits)}, expected floating-point scores (N, classes, H, W)")
    shape = (logits.shape[0], *logits.shape[2:])
    if shape != tuple(labels.shape):
        raise ModelRefusal(f"gave an output of shape {tuple(logits.shape)} for images {tuple(images.shape)}")


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
