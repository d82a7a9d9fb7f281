"""Wraps losses from other packages, given by an import path or entry point, and checks their results."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segbench.engine.training.losses.base import IGNORE_INDEX, Loss
from segbench.import_path import ForeignPartError, call_part, import_attribute, naming_part, offered, takes

_TRIED_SIDE = 32
"""Height and width of the images for trying a loss."""


def python_loss(classes: int, *, target: str, **options: Any) -> Loss:
    """A loss given by its import path, such as python:package.module.my_loss.

    A class, or a function with a parameter ``classes``, is called once and returns the loss. Any other function is the
    loss itself. The loss is called with float32 logits (N, C, H, W) and int64 labels (N, H, W), in which 255 is void.

    Args:
        classes: Number of classes, passed as ``classes=`` if there is such a parameter.
        target: ``package.module.attribute`` of a class or function.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    found = import_attribute(name, target)
    if inspect.isclass(found) or takes(found, "classes"):
        made = call_part(name, found, **offered(found, {"classes": classes}), **options)
    else:
        made = partial(found, **options)
    return as_loss(name, made, classes=classes)


def as_loss(name: str, made: Any, *, classes: int) -> Loss:
    """Return a factory's result as a loss; external losses are wrapped to check their results.

    Raises:
        ForeignPartError: It is not callable, or has trainable weights.
    """
    if isinstance(made, Loss):
        return made
    if not callable(made):
        raise ForeignPartError(
            f"{name} is a {type(made).__name__}; something called with logits and labels is expected"
        )
    if isinstance(made, nn.Module) and any(weight.requires_grad for weight in made.parameters()):
        raise ForeignPartError(f"{name} has trainable weights; only those of networks are trained")
    return ForeignLoss(name, made, classes=classes)


class ForeignLoss(Loss):
    """An external loss: one number for each batch; 0 if all pixels are void."""

    def __init__(self, name: str, function: Callable[[Tensor, Tensor], Any], *, classes: int) -> None:
        super().__init__(classes)
        self.name, self.function = name, function
        self.is_pixel_mean = bool(getattr(function, "is_pixel_mean", False))

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss.

        Raises:
            ForeignPartError: It raised an error, or did not return one differentiable number.
        """
        if not (labels != IGNORE_INDEX).any():
            return logits.sum() * 0
        shapes = f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
        with naming_part(self.name, f"failed on {shapes}, in which {IGNORE_INDEX} is void"):
            value = self.function(logits, labels)
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ForeignPartError(f"{self.name} returned {what}; a tensor of one number is expected")
        if logits.requires_grad and not value.requires_grad:
            raise ForeignPartError(f"{self.name} returned a number that has no gradient by the logits")
        return value.float().reshape(())


def try_loss(loss: Loss) -> str | None:
    """Try an external loss on random logits and labels with void pixels; built-in losses need no trial.

    Returns:
        A note for the user; None if there is nothing to note.

    Raises:
        ForeignPartError: It fails, or its value or a gradient is not finite.
    """
    if not isinstance(loss, ForeignLoss):
        return None
    draw = torch.Generator().manual_seed(0)
    shape = (2, _TRIED_SIDE, _TRIED_SIDE)
    logits = torch.randn(2, loss.classes, *shape[1:], generator=draw, requires_grad=True)
    labels = torch.randint(loss.classes, shape, generator=draw)
    labels[:, :, : _TRIED_SIDE // 4] = IGNORE_INDEX
    value = loss(logits, labels)
    with naming_part(loss.name, "cannot be differentiated"):
        (gradient,) = torch.autograd.grad(value, logits)
    if not (value.isfinite() and gradient.isfinite().all()):
        what = f"is {value.item()}" if not value.isfinite() else "has a gradient that is not finite"
        raise ForeignPartError(f"{loss.name} {what} on ordinary logits and labels, in which {IGNORE_INDEX} is void")
    if gradient[:, :, :, : _TRIED_SIDE // 4].any():
        return f"{loss.name}: void pixels (label {IGNORE_INDEX}) change it; scores leave them out"
    return None
